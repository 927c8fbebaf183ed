#include "replay.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dead_letter_batch.h"
#include "kafka_offsets.h"
#include "producer.h"
#include "replay_letter.h"
#include "replay_settle.h"

#define STEP_MAX           200 /* letters; what a killed run leaves in doubt at most */
#define STEPS_A_SECOND     5   /* when a rate is asked for */
#define KAFKA_TIMEOUT_MS   5000
#define DELIVERY_WAIT_MS   INT64_C(15000) /* longer than message.timeout.ms */
#define REPORT_PATIENCE_MS INT64_C(30000)
#define REPORT_AGAIN_MS    200

/* One letter of a step. */
struct item {
    struct replay_letter letter;
    struct replay_verdict verdict;
    struct slice value; /* what is sent */
    int64_t action_id;  /* 0: somebody else was faster */
    bool reported;
    struct delivery delivery; /* once reported */
    struct fault fault;
};

struct replay {
    struct settings settings;
    const struct replay_plan *plan;
    struct letter_scope scope;
    struct database *database;
    struct producer *producer;
    struct normalizer *normalizer;
    int32_t partition_count;
    struct letter_run run;       /* replay_id 0: not begun */
    struct letter_filter filter; /* of the pass in hand */
    struct letter_place after;
    bool has_after;
    struct place_list lost;  /* what earlier runs did not send; the pass behind this one */
    struct place_list again; /* the same in the pass in hand */
    struct letter_places places;
    struct item *items; /* of the step in hand */
    int64_t begun_ms;
    struct replay_tally tally;
    char first_refusal[REJECT_DETAIL_SIZE + 64];
};

/* ---- beginning -------------------------------------------------------------------------------------------
 */

/* Behind the user's, so that they hold: by them a later run knows when nothing can come any more. */
static void set_properties(struct replay *replay, const struct settings *settings)
{
    static char *const own[][2] = {{"linger.ms", "2"}, {"message.timeout.ms", "10000"}};
    struct settings *copy = &replay->settings;
    *copy = *settings;
    copy->kafka = calloc(settings->kafka_count + ARRAY_COUNT(own), sizeof *copy->kafka);
    if (copy->kafka == NULL) abort();
    if (settings->kafka_count > 0)
        memcpy(copy->kafka, settings->kafka, settings->kafka_count * sizeof *copy->kafka);
    for (size_t i = 0; i < ARRAY_COUNT(own); i++)
        copy->kafka[copy->kafka_count++] = (struct kafka_property){own[i][0], own[i][1]};
}

/* Lets the session stand for the run, if that has begun. */
static bool hold_run(struct replay *replay, struct fault *ret_fault)
{
    bool held = true;
    if (replay->run.replay_id > 0 &&
        !letter_run_hold(replay->database, replay->run.replay_id, &held, ret_fault))
        return false;
    if (!held)
        fault_set(ret_fault, STATUS_RETRY, "replay",
                  "the connection was lost, and the database has not noticed it yet");
    return held;
}

static bool have_database(struct replay *replay, struct fault *ret_fault)
{
    const struct database_options options = {
        .conninfo = replay->settings.database,
        .application_name = "winnow dlq replay",
        .statement_timeout_ms = replay->settings.statement_timeout_ms,
    };
    if (replay->database != NULL && database_is_alive(replay->database)) return true;
    database_close(replay->database);
    replay->database = NULL;
    if (database_open(&options, &replay->database, ret_fault) && hold_run(replay, ret_fault)) return true;
    database_close(replay->database);
    replay->database = NULL;
    return false;
}

/* The ends of all partitions, and how many there are. */
static bool read_ends(struct replay *replay, int64_t **ret_ends, struct fault *ret_fault)
{
    struct kafka_offsets *offsets = NULL;
    struct partition_range *ranges = NULL;
    if (!kafka_offsets_open(&replay->settings, &offsets, ret_fault)) return false;
    bool done = kafka_offsets_read(offsets, KAFKA_TIMEOUT_MS, &ranges, &replay->partition_count, ret_fault);
    kafka_offsets_free(offsets);
    if (!done) return false;
    int64_t *ends = calloc((size_t)replay->partition_count, sizeof *ends);
    if (ends == NULL) abort();
    for (int32_t i = 0; i < replay->partition_count; i++) ends[i] = ranges[i].high;
    free(ranges);
    *ret_ends = ends;
    return true;
}

static bool begin_run(struct replay *replay, struct fault *ret_fault)
{
    bool held = false;
    int64_t *ends = NULL;
    if (!read_ends(replay, &ends, ret_fault)) return false;
    bool begun =
        letter_run_begin(replay->database, &replay->scope, replay->plan->actor, replay->plan->selection, ends,
                         (size_t)replay->partition_count, &replay->run, ret_fault) &&
        letter_run_hold(replay->database, replay->run.replay_id, &held, ret_fault);
    free(ends);
    return begun;
}

static void on_report(void *context, const struct delivery *delivery)
{
    (void)context;
    struct item *item = delivery->opaque;
    item->fault = *delivery->fault;
    item->delivery = *delivery;
    item->delivery.fault = &item->fault;
    item->reported = true;
}

bool replay_open(const struct settings *settings, const struct replay_plan *plan, struct replay **ret_replay,
                 struct fault *ret_fault)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL) abort();
    set_properties(replay, settings);
    replay->plan = plan;
    replay->filter = plan->filter;
    replay->scope = (struct letter_scope){settings->topic, settings->group};
    replay->normalizer = normalizer_new((size_t)settings->event_bytes_max);
    replay->items = calloc(STEP_MAX, sizeof *replay->items);
    if (replay->items == NULL) abort();
    if (!have_database(replay, ret_fault) ||
        !producer_new(&replay->settings, settings->topic, on_report, replay, &replay->producer, ret_fault) ||
        !begin_run(replay, ret_fault)) {
        replay_free(replay);
        return false;
    }
    *ret_replay = replay;
    return true;
}

/* In front of the first step, what was not sent is among what the steps will find. */
bool replay_settle(struct replay *replay, struct replay_settled *ret_settled, struct fault *ret_fault)
{
    bool settled = have_database(replay, ret_fault) &&
                   replay_settle_doubts(replay->database, &replay->settings, &replay->scope,
                                        &replay->plan->filter, replay->partition_count, replay->normalizer,
                                        ret_settled, &replay->lost, ret_fault);
    if (replay->begun_ms == 0) place_list_done(&replay->lost);
    return settled;
}

/* ---- choosing --------------------------------------------------------------------------------------------
 */

static void remember_refusal(struct replay *replay, const char *name, const char *text)
{
    if (replay->first_refusal[0] == '\0')
        (void)snprintf(replay->first_refusal, sizeof replay->first_refusal, "%s%s%s", name,
                       name[0] != '\0' ? ": " : "", text);
}

/* Whether the letter in this row is to be sent; counts it where it is left out. */
static bool choose(struct replay *replay, struct rows *rows, size_t row, struct item *item)
{
    const struct replay_plan *plan = replay->plan;
    *item = (struct item){.delivery.appended_ms = -1};
    replay->tally.looked++;
    replay_letter_read(rows, row, &item->letter);
    item->value = plan->value != NULL ? *plan->value : item->letter.value;
    replay_judge(replay->normalizer, item->letter.timestamp_ms, item->value, &item->verdict);
    if (rows_text(rows, row, WHOLE_IN_DOUBT)[0] == 't') {
        replay->tally.busy++;
    } else if (item->letter.attempts >= plan->attempts_max) {
        replay->tally.guarded++;
    } else if (!item->verdict.accepted && !plan->even_rejected) {
        replay->tally.rejected++;
        remember_refusal(replay, reject_name(item->verdict.reject.reason), item->verdict.reject.detail);
    } else {
        return true;
    }
    return false;
}

/* Gives the items that were taken their actions. */
static void match(struct item *items, size_t count, const struct rows *rows)
{
    for (size_t row = 0; row < rows_count(rows); row++) {
        for (size_t i = 0; i < count; i++) {
            if (items[i].letter.partition == rows_int(rows, row, DONE_PARTITION) &&
                items[i].letter.offset == rows_int(rows, row, DONE_OFFSET))
                items[i].action_id = rows_int(rows, row, DONE_ACTION_ID);
        }
    }
}

/* Writes down that these are being sent. */
static bool take(struct replay *replay, size_t count, struct fault *ret_fault)
{
    const struct letter_deed deed = {replay->plan->value != NULL ? "edited_retry" : "retry",
                                     replay->plan->actor, replay->plan->note};
    struct place_list taken = {0};
    struct rows *rows = NULL;
    for (size_t i = 0; i < count; i++)
        place_list_add(&taken, replay->items[i].letter.partition, replay->items[i].letter.offset);
    const struct letter_places places = place_list_end(&taken);
    bool done = letters_do(replay->database, &replay->scope, &places, replay->plan->states, &deed,
                           replay->run.replay_id, &rows, ret_fault);
    if (done) match(replay->items, count, rows);
    rows_free(rows);
    place_list_done(&taken);
    return done;
}

/* ---- sending ---------------------------------------------------------------------------------------------
 */

static void send_item(struct replay *replay, struct item *item)
{
    struct buffer headers = {0};
    replay_headers(&headers, &item->letter, replay->scope.topic, replay->run.token, item->action_id);
    const struct outgoing message = {
        .key = item->letter.key,
        .value = item->value,
        .headers = slice_of(headers.data, headers.size),
        .timestamp_ms = item->letter.timestamp_ms,
        /* where its client's partitioner put it, whichever that was */
        .partition = item->letter.partition < replay->partition_count ? (int32_t)item->letter.partition : -1,
        .opaque = item,
    };
    if (!producer_send(replay->producer, &message, &item->fault)) item->reported = true;
    buffer_done(&headers);
}

/* Kafka's client reports all within its message timeout. */
static void send_items(struct replay *replay, size_t count)
{
    const int64_t deadline_ms = clock_now_ms() + DELIVERY_WAIT_MS;
    for (size_t i = 0; i < count; i++) {
        if (replay->items[i].action_id > 0) send_item(replay, &replay->items[i]);
    }
    while (producer_serve(replay->producer, 100) > 0 && clock_now_ms() < deadline_ms) continue;
}

/* Fills in the fate of an item that was taken; false when nobody knows it. */
static bool fate_of(const struct item *item, struct letter_fate *ret_fate)
{
    *ret_fate = (struct letter_fate){
        .action_id = item->action_id,
        .sent = item->fault.status == STATUS_OK,
        .partition = item->delivery.partition,
        .offset = item->delivery.offset,
        .is_event = item->verdict.accepted,
        .bucket_us = item->verdict.bucket_us,
        .hash = item->verdict.hash,
        .error = item->fault.text,
    };
    return item->reported && !item->delivery.in_doubt;
}

static size_t judge_items(struct replay *replay, size_t count, struct letter_fate *fates)
{
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        struct item *item = &replay->items[i];
        if (item->action_id == 0) {
            replay->tally.busy++;
            continue;
        }
        if (item->delivery.appended_ms >= 0 && item->verdict.accepted)
            replay_judge(replay->normalizer, item->delivery.appended_ms, item->value, &item->verdict);
        const bool known = fate_of(item, &fates[told]);
        replay->tally.in_doubt += !known;
        replay->tally.sent += known && fates[told].sent;
        replay->tally.retimed +=
            known && fates[told].sent && (item->delivery.appended_ms >= 0 || !item->letter.is_timed);
        replay->tally.refused += known && !fates[told].sent;
        if (!known || !fates[told].sent) remember_refusal(replay, "", item->fault.text);
        told += known;
    }
    return told;
}

/* The same may be said twice, so a lost connection costs patience and nothing else. */
static bool report(struct replay *replay, const struct letter_fate *fates, size_t count,
                   struct fault *ret_fault)
{
    const int64_t deadline_ms = clock_now_ms() + REPORT_PATIENCE_MS;
    for (;;) {
        if (have_database(replay, ret_fault) && letters_report(replay->database, fates, count, ret_fault))
            return true;
        if (ret_fault->status != STATUS_RETRY || clock_now_ms() >= deadline_ms) return false;
        (void)poll(NULL, 0, REPORT_AGAIN_MS);
    }
}

/* The first fault of Kafka that tells of the brokers and not of the message. A report that is late must not
 * find another letter in the place of its own: nothing is sent after that. */
static bool brokers_are_well(const struct replay *replay, size_t count, struct fault *ret_fault)
{
    for (size_t i = 0; i < count; i++) {
        const struct item *item = &replay->items[i];
        if (item->action_id != 0 && !item->reported) {
            fault_set(ret_fault, STATUS_RETRY, "replay",
                      "Kafka's client has not told what became of a message");
            return false;
        }
        if (item->action_id == 0 || item->fault.status == STATUS_OK || item->fault.status == STATUS_REJECT)
            continue;
        *ret_fault = item->fault;
        return false;
    }
    return true;
}

static bool send_taken(struct replay *replay, size_t count, struct fault *ret_fault)
{
    struct letter_fate *fates = calloc(count, sizeof *fates);
    if (fates == NULL) abort();
    send_items(replay, count);
    const size_t told = judge_items(replay, count, fates);
    bool done = told == 0 || report(replay, fates, told, ret_fault);
    free(fates);
    return done && brokers_are_well(replay, count, ret_fault);
}

/* ---- steps -----------------------------------------------------------------------------------------------
 */

static size_t step_size(const struct replay *replay)
{
    const struct replay_plan *plan = replay->plan;
    int64_t size = STEP_MAX;
    if (plan->per_second > 0 && plan->per_second / STEPS_A_SECOND < size)
        size = plan->per_second / STEPS_A_SECOND;
    if (plan->count_max > 0 && plan->count_max - replay->tally.sent < size)
        size = plan->count_max - replay->tally.sent;
    return size < 1 ? 1 : (size_t)size;
}

static void remember_place(struct replay *replay, const struct rows *rows)
{
    const size_t last = rows_count(rows) - 1;
    replay->after = letters_place(rows, last);
    replay->has_after = true;
}

/* How long the letters sent so far should have taken, less what they took. */
static int64_t pause_ms(const struct replay *replay)
{
    if (replay->plan->per_second <= 0) return 0;
    const int64_t due_ms = replay->tally.sent * 1000 / replay->plan->per_second;
    const int64_t left_ms = due_ms - (clock_now_ms() - replay->begun_ms);
    return left_ms > 0 ? left_ms : 0;
}

static bool send_page(struct replay *replay, struct rows *rows, struct fault *ret_fault)
{
    size_t count = 0;
    for (size_t row = 0; row < rows_count(rows); row++)
        count += choose(replay, rows, row, &replay->items[count]);
    if (count == 0) return true;
    return take(replay, count, ret_fault) && send_taken(replay, count, ret_fault);
}

/* A pass for what earlier runs did not send, which came to light behind the place where we are. */
static bool begin_again(struct replay *replay)
{
    if (replay->lost.partitions.size == 0) return false;
    place_list_done(&replay->again);
    replay->again = replay->lost;
    replay->lost = (struct place_list){0};
    replay->places = place_list_end(&replay->again);
    replay->filter = (struct letter_filter){.state = "open", .places = &replay->places};
    replay->has_after = false;
    return true;
}

bool replay_step(struct replay *replay, bool *ret_more, int64_t *ret_pause_ms, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    const struct replay_plan *plan = replay->plan;
    *ret_more = false;
    *ret_pause_ms = 0;
    if (replay->begun_ms == 0) replay->begun_ms = clock_now_ms();
    if (plan->count_max > 0 && replay->tally.sent >= plan->count_max) return true;
    if (!have_database(replay, ret_fault) ||
        !letters_page(replay->database, &replay->scope, &replay->filter,
                      replay->has_after ? &replay->after : NULL, step_size(replay), &rows, ret_fault))
        return false;
    bool done = true;
    const bool found = rows_count(rows) > 0;
    if (found) {
        remember_place(replay, rows);
        done = send_page(replay, rows, ret_fault);
    }
    rows_free(rows);
    *ret_more = found || begin_again(replay);
    *ret_pause_ms = pause_ms(replay);
    return done;
}

const struct replay_tally *replay_tally(const struct replay *replay)
{
    return &replay->tally;
}

const char *replay_first_refusal(const struct replay *replay)
{
    return replay->first_refusal;
}

bool replay_waiting(struct replay *replay, int64_t *ret_count, struct fault *ret_fault)
{
    return have_database(replay, ret_fault) &&
           letter_run_waiting(replay->database, replay->run.replay_id, ret_count, ret_fault);
}

bool replay_outcomes(struct replay *replay, struct letter_outcomes *ret_outcomes, struct fault *ret_fault)
{
    return have_database(replay, ret_fault) &&
           letter_run_outcomes(replay->database, replay->run.replay_id, ret_outcomes, ret_fault);
}

void replay_free(struct replay *replay)
{
    if (replay == NULL) return;
    producer_free(replay->producer);
    database_close(replay->database);
    normalizer_free(replay->normalizer);
    place_list_done(&replay->lost);
    place_list_done(&replay->again);
    free(replay->settings.kafka);
    free(replay->items);
    free(replay);
}
