#include "dead_letter_lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "clock.h"

/* $1 group, $2 topic */
#define OUR_STREAM "(SELECT s.stream_id FROM winnow.stream AS s WHERE s.consumer_group = $1 AND s.topic = $2)"

/* No lease is given for more than an hour: one that ends later is from before the server's clock was set
 * back, and nobody holds it. */
#define IS_FREE \
    "d.published_at IS NULL AND (d.publish_lease_until IS NULL OR d.publish_lease_until < now()" \
    " OR d.publish_lease_until > now() + interval '61 minutes')"

static const char wanted_sql[] =
    "SELECT EXISTS (SELECT FROM winnow.dead_letter AS d WHERE d.stream_id = " OUR_STREAM " AND " IS_FREE
    ")::int";

/* $3 the most that are counted. The oldest come first in the index. */
static const char waiting_sql[] =
    "SELECT count(*), coalesce(floor(extract(epoch FROM min(w.failed_at)) * 1000)::bigint, 0) FROM ("
    " SELECT d.failed_at FROM winnow.dead_letter AS d WHERE d.stream_id = " OUR_STREAM
    " AND d.published_at IS NULL ORDER BY d.failed_at LIMIT $3) AS w";

/* Rows are locked before their sizes are summed up: a window function and FOR UPDATE do not go together.
 * Those that are locked and not leased are free again when the statement ends. */
static const char take_sql[] =
    "WITH free AS ("
    " SELECT d.stream_id, d.partition, d.message_offset, d.failed_at,"
    "  least(coalesce(octet_length(d.value), 0), 12582912) + coalesce(octet_length(d.key), 0)"
    "   + coalesce(octet_length(d.headers), 0) AS size"
    " FROM winnow.dead_letter AS d WHERE d.stream_id = " OUR_STREAM " AND " IS_FREE
    " ORDER BY d.failed_at LIMIT 100 FOR UPDATE SKIP LOCKED),"
    " summed AS (SELECT *, sum(size) OVER (ORDER BY failed_at, partition, message_offset) - size AS before"
    " FROM free)"
    " UPDATE winnow.dead_letter AS d SET publish_lease_until = now() + interval '30 seconds' FROM summed AS s"
    " WHERE d.stream_id = s.stream_id AND d.partition = s.partition AND d.message_offset = s.message_offset"
    " AND s.before < 1048576"
    " RETURNING d.partition, d.message_offset,"
    " coalesce(floor(extract(epoch FROM d.message_time) * 1000)::bigint, -1), d.key,"
    " CASE WHEN octet_length(d.value) <= 12582912 THEN d.value END, d.headers, d.reason, d.detail,"
    " coalesce(d.sqlstate, ''), coalesce(octet_length(d.value) > 12582912, false)::int, "
    "d.publish_lease_until";

enum column {
    COLUMN_PARTITION,
    COLUMN_OFFSET,
    COLUMN_TIMESTAMP,
    COLUMN_KEY,
    COLUMN_VALUE,
    COLUMN_HEADERS,
    COLUMN_REASON,
    COLUMN_DETAIL,
    COLUMN_SQLSTATE,
    COLUMN_LEFT_OUT,
    COLUMN_UNTIL,
};

/* A letter that failed is ours to judge only while our lease ($7) stands; one that was published is published
 * whoever has it now. $6: 1 where the letter itself is at fault. */
static const char mark_sql[] =
    "UPDATE winnow.dead_letter AS d SET"
    " published_at = CASE WHEN r.error = '' THEN now() END,"
    " publish_error = nullif(r.error, ''),"
    " publish_attempts = d.publish_attempts + (r.error <> '')::int,"
    " publish_lease_until = CASE WHEN r.own = 1 THEN"
    "  now() + least(3600, 5 * 2 ^ least(d.publish_attempts, 10)) * interval '1 second' END"
    " FROM unnest($3::int4[], $4::int8[], $5::text[], $6::int4[]) AS r (partition, message_offset, error, "
    "own)"
    " WHERE d.stream_id = " OUR_STREAM
    " AND d.partition = r.partition AND d.message_offset = r.message_offset"
    " AND d.published_at IS NULL AND (r.error = '' OR d.publish_lease_until = $7::timestamptz)";

static struct sql_parameter array_parameter(enum sql_type type, struct array *array)
{
    struct slice bytes = array_finish(array);
    return (struct sql_parameter){.type = type, .binary = true, .data = bytes.data, .size = bytes.size};
}

bool lease_is_wanted(struct database *database, const struct settings *settings, bool *ret_wanted,
                     struct fault *ret_fault)
{
    const struct sql_parameter parameters[] = {sql_text(settings->group), sql_text(settings->topic)};
    struct rows *rows = NULL;
    if (!database_run(database, "dead letters", wanted_sql, parameters, ARRAY_COUNT(parameters), &rows,
                      ret_fault))
        return false;
    *ret_wanted = rows_count(rows) == 1 && rows_int(rows, 0, 0) == 1;
    rows_free(rows);
    return true;
}

bool lease_count_waiting(struct database *database, const struct settings *settings, int64_t most,
                         int64_t *ret_count, int64_t *ret_oldest_ms, struct fault *ret_fault)
{
    char most_text[24];
    (void)snprintf(most_text, sizeof most_text, "%" PRId64, most);
    const struct sql_parameter parameters[] = {
        sql_text(settings->group), sql_text(settings->topic), {.type = SQL_INT8, .data = most_text}};
    struct rows *rows = NULL;
    if (!database_run(database, "dead letters", waiting_sql, parameters, ARRAY_COUNT(parameters), &rows,
                      ret_fault))
        return false;
    *ret_count = rows_int(rows, 0, 0);
    *ret_oldest_ms = rows_int(rows, 0, 1);
    rows_free(rows);
    return true;
}

static void read_letter(struct rows *rows, size_t row, const struct settings *settings,
                        struct letter *ret_letter)
{
    bool left_out = rows_int(rows, row, COLUMN_LEFT_OUT) == 1;
    *ret_letter = (struct letter){
        .origin =
            {
                .group = settings->group,
                .topic = settings->topic,
                .partition = (int32_t)rows_int(rows, row, COLUMN_PARTITION),
                .offset = rows_int(rows, row, COLUMN_OFFSET),
                .timestamp_ms = rows_int(rows, row, COLUMN_TIMESTAMP),
                .headers = rows_bytes(rows, row, COLUMN_HEADERS),
                .reason = rows_text(rows, row, COLUMN_REASON),
                .detail = rows_text(rows, row, COLUMN_DETAIL),
                .sqlstate = rows_text(rows, row, COLUMN_SQLSTATE),
            },
        .key = rows_bytes(rows, row, COLUMN_KEY),
        .value = left_out ? slice_of("", 0) : rows_bytes(rows, row, COLUMN_VALUE),
        .omission = left_out ? OMIT_VALUE : OMIT_NOTHING,
    };
}

bool lease_take(struct database *database, const struct settings *settings, struct lease *lease,
                struct fault *ret_fault)
{
    const struct sql_parameter parameters[] = {sql_text(settings->group), sql_text(settings->topic)};
    int64_t deadline_ms = clock_now_ms() + LEASE_MS;
    struct rows *rows = NULL;
    if (!database_run(database, "dead letters", take_sql, parameters, ARRAY_COUNT(parameters), &rows,
                      ret_fault))
        return false;
    lease->rows = rows;
    lease->deadline_ms = deadline_ms;
    lease->count = rows_count(rows) < LEASE_LETTERS_MAX ? rows_count(rows) : LEASE_LETTERS_MAX;
    for (size_t i = 0; i < lease->count; i++) read_letter(rows, i, settings, &lease->letters[i]);
    lease->until = lease->count == 0 ? "" : rows_text(rows, 0, COLUMN_UNTIL);
    return true;
}

bool letter_is_refused(const struct letter *letter)
{
    return letter->state == LETTER_TOO_LARGE || letter->state == LETTER_UNTIMELY;
}

struct marks {
    struct array partitions;
    struct array offsets;
    struct array errors;
    struct array own;
};

static void fill_marks(struct marks *marks, const struct lease *lease)
{
    array_begin(&marks->partitions, SQL_INT4);
    array_begin(&marks->offsets, SQL_INT8);
    array_begin(&marks->errors, SQL_TEXT);
    array_begin(&marks->own, SQL_INT4);
    for (size_t i = 0; i < lease->count; i++) {
        const struct letter *letter = &lease->letters[i];
        const char *error = letter->error[0] == '\0' ? "not sent" : letter->error;
        array_add_i32(&marks->partitions, letter->origin.partition);
        array_add_i64(&marks->offsets, letter->origin.offset);
        array_add(&marks->errors, slice_of_text(letter->state == LETTER_PUBLISHED ? "" : error));
        array_add_i32(&marks->own, letter_is_refused(letter) ? 1 : 0);
    }
}

static void done_marks(struct marks *marks)
{
    array_done(&marks->partitions);
    array_done(&marks->offsets);
    array_done(&marks->errors);
    array_done(&marks->own);
}

bool lease_mark(struct database *database, const struct settings *settings, const struct lease *lease,
                struct fault *ret_fault)
{
    struct marks marks = {0};
    fill_marks(&marks, lease);
    const struct sql_parameter parameters[] = {
        sql_text(settings->group),
        sql_text(settings->topic),
        array_parameter(SQL_INT4_ARRAY, &marks.partitions),
        array_parameter(SQL_INT8_ARRAY, &marks.offsets),
        array_parameter(SQL_TEXT_ARRAY, &marks.errors),
        array_parameter(SQL_INT4_ARRAY, &marks.own),
        sql_text(lease->until),
    };
    bool marked = database_run(database, "dead letters", mark_sql, parameters, ARRAY_COUNT(parameters), NULL,
                               ret_fault);
    done_marks(&marks);
    return marked;
}

void lease_done(struct lease *lease)
{
    rows_free(lease->rows);
    lease->rows = NULL;
    lease->count = 0;
}
