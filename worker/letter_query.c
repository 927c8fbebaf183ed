#include "letter_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void letter_query_add(struct letter_query *query, const char *sql)
{
    (void)buffer_add(&query->sql, sql, strlen(sql));
}

void letter_query_begin(struct letter_query *query, const struct letter_scope *scope, const char *sql)
{
    *query =
        (struct letter_query){.parameters = {sql_text(scope->topic), sql_text(scope->group)}, .count = 2};
    letter_query_add(query, sql);
}

void letter_query_add_value(struct letter_query *query, const char *before, const char *value,
                            const char *behind)
{
    char place[LETTER_NUMBER_TEXT_SIZE];
    query->parameters[query->count++] = sql_text(value);
    (void)snprintf(place, sizeof place, "$%zu", query->count);
    letter_query_add(query, before);
    letter_query_add(query, place);
    letter_query_add(query, behind);
}

void letter_query_add_number(struct letter_query *query, const char *before, int64_t number,
                             const char *behind)
{
    char *text = query->numbers[query->number_count++];
    (void)snprintf(text, LETTER_NUMBER_TEXT_SIZE, "%" PRId64, number);
    letter_query_add_value(query, before, text, behind);
}

static void add_places(struct letter_query *query, const struct letter_places *places)
{
    letter_query_add_value(query, " AND (w.partition, w.message_offset) IN (SELECT * FROM unnest(",
                           places->partitions, "::int4[], ");
    letter_query_add_value(query, "", places->offsets, "::int8[]))");
}

void letter_query_add_filter(struct letter_query *query, const struct letter_filter *filter)
{
    if (filter->reason != NULL) letter_query_add_value(query, " AND w.reason = ", filter->reason, "");
    if (filter->client != NULL && filter->client[0] == '\0')
        letter_query_add(query, " AND w.client_id IS NULL");
    if (filter->client != NULL && filter->client[0] != '\0')
        letter_query_add_value(query, " AND w.client_id COLLATE \"C\" = ", filter->client, "");
    if (filter->state != NULL) letter_query_add_value(query, " AND w.state = ", filter->state, "");
    if (filter->from != NULL)
        letter_query_add_value(query, " AND w.failed_at >= ", filter->from, "::timestamptz");
    if (filter->to != NULL) letter_query_add_value(query, " AND w.failed_at < ", filter->to, "::timestamptz");
    if (filter->partition != NULL)
        letter_query_add_value(query, " AND w.partition = ", filter->partition, "::int4");
    if (filter->places != NULL) add_places(query, filter->places);
    if (filter->actions != NULL)
        letter_query_add_value(query, " AND w.last_action_id <@ ", filter->actions, "::int8multirange");
}

bool letter_query_run(struct database *database, struct letter_query *query, struct rows **ret_rows,
                      struct fault *ret_fault)
{
    (void)buffer_add(&query->sql, "", 1);
    bool done = database_run(database, LETTER_SITE, query->sql.data, query->parameters, query->count,
                             ret_rows, ret_fault);
    buffer_done(&query->sql);
    return done;
}

#define SQL_LOCK \
    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('winnow dead letters', " \
    "coalesce(" SQL_STREAM ", 0)))"

/* The lock comes in a statement of its own: the next one looks when nobody else writes any more. */
static bool begin_alone(struct database *database, const struct letter_query *query, struct fault *ret_fault)
{
    return database_run(database, LETTER_SITE, "BEGIN", NULL, 0, NULL, ret_fault) &&
           database_run(database, LETTER_SITE, SQL_LOCK, query->parameters, 2, NULL, ret_fault);
}

/* A session in which not even that works is lost, and its next user finds it so. */
static void roll_back(struct database *database)
{
    struct fault fault;
    bool rolled_back =
        database_is_alive(database) && database_run(database, LETTER_SITE, "ROLLBACK", NULL, 0, NULL, &fault);
    (void)rolled_back;
}

bool letter_query_run_alone(struct database *database, struct letter_query *query, struct rows **ret_rows,
                            struct fault *ret_fault)
{
    struct rows *rows = NULL;
    bool begun = begin_alone(database, query, ret_fault);
    if (!begun) buffer_done(&query->sql);
    if (begun && letter_query_run(database, query, &rows, ret_fault) &&
        database_run(database, LETTER_SITE, "COMMIT", NULL, 0, NULL, ret_fault)) {
        *ret_rows = rows;
        return true;
    }
    rows_free(rows);
    roll_back(database);
    return false;
}
