/* GET /api/v1/events, /events/{hash}, /messages/{partition}/{offset}: what was stored, and what became of a
 * message. */
#include <stdio.h>
#include <string.h>

#include "console/answer_format.h"
#include "console/call.h"
#include "console/console.h"
#include "console/event_reader.h"
#include "console/progress.h"
#include "console/routes.h"
#include "console/rows_json.h"
#include "instant.h"
#include "json.h"

#define PAGE_DEFAULT    50
#define PAGE_MAX        1000
#define NAME_LENGTH_MAX 200 /* characters */

/* ---- one event as JSON and CSV ---------------------------------------------------------------------------
 */

static void add_event(struct buffer *out, const struct rows *rows, size_t row)
{
    struct cell cell = {.rows = rows, .row = row};
#define CELL(number) (cell.column = (number), cell)
    json_open(out, '{');
    json_cell_text(out, "event_hash", CELL(EVENT_HASH));
    json_cell_text(out, "client_id", CELL(EVENT_CLIENT));
    json_cell_text(out, "metric", CELL(EVENT_METRIC));
    json_cell_text(out, "amount", CELL(EVENT_AMOUNT));
    json_cell_time(out, "timestamp", CELL(EVENT_TIME));
    json_cell_time(out, "ingested_at", CELL(EVENT_INGESTED));
    json_cell_origin(out, "origin", CELL(EVENT_TOPIC));
    json_close(out, '}');
#undef CELL
}

static void add_ndjson(struct buffer *out, const struct rows *rows, size_t row)
{
    add_event(out, rows, row);
    (void)buffer_add(out, "\n", 1);
}

#define CSV_HEADING "timestamp,client_id,metric,amount,event_hash,ingested_at,topic,partition,offset\r\n"

static void add_csv(struct buffer *out, const struct rows *rows, size_t row)
{
    static const unsigned columns[] = {EVENT_TIME,   EVENT_CLIENT,    EVENT_METRIC,
                                       EVENT_AMOUNT, EVENT_HASH,      EVENT_INGESTED,
                                       EVENT_TOPIC,  EVENT_PARTITION, EVENT_OFFSET};
    char time[ROWS_TIME_SIZE];
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        const char *text = rows_text(rows, row, columns[i]);
        if (columns[i] == EVENT_TIME || columns[i] == EVENT_INGESTED) {
            rows_time_text(text, time);
            text = time;
        }
        if (i > 0) (void)buffer_add(out, ",", 1);
        csv_add_text(out, text);
    }
    (void)buffer_add(out, "\r\n", 2);
}

/* ---- lists -----------------------------------------------------------------------------------------------
 */

static bool read_filter(struct call *call, struct event_filter *ret_filter)
{
    *ret_filter = (struct event_filter){.to_us = EVENT_TIME_END};
    return call_query_text(call, "client", 1, NAME_LENGTH_MAX, &ret_filter->client) &&
           call_query_text(call, "metric", 1, NAME_LENGTH_MAX, &ret_filter->metric) &&
           call_query_period(call, &ret_filter->from_us, &ret_filter->to_us) &&
           call_query_decimal(call, "amount_min", &ret_filter->amount_min) &&
           call_query_decimal(call, "amount_max", &ret_filter->amount_max) &&
           call_query_uuid(call, "hash", &ret_filter->hash) &&
           call_query_text(call, "q", 1, NAME_LENGTH_MAX, &ret_filter->text);
}

static bool seek(struct call *call, struct event_reader *reader)
{
    const char *cursor = call_query(call, "cursor");
    if (cursor == NULL || event_reader_seek(reader, cursor)) return true;
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                        .parameter = "cursor",
                                        .in = "query",
                                        .found = slice_of_text(cursor),
                                        .expected = "next_cursor of another page of this list"});
    return false;
}

/* Adds one page. One row more than fits tells whether there is another page. */
static bool add_page(struct buffer *out, struct event_reader *reader, size_t limit)
{
    char cursor[EVENT_CURSOR_SIZE] = "";
    size_t count = 0;
    bool more = false;
    json_open(out, '{');
    json_name(out, "events");
    json_open(out, '[');
    while (!reader->ended && !more) {
        struct rows *rows;
        if (!event_reader_next(reader, limit + 1 - count, &rows)) return false;
        for (size_t row = 0; rows != NULL && row < rows_count(rows); row++) {
            more = count == limit;
            if (more) break;
            add_event(out, rows, row);
            event_reader_tell(rows, row, cursor);
            count++;
        }
        rows_free(rows);
    }
    json_close(out, ']');
    json_text(out, "next_cursor", more ? cursor : NULL);
    json_close(out, '}');
    return true;
}

static void answer_page(struct call *call, struct event_reader *reader, int64_t limit)
{
    struct buffer out = {0};
    if (add_page(&out, reader, (size_t)(limit > 0 ? limit : PAGE_DEFAULT))) call_answer_json(call, 200, &out);
    buffer_done(&out);
}

/* Everything, or `limit` rows of it, a portion at a time. */
static void answer_stream(struct call *call, struct event_reader *reader, enum answer_format format,
                          int64_t limit)
{
    struct buffer out = {0};
    bool goes_on = true;
    size_t left = limit > 0 ? (size_t)limit : SIZE_MAX;
    if (!call_reserve_thread(call, 0)) return;
    call_answer(call, 200, answer_format_media_type(format));
    call_answer_header(call, "Content-Disposition",
                       format == FORMAT_CSV ? "attachment; filename=\"events.csv\""
                                            : "attachment; filename=\"events.ndjson\"");
    if (format == FORMAT_CSV) (void)buffer_add(&out, CSV_HEADING, sizeof CSV_HEADING - 1);
    while (goes_on && left > 0 && !reader->ended) {
        struct rows *rows;
        if (!event_reader_next(reader, left < EVENT_PORTION_MAX ? left : EVENT_PORTION_MAX, &rows)) break;
        for (size_t row = 0; rows != NULL && row < rows_count(rows); row++, left--)
            (format == FORMAT_CSV ? add_csv : add_ndjson)(&out, rows, row);
        rows_free(rows);
        goes_on = call_add(call, out.data != NULL ? out.data : "", out.size);
        buffer_clear(&out);
    }
    buffer_done(&out);
}

void handle_events(struct call *call)
{
    enum answer_format format;
    struct event_filter filter;
    struct event_reader reader;
    int64_t limit = 0; /* not given */
    if (!answer_format_choose(call, "json ndjson csv", &format) || !read_filter(call, &filter) ||
        !call_query_integer(call, "limit", 1, PAGE_MAX, &limit))
        return;
    event_reader_init(&reader, call, &filter);
    if (seek(call, &reader)) {
        if (format == FORMAT_JSON)
            answer_page(call, &reader, limit);
        else
            answer_stream(call, &reader, format, limit);
    }
    event_reader_done(&reader);
}

/* ---- one event -------------------------------------------------------------------------------------------
 */

static void refuse_unknown(struct call *call, const char *hash)
{
    call_refuse(call, &(struct refusal){.problem = PROBLEM_NOT_FOUND,
                                        .parameter = "hash",
                                        .in = "path",
                                        .found = slice_of_text(hash),
                                        .expected = "the hash of a stored event"});
}

/* The event with the hash, no row when there is none. */
static bool read_event(struct call *call, const char *hash, int64_t time_us, struct rows **ret_rows)
{
    const struct event_filter filter = {.hash = hash,
                                        .from_us = time_us < 0 ? 0 : time_us,
                                        .to_us = time_us < 0 ? EVENT_TIME_END : time_us + 1};
    struct event_reader reader;
    event_reader_init(&reader, call, &filter);
    bool done = event_reader_next(&reader, 1, ret_rows);
    event_reader_done(&reader);
    return done;
}

void handle_event(struct call *call)
{
    const char *hash = NULL;
    int64_t time_us = -1;
    struct rows *rows = NULL;
    struct buffer out = {0};
    if (!call_path_uuid(call, 0, "hash", &hash) || !call_query_time(call, "event_time", &time_us) ||
        !read_event(call, hash, time_us, &rows))
        return;
    if (rows == NULL || rows_count(rows) == 0) {
        refuse_unknown(call, hash);
    } else {
        add_event(&out, rows, 0);
        call_answer_json(call, 200, &out);
    }
    buffer_done(&out);
    rows_free(rows);
}

/* ---- the state of a message ------------------------------------------------------------------------------
 */

#define SQL_STATE \
    "SELECT $1, $2::int4, $3::int8, m.state, " \
    "coalesce(m.duplicate_of_topic, w.topic), coalesce(m.duplicate_of_partition, w.stored_partition), " \
    "coalesce(m.duplicate_of_offset, w.stored_offset), m.reason, m.detail, " \
    "CASE WHEN m.state = 'failed' THEN w.state = 'resolved' END " \
    "FROM analytics.message_state($1, $2::int4, $3::int8, $4::uuid, $5::timestamptz, $6) AS m " \
    "LEFT JOIN LATERAL (SELECT d.state, o.topic, d.stored_partition, d.stored_offset " \
    "  FROM winnow.stream AS s JOIN winnow.dead_letter_work AS d USING (stream_id) " \
    "  LEFT JOIN winnow.stream AS o ON o.stream_id = d.stored_stream_id " \
    "  WHERE m.state = 'failed' AND s.topic = $1 AND s.consumer_group = $6 AND d.partition = $2::int4 " \
    "  AND d.message_offset = $3::int8) AS w ON true"

/* Whether the log has come to the offset, as far as was seen a moment ago; PostgreSQL does not know. */
static bool is_there(struct call *call, int32_t partition, int64_t offset)
{
    struct progress_snapshot snapshot;
    bool there = true;
    progress_read(call_console(call)->progress, &snapshot);
    for (size_t i = 0; i < snapshot.count; i++) {
        if (snapshot.partitions[i].partition == partition && snapshot.partitions[i].high >= 0)
            there = offset < snapshot.partitions[i].high;
    }
    progress_snapshot_done(&snapshot);
    return there;
}

static void answer_state(struct call *call, const struct rows *rows, bool there)
{
    struct buffer out = {0};
    bool waits = strcmp(rows_text(rows, 0, 3), "processing") == 0;
    json_open(&out, '{');
    json_cell_text(&out, "topic", (struct cell){rows, 0, 0});
    json_cell_raw(&out, "partition", (struct cell){rows, 0, 1});
    json_cell_raw(&out, "offset", (struct cell){rows, 0, 2});
    json_text(&out, "state", waits && !there ? "not_seen" : rows_text(rows, 0, 3));
    json_cell_origin(&out, "duplicate_of", (struct cell){rows, 0, 4});
    json_cell_text(&out, "reason", (struct cell){rows, 0, 7});
    json_cell_text(&out, "detail", (struct cell){rows, 0, 8});
    json_cell_bool(&out, "resolved", (struct cell){rows, 0, 9});
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
}

/* The time of the event with the hash, by which the database finds its row at once. Of an event that is not
 * stored: any, which spares a search through every month. */
static bool find_time(struct call *call, const char *hash, char ret_text[INSTANT_TEXT_SIZE])
{
    struct rows *rows = NULL;
    if (!read_event(call, hash, -1, &rows)) return false;
    (void)instant_print(rows != NULL && rows_count(rows) > 0 ? rows_int(rows, 0, EVENT_TIME_US) : 0,
                        ret_text);
    rows_free(rows);
    return true;
}

void handle_message_state(struct call *call)
{
    const struct settings *settings = call_settings(call);
    const char *hash = NULL;
    char time[INSTANT_TEXT_SIZE];
    int64_t time_us = -1;
    int64_t partition;
    int64_t offset;
    struct rows *rows = NULL;
    if (!call_path_integer(call, 0, "partition", 0, INT32_MAX, &partition) ||
        !call_path_integer(call, 1, "offset", 0, INT64_MAX, &offset) ||
        !call_query_uuid(call, "event_hash", &hash) || !call_query_time(call, "event_time", &time_us))
        return;
    if (time_us >= 0)
        (void)instant_print(time_us, time);
    else if (hash != NULL && !find_time(call, hash, time))
        return;
    const struct sql_parameter parameters[] = {sql_text(settings->topic),
                                               sql_text(call_path(call, 0)),
                                               sql_text(call_path(call, 1)),
                                               sql_text(hash),
                                               sql_text(hash != NULL ? time : NULL),
                                               sql_text(settings->group)};
    if (!call_run(call, SESSION_READ, SQL_STATE, parameters, ARRAY_COUNT(parameters), &rows)) return;
    answer_state(call, rows, is_there(call, (int32_t)partition, offset));
    rows_free(rows);
}
