/* GET /api/v1/aggregates: counts and sums from the roll-ups, and the SQL that gives the same rows. */
#include <stdio.h>
#include <string.h>

#include "console/answer_format.h"
#include "console/call.h"
#include "console/routes.h"
#include "console/rows_json.h"
#include "instant.h"
#include "json.h"

#define LIMIT_PAGE      1000 /* of JSON; a sheet has all there is */
#define LIMIT_MAX       100000
#define LIMIT_SHORT     10000 /* more rows take megabytes */
#define NAME_LENGTH_MAX 200   /* characters */
#define CONDITIONS_MAX  10

enum by { BY_CLIENT, BY_METRIC, BY_HOUR, BY_DAY, BY_COUNT };

/* What a column is called: in `by`, in the answer, in the table of the roll-ups, in the view by the hour. */
static const struct {
    const char *word;
    const char *name;
    const char *in_table;
    const char *in_view;
    bool is_time;
} columns[BY_COUNT] = {
    [BY_CLIENT] = {"client", "client_id", "r.client_id", "client_id", false},
    [BY_METRIC] = {"metric", "metric", "r.metric", "metric", false},
    [BY_HOUR] = {"hour", "hour", "r.bucket", "hour", true},
    [BY_DAY] = {"day", "day", "(r.bucket AT TIME ZONE 'UTC')::date", "(hour AT TIME ZONE 'UTC')::date",
                false},
};

struct question {
    enum by by[BY_COUNT];
    size_t by_count;
    const char *client;
    const char *metric;
    const char *text;
    char from[INSTANT_TEXT_SIZE];
    char to[INSTANT_TEXT_SIZE];
    bool has_from;
    bool has_to;
    int64_t limit;
    bool limited; /* by whoever asks */
};

/* ---- the question ----------------------------------------------------------------------------------------
 */

static bool refuse_by(struct call *call, const char *text)
{
    call_refuse(call,
                &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                  .parameter = "by",
                                  .in = "query",
                                  .found = slice_of_text(text),
                                  .expected = "client, metric, and hour or day, each once, separated by "
                                              "commas"});
    return false;
}

static bool has_column(const struct question *question, enum by by)
{
    for (size_t i = 0; i < question->by_count; i++) {
        if (question->by[i] == by) return true;
    }
    return false;
}

/* The next word; false when it is none, or there already. */
static bool add_column(struct question *question, const char *word, size_t size)
{
    for (enum by by = 0; by < BY_COUNT; by++) {
        bool same = strlen(columns[by].word) == size && memcmp(columns[by].word, word, size) == 0;
        if (!same || has_column(question, by)) continue;
        question->by[question->by_count++] = by;
        return !has_column(question, BY_HOUR) || !has_column(question, BY_DAY);
    }
    return false;
}

static bool read_by(struct call *call, struct question *question)
{
    const char *text = call_query(call, "by");
    if (text == NULL || *text == '\0') return true;
    for (const char *word = text;; word++) {
        size_t size = strcspn(word, ",");
        if (!add_column(question, word, size)) return refuse_by(call, text);
        word += size;
        if (*word == '\0') return true;
    }
}

static bool read_period(struct call *call, struct question *ret)
{
    int64_t from_us = -1;
    int64_t to_us = -1;
    if (!call_query_period(call, &from_us, &to_us)) return false;
    ret->has_from = from_us >= 0;
    ret->has_to = to_us >= 0;
    if (ret->has_from) (void)instant_print(from_us, ret->from);
    if (ret->has_to) (void)instant_print(to_us, ret->to);
    return true;
}

static bool read_question(struct call *call, enum answer_format format, struct question *ret)
{
    *ret = (struct question){.limit = format == FORMAT_CSV ? LIMIT_MAX : LIMIT_PAGE,
                             .limited = call_query(call, "limit") != NULL};
    return read_by(call, ret) && call_query_text(call, "client", 1, NAME_LENGTH_MAX, &ret->client) &&
           call_query_text(call, "metric", 1, NAME_LENGTH_MAX, &ret->metric) &&
           call_query_text(call, "q", 1, NAME_LENGTH_MAX, &ret->text) && read_period(call, ret) &&
           call_query_integer(call, "limit", 1, LIMIT_MAX, &ret->limit);
}

/* ---- SQL -------------------------------------------------------------------------------------------------
 */

/* What is asked of the tables, with parameters, or, for people, of the views, with the values in it. */
struct statement {
    struct buffer sql;
    bool for_people;
    struct sql_parameter parameters[CONDITIONS_MAX];
    size_t count;
    bool has_condition;
};

static void add(struct statement *statement, const char *text)
{
    (void)buffer_add(&statement->sql, text, strlen(text));
}

static void add_literal(struct statement *statement, const char *text)
{
    add(statement, "'");
    for (const char *quote; (quote = strchr(text, '\'')) != NULL; text = quote + 1) {
        (void)buffer_add(&statement->sql, text, (size_t)(quote - text) + 1);
        add(statement, "'");
    }
    add(statement, text);
    add(statement, "'");
}

static void add_value(struct statement *statement, const char *text)
{
    char number[24];
    if (statement->for_people) {
        add_literal(statement, text);
        return;
    }
    statement->parameters[statement->count++] = sql_text(text);
    (void)snprintf(number, sizeof number, "$%zu", statement->count);
    add(statement, number);
}

/* Nothing without a value. Where names are looked for in the key of the roll-ups, byte by byte. */
static void add_condition(struct statement *statement, const char *in_table, const char *in_view,
                          const char *value, const char *behind)
{
    if (value == NULL) return;
    add(statement, statement->has_condition ? " AND " : " WHERE ");
    add(statement, statement->for_people ? in_view : in_table);
    add_value(statement, value);
    add(statement, behind);
    statement->has_condition = true;
}

static void add_conditions(struct statement *statement, const struct question *question)
{
    add_condition(statement, "r.client_id COLLATE \"C\" = ", "client_id = ", question->client, "");
    add_condition(statement, "r.metric COLLATE \"C\" = ", "metric = ", question->metric, "");
    add_condition(statement, "r.bucket >= date_trunc('hour', ", "hour >= date_trunc('hour', ",
                  question->has_from ? question->from : NULL, "::timestamptz)");
    add_condition(statement, "r.bucket < date_trunc('hour', ", "hour < date_trunc('hour', ",
                  question->has_to ? question->to : NULL, "::timestamptz)");
    if (question->text == NULL) return;
    add_condition(statement, "(strpos(lower(r.client_id), lower(", "(strpos(lower(client_id), lower(",
                  question->text, ")) > 0");
    add(statement,
        statement->for_people ? " OR strpos(lower(metric), lower(" : " OR strpos(lower(r.metric), lower(");
    add_value(statement, question->text);
    add(statement, ")) > 0)");
}

/* The roll-ups of one client: its few rows are looked for in each hour that has any, by the key, which begins
 * with the hour. Reading all would take several times as long. */
static void add_hours_of_client(struct statement *statement, const struct question *question)
{
    add(statement,
        "(WITH RECURSIVE hour (bucket) AS (SELECT max(h.bucket) FROM winnow.rollup_hour AS h WHERE true");
    if (question->has_to) {
        add(statement, " AND h.bucket < ");
        add_value(statement, question->to);
        add(statement, "::timestamptz");
    }
    add(statement, " UNION ALL SELECT (SELECT max(h.bucket) FROM winnow.rollup_hour AS h "
                   "WHERE h.bucket < hour.bucket) FROM hour WHERE hour.bucket IS NOT NULL");
    if (question->has_from) {
        add(statement, " AND hour.bucket >= date_trunc('hour', ");
        add_value(statement, question->from);
        add(statement, "::timestamptz)");
    }
    add(statement, ") SELECT i.* FROM hour CROSS JOIN LATERAL (SELECT * FROM winnow.rollup_hour AS l "
                   "WHERE l.bucket = hour.bucket AND l.client_id COLLATE \"C\" = ");
    add_value(statement, question->client);
    add(statement, " OFFSET 0) AS i) AS r");
}

/* The smallest of the roll-ups that can answer: those without time are a row for each name and shard. */
static void add_source(struct statement *statement, const struct question *question)
{
    bool timeless = !question->has_from && !question->has_to && question->text == NULL &&
                    !has_column(question, BY_HOUR) && !has_column(question, BY_DAY);
    bool about_clients = question->client != NULL || has_column(question, BY_CLIENT);
    bool about_metrics = question->metric != NULL || has_column(question, BY_METRIC);
    if (timeless && !about_metrics)
        add(statement, statement->for_people ? "analytics.totals_by_client" : "winnow.rollup_client AS r");
    else if (timeless && !about_clients)
        add(statement, statement->for_people ? "analytics.totals_by_metric" : "winnow.rollup_metric AS r");
    else if (!statement->for_people && question->client != NULL)
        add_hours_of_client(statement, question);
    else
        add(statement,
            statement->for_people ? "analytics.totals_by_client_metric_hour" : "winnow.rollup_hour AS r");
}

/* "1, 2": the columns by their places. */
static void add_places(struct statement *statement, const char *clause, size_t count)
{
    char place[24];
    add(statement, clause);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(place, sizeof place, "%s%zu", i > 0 ? ", " : "", i + 1);
        add(statement, place);
    }
}

static void add_columns(struct statement *statement, const struct question *question)
{
    for (size_t i = 0; i < question->by_count; i++) {
        enum by by = question->by[i];
        add(statement, statement->for_people ? columns[by].in_view : columns[by].in_table);
        add(statement, " AS ");
        add(statement, columns[by].name);
        add(statement, ", ");
    }
}

/* Not for people, the last two columns are the totals over all rows, whatever the limit, and one row more is
 * asked for, which tells whether there are more. For people there is no limit but the one asked for: a page
 * ends somewhere, what is copied from it should not. */
static void build(struct statement *statement, const struct question *question)
{
    char limit[40];
    add(statement, "SELECT ");
    add_columns(statement, question);
    add(statement, "coalesce(sum(event_count), 0) AS event_count, "
                   "trim_scale(coalesce(sum(amount_sum), 0)) AS amount_sum");
    if (!statement->for_people)
        add(statement, ", coalesce(sum(sum(event_count)) OVER (), 0), "
                       "trim_scale(coalesce(sum(sum(amount_sum)) OVER (), 0))");
    add(statement, " FROM ");
    add_source(statement, question);
    add_conditions(statement, question);
    if (question->by_count == 0) return;
    add_places(statement, " GROUP BY ", question->by_count);
    add_places(statement, " ORDER BY ", question->by_count);
    if (statement->for_people && !question->limited) return;
    (void)snprintf(limit, sizeof limit, " LIMIT %lld",
                   (long long)question->limit + (statement->for_people ? 0 : 1));
    add(statement, limit);
}

/* ---- the answer ------------------------------------------------------------------------------------------
 */

struct answer {
    const struct question *question;
    const struct rows *rows;
    size_t count; /* of rows to show */
};

static void add_numbers(struct buffer *out, const struct rows *rows, size_t row, unsigned column)
{
    json_cell_raw(out, "event_count", (struct cell){rows, row, column});
    json_cell_text(out, "amount_sum", (struct cell){rows, row, column + 1});
}

static void add_row(struct buffer *out, const struct answer *answer, size_t row)
{
    const struct question *question = answer->question;
    json_open(out, '{');
    for (unsigned i = 0; i < question->by_count; i++) {
        enum by by = question->by[i];
        (columns[by].is_time ? json_cell_time : json_cell_text)(out, columns[by].name,
                                                                (struct cell){answer->rows, row, i});
    }
    add_numbers(out, answer->rows, row, (unsigned)question->by_count);
    json_close(out, '}');
}

static void add_total(struct buffer *out, const struct answer *answer)
{
    json_name(out, "total");
    json_open(out, '{');
    if (rows_count(answer->rows) > 0) {
        add_numbers(out, answer->rows, 0, (unsigned)answer->question->by_count + 2);
    } else {
        json_int(out, "event_count", 0);
        json_text(out, "amount_sum", "0");
    }
    json_close(out, '}');
}

static void add_sql(struct buffer *out, const struct question *question)
{
    struct statement statement = {.for_people = true};
    build(&statement, question);
    json_slice(out, "sql", slice_of(statement.sql.data, statement.sql.size));
    buffer_done(&statement.sql);
}

/* Adds row after row; the buffer is handed on whenever it is full. */
static bool add_json(struct call *call, struct buffer *out, const struct answer *answer)
{
    bool goes_on = true;
    json_open(out, '{');
    json_name(out, "by");
    json_open(out, '[');
    for (size_t i = 0; i < answer->question->by_count; i++)
        json_text(out, NULL, columns[answer->question->by[i]].word);
    json_close(out, ']');
    json_name(out, "rows");
    json_open(out, '[');
    for (size_t row = 0; row < answer->count && goes_on; row++) {
        add_row(out, answer, row);
        if (out->size < CALL_CHUNK) continue;
        goes_on = call_add(call, out->data, out->size);
        buffer_clear(out);
        if (row + 1 < answer->count) (void)buffer_add(out, ",", 1);
    }
    json_close(out, ']');
    (void)buffer_add(out, ",", 1);
    add_total(out, answer);
    json_bool(out, "truncated", answer->count < rows_count(answer->rows));
    add_sql(out, answer->question);
    json_close(out, '}');
    return goes_on;
}

static void add_csv_row(struct buffer *out, const struct answer *answer, size_t row)
{
    char time[ROWS_TIME_SIZE];
    for (unsigned i = 0; i < answer->question->by_count + 2; i++) {
        const char *text = rows_text(answer->rows, row, i);
        if (i < answer->question->by_count && columns[answer->question->by[i]].is_time) {
            rows_time_text(text, time);
            text = time;
        }
        if (i > 0) (void)buffer_add(out, ",", 1);
        csv_add_text(out, text);
    }
    (void)buffer_add(out, "\r\n", 2);
}

static bool add_csv(struct call *call, struct buffer *out, const struct answer *answer)
{
    static const char rest[] = "event_count,amount_sum\r\n";
    bool goes_on = true;
    for (size_t i = 0; i < answer->question->by_count; i++) {
        csv_add_text(out, columns[answer->question->by[i]].name);
        (void)buffer_add(out, ",", 1);
    }
    (void)buffer_add(out, rest, sizeof rest - 1);
    for (size_t row = 0; row < answer->count && goes_on; row++) {
        add_csv_row(out, answer, row);
        if (out->size < CALL_CHUNK) continue;
        goes_on = call_add(call, out->data, out->size);
        buffer_clear(out);
    }
    return goes_on;
}

static void answer_rows(struct call *call, const struct question *question, const struct rows *rows,
                        enum answer_format format)
{
    struct buffer out = {0};
    size_t found = rows_count(rows);
    size_t most = question->by_count == 0 ? 1 : (size_t)question->limit;
    const struct answer answer = {question, rows, found < most ? found : most};
    call_answer(call, 200, answer_format_media_type(format));
    if (format == FORMAT_CSV)
        call_answer_header(call, "Content-Disposition", "attachment; filename=\"aggregates.csv\"");
    if (answer.count < found) call_answer_header(call, "Winnow-Truncated", "true");
    bool goes_on = (format == FORMAT_CSV ? add_csv : add_json)(call, &out, &answer);
    if (goes_on)
        (void)!call_add(call, out.data, out.size); /* the last of it: nothing else is to be given up */
    buffer_done(&out);
}

void handle_aggregates(struct call *call)
{
    enum answer_format format;
    struct question question;
    struct statement statement = {0};
    struct rows *rows = NULL;
    if (!answer_format_choose(call, "json csv", &format) || !read_question(call, format, &question) ||
        (question.limit > LIMIT_SHORT && !call_reserve_thread(call)))
        return;
    build(&statement, &question);
    (void)buffer_add(&statement.sql, "", 1);
    if (call_run(call, SESSION_READ, statement.sql.data, statement.parameters, statement.count, &rows))
        answer_rows(call, &question, rows, format);
    rows_free(rows);
    buffer_done(&statement.sql);
}
