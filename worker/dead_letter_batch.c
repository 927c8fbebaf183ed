#include "dead_letter_batch.h"

#include <stdio.h>

#include "instant.h"
#include "letter_query.h"

#define SQL_WHOLE \
    "w.partition, w.message_offset, (extract(epoch FROM w.failed_at) * 1000000)::int8, w.state, " \
    "winnow.count_attempts(w.stream_id, w.partition, w.message_offset), " SQL_IN_DOUBT( \
        "w") ", w.key, w.value, w.headers, " SQL_SENT_TIME("w") ", w.reason, w.detail, " \
                                                                "w.sqlstate, w.client_id, w.failed_at, " \
                                                                "w.message_time"

static void add_place(struct letter_query *query, const struct letter_place *after,
                      char time[INSTANT_TEXT_SIZE])
{
    (void)instant_print(after->failed_at_us, time);
    letter_query_add_value(query, " AND (w.failed_at, w.partition, w.message_offset) > (", time,
                           "::timestamptz, ");
    letter_query_add_number(query, "", after->partition, "::int4, ");
    letter_query_add_number(query, "", after->offset, "::int8)");
}

/* Sizes are added up before any value is read. */
bool letters_page(struct database *database, const struct letter_scope *scope,
                  const struct letter_filter *filter, const struct letter_place *after, size_t limit,
                  struct rows **ret_rows, struct fault *ret_fault)
{
    char time[INSTANT_TEXT_SIZE];
    struct letter_query query;
    letter_query_begin(&query, scope,
                       "WITH near AS MATERIALIZED (SELECT w.stream_id, w.partition, w.message_offset, "
                       "w.failed_at, " SQL_BYTES("w") " AS bytes FROM winnow.dead_letter_work AS w "
                                                      "WHERE w.stream_id = " SQL_STREAM);
    letter_query_add_filter(&query, filter);
    if (after != NULL) add_place(&query, after, time);
    letter_query_add_number(&query, " ORDER BY w.failed_at, w.partition, w.message_offset LIMIT ",
                            (int64_t)limit,
                            "::int8), numbered AS (SELECT *, row_number() OVER o AS number, ");
    letter_query_add(&query, "sum(bytes) OVER o AS total FROM near "
                             "WINDOW o AS (ORDER BY failed_at, partition, message_offset)) "
                             "SELECT " SQL_WHOLE " FROM numbered AS n "
                             "JOIN winnow.dead_letter_work AS w ON w.stream_id = " SQL_STREAM
                             " AND w.partition = n.partition AND w.message_offset = n.message_offset ");
    letter_query_add_number(&query, "WHERE n.number = 1 OR n.total <= ", LETTERS_PAGE_BYTES_MAX,
                            "::int8 ORDER BY n.number");
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

struct letter_place letters_place(const struct rows *rows, size_t row)
{
    return (struct letter_place){rows_int(rows, row, WHOLE_FAILED_AT_US),
                                 rows_int(rows, row, WHOLE_PARTITION), rows_int(rows, row, WHOLE_OFFSET)};
}

bool letters_count(struct database *database, const struct letter_scope *scope,
                   const struct letter_filter *filter, int64_t *ret_count, struct fault *ret_fault)
{
    struct letter_query query;
    struct rows *rows = NULL;
    letter_query_begin(&query, scope,
                       "SELECT count(*) FROM winnow.dead_letter_work AS w WHERE w.stream_id = " SQL_STREAM);
    letter_query_add_filter(&query, filter);
    if (!letter_query_run(database, &query, &rows, ret_fault)) return false;
    *ret_count = rows_int(rows, 0, 0);
    rows_free(rows);
    return true;
}

static void add_deed(struct letter_query *query, const struct letter_deed *deed, const char *replay_id)
{
    letter_query_add_value(query,
                           ", made AS (INSERT INTO winnow.dead_letter_action (stream_id, partition, "
                           "message_offset, action, actor, note, replay_id) "
                           "SELECT l.stream_id, l.partition, l.message_offset, ",
                           deed->action, "::text, ");
    letter_query_add_value(query, "", deed->actor, "::text, ");
    letter_query_add_value(query, "", deed->note, "::text, ");
    letter_query_add_value(query, "", replay_id, "::int8 FROM letter AS l RETURNING *) ");
}

bool letters_do(struct database *database, const struct letter_scope *scope,
                const struct letter_places *places, const char *states, const struct letter_deed *deed,
                int64_t replay_id, struct rows **ret_rows, struct fault *ret_fault)
{
    char replay[LETTER_NUMBER_TEXT_SIZE];
    const struct letter_filter filter = {.places = places};
    struct letter_query query;
    (void)snprintf(replay, sizeof replay, "%lld", (long long)replay_id);
    letter_query_begin(&query, scope,
                       "WITH letter AS MATERIALIZED (SELECT w.stream_id, w.partition, w.message_offset "
                       "FROM winnow.dead_letter_work AS w WHERE w.stream_id = " SQL_STREAM);
    letter_query_add_filter(&query, &filter);
    letter_query_add_value(&query, " AND w.state = ANY (", states, "::text[]) AND NOT " SQL_IN_DOUBT("w"));
    letter_query_add(&query, " ORDER BY w.failed_at, w.partition, w.message_offset)");
    add_deed(&query, deed, replay_id > 0 ? replay : NULL);
    letter_query_add(&query, "SELECT m.partition, m.message_offset, m.action_id FROM made AS m "
                             "ORDER BY m.action_id");
    return letter_query_run_alone(database, &query, ret_rows, ret_fault);
}
