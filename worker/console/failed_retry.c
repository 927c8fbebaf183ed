/* POST /api/v1/failed…/retry: dead letters are sent again, as they are or edited, one or a group. Each is
 * written down before it is sent, so that nothing is sent that nobody knows of; where it went is added when
 * Kafka has it. What goes wrong in between leaves a letter "retried" that may be retried again, and open
 * after a minute: an event that is sent twice is stored once. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "console/body.h"
#include "console/call_state.h"
#include "console/console.h"
#include "console/failed_answer.h"
#include "console/failed_group.h"
#include "console/outcomes.h"
#include "console/parcel.h"
#include "console/routes.h"
#include "console/submitter.h"
#include "console/work.h"
#include "dead_letter_work.h"
#include "headers.h"
#include "json.h"
#include "log.h"
#include "simulate.h"

#define GROUP_AT_ONCE    PARCEL_ITEMS_MAX /* what is before them in the group is looked at each time */
#define VALUE_LENGTH_MAX 1048576
#define GROUP_MS         INT64_C(20000) /* of a request; what is left then is told */
#define RESERVE_MS       500            /* most retries are sent by then */
#define WAITING_MAX      2              /* retries that wait for their outcome: each keeps a work thread */

/* ---- sending ---------------------------------------------------------------------------------------------
 */

/* A retry is meant to succeed: the header that simulates a failure stays behind. */
static void copy_headers(struct slice headers, struct buffer *ret_headers)
{
    struct slice name;
    struct slice value;
    while (headers.data != NULL && headers_next(&headers, &name, &value)) {
        if (!slice_equals(name, slice_of_text(SIMULATE_FAILURE_HEADER)))
            headers_add(ret_headers, name, value);
    }
}

static void fill_item(struct parcel_item *item, struct slice key, struct slice value, int64_t timestamp_ms,
                      struct slice headers, struct buffer *headers_memory)
{
    copy_headers(headers, headers_memory);
    item->key = key;
    item->value = value;
    item->timestamp_ms = timestamp_ms;
    item->headers = slice_of(headers_memory->data, headers_memory->size);
}

static struct letter_fate fate_of(const struct parcel_item *item, int64_t action_id)
{
    return (struct letter_fate){
        .action_id = action_id,
        .sent = item->fault.status == STATUS_OK,
        .partition = item->partition,
        .offset = item->offset,
        .is_event = item->accepted,
        .bucket_us = item->bucket_us,
        .hash = item->hash,
        .error = item->fault.text,
    };
}

/* Sends; when there is no room for it, as if Kafka had not taken it. */
static void send_parcel(struct call *call, struct parcel *parcel)
{
    if (submitter_send_and_wait(call_console(call)->submitter, parcel)) return;
    for (size_t i = 0; i < parcel->count; i++)
        fault_set(&parcel->items[i].fault, STATUS_RETRY, "send",
                  "too many events wait for Kafka's acknowledgement");
}

/* ---- one -------------------------------------------------------------------------------------------------
 */

struct retry {
    struct call *call;
    int64_t begun_ms;
    int64_t wait_ms; /* for the outcome, from begun_ms on */
    bool answered;   /* before Kafka did anything */
};

/* In the submitter's thread. What was sent stays here until Kafka did with it what it does. */
static void on_late(struct parcel *parcel)
{
    struct retry *retry = parcel->late_context;
    retry->answered = true;
    call_fail_late(retry->call, clock_now_ms() - retry->begun_ms);
    call_done(retry->call);
}

/* Waits for the outcome, unless too many do so already. */
static void await_outcome(const struct retry *retry, struct parcel *parcel)
{
    static atomic_int waiting;
    struct parcel_waiter waiter;
    struct call *call = retry->call;
    if (retry->wait_ms <= 0) return;
    if (atomic_fetch_add(&waiting, 1) < WAITING_MAX) {
        parcel_wait_begin(&waiter, parcel);
        parcel->deadline_ms = retry->begun_ms + retry->wait_ms;
        outcomes_watch(call_console(call)->outcomes, parcel);
        parcel_wait_end(&waiter);
    }
    (void)atomic_fetch_sub(&waiting, 1);
}

static void answer_retry(struct call *call, const struct parcel_item *item, int64_t action_id)
{
    struct buffer out = {0};
    json_open(&out, '{');
    json_int(&out, "action_id", action_id);
    parcel_item_print(item, call_settings(call)->topic, &out, "submission");
    json_close(&out, '}');
    call_answer_json(call, item->known ? 200 : 202, &out);
    buffer_done(&out);
}

/* Messages went their way, or did not, and that is not written down: whoever asked has to know. */
static void tell_unwritten(struct call *call, const struct letter_fate *fates, size_t count,
                           const struct fault *fault)
{
    struct fault told;
    size_t sent = 0;
    for (size_t i = 0; i < count; i++) sent += fates[i].sent;
    fault_set(&told, fault->status, fault->site,
              "Kafka took %zu of %zu messages, but that could not be written down: %s", sent, count,
              fault->text);
    call_fail(call, PROBLEM_DATABASE, &told);
}

/* Writes down where they went; once more on a new connection when that is lost, as it may say the same twice.
 */
static bool write_down(struct call *call, const struct letter_fate *fates, size_t count,
                       struct fault *ret_fault)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        struct database *database = work_database(call->thread, SESSION_RETRY, ret_fault);
        if (database == NULL) return false;
        if (letters_report(database, fates, count, ret_fault)) return true;
        if (database_is_alive(database)) return false;
    }
    return false;
}

/* False when the call is answered. */
static bool report(struct call *call, const struct letter_fate *fates, size_t count)
{
    struct fault fault;
    if (write_down(call, fates, count, &fault)) return true;
    tell_unwritten(call, fates, count, &fault);
    return false;
}

/* Whoever asked has an answer already. */
static void report_late(struct call *call, const struct letter_fate *fate)
{
    struct fault fault;
    if (write_down(call, fate, 1, &fault)) return;
    log_line(LOG_LEVEL_WARNING, "retry_unwritten", "where the retry %lld went could not be written down: %s",
             (long long)fate->action_id, fault.text);
}

static void send_one(const struct retry *retry, struct parcel *parcel, int64_t action_id)
{
    struct call *call = retry->call;
    struct parcel_item *item = parcel->items;
    send_parcel(call, parcel);
    call_release_thread(call);
    const struct letter_fate fate = fate_of(item, action_id);
    if (retry->answered) {
        report_late(call, &fate);
        return;
    }
    if (!report(call, &fate, 1)) return;
    if (!fate.sent) {
        call_fail_sending(call, &item->fault);
        return;
    }
    await_outcome(retry, parcel);
    answer_retry(call, item, action_id);
}

/* The letter's columns that are sent; false when the call is answered. */
static bool read_letter(struct call *call, int64_t partition, int64_t offset, struct rows **ret_rows)
{
    struct fault fault;
    const struct letter_scope scope = failed_scope(call);
    struct database *database = call_database(call, SESSION_READ);
    if (database == NULL) return false;
    if (!letter_message_read(database, &scope, partition, offset, ret_rows, &fault)) {
        call_fail(call, PROBLEM_DATABASE, &fault);
        return false;
    }
    if (rows_count(*ret_rows) > 0) return true;
    failed_refuse_unknown(call);
    return false;
}

/* `value` NULL: as it is. */
static void retry_one(struct call *call, const char *value, const char *note, int64_t wait_ms)
{
    int64_t partition;
    int64_t offset;
    struct rows *letter = NULL;
    struct rows *done = NULL;
    struct buffer headers = {0};
    const struct letter_deed deed = {value != NULL ? "edited_retry" : "retry", call_actor(call), note};
    if (!failed_read_path(call, &partition, &offset) || !call_reserve_thread(call, RESERVE_MS)) return;
    struct retry retry = {.call = call, .begun_ms = clock_now_ms(), .wait_ms = wait_ms};
    struct parcel *parcel = parcel_new(1);
    parcel->late = on_late;
    parcel->late_context = &retry;
    if (wait_ms > 0) parcel->send_by_ms = retry.begun_ms + wait_ms + PARCEL_ACKNOWLEDGE_MS;
    if (read_letter(call, partition, offset, &letter) &&
        failed_do_one(call, partition, offset, &deed, &done)) {
        fill_item(parcel->items, rows_bytes(letter, 0, TAKEN_KEY),
                  value != NULL ? slice_of_text(value) : rows_bytes(letter, 0, TAKEN_VALUE),
                  rows_int(letter, 0, TAKEN_TIMESTAMP_MS), rows_bytes(letter, 0, TAKEN_HEADERS), &headers);
        send_one(&retry, parcel, rows_int(done, 0, DEED_ACTION_ID));
    }
    buffer_done(&headers);
    rows_free(done);
    rows_free(letter);
    parcel_free(parcel);
}

void handle_failed_retry(struct call *call)
{
    int64_t wait_ms = 0;
    struct buffer texts = {0};
    struct body_member members[] = {{.name = "value", .type = BODY_TEXT, .max = VALUE_LENGTH_MAX},
                                    {.name = "note", .type = BODY_TEXT, .max = FAILED_NOTE_LENGTH_MAX}};
    if (call_query_wait(call, "wait", &wait_ms) && body_read(call, members, ARRAY_COUNT(members), &texts))
        retry_one(call, body_text(&members[0], &texts), failed_note(&members[1], &texts), wait_ms);
    buffer_done(&texts);
}

/* ---- groups ----------------------------------------------------------------------------------------------
 */

struct tally {
    int64_t retried;
    int64_t failed;
};

/* Puts what was taken into a parcel, and the headers into memory of its own. */
static void fill_parcel(struct parcel *parcel, struct rows *rows, struct buffer *headers)
{
    for (size_t i = 0; i < parcel->count; i++)
        fill_item(&parcel->items[i], rows_bytes(rows, i, TAKEN_KEY), rows_bytes(rows, i, TAKEN_VALUE),
                  rows_int(rows, i, TAKEN_TIMESTAMP_MS), rows_bytes(rows, i, TAKEN_HEADERS), &headers[i]);
}

/* Sends what was taken and writes down where each went. False when the call is answered. */
static bool send_taken(struct call *call, struct rows *rows, struct tally *tally)
{
    const size_t count = rows_count(rows);
    struct buffer *headers = calloc(count, sizeof *headers);
    struct letter_fate *fates = calloc(count, sizeof *fates);
    struct parcel *parcel = parcel_new(count);
    if (headers == NULL || fates == NULL) abort();
    fill_parcel(parcel, rows, headers);
    send_parcel(call, parcel);
    for (size_t i = 0; i < count; i++) {
        fates[i] = fate_of(&parcel->items[i], rows_int(rows, i, TAKEN_ACTION_ID));
        tally->retried += fates[i].sent;
        tally->failed += !fates[i].sent;
        buffer_done(&headers[i]);
    }
    const bool told = report(call, fates, count);
    parcel_free(parcel);
    free(fates);
    free(headers);
    return told;
}

/* The next of the group: taken, sent, written down. *ret_count 0: there are no more. */
static bool retry_some(struct call *call, const struct failed_group *group, int64_t most, struct tally *tally,
                       size_t *ret_count)
{
    struct fault fault;
    struct rows *rows = NULL;
    const struct letter_scope scope = failed_scope(call);
    const size_t limit = most < GROUP_AT_ONCE ? (size_t)most : GROUP_AT_ONCE;
    struct database *database = call_database(call, SESSION_RETRY);
    if (database == NULL) return false;
    if (!letters_take(database, &scope, &group->filter, limit, &group->deed, &rows, &fault)) {
        call_fail(call, PROBLEM_DATABASE, &fault);
        return false;
    }
    *ret_count = rows_count(rows);
    const bool told = *ret_count == 0 || send_taken(call, rows, tally);
    rows_free(rows);
    return told;
}

/* Ends early when Kafka refuses: those letters are open again, and would be taken again at once. No more are
 * sent than there were: what fails again meanwhile is a new letter of the group, behind the others. */
static void retry_group(struct call *call, const struct failed_group *group)
{
    struct tally tally = {0};
    struct buffer out = {0};
    size_t count = 1;
    int64_t left = 0;
    if (!call_reserve_thread(call, RESERVE_MS) || !failed_group_count(call, group, &left)) return;
    const int64_t most = left < group->limit ? left : group->limit;
    const int64_t end_ms = clock_now_ms() + GROUP_MS;
    while (count > 0 && clock_now_ms() < end_ms && tally.failed == 0 && tally.retried < most) {
        if (!retry_some(call, group, most - tally.retried, &tally, &count)) return;
    }
    if (!failed_group_count(call, group, &left)) return;
    json_open(&out, '{');
    json_int(&out, "retried", tally.retried);
    json_int(&out, "failed", tally.failed);
    json_int(&out, "remaining", left);
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
}

void handle_failed_group_retry(struct call *call)
{
    failed_group_do(call, "retry", retry_group);
}
