/* GET /api/v1/aggregates: counts and sums from the roll-ups, and the SQL that gives the same rows. */
#include <stdio.h>
#include <string.h>

#include "console/aggregates_sql.h"
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

/* The next word; false when it is none, or there already. */
static bool add_column(struct aggregates_question *question, const char *word, size_t size)
{
    for (enum by by = 0; by < BY_COUNT; by++) {
        bool same = strlen(by_columns[by].word) == size && memcmp(by_columns[by].word, word, size) == 0;
        if (!same || aggregates_has_column(question, by)) continue;
        question->by[question->by_count++] = by;
        return !aggregates_has_column(question, BY_HOUR) || !aggregates_has_column(question, BY_DAY);
    }
    return false;
}

static bool read_by(struct call *call, struct aggregates_question *question)
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

static bool read_period(struct call *call, struct aggregates_question *ret)
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

static bool read_question(struct call *call, enum answer_format format, struct aggregates_question *ret)
{
    *ret = (struct aggregates_question){.limit = format == FORMAT_CSV ? LIMIT_MAX : LIMIT_PAGE,
                                        .limited = call_query(call, "limit") != NULL};
    return read_by(call, ret) && call_query_text(call, "client", 1, NAME_LENGTH_MAX, &ret->client) &&
           call_query_text(call, "metric", 1, NAME_LENGTH_MAX, &ret->metric) &&
           call_query_text(call, "q", 1, NAME_LENGTH_MAX, &ret->text) && read_period(call, ret) &&
           call_query_integer(call, "limit", 1, LIMIT_MAX, &ret->limit);
}

/* ---- the answer ------------------------------------------------------------------------------------------
 */

struct answer {
    const struct aggregates_question *question;
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
    const struct aggregates_question *question = answer->question;
    json_open(out, '{');
    for (unsigned i = 0; i < question->by_count; i++) {
        enum by by = question->by[i];
        (by_columns[by].is_time ? json_cell_time : json_cell_text)(out, by_columns[by].name,
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

static void add_sql(struct buffer *out, const struct aggregates_question *question)
{
    struct aggregates_statement statement = {.for_people = true};
    aggregates_sql(&statement, question);
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
        json_text(out, NULL, by_columns[answer->question->by[i]].word);
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
        if (i < answer->question->by_count && by_columns[answer->question->by[i]].is_time) {
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
        csv_add_text(out, by_columns[answer->question->by[i]].name);
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

static void answer_rows(struct call *call, const struct aggregates_question *question,
                        const struct rows *rows, enum answer_format format)
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
    struct aggregates_question question;
    struct aggregates_statement statement = {0};
    struct rows *rows = NULL;
    if (!answer_format_choose(call, "json csv", &format) || !read_question(call, format, &question) ||
        (question.limit > LIMIT_SHORT && !call_reserve_thread(call, 0)))
        return;
    aggregates_sql(&statement, &question);
    (void)buffer_add(&statement.sql, "", 1);
    if (call_run(call, SESSION_READ, statement.sql.data, statement.parameters, statement.count, &rows))
        answer_rows(call, &question, rows, format);
    rows_free(rows);
    buffer_done(&statement.sql);
}
