#include "dead_letter_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "letter_query.h"

static void add_ends(struct buffer *out, const int64_t *ends, size_t count)
{
    char number[LETTER_NUMBER_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        int size = snprintf(number, sizeof number, "%s%" PRId64, i == 0 ? "{" : ",", ends[i]);
        (void)buffer_add(out, number, (size_t)size);
    }
    (void)buffer_add(out, count == 0 ? "{}" : "}", count == 0 ? 3 : 2);
}

bool letter_run_begin(struct database *database, const struct letter_scope *scope, const char *actor,
                      const char *selection, const int64_t *ends, size_t count, struct letter_run *ret_run,
                      struct fault *ret_fault)
{
    struct letter_query query;
    struct rows *rows = NULL;
    struct buffer array = {0};
    add_ends(&array, ends, count);
    letter_query_begin(&query, scope,
                       "INSERT INTO winnow.dead_letter_replay (stream_id, actor, selection, begin_offsets) "
                       "SELECT stream_id");
    letter_query_add_value(&query, ", ", actor, "::text");
    letter_query_add_value(&query, ", ", selection, "::text");
    letter_query_add_value(&query, ", ", array.data,
                           "::int8[] FROM winnow.stream WHERE stream_id = " SQL_STREAM
                           " RETURNING replay_id, token");
    bool done = letter_query_run(database, &query, &rows, ret_fault);
    buffer_done(&array);
    if (!done) return false;
    if (rows_count(rows) == 0) {
        rows_free(rows);
        fault_set(ret_fault, STATUS_STOP, LETTER_SITE,
                  "nothing has been read yet by group %s from topic %s: is a pool running, and are the names "
                  "right?",
                  scope->group, scope->topic);
        return false;
    }
    ret_run->replay_id = rows_int(rows, 0, 0);
    (void)snprintf(ret_run->token, sizeof ret_run->token, "%s", rows_text(rows, 0, 1));
    rows_free(rows);
    return true;
}

/* The answer to a question about a run. */
static bool ask(struct database *database, const char *sql, int64_t replay_id, struct rows **ret_rows,
                struct fault *ret_fault)
{
    char number[LETTER_NUMBER_TEXT_SIZE];
    (void)snprintf(number, sizeof number, "%" PRId64, replay_id);
    const struct sql_parameter parameter = sql_text(number);
    return database_run(database, LETTER_SITE, sql, &parameter, 1, ret_rows, ret_fault);
}

bool letter_run_hold(struct database *database, int64_t replay_id, bool *ret_held, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!ask(database, "SELECT pg_catalog.pg_try_advisory_lock(winnow.replay_lock($1::int8))", replay_id,
             &rows, ret_fault))
        return false;
    *ret_held = rows_text(rows, 0, 0)[0] == 't';
    rows_free(rows);
    return true;
}

/* Whoever tries the lock of a run lets go of it at the end of the statement. What a run sent to the same
 * partition before, and wrote down, lies in front: it sends in the order of its actions. */
#define SQL_DOUBT \
    "WITH doubt AS MATERIALIZED (SELECT a.action_id, a.replay_id, a.partition, a.message_offset, " \
    "a.acted_at FROM winnow.dead_letter_action AS a " \
    "JOIN winnow.dead_letter_work AS w USING (stream_id, partition, message_offset) " \
    "WHERE a.replay_id IS NOT NULL AND a.sent_offset IS NULL AND a.error IS NULL AND w.stream_id = "
#define SQL_DOUBT_RUNS \
    "), run AS MATERIALIZED (SELECT r.* FROM winnow.dead_letter_replay AS r " \
    "WHERE r.replay_id IN (SELECT d.replay_id FROM doubt AS d)), " \
    "ended AS MATERIALIZED (SELECT r.* FROM run AS r " \
    "WHERE pg_catalog.pg_try_advisory_xact_lock(winnow.replay_lock(r.replay_id))) " \
    "SELECT d.action_id, e.token, d.partition, d.message_offset, " \
    "greatest(coalesce(e.begin_offsets[d.partition + 1], 0), (SELECT s.sent_offset + 1 " \
    "FROM winnow.dead_letter_action AS s WHERE s.replay_id = d.replay_id " \
    "AND s.sent_partition = d.partition AND s.action_id < d.action_id ORDER BY s.action_id DESC LIMIT 1)), " \
    "(extract(epoch FROM pg_catalog.clock_timestamp() - d.acted_at) * 1000)::int8 " \
    "FROM doubt AS d JOIN ended AS e USING (replay_id) ORDER BY d.partition, d.action_id"

bool letters_in_doubt(struct database *database, const struct letter_scope *scope,
                      const struct letter_filter *filter, struct rows **ret_rows, struct fault *ret_fault)
{
    struct letter_query query;
    struct letter_filter any_state = *filter;
    any_state.state = NULL;
    letter_query_begin(&query, scope, SQL_DOUBT SQL_STREAM);
    letter_query_add_filter(&query, &any_state);
    letter_query_add(&query, SQL_DOUBT_RUNS);
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

bool letter_run_waiting(struct database *database, int64_t replay_id, int64_t *ret_count,
                        struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!ask(database,
             "SELECT count(*) FROM winnow.dead_letter_action AS a LEFT JOIN winnow.processing_log AS l "
             "ON l.stream_id = a.stream_id AND l.partition = a.sent_partition "
             "WHERE a.replay_id = $1::int8 AND a.sent_offset IS NOT NULL "
             "AND l.next_offset > a.sent_offset IS NOT TRUE",
             replay_id, &rows, ret_fault))
        return false;
    *ret_count = rows_int(rows, 0, 0);
    rows_free(rows);
    return true;
}

static int64_t *outcome_count(struct letter_outcomes *outcomes, const char *name)
{
    const struct {
        const char *name;
        int64_t *count;
    } known[] = {
        {"stored", &outcomes->stored},   {"duplicate", &outcomes->duplicate},
        {"failed", &outcomes->failed},   {"waiting", &outcomes->waiting},
        {"refused", &outcomes->refused}, {"in_doubt", &outcomes->in_doubt},
    };
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (strcmp(known[i].name, name) == 0) return known[i].count;
    }
    return &outcomes->unknown;
}

bool letter_run_outcomes(struct database *database, int64_t replay_id, struct letter_outcomes *ret_outcomes,
                         struct fault *ret_fault)
{
    struct rows *rows = NULL;
    *ret_outcomes = (struct letter_outcomes){0};
    if (!ask(database,
             "SELECT r.outcome, count(*) FROM winnow.dead_letter_retry AS r WHERE r.replay_id = $1::int8 "
             "GROUP BY 1",
             replay_id, &rows, ret_fault))
        return false;
    for (size_t i = 0; i < rows_count(rows); i++)
        *outcome_count(ret_outcomes, rows_text(rows, i, 0)) += rows_int(rows, i, 1);
    rows_free(rows);
    return true;
}
