#include "submission.h"

#include <stdlib.h>

#include "clock.h"
#include "normalize.h"
#include "producer.h"
#include "signals.h"

#define ASK_MS         1000 /* so often a stop signal is looked at while the brokers do not answer */
#define STOP_WAIT_MS   INT64_C(5000)
#define DRAIN_STEP_MS  100
#define SERVE_INTERVAL 128 /* events */

struct submission {
    struct producer *producer; /* NULL once finished */
    struct normalizer *normalizer;
    struct tally tally;
    int64_t timeout_ms;
    int64_t heard_ms;   /* when the last acknowledgement came, or the wait for it began */
    int64_t stopped_ms; /* when a stop signal was seen while draining; 0: none was */
};

static void count_failure(struct submission *submission, const struct fault *fault)
{
    if (submission->tally.failed == 0) submission->tally.first_fault = *fault;
    submission->tally.failed++;
}

static void on_report(void *context, const struct delivery *delivery)
{
    struct submission *submission = context;
    submission->heard_ms = clock_now_ms();
    if (delivery->fault->status != STATUS_OK) {
        count_failure(submission, delivery->fault);
        return;
    }
    submission->tally.acknowledged++;
    submission->tally.partition = delivery->partition;
    submission->tally.offset = delivery->offset;
}

static bool await_topic(struct submission *submission, struct fault *ret_fault)
{
    int64_t deadline_ms = clock_now_ms() + submission->timeout_ms;
    int32_t partition_count;
    do {
        int64_t left_ms = deadline_ms - clock_now_ms();
        int ask_ms = left_ms < ASK_MS ? (int)left_ms : ASK_MS;
        if (producer_check_topic(submission->producer, ask_ms, &partition_count, ret_fault)) return true;
        if (ret_fault->status != STATUS_RETRY) return false;
    } while (clock_now_ms() < deadline_ms && !signals_look_for_stop());
    return false;
}

bool submission_open(const struct settings *settings, int64_t timeout_ms, struct submission **ret_submission,
                     struct fault *ret_fault)
{
    struct submission *submission = calloc(1, sizeof *submission);
    if (submission == NULL) abort();
    submission->timeout_ms = timeout_ms;
    submission->normalizer = normalizer_new((size_t)settings->event_bytes_max);
    if (!producer_new(settings, settings->topic, on_report, submission, &submission->producer, ret_fault) ||
        !await_topic(submission, ret_fault)) {
        submission_free(submission);
        return false;
    }
    *ret_submission = submission;
    return true;
}

/* The client id of an event that is rejected for something else, as far as it was found. */
static struct slice rejected_key(const struct normalizer *normalizer)
{
    const struct finding *finding = normalizer_finding(normalizer, FIELD_CLIENT_ID);
    if (finding->place == PLACE_NONE || memchr(finding->value.data, '\\', finding->value.size) != NULL)
        return slice_of(NULL, 0);
    struct slice key = slice_trim(finding->value);
    return key.size <= EVENT_TEXT_BYTES_MAX ? key : slice_of(NULL, 0);
}

/* Returns the key; it is borrowed from the normalizer. */
static struct slice judge(struct submission *submission, struct slice event, int64_t now_ms,
                          struct verdict *ret_verdict)
{
    static const struct client_rules rules;
    struct record record = {.timestamp_ms = now_ms, .value = event};
    struct event canonical;
    *ret_verdict = (struct verdict){.accepted = false};
    if (normalize(submission->normalizer, &record, &rules, &canonical, &ret_verdict->reject) != STATUS_OK) {
        bool client_wrong = ret_verdict->reject.reason == REJECT_CLIENT_ID_MISSING ||
                            ret_verdict->reject.reason == REJECT_CLIENT_ID_INVALID;
        return client_wrong ? slice_of(NULL, 0) : rejected_key(submission->normalizer);
    }
    ret_verdict->accepted = true;
    memcpy(ret_verdict->hash, canonical.hash, sizeof ret_verdict->hash);
    return canonical.client_id;
}

static bool is_stalled(const struct submission *submission)
{
    return clock_now_ms() - submission->heard_ms > submission->timeout_ms;
}

static bool enqueue(struct submission *submission, const struct outgoing *message)
{
    struct fault fault;
    while (!producer_send(submission->producer, message, &fault)) {
        if (fault.status == STATUS_RETRY && !is_stalled(submission) && !signals_look_for_stop()) continue;
        count_failure(submission, &fault);
        return fault.status != STATUS_RETRY;
    }
    return true;
}

static size_t under_way(const struct tally *tally)
{
    return (size_t)(tally->sent - tally->acknowledged - tally->failed);
}

bool submission_send(struct submission *submission, struct slice event, struct verdict *ret_verdict)
{
    struct tally *tally = &submission->tally;
    int64_t now_ms = clock_wall_ms();
    struct slice key = judge(submission, event, now_ms, ret_verdict);
    if (tally->sent % SERVE_INTERVAL == 0) (void)submission_serve(submission, 0);
    if (under_way(tally) == 0) submission->heard_ms = clock_now_ms();
    tally->sent++;
    if (!ret_verdict->accepted) tally->odd++;
    /* the timestamp by which the event was judged goes with it: it may be part of the hash (D-1) */
    struct outgoing message = {.key = key, .value = event, .timestamp_ms = now_ms, .partition = -1};
    return enqueue(submission, &message);
}

size_t submission_serve(struct submission *submission, int wait_ms)
{
    (void)producer_serve(submission->producer, wait_ms);
    return under_way(&submission->tally);
}

bool submission_drain(struct submission *submission)
{
    if (submission_serve(submission, DRAIN_STEP_MS) == 0 || is_stalled(submission)) return false;
    if (!signals_look_for_stop()) return true;
    if (submission->stopped_ms == 0) submission->stopped_ms = clock_now_ms();
    return clock_now_ms() - submission->stopped_ms <= STOP_WAIT_MS;
}

void submission_finish(struct submission *submission)
{
    while (submission_drain(submission)) continue;
    producer_free(submission->producer);
    submission->producer = NULL;
}

const struct tally *submission_tally(const struct submission *submission)
{
    return &submission->tally;
}

void submission_free(struct submission *submission)
{
    if (submission == NULL) return;
    producer_free(submission->producer);
    normalizer_free(submission->normalizer);
    free(submission);
}
