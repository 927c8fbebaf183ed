/* Sending dead letters again: the steps, the wait for what becomes of them, the sum. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "command/dlq_replay.h"
#include "counted.h"
#include "exit_code.h"
#include "json.h"
#include "progress.h"

#define LOOK_EVERY_MS 200

/* ---- being asked to stop ---------------------------------------------------------------------------------
 */

/* Not by signals.h: with it the database's calls end early, and what was sent has to be written down first. A
 * second signal ends at once; the next run finds out then. */
static volatile sig_atomic_t stop_asked;

static void on_stop(int number)
{
    (void)number;
    if (stop_asked) _exit(EXIT_TEMPORARY);
    stop_asked = 1;
}

static void listen_for_stop(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

static void pause_for(int64_t milliseconds)
{
    const int64_t end_ms = clock_now_ms() + milliseconds;
    for (int64_t left_ms = milliseconds; left_ms > 0 && !stop_asked; left_ms = end_ms - clock_now_ms())
        (void)poll(NULL, 0, left_ms < LOOK_EVERY_MS ? (int)left_ms : LOOK_EVERY_MS);
}

/* ---- sending ---------------------------------------------------------------------------------------------
 */

struct sending {
    const struct replay_request *request;
    struct replay *replay;
    struct progress progress;
    struct replay_settled settled; /* of all looks together; too_young: of the last one */
    struct letter_outcomes outcomes;
    int64_t waiting;
};

static void show(struct sending *sending)
{
    const struct replay_tally *tally = replay_tally(sending->replay);
    progress_update(&sending->progress, tally->sent, tally->looked);
}

static bool settle(struct sending *sending, struct fault *ret_fault)
{
    struct replay_settled settled;
    if (!replay_settle(sending->replay, &settled, ret_fault)) return false;
    sending->settled.found += settled.found;
    sending->settled.lost += settled.lost;
    sending->settled.too_young = settled.too_young;
    return true;
}

static bool send_steps(struct sending *sending, struct fault *ret_fault)
{
    bool more = true;
    while (more && !stop_asked) {
        int64_t pause_ms;
        if (!replay_step(sending->replay, &more, &pause_ms, ret_fault)) return false;
        show(sending);
        if (more) pause_for(pause_ms);
    }
    return true;
}

/* What a run that was killed a moment ago sent may still arrive: until then it is looked for. */
static bool send_all(struct sending *sending, struct fault *ret_fault)
{
    if (!settle(sending, ret_fault) || !send_steps(sending, ret_fault)) return false;
    while (sending->settled.too_young > 0 && !stop_asked) {
        progress_note(&sending->progress, "looking for what an earlier run sent last");
        show(sending);
        pause_for(LOOK_EVERY_MS * 5);
        if (!settle(sending, ret_fault) || !send_steps(sending, ret_fault)) return false;
    }
    progress_note(&sending->progress, "");
    return true;
}

static bool await_outcomes(struct sending *sending, struct fault *ret_fault)
{
    const int64_t deadline_ms = clock_now_ms() + sending->request->wait_ms;
    int64_t pause_ms = 20; /* most often they are quick */
    progress_note(&sending->progress, "waiting for the workers");
    for (;;) {
        if (!replay_waiting(sending->replay, &sending->waiting, ret_fault)) return false;
        if (sending->waiting == 0 || clock_now_ms() >= deadline_ms || stop_asked) break;
        show(sending);
        pause_for(pause_ms);
        if (pause_ms < LOOK_EVERY_MS) pause_ms *= 2;
    }
    return replay_outcomes(sending->replay, &sending->outcomes, ret_fault);
}

/* ---- the sum ---------------------------------------------------------------------------------------------
 */

static int64_t left_out(const struct replay_tally *tally)
{
    return tally->guarded + tally->rejected + tally->busy;
}

/* Adds ", N what" unless N is 0. */
static void print_part(const char **separator, int64_t count, const char *what)
{
    if (count == 0) return;
    (void)printf("%s%" PRId64 " %s", *separator, count, what);
    *separator = ", ";
}

static void print_sent(const struct sending *sending, const struct replay_tally *tally)
{
    const struct letter_outcomes *outcomes = &sending->outcomes;
    const char *separator = ": ";
    (void)printf("sent %" PRId64 " of %" PRId64, tally->sent, tally->looked);
    print_part(&separator, outcomes->stored, "stored");
    print_part(&separator, outcomes->duplicate, "duplicate, stored before");
    print_part(&separator, outcomes->failed, "failed again (new dead letters: winnow dlq list)");
    print_part(&separator, outcomes->unknown, "processed, but no such event is stored");
    print_part(&separator, outcomes->waiting,
               sending->request->wait_ms > 0 ? "not processed yet (is a pool running? see: winnow status)"
                                             : "not processed yet");
    (void)printf("\n");
}

static void print_left_out(const struct sending *sending, const struct replay_tally *tally)
{
    const int64_t attempts = sending->request->plan.attempts_max;
    const char *separator = ": ";
    char guarded[128];
    if (left_out(tally) == 0) return;
    (void)snprintf(guarded, sizeof guarded,
                   "sent again %" PRId64 " %s already (--max-attempts %" PRId64 " sends them once more)",
                   attempts, counted(attempts, "time", "times"), attempts + 1);
    (void)printf("left out %" PRId64, left_out(tally));
    print_part(&separator, tally->guarded, guarded);
    print_part(&separator, tally->rejected,
               "would fail again by today's rules (--edit mends one, --even-rejected sends them)");
    print_part(&separator, tally->busy, "in the hands of somebody else, or no longer open");
    (void)printf("\n");
}

static void print_sum(const struct sending *sending)
{
    const struct replay_tally *tally = replay_tally(sending->replay);
    const char *refusal = replay_first_refusal(sending->replay);
    const char *separator = "";
    print_sent(sending, tally);
    print_left_out(sending, tally);
    print_part(&separator, tally->refused, "not taken by Kafka: open as before");
    print_part(&separator, tally->in_doubt,
               "without an answer from Kafka: run the same again, it looks whether they arrived");
    if (separator[0] != '\0') (void)printf("\n");
    if (refusal[0] != '\0') (void)printf("the first of these: %s\n", refusal);
    if (tally->retimed > 0)
        (void)printf(
            "%" PRId64 " got the present as timestamp, as they had none that is kept or the topic gives "
            "its own (LogAppendTime):\nof these, an event without a time of its own is another one now\n",
            tally->retimed);
    if (sending->settled.found + sending->settled.lost > 0)
        (void)printf("an earlier run had ended in the middle: %" PRId64
                     " of its messages had arrived, %" PRId64 " had not\n",
                     sending->settled.found, sending->settled.lost);
    if (sending->settled.too_young > 0)
        (void)printf("%" PRId64 " of an earlier run may still arrive: run the same again\n",
                     sending->settled.too_young);
}

static void print_json(const struct sending *sending)
{
    const struct replay_tally *tally = replay_tally(sending->replay);
    const struct letter_outcomes *outcomes = &sending->outcomes;
    struct buffer out = {0};
    json_open(&out, '{');
    json_int(&out, "looked_at", tally->looked);
    json_int(&out, "sent", tally->sent);
    json_int(&out, "stored", outcomes->stored);
    json_int(&out, "duplicate", outcomes->duplicate);
    json_int(&out, "failed_again", outcomes->failed);
    json_int(&out, "not_stored", outcomes->unknown);
    json_int(&out, "not_processed_yet", outcomes->waiting);
    json_int(&out, "got_another_timestamp", tally->retimed);
    json_int(&out, "refused_by_kafka", tally->refused);
    json_int(&out, "in_doubt", tally->in_doubt);
    json_int(&out, "left_out_attempts", tally->guarded);
    json_int(&out, "left_out_rejected", tally->rejected);
    json_int(&out, "left_out_busy", tally->busy);
    json_int(&out, "earlier_run_arrived", sending->settled.found);
    json_int(&out, "earlier_run_not_arrived", sending->settled.lost);
    json_int(&out, "earlier_run_in_doubt", sending->settled.too_young);
    json_close(&out, '}');
    (void)fwrite(out.data, 1, out.size, stdout);
    (void)printf("\n");
    buffer_done(&out);
}

static int verdict_of(const struct sending *sending)
{
    const struct replay_tally *tally = replay_tally(sending->replay);
    const struct letter_outcomes *outcomes = &sending->outcomes;
    if (stop_asked || sending->settled.too_young > 0 || tally->in_doubt > 0) return EXIT_TEMPORARY;
    if (outcomes->waiting > 0 && sending->request->wait_ms > 0) return EXIT_TEMPORARY;
    const bool good =
        left_out(tally) == 0 && tally->refused == 0 && outcomes->failed == 0 && outcomes->unknown == 0;
    return good ? EXIT_DRAINED : EXIT_FINDING;
}

static int send_and_tell(struct sending *sending)
{
    struct fault fault;
    struct fault later = {0};
    progress_begin(&sending->progress,
                   &(struct progress_options){DLQ_REPLAY, "dead letters", sending->request->count, false});
    bool sent = send_all(sending, &fault);
    bool told = await_outcomes(sending, &later);
    progress_end(&sending->progress);
    if (sending->request->json)
        print_json(sending);
    else
        print_sum(sending);
    if (!sent || !told) {
        int exit_code = dlq_complain(DLQ_REPLAY, sent ? &later : &fault);
        (void)fprintf(stderr, "winnow " DLQ_REPLAY ": it ended early; the same command goes on from here\n");
        return exit_code;
    }
    if (stop_asked) (void)fprintf(stderr, "winnow " DLQ_REPLAY ": interrupted; the same command goes on\n");
    return verdict_of(sending);
}

int dlq_send(const struct replay_request *request)
{
    struct fault fault;
    struct sending sending = {.request = request};
    listen_for_stop();
    if (!replay_open(request->settings, &request->plan, &sending.replay, &fault))
        return dlq_complain(DLQ_REPLAY, &fault);
    int exit_code = send_and_tell(&sending);
    replay_free(sending.replay);
    return exit_code;
}
