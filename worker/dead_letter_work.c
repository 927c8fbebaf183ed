#include "dead_letter_work.h"

#include <string.h>

#include "buffer.h"
#include "identity.h"
#include "instant.h"
#include "json.h"
#include "letter_query.h"

/* A character may be cut at the end of the bytes that are looked at; up to three of them are left out then.
 */
#define SQL_PREFIX(size) "winnow.readable_text(substr(w.value, 1, " #size "))"
#define SQL_PREVIEW \
    "left(CASE WHEN octet_length(w.value) <= 800 THEN winnow.readable_text(w.value) ELSE " \
    "coalesce(" SQL_PREFIX(800) ", " SQL_PREFIX(799) ", " SQL_PREFIX(798) ", " SQL_PREFIX(797) ") END, 200)"

#define SQL_LIST \
    "w.partition, w.message_offset, w.reason, w.detail, w.sqlstate, w.client_id, w.failed_at, " \
    "w.message_time, " \
    "w.state, " SQL_PREVIEW ", octet_length(w.value), (extract(epoch FROM w.failed_at) * 1000000)::int8"

/* ---- looking ---------------------------------------------------------------------------------------------
 */

/* The latest letter of a group is found by the greatest of what tells it apart. */
#define SQL_GROUPS \
    "SELECT w.reason, w.client_id, count(*) AS letters, min(w.failed_at) AS first, max(w.failed_at) AS " \
    "last, " \
    "max(ARRAY[(extract(epoch FROM w.failed_at) * 1000000)::int8, w.partition::int8, w.message_offset]) " \
    "AS latest FROM "
#define SQL_OF_STREAM(alias) " AS " alias " WHERE " alias ".stream_id = " SQL_STREAM

/* Most letters are untouched, and open: these are counted without a look at the state of each. */
static void add_untouched(struct letter_query *query, const struct letter_filter *filter)
{
    struct letter_filter any_state = *filter;
    any_state.state = NULL;
    if (filter->actions != NULL || (filter->state != NULL && strcmp(filter->state, "open") != 0)) return;
    letter_query_add(query, SQL_GROUPS "winnow.dead_letter" SQL_OF_STREAM("w"));
    letter_query_add_filter(query, &any_state);
    letter_query_add(query, " AND w.event_hash IS NULL AND NOT EXISTS "
                            "(SELECT FROM winnow.dead_letter_action AS i WHERE i.stream_id = w.stream_id "
                            "AND i.partition = w.partition AND i.message_offset = w.message_offset) "
                            "GROUP BY 1, 2 UNION ALL ");
}

static void add_touched(struct letter_query *query, const struct letter_filter *filter)
{
    letter_query_add(query, SQL_GROUPS "winnow.dead_letter_work" SQL_OF_STREAM("w"));
    letter_query_add_filter(query, filter);
    letter_query_add(query, " AND w.event_hash IS NOT NULL GROUP BY 1, 2 UNION ALL " SQL_GROUPS
                            "winnow.dead_letter_work" SQL_OF_STREAM("w"));
    letter_query_add_filter(query, filter);
    letter_query_add(query, " AND w.event_hash IS NULL AND (w.partition, w.message_offset) IN "
                            "(SELECT i.partition, i.message_offset FROM "
                            "winnow.dead_letter_action" SQL_OF_STREAM("i") ") GROUP BY 1, 2");
}

/* The columns of a group, each as one array, in the order of the samples' function. */
#define SQL_ARRAY(column) "coalesce(array_agg(" column "), '{}')"
#define SQL_GROUP_ARRAYS \
    "SELECT " SQL_ARRAY("latest[2]") ", " SQL_ARRAY("latest[3]") ", " SQL_ARRAY("letters") ", " SQL_ARRAY( \
        "first") ", " SQL_ARRAY("last") ", " SQL_ARRAY("total") ", " SQL_ARRAY("groups") " FROM shown"

static bool count_groups(struct database *database, const struct letter_scope *scope,
                         const struct letter_filter *filter, size_t limit, struct rows **ret_rows,
                         struct fault *ret_fault)
{
    struct letter_query query;
    letter_query_begin(&query, scope, "WITH part AS (");
    add_untouched(&query, filter);
    add_touched(&query, filter);
    letter_query_add(
        &query,
        "), grouped AS (SELECT reason, client_id, sum(letters)::int8 AS letters, min(first) AS first, "
        "max(last) AS last, max(latest) AS latest FROM part GROUP BY 1, 2), "
        "shown AS (SELECT *, (sum(letters) OVER ())::int8 AS total, count(*) OVER () AS groups "
        "FROM grouped ORDER BY letters DESC, reason, client_id");
    letter_query_add_number(&query, " LIMIT ", (int64_t)limit, "::int8) " SQL_GROUP_ARRAYS);
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

/* Of the groups that were counted. */
static bool read_samples(struct database *database, const struct letter_scope *scope,
                         const struct rows *groups, struct rows **ret_rows, struct fault *ret_fault)
{
    static const char *const types[] = {"int4[]",        "int8[]", "int8[]", "timestamptz[]",
                                        "timestamptz[]", "int8[]", "int8[]"};
    struct letter_query query;
    letter_query_begin(&query, scope,
                       "SELECT " SQL_LIST ", g.letters, g.first, g.last, g.total, g.groups FROM unnest(");
    for (unsigned i = 0; i < ARRAY_COUNT(types); i++) {
        letter_query_add_value(&query, i > 0 ? ", " : "", rows_text(groups, 0, i), "::");
        letter_query_add(&query, types[i]);
    }
    letter_query_add(&query, ") AS g (partition, message_offset, letters, first, last, total, groups) "
                             "JOIN winnow.dead_letter_work AS w ON w.stream_id = " SQL_STREAM
                             " AND w.partition = g.partition AND w.message_offset = g.message_offset "
                             "ORDER BY g.letters DESC, w.reason, w.client_id");
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

/* In two statements: what makes a value readable cannot run beside other processes of PostgreSQL, and so
 * would keep them from counting. */
bool letters_by_group(struct database *database, const struct letter_scope *scope,
                      const struct letter_filter *filter, size_t limit, struct rows **ret_rows,
                      struct fault *ret_fault)
{
    struct rows *groups = NULL;
    bool done = count_groups(database, scope, filter, limit, &groups, ret_fault) &&
                read_samples(database, scope, groups, ret_rows, ret_fault);
    rows_free(groups);
    return done;
}

bool letters_read(struct database *database, const struct letter_scope *scope,
                  const struct letter_filter *filter, const struct letter_place *after, size_t limit,
                  struct rows **ret_rows, struct fault *ret_fault)
{
    char time[INSTANT_TEXT_SIZE];
    struct letter_query query;
    letter_query_begin(&query, scope,
                       "SELECT " SQL_LIST
                       " FROM winnow.dead_letter_work AS w WHERE w.stream_id = " SQL_STREAM);
    letter_query_add_filter(&query, filter);
    if (after != NULL) {
        (void)instant_print(after->failed_at_us, time);
        letter_query_add_value(&query, " AND (w.failed_at, w.partition, w.message_offset) < (", time,
                               "::timestamptz, ");
        letter_query_add_number(&query, "", after->partition, "::int4, ");
        letter_query_add_number(&query, "", after->offset, "::int8)");
    }
    letter_query_add(&query, " ORDER BY w.failed_at DESC, w.partition DESC, w.message_offset DESC");
    letter_query_add_number(&query, " LIMIT ", (int64_t)limit, "::int8");
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

bool letter_read(struct database *database, const struct letter_scope *scope, int64_t partition,
                 int64_t offset, struct rows **ret_rows, struct fault *ret_fault)
{
    struct letter_query query;
    letter_query_begin(
        &query, scope,
        "SELECT " SQL_LIST
        ", w.event_hash, w.key, w.value, translate(encode(w.value, 'base64'), E'\\n', ''), "
        "w.headers, o.topic, w.stored_partition, w.stored_offset, w.published_at "
        "FROM winnow.dead_letter_work AS w LEFT JOIN winnow.stream AS o ON o.stream_id = w.stored_stream_id "
        "WHERE w.stream_id = " SQL_STREAM);
    letter_query_add_number(&query, " AND w.partition = ", partition, "::int4");
    letter_query_add_number(&query, " AND w.message_offset = ", offset, "::int8");
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

#define SQL_ACTIONS \
    "SELECT a.action_id, a.partition, a.message_offset, a.action, a.acted_at, a.actor, a.note, " \
    "CASE WHEN a.sent_offset IS NOT NULL THEN $1 END, a.sent_partition, a.sent_offset, " \
    "CASE WHEN a.sent_offset IS NOT NULL THEN (SELECT m.state FROM analytics.message_state($1, " \
    "  a.sent_partition, a.sent_offset, a.event_hash, a.bucket, $2) AS m) END " \
    "FROM (SELECT * FROM winnow.dead_letter_action AS a WHERE a.stream_id = " SQL_STREAM

bool letter_actions_read(struct database *database, const struct letter_scope *scope, int64_t before_id,
                         size_t limit, struct rows **ret_rows, struct fault *ret_fault)
{
    struct letter_query query;
    letter_query_begin(&query, scope, SQL_ACTIONS);
    if (before_id > 0) letter_query_add_number(&query, " AND a.action_id < ", before_id, "::int8");
    letter_query_add_number(&query, " ORDER BY a.action_id DESC LIMIT ", (int64_t)limit,
                            "::int8) AS a ORDER BY a.action_id DESC");
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

bool letter_history_read(struct database *database, const struct letter_scope *scope, int64_t partition,
                         int64_t offset, struct rows **ret_rows, struct fault *ret_fault)
{
    struct letter_query query;
    letter_query_begin(&query, scope, SQL_ACTIONS);
    letter_query_add_number(&query, " AND a.partition = ", partition, "::int4");
    letter_query_add_number(&query, " AND a.message_offset = ", offset, "::int8) AS a ORDER BY a.action_id");
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

/* ---- doing -----------------------------------------------------------------------------------------------
 */

#define SQL_INSERT \
    "INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor, note) "

/* Adds "SELECT the letter, the deed" for the INSERT, from letters that are named l. */
static void add_deed(struct letter_query *query, const struct letter_deed *deed)
{
    letter_query_add_value(query, "SELECT l.stream_id, l.partition, l.message_offset, ", deed->action,
                           "::text, ");
    letter_query_add_value(query, "", deed->actor, "::text, ");
    letter_query_add_value(query, "", deed->note, "::text FROM letter AS l");
}

bool letter_do(struct database *database, const struct letter_scope *scope, int64_t partition, int64_t offset,
               const struct letter_deed *deed, struct rows **ret_rows, struct fault *ret_fault)
{
    struct letter_query query;
    const bool undoes = strcmp(deed->action, "undo") == 0;
    letter_query_begin(&query, scope,
                       "WITH letter AS MATERIALIZED (SELECT w.stream_id, w.partition, w.message_offset, "
                       "CASE WHEN w.state IN ('open', 'retried') AND " SQL_IN_DOUBT(
                           "w") " THEN 'in doubt' ELSE w.state END AS state "
                                "FROM winnow.dead_letter_work AS w WHERE w.stream_id = " SQL_STREAM);
    letter_query_add_number(&query, " AND w.partition = ", partition, "::int4");
    letter_query_add_number(&query, " AND w.message_offset = ", offset, "::int8), made AS (" SQL_INSERT);
    add_deed(&query, deed);
    letter_query_add(&query,
                     undoes ? " WHERE l.state = 'discarded'" : " WHERE l.state IN ('open', 'retried')");
    letter_query_add(&query,
                     " RETURNING *) SELECT l.state, m.action_id, m.acted_at, m.action, m.actor, m.note "
                     "FROM letter AS l LEFT JOIN made AS m ON true");
    return letter_query_run_alone(database, &query, ret_rows, ret_fault);
}

/* The oldest open letters of a group, but for those that a run that ended in the middle may have sent: the
 * next run looks for them in the topic. */
static void begin_group(struct letter_query *query, const struct letter_scope *scope,
                        const struct letter_filter *filter, size_t limit, const char *columns)
{
    const struct letter_filter open = {.reason = filter->reason, .client = filter->client, .state = "open"};
    letter_query_begin(query, scope,
                       "WITH letter AS MATERIALIZED (SELECT w.stream_id, w.partition, w.message_offset");
    letter_query_add(query, columns);
    letter_query_add(query, " FROM winnow.dead_letter_work AS w WHERE w.stream_id = " SQL_STREAM);
    letter_query_add_filter(query, &open);
    letter_query_add(query, " AND NOT " SQL_IN_DOUBT("w"));
    letter_query_add_number(query, " ORDER BY w.failed_at, w.partition, w.message_offset LIMIT ",
                            (int64_t)limit, "::int8)");
}

static int64_t read_count(struct rows *rows)
{
    int64_t count = rows_int(rows, 0, 0);
    rows_free(rows);
    return count;
}

bool letters_discard(struct database *database, const struct letter_scope *scope,
                     const struct letter_filter *filter, size_t limit, const struct letter_deed *deed,
                     struct letter_range *ret_range, struct fault *ret_fault)
{
    struct letter_query query;
    struct rows *rows = NULL;
    begin_group(&query, scope, filter, limit, "");
    letter_query_add(&query, ", made AS (" SQL_INSERT);
    add_deed(&query, deed);
    letter_query_add(&query,
                     " RETURNING action_id) SELECT count(*), min(action_id), max(action_id) FROM made");
    if (!letter_query_run_alone(database, &query, &rows, ret_fault)) return false;
    *ret_range = (struct letter_range){rows_int(rows, 0, 0), rows_int(rows, 0, 1), rows_int(rows, 0, 2)};
    rows_free(rows);
    return true;
}

bool letters_undo(struct database *database, const struct letter_scope *scope,
                  const struct letter_filter *filter, const struct letter_range *range, size_t limit,
                  const struct letter_deed *deed, int64_t *ret_count, struct fault *ret_fault)
{
    const struct letter_filter discarded = {
        .reason = filter->reason, .client = filter->client, .state = "discarded"};
    struct letter_query query;
    struct rows *rows = NULL;
    letter_query_begin(
        &query, scope,
        "WITH deed AS MATERIALIZED (SELECT a.action_id, a.partition, a.message_offset "
        "FROM winnow.dead_letter_action AS a WHERE a.action = 'discard' AND a.stream_id = " SQL_STREAM);
    letter_query_add_number(&query, " AND a.action_id >= ", range->first_id, "::int8");
    letter_query_add_number(&query, " AND a.action_id <= ", range->last_id, "::int8");
    letter_query_add(&query,
                     "), letter AS MATERIALIZED (SELECT w.stream_id, w.partition, w.message_offset "
                     "FROM deed AS a CROSS JOIN LATERAL (SELECT v.* FROM winnow.dead_letter_work AS v "
                     "WHERE v.stream_id = " SQL_STREAM " AND v.partition = a.partition "
                     "AND v.message_offset = a.message_offset OFFSET 0) AS w "
                     "WHERE w.last_action_id = a.action_id");
    letter_query_add_filter(&query, &discarded);
    letter_query_add_number(&query, " ORDER BY a.action_id LIMIT ", (int64_t)limit,
                            "::int8), made AS (" SQL_INSERT);
    add_deed(&query, deed);
    letter_query_add(&query, " RETURNING 1) SELECT count(*) FROM made");
    if (!letter_query_run_alone(database, &query, &rows, ret_fault)) return false;
    *ret_count = read_count(rows);
    return true;
}

#define SQL_MESSAGE "d.key, d.value, d.headers, " SQL_SENT_TIME("d")

bool letter_message_read(struct database *database, const struct letter_scope *scope, int64_t partition,
                         int64_t offset, struct rows **ret_rows, struct fault *ret_fault)
{
    struct letter_query query;
    letter_query_begin(&query, scope,
                       "SELECT " SQL_MESSAGE " FROM winnow.dead_letter AS d WHERE d.stream_id = " SQL_STREAM);
    letter_query_add_number(&query, " AND d.partition = ", partition, "::int4");
    letter_query_add_number(&query, " AND d.message_offset = ", offset, "::int8");
    return letter_query_run(database, &query, ret_rows, ret_fault);
}

#define SQL_TAKEN_COLUMNS \
    ", w.failed_at, sum(" SQL_BYTES( \
        "w") ") OVER (ORDER BY w.failed_at, w.partition, w.message_offset) " \
             "AS bytes, row_number() OVER (ORDER BY w.failed_at, w.partition, w.message_offset) AS number"

/* Values are fetched from the table itself, for the letters that are taken alone. */
bool letters_take(struct database *database, const struct letter_scope *scope,
                  const struct letter_filter *filter, size_t limit, const struct letter_deed *deed,
                  struct rows **ret_rows, struct fault *ret_fault)
{
    struct letter_query query;
    begin_group(&query, scope, filter, limit, SQL_TAKEN_COLUMNS);
    letter_query_add(&query, ", made AS (" SQL_INSERT);
    add_deed(&query, deed);
    letter_query_add_number(&query, " WHERE l.number = 1 OR l.bytes <= ", LETTERS_TAKEN_BYTES_MAX, "::int8 ");
    letter_query_add(
        &query, "ORDER BY l.number RETURNING *) "
                "SELECT " SQL_MESSAGE ", m.action_id "
                "FROM made AS m JOIN winnow.dead_letter AS d USING (stream_id, partition, message_offset) "
                "ORDER BY m.action_id");
    return letter_query_run_alone(database, &query, ret_rows, ret_fault);
}

static void add_fate(struct buffer *out, const struct letter_fate *fate)
{
    char bucket[INSTANT_TEXT_SIZE];
    char hash[IDENTITY_TEXT_SIZE];
    json_open(out, '{');
    json_int(out, "action_id", fate->action_id);
    if (fate->sent) {
        json_int(out, "sent_partition", fate->partition);
        json_int(out, "sent_offset", fate->offset);
    } else {
        json_text(out, "error", fate->error);
    }
    if (fate->sent && fate->is_event) {
        (void)instant_print(fate->bucket_us, bucket);
        identity_print(fate->hash, hash);
        json_text(out, "bucket", bucket);
        json_text(out, "event_hash", hash);
    }
    json_close(out, '}');
}

bool letters_report(struct database *database, const struct letter_fate *fates, size_t count,
                    struct fault *ret_fault)
{
    struct buffer out = {0};
    json_open(&out, '[');
    for (size_t i = 0; i < count; i++) add_fate(&out, &fates[i]);
    json_close(&out, ']');
    (void)buffer_add(&out, "", 1);
    const struct sql_parameter parameter = sql_text(out.data);
    const bool done = database_run(database, LETTER_SITE, "SELECT winnow.report_retries($1::jsonb)",
                                   &parameter, 1, NULL, ret_fault);
    buffer_done(&out);
    return done;
}

bool letters_count_open(struct database *database, const struct letter_scope *scope,
                        const struct letter_filter *filter, int64_t *ret_count, struct fault *ret_fault)
{
    const struct letter_filter open = {.reason = filter->reason, .client = filter->client, .state = "open"};
    struct letter_query query;
    struct rows *rows = NULL;
    letter_query_begin(&query, scope,
                       "SELECT count(*) FROM winnow.dead_letter_work AS w WHERE w.stream_id = " SQL_STREAM);
    letter_query_add_filter(&query, &open);
    letter_query_add(&query, " AND NOT " SQL_IN_DOUBT("w"));
    if (!letter_query_run(database, &query, &rows, ret_fault)) return false;
    *ret_count = read_count(rows);
    return true;
}
