#include "replay_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dead_letter_batch.h"
#include "dead_letter_run.h"
#include "headers.h"
#include "kafka_offsets.h"
#include "kafka_reader.h"
#include "producer.h"
#include "replay_letter.h"
#include "simulate.h"

#define VALUE "{\"client\":\"c\",\"metric\":\"m\",\"amount\":1,\"time\":\"2024-01-01\"}"

struct replay_world world;

struct rows {
    size_t count;
    char cells[LETTERS_MAX][WHOLE_MESSAGE_TIME + 1][128];
    struct buffer headers[LETTERS_MAX];
};

static int64_t now_ms = 1000;
static struct item *under_way[LETTERS_MAX];
static int under_way_count;
static producer_report report_to;

static void note(const char *format, ...) PRINTF_LIKE(1, 2);
static void note(const char *format, ...)
{
    const size_t size = strlen(world.journal);
    va_list values;
    va_start(values, format);
    (void)vsnprintf(world.journal + size, sizeof world.journal - size, format, values);
    va_end(values);
}

/* ---- in the places of clock, database and Kafka -------------------------------------------------------- */

int64_t clock_now_ms(void)
{
    return now_ms += 1000;
}

int64_t clock_wall_ms(void)
{
    return 1704067200000;
}

bool database_open(const struct database_options *options, struct database **ret_database,
                   struct fault *ret_fault)
{
    (void)options, (void)ret_fault;
    *ret_database = (struct database *)&world;
    world.alive = true;
    return true;
}

void database_close(struct database *database)
{
    (void)database;
}

bool database_is_alive(const struct database *database)
{
    (void)database;
    return world.alive;
}

static struct rows *new_rows(size_t count)
{
    struct rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) abort();
    rows->count = count;
    return rows;
}

static void put(struct rows *rows, size_t row, unsigned column, const char *format, ...) PRINTF_LIKE(4, 5);
static void put(struct rows *rows, size_t row, unsigned column, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(rows->cells[row][column], sizeof rows->cells[row][column], format, values);
    va_end(values);
}

size_t rows_count(const struct rows *rows)
{
    return rows->count;
}

const char *rows_text(const struct rows *rows, size_t row, unsigned column)
{
    return rows->cells[row][column];
}

bool rows_is_null(const struct rows *rows, size_t row, unsigned column)
{
    return rows->cells[row][column][0] == '\0';
}

struct slice rows_bytes(struct rows *rows, size_t row, unsigned column)
{
    if (column == WHOLE_HEADERS) return slice_of(rows->headers[row].data, rows->headers[row].size);
    return slice_of_text(rows->cells[row][column]);
}

void rows_free(struct rows *rows)
{
    for (size_t i = 0; rows != NULL && i < LETTERS_MAX; i++) buffer_done(&rows->headers[i]);
    free(rows);
}

bool letter_run_begin(struct database *database, const struct letter_scope *scope, const char *actor,
                      const char *selection, const int64_t *ends, size_t count, struct letter_run *ret_run,
                      struct fault *ret_fault)
{
    (void)database, (void)scope, (void)actor, (void)selection, (void)ret_fault;
    note("begin at %d;", count == 1 ? (int)ends[0] : -1);
    *ret_run = (struct letter_run){.replay_id = 7, .token = TOKEN};
    return true;
}

bool letter_run_hold(struct database *database, int64_t replay_id, bool *ret_held, struct fault *ret_fault)
{
    (void)database, (void)ret_fault;
    note("hold %d;", (int)replay_id);
    *ret_held = world.held;
    return true;
}

bool letter_run_waiting(struct database *database, int64_t replay_id, int64_t *ret_count,
                        struct fault *ret_fault)
{
    (void)database, (void)replay_id, (void)ret_fault;
    *ret_count = 0;
    return true;
}

bool letter_run_outcomes(struct database *database, int64_t replay_id, struct letter_outcomes *ret_outcomes,
                         struct fault *ret_fault)
{
    (void)database, (void)replay_id, (void)ret_fault;
    *ret_outcomes = (struct letter_outcomes){0};
    return true;
}

/* One page with all of them; those that are named by their places once more. */
bool letters_page(struct database *database, const struct letter_scope *scope,
                  const struct letter_filter *filter, const struct letter_place *after, size_t limit,
                  struct rows **ret_rows, struct fault *ret_fault)
{
    (void)database, (void)scope, (void)limit, (void)ret_fault;
    struct rows *rows = new_rows(after == NULL ? (size_t)world.letters : 0);
    if (filter->places != NULL && after == NULL) note("page of %s;", filter->places->offsets);
    for (size_t i = 0; i < rows->count; i++) {
        put(rows, i, WHOLE_PARTITION, "0");
        put(rows, i, WHOLE_OFFSET, "%d", 10 + (int)i);
        put(rows, i, WHOLE_ATTEMPTS, "%s", world.attempts[i] != NULL ? world.attempts[i] : "0");
        put(rows, i, WHOLE_IN_DOUBT, "%s", world.in_doubt[i] != NULL ? world.in_doubt[i] : "f");
        put(rows, i, WHOLE_VALUE, VALUE);
        headers_add(&rows->headers[i], slice_of_text("trace"), slice_of_text("1"));
        headers_add(&rows->headers[i], slice_of_text(REPLAY_TOKEN_HEADER), slice_of_text(OTHER_TOKEN "/1"));
        headers_add(&rows->headers[i], slice_of_text(SIMULATE_FAILURE_HEADER), slice_of_text("database"));
    }
    *ret_rows = rows;
    return true;
}

struct letter_place letters_place(const struct rows *rows, size_t row)
{
    return (struct letter_place){0, rows_int(rows, row, WHOLE_PARTITION), rows_int(rows, row, WHOLE_OFFSET)};
}

bool letters_do(struct database *database, const struct letter_scope *scope,
                const struct letter_places *places, const char *states, const struct letter_deed *deed,
                int64_t replay_id, struct rows **ret_rows, struct fault *ret_fault)
{
    (void)database, (void)scope, (void)deed, (void)states, (void)ret_fault;
    note("take %s for %d;", places->offsets, (int)replay_id);
    struct rows *rows = new_rows(0);
    for (const char *at = places->offsets; *at != '}'; at += strcspn(at + 1, ",}") + 1) {
        const int offset = atoi(at + 1);
        if (world.taken_by_others[offset - 10]) continue;
        put(rows, rows->count, DONE_PARTITION, "0");
        put(rows, rows->count, DONE_OFFSET, "%d", offset);
        put(rows, rows->count, DONE_ACTION_ID, "%d", FIRST_ID + offset);
        rows->count++;
    }
    *ret_rows = rows;
    return true;
}

bool letters_report(struct database *database, const struct letter_fate *fates, size_t count,
                    struct fault *ret_fault)
{
    (void)database, (void)ret_fault;
    for (size_t i = 0; i < count; i++) {
        if (fates[i].sent)
            note("%d is at %d;", (int)fates[i].action_id, (int)fates[i].offset);
        else
            note("%d was not sent;", (int)fates[i].action_id);
    }
    return true;
}

/* Two, of which the second one's run began before the first one's. */
bool letters_in_doubt(struct database *database, const struct letter_scope *scope,
                      const struct letter_filter *filter, struct rows **ret_rows, struct fault *ret_fault)
{
    (void)database, (void)scope, (void)filter, (void)ret_fault;
    struct rows *rows = new_rows(world.doubt_age_ms == NULL ? 0 : 2);
    for (size_t i = 0; i < rows->count; i++) {
        put(rows, i, DOUBT_ACTION_ID, "%d", 50 + (int)i);
        put(rows, i, DOUBT_TOKEN, "%s", OTHER_TOKEN);
        put(rows, i, DOUBT_PARTITION, "0");
        put(rows, i, DOUBT_OFFSET, "%d", 10 + (int)i);
        put(rows, i, DOUBT_FROM, "%d", 30 - (int)i);
        put(rows, i, DOUBT_AGE_MS, "%s", world.doubt_age_ms);
    }
    *ret_rows = rows;
    return true;
}

bool kafka_offsets_open(const struct settings *settings, struct kafka_offsets **ret_offsets,
                        struct fault *ret_fault)
{
    (void)settings, (void)ret_fault;
    *ret_offsets = NULL;
    return true;
}

bool kafka_offsets_read(struct kafka_offsets *offsets, int timeout_ms, struct partition_range **ret_ranges,
                        int32_t *ret_count, struct fault *ret_fault)
{
    (void)offsets, (void)timeout_ms, (void)ret_fault;
    *ret_ranges = calloc(1, sizeof **ret_ranges);
    if (*ret_ranges == NULL) abort();
    (*ret_ranges)->high = 40;
    *ret_count = 1;
    return true;
}

void kafka_offsets_free(struct kafka_offsets *offsets)
{
    (void)offsets;
}

bool kafka_searcher_open(const struct settings *settings, struct kafka_reader **ret_reader,
                         struct fault *ret_fault)
{
    (void)settings, (void)ret_fault;
    *ret_reader = NULL;
    return true;
}

static bool show(kafka_reader_look look, void *context, int64_t offset, const char *token)
{
    struct buffer headers = {0};
    headers_add(&headers, slice_of_text(REPLAY_TOKEN_HEADER), slice_of_text(token));
    const struct record record = {.offset = offset,
                                  .timestamp_ms = 1704067200000,
                                  .value = slice_of_text(VALUE),
                                  .headers = slice_of(headers.data, headers.size)};
    const bool more = look(context, &record);
    buffer_done(&headers);
    return more;
}

/* What another run sent under the same number is none of it. */
bool kafka_searcher_look(struct kafka_reader *searcher, int32_t partition, int64_t offset, int timeout_ms,
                         kafka_reader_look look, void *context, struct fault *ret_fault)
{
    (void)searcher, (void)timeout_ms, (void)ret_fault;
    note("search %d from %d;", (int)partition, (int)offset);
    bool more = show(look, context, 31, TOKEN "/50");
    if (more && world.doubt_is_sent) more = show(look, context, 32, OTHER_TOKEN "/50");
    if (more && world.both_are_sent) more = show(look, context, 33, OTHER_TOKEN "/51");
    return true;
}

void kafka_reader_free(struct kafka_reader *reader)
{
    (void)reader;
}

bool producer_new(const struct settings *settings, const char *topic, producer_report report, void *context,
                  struct producer **ret_producer, struct fault *ret_fault)
{
    (void)settings, (void)topic, (void)context, (void)ret_fault;
    *ret_producer = NULL;
    report_to = report;
    return true;
}

bool producer_send(struct producer *producer, const struct outgoing *message, struct fault *ret_fault)
{
    (void)producer, (void)ret_fault;
    note("send %d;", (int)replay_action_of(message->headers, TOKEN));
    buffer_clear(&world.sent_headers);
    (void)buffer_add(&world.sent_headers, message->headers.data, message->headers.size);
    under_way[under_way_count++] = message->opaque;
    return true;
}

size_t producer_serve(struct producer *producer, int timeout_ms)
{
    (void)producer, (void)timeout_ms;
    for (int i = 0; i < under_way_count; i++) {
        struct fault of = {.status = world.fate[i] == FATE_SENT      ? STATUS_OK
                                     : world.fate[i] == FATE_REFUSED ? STATUS_REJECT
                                                                     : STATUS_RETRY};
        report_to(NULL, &(struct delivery){.opaque = under_way[i],
                                           .offset = 40 + i,
                                           .appended_ms = -1,
                                           .fault = &of,
                                           .in_doubt = world.fate[i] == FATE_IN_DOUBT});
    }
    under_way_count = 0;
    return 0;
}

void producer_free(struct producer *producer)
{
    (void)producer;
}
