#include "console/aggregates_sql.h"

#include <stdio.h>
#include <string.h>

const struct by_column by_columns[BY_COUNT] = {
    [BY_CLIENT] = {"client", "client_id", "client_id", "client_id", false},
    [BY_METRIC] = {"metric", "metric", "metric", "metric", false},
    [BY_HOUR] = {"hour", "hour", "bucket", "hour", true},
    [BY_DAY] = {"day", "day", "(bucket AT TIME ZONE 'UTC')::date", "(hour AT TIME ZONE 'UTC')::date", false},
};

bool aggregates_has_column(const struct aggregates_question *question, enum by by)
{
    for (size_t i = 0; i < question->by_count; i++) {
        if (question->by[i] == by) return true;
    }
    return false;
}

static void add(struct aggregates_statement *statement, const char *text)
{
    (void)buffer_add(&statement->sql, text, strlen(text));
}

static void add_literal(struct aggregates_statement *statement, const char *text)
{
    add(statement, "'");
    for (const char *quote; (quote = strchr(text, '\'')) != NULL; text = quote + 1) {
        (void)buffer_add(&statement->sql, text, (size_t)(quote - text) + 1);
        add(statement, "'");
    }
    add(statement, text);
    add(statement, "'");
}

static void add_value(struct aggregates_statement *statement, const char *text)
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

/* Nothing without a value. */
static void add_condition(struct aggregates_statement *statement, const char *left, const char *value,
                          const char *behind)
{
    if (value == NULL) return;
    add(statement, statement->has_condition ? " AND " : " WHERE ");
    add(statement, left);
    add_value(statement, value);
    add(statement, behind);
    statement->has_condition = true;
}

/* For people, names and times of the view. */
static void add_conditions(struct aggregates_statement *statement, const struct aggregates_question *question)
{
    add_condition(statement, "client_id = ", question->client, "");
    add_condition(statement, "metric = ", question->metric, "");
    add_condition(statement, "hour >= date_trunc('hour', ", question->has_from ? question->from : NULL,
                  "::timestamptz)");
    add_condition(statement, "hour < date_trunc('hour', ", question->has_to ? question->to : NULL,
                  "::timestamptz)");
    if (question->text == NULL) return;
    add_condition(statement, "(strpos(lower(client_id), lower(", question->text, ")) > 0");
    add(statement, " OR strpos(lower(metric), lower(");
    add_value(statement, question->text);
    add(statement, ")) > 0)");
}

/* Of the tables, whose keys have names byte by byte. The roll-ups without time know all names there are. */
static void add_names(struct aggregates_statement *statement, const struct aggregates_question *question)
{
    add_condition(statement, "k.client_id COLLATE \"C\" = ", question->client, "");
    add_condition(statement, "k.metric COLLATE \"C\" = ", question->metric, "");
    if (question->text == NULL) return;
    add_condition(statement,
                  "(k.client_id IN (SELECT c.client_id FROM winnow.rollup_client AS c "
                  "WHERE strpos(lower(c.client_id), lower(",
                  question->text, ")) > 0)");
    add(statement, " OR k.metric IN (SELECT m.metric FROM winnow.rollup_metric AS m "
                   "WHERE strpos(lower(m.metric), lower(");
    add_value(statement, question->text);
    add(statement, ")) > 0))");
}

/* ---- where the numbers are taken from --------------------------------------------------------------------
 *
 * Days to which nothing was added lately are kept added up, by name, and by name and hour. `span` has the
 * days that are asked for: whether they are whole, and kept. One statement sees all of it as it was at one
 * moment, so that a day is taken from one table or the other and never from both. */

struct source {
    const struct aggregates_question *question;
    bool of_clients; /* names are needed, to tell or to choose them */
    bool of_metrics;
    bool by_hour;
};

static void add_span(struct aggregates_statement *statement, const struct source *source)
{
    const struct aggregates_question *question = source->question;
    add(statement, "WITH span AS MATERIALIZED (SELECT * FROM winnow.total_days(date_trunc('hour', ");
    add_value(statement, question->has_from ? question->from : "-infinity");
    add(statement, "::timestamptz), date_trunc('hour', ");
    add_value(statement, question->has_to ? question->to : "infinity");
    add(statement, source->of_clients && !source->by_hour && !aggregates_has_column(question, BY_DAY)
                       ? "::timestamptz), true)) "
                       : "::timestamptz), false)) ");
}

/* One of the tables' days, with a condition that the statement has already. */
static void add_part(struct aggregates_statement *statement, const struct source *source, const char *select)
{
    add(statement, select);
    statement->has_condition = true;
    add_names(statement, source->question);
}

/* The hours themselves. A client's few rows are looked for in each hour, by the key, which begins with the
 * hour; reading all takes several times as long. */
static void add_hours(struct aggregates_statement *statement, const struct source *source)
{
    add_part(
        statement, source,
        source->question->client != NULL
            ? "SELECT h.* FROM span CROSS JOIN LATERAL generate_series(span.begins, "
              "span.ends - interval '1 hour', interval '1 hour') AS at CROSS JOIN LATERAL (SELECT "
              "k.bucket, k.client_id, k.metric, k.event_count, k.amount_sum FROM winnow.rollup_hour AS k "
              "WHERE k.bucket = at"
            : "SELECT h.* FROM span CROSS JOIN LATERAL (SELECT k.bucket, k.client_id, k.metric, "
              "k.event_count, k.amount_sum FROM winnow.rollup_hour AS k "
              "WHERE k.bucket >= span.begins AND k.bucket < span.ends");
    add(statement, " OFFSET 0) AS h WHERE NOT span.kept");
}

#define SQL_KEPT_CLIENT \
    " UNION ALL SELECT k.day, k.client_id, k.metric, k.event_count, k.amount_sum FROM span " \
    "JOIN winnow.kept_client AS k ON k.day = span.day WHERE span.kept AND span.whole"
#define SQL_KEPT_METRIC \
    " UNION ALL SELECT k.hour, NULL, k.metric, k.event_count, k.amount_sum FROM span JOIN " \
    "winnow.kept_metric AS k ON k.day = span.day WHERE span.kept AND k.hour >= span.begins AND k.hour < " \
    "span.ends"
#define SQL_DAY \
    " UNION ALL SELECT k.day, NULL, NULL, k.event_count, k.amount_sum FROM span JOIN winnow.rollup_day AS " \
    "k ON k.day = span.day WHERE span.complete AND span.begins = span.day"
#define SQL_CUT     " AND NOT span.whole"
#define SQL_CUT_DAY " AND NOT span.complete"

/* What comes before an hour of the day; nothing when it is before the first that has events. */
#define SQL_BEFORE(sums, hour) "coalesce(k." sums "[width_bucket((span." hour " - 1)::smallint, k.hours)], 0)"
#define SQL_BETWEEN(sums)      SQL_BEFORE(sums, "end_hour") " - " SQL_BEFORE(sums, "begin_hour")
#define SQL_SUMS_BETWEEN \
    SQL_BETWEEN("counts_so_far") " AS event_count, " SQL_BETWEEN("amounts_so_far") " AS amount_sum"

/* unnest() in the list of columns makes rows one at a time, in FROM it would put each array down first. A day
 * that is cut needs none of its hours: what came before its end is kept, and what came before its begin. */
static void add_kept_hours(struct aggregates_statement *statement, const struct source *source)
{
    add(statement,
        source->by_hour ? " UNION ALL SELECT u.day + u.hour * interval '1 hour'" : " UNION ALL SELECT u.day");
    add(statement, ", u.client_id, u.metric, u.event_count, u.amount_sum FROM span CROSS JOIN LATERAL ("
                   "SELECT k.day, k.client_id, k.metric, ");
    add_part(statement, source,
             source->by_hour
                 ? "unnest(k.hours) AS hour, unnest(k.event_counts) AS event_count, unnest(k.amount_sums) AS "
                   "amount_sum FROM winnow.kept_client_hours AS k WHERE k.day = span.day"
                 : SQL_SUMS_BETWEEN " FROM winnow.kept_client_hours AS k WHERE k.day = span.day");
    add(statement, source->by_hour
                       ? ") AS u WHERE span.kept AND u.hour >= span.begin_hour AND u.hour < span.end_hour"
                       : " OFFSET 0) AS u WHERE span.kept" SQL_CUT " AND u.event_count > 0");
}

/* The smallest tables that can answer, whatever the times: for numbers without names whole days, kept or not.
 */
static void add_days(struct aggregates_statement *statement, const struct source *source)
{
    const bool nameless = !source->of_clients && !source->of_metrics;
    add(statement, "(");
    add_hours(statement, source);
    if (nameless && !source->by_hour) add(statement, SQL_CUT_DAY SQL_DAY);
    if (source->of_clients && !source->by_hour) add_part(statement, source, SQL_KEPT_CLIENT);
    if (source->of_clients)
        add_kept_hours(statement, source);
    else
        add_part(statement, source,
                 nameless && !source->by_hour ? SQL_KEPT_METRIC SQL_CUT_DAY : SQL_KEPT_METRIC);
    add(statement, ") AS r");
    statement->has_condition = true;
}

/* The smallest of the tables that can answer: those without time are a row for each name and shard. */
static void add_source(struct aggregates_statement *statement, const struct source *source)
{
    const struct aggregates_question *question = source->question;
    bool timeless = !question->has_from && !question->has_to && question->text == NULL && !source->by_hour &&
                    !aggregates_has_column(question, BY_DAY);
    if (timeless && !source->of_metrics)
        add(statement, statement->for_people ? "analytics.totals_by_client" : "winnow.rollup_client AS k");
    else if (timeless && !source->of_clients)
        add(statement, statement->for_people ? "analytics.totals_by_metric" : "winnow.rollup_metric AS k");
    else if (statement->for_people)
        add(statement, "analytics.totals_by_client_metric_hour");
    else
        add_days(statement, source);
    if (statement->for_people)
        add_conditions(statement, question);
    else if (!statement->has_condition)
        add_names(statement, question);
}

/* "1, 2": the columns by their places. */
static void add_places(struct aggregates_statement *statement, const char *clause, size_t count)
{
    char place[24];
    add(statement, clause);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(place, sizeof place, "%s%zu", i > 0 ? ", " : "", i + 1);
        add(statement, place);
    }
}

static void add_columns(struct aggregates_statement *statement, const struct aggregates_question *question)
{
    for (size_t i = 0; i < question->by_count; i++) {
        enum by by = question->by[i];
        add(statement, statement->for_people ? by_columns[by].in_view : by_columns[by].in_table);
        add(statement, " AS ");
        add(statement, by_columns[by].name);
        add(statement, ", ");
    }
}

void aggregates_sql(struct aggregates_statement *statement, const struct aggregates_question *question)
{
    char limit[40];
    const bool of_clients =
        question->client != NULL || question->text != NULL || aggregates_has_column(question, BY_CLIENT);
    const bool of_metrics =
        question->metric != NULL || question->text != NULL || aggregates_has_column(question, BY_METRIC);
    const struct source source = {question, of_clients, of_metrics, aggregates_has_column(question, BY_HOUR)};
    if (!statement->for_people) add_span(statement, &source);
    add(statement, "SELECT ");
    add_columns(statement, question);
    add(statement, "coalesce(sum(event_count), 0) AS event_count, "
                   "trim_scale(coalesce(sum(amount_sum), 0)) AS amount_sum");
    if (!statement->for_people)
        add(statement, ", coalesce(sum(sum(event_count)) OVER (), 0), "
                       "trim_scale(coalesce(sum(sum(amount_sum)) OVER (), 0))");
    add(statement, " FROM ");
    add_source(statement, &source);
    if (question->by_count == 0) return;
    add_places(statement, " GROUP BY ", question->by_count);
    add_places(statement, " ORDER BY ", question->by_count);
    if (statement->for_people && !question->limited) return;
    (void)snprintf(limit, sizeof limit, " LIMIT %lld",
                   (long long)question->limit + (statement->for_people ? 0 : 1));
    add(statement, limit);
}
