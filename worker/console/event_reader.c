#include "console/event_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "instant.h"

#define HOURS_MOST "48" /* that one look into the roll-ups takes in */
#define DAY_US     (INT64_C(86400) * 1000000)
#define GROWTH     4 /* of a window behind one that held nothing, and the most behind any */
/* Where the roll-ups do not know how much a filter lets through: how many events are looked through first, */
#define BLIND_LOOK  20000
#define BLIND_LEAST 50  /* of them the roll-ups must tell, to be believed */
#define BLIND_NAMED 14  /* or, of those of a client or metric, how many times as many as are wanted */
#define SURPLUS     1.4 /* a window is made for so many times as many events as are wanted */
#define FEW_NAMES   4
/* Events of all names: a window is made for so many at least, as the pages of at least three times as many
 * are read for any; from so many on, looking for names by their index takes less time than looking at all. */
#define LOOK_LEAST 10000
#define INDEX_PAYS 50000
#define HELP_PAYS  100000 /* a second process of the server shares a look at so many */
#define CONDITIONS 16

#define SQL_WINDOW \
    "SELECT (extract(epoch FROM newest) * 1000000)::int8, (extract(epoch FROM begins) * 1000000)::int8, " \
    "(extract(epoch FROM ends) * 1000000)::int8, matches, last_matches, last_total, is_all " \
    "FROM winnow.find_window($1::timestamptz, $2::timestamptz, $3, $4, $5::int8, " HOURS_MOST ")"

/* The planner takes what the index of names leads to for next to nothing, and would do it alone. */
#define SQL_HELPED \
    "SELECT pg_catalog.set_config('max_parallel_workers_per_gather', '1', false), " \
    "pg_catalog.set_config('min_parallel_table_scan_size', '0', false), " \
    "pg_catalog.set_config('parallel_setup_cost', '0', false), " \
    "pg_catalog.set_config('parallel_tuple_cost', '0', false), " \
    "pg_catalog.set_config('cpu_tuple_cost', '1', false)"
#define SQL_ALONE \
    "SELECT pg_catalog.set_config('max_parallel_workers_per_gather', '0', false), " \
    "pg_catalog.set_config('cpu_tuple_cost', '0.01', false)"

#define SQL_NAMES \
    "SELECT c.names, m.names, coalesce(cardinality(c.names), 0), coalesce(cardinality(m.names), 0), " \
    "c.names[1], m.names[1] FROM (SELECT array_agg(DISTINCT client_id) AS names FROM winnow.rollup_client " \
    "  WHERE strpos(lower(client_id), lower($1)) > 0) AS c, " \
    "(SELECT array_agg(DISTINCT metric) AS names FROM winnow.rollup_metric " \
    "  WHERE strpos(lower(metric), lower($1)) > 0) AS m"

#define SQL_COLUMNS \
    "e.event_hash, e.client_id, e.metric, e.amount, e.event_time, e.ingested_at, s.topic, " \
    "e.origin_partition, e.origin_offset, (extract(epoch FROM e.event_time) * 1000000)::int8"

/* Every event's bucket is the day of its time (rule H-2), and every hour with events has a roll-up. */
#define SQL_BY_HASH \
    "WITH RECURSIVE day (bucket) AS (" \
    "  SELECT date_trunc('day', max(r.bucket)) FROM winnow.rollup_hour AS r " \
    "  UNION ALL SELECT (SELECT date_trunc('day', max(r.bucket)) FROM winnow.rollup_hour AS r " \
    "    WHERE r.bucket < day.bucket) FROM day WHERE day.bucket IS NOT NULL) " \
    "SELECT " SQL_COLUMNS " FROM day JOIN winnow.event AS e ON e.bucket = day.bucket " \
    "JOIN winnow.stream AS s USING (stream_id) WHERE e.event_hash = "

/* As the index has it: both together are rarer than each. */
#define SQL_PAIR(client, metric) "hashtextextended(" client ", hashtextextended(" metric ", 0))"

/* A statement that grows with its conditions. */
struct query {
    struct buffer sql;
    struct sql_parameter parameters[CONDITIONS];
    size_t count;
    char times[5][INSTANT_TEXT_SIZE];
};

static void add(struct query *query, const char *text)
{
    (void)buffer_add(&query->sql, text, strlen(text));
}

/* Adds "$7::type": the parameter travels as text. */
static void add_value(struct query *query, const char *text, const char *type)
{
    char number[40];
    query->parameters[query->count++] = sql_text(text);
    (void)snprintf(number, sizeof number, "$%zu::%s", query->count, type);
    add(query, number);
}

/* Of that type from the beginning: times and arrays in a text would be converted anew for each row. */
static void add_typed(struct query *query, const char *left, const char *text, uint32_t type)
{
    char number[24];
    add(query, left);
    query->parameters[query->count++] = (struct sql_parameter){.type = type, .data = text};
    (void)snprintf(number, sizeof number, "$%zu", query->count);
    add(query, number);
}

static void add_time(struct query *query, const char *left, const char *text)
{
    add_typed(query, left, text, SQL_TIMESTAMPTZ);
}

/* Nothing without a value. */
static void add_condition(struct query *query, const char *left, const char *value, const char *type)
{
    if (value == NULL) return;
    add(query, " AND ");
    add(query, left);
    add_value(query, value, type);
}

static const char *print_time(int64_t instant_us, char text[INSTANT_TEXT_SIZE])
{
    if (instant_us > INSTANT_MAX) return "2200-01-01T00:00:00Z";
    (void)instant_print(instant_us, text);
    return text;
}

static bool run(struct event_reader *reader, struct query *query, struct rows **ret_rows)
{
    (void)buffer_add(&query->sql, "", 1);
    bool done =
        call_run(reader->call, SESSION_READ, query->sql.data, query->parameters, query->count, ret_rows);
    buffer_done(&query->sql);
    return done;
}

void event_reader_init(struct event_reader *reader, struct call *call, const struct event_filter *filter)
{
    *reader = (struct event_reader){.call = call, .filter = filter, .upper_us = filter->to_us};
}

void event_reader_done(struct event_reader *reader)
{
    free(reader->clients);
    free(reader->metrics);
    free(reader->only_client);
    free(reader->only_metric);
}

/* ---- cursors: the time in µs and the hash without hyphens -----------------------------------------------
 */

void event_reader_tell(const struct rows *rows, size_t row, char ret_cursor[EVENT_CURSOR_SIZE])
{
    size_t size =
        (size_t)snprintf(ret_cursor, EVENT_CURSOR_SIZE, "%" PRId64 "_", rows_int(rows, row, EVENT_TIME_US));
    for (const char *at = rows_text(rows, row, EVENT_HASH); *at != '\0' && size + 1 < EVENT_CURSOR_SIZE;
         at++) {
        if (*at != '-') ret_cursor[size++] = *at;
    }
    ret_cursor[size] = '\0';
}

bool event_reader_seek(struct event_reader *reader, const char *cursor)
{
    char *end;
    if (*cursor < '0' || *cursor > '9') return false;
    long long time_us = strtoll(cursor, &end, 10);
    if (time_us > INSTANT_MAX || *end != '_') return false;
    const char *hash = end + 1;
    if (strlen(hash) != 32 || strspn(hash, "0123456789abcdef") != 32) return false;
    (void)snprintf(reader->key_hash, sizeof reader->key_hash, "%s", hash); /* PostgreSQL reads it so, too */
    if (time_us < reader->upper_us) {
        reader->upper_us = time_us + 1;
        reader->has_key = true;
    }
    return true;
}

/* ---- the filter ------------------------------------------------------------------------------------------
 */

static char *copy_cell(const struct rows *rows, unsigned column)
{
    if (rows_is_null(rows, 0, column)) return NULL;
    char *copy = strdup(rows_text(rows, 0, column));
    if (copy == NULL) abort();
    return copy;
}

/* The names that hold the text. The roll-ups know all there are. */
static bool read_names(struct event_reader *reader)
{
    struct rows *rows = NULL;
    const struct sql_parameter text = sql_text(reader->filter->text);
    if (reader->filter->text == NULL || reader->names_read) return true;
    if (!call_run(reader->call, SESSION_READ, SQL_NAMES, &text, 1, &rows)) return false;
    const int64_t client_count = rows_int(rows, 0, 2);
    const int64_t metric_count = rows_int(rows, 0, 3);
    reader->clients = copy_cell(rows, 0);
    reader->metrics = copy_cell(rows, 1);
    if (client_count == 1 && metric_count == 0) reader->only_client = copy_cell(rows, 4);
    if (client_count == 0 && metric_count == 1) reader->only_metric = copy_cell(rows, 5);
    reader->few_names = client_count + metric_count <= FEW_NAMES;
    reader->ended = client_count + metric_count == 0;
    reader->names_read = true;
    rows_free(rows);
    return true;
}

/* "IS TRUE" keeps the planner from looking by the index. */
static void add_name(struct query *query, const char *left, const char *value, bool by_index)
{
    if (value == NULL) return;
    add_typed(query, left, value, SQL_TEXT);
    add(query, by_index ? ")" : ") IS TRUE");
}

static void add_text_condition(struct query *query, const struct event_reader *reader, bool by_index)
{
    if (reader->filter->text == NULL) return;
    add(query, " AND (false");
    if (reader->clients != NULL) {
        add_typed(query, " OR e.client_id = ANY (", reader->clients, SQL_TEXT_ARRAY);
        add(query, ")");
    }
    if (reader->metrics != NULL) {
        add_typed(query, " OR e.metric = ANY (", reader->metrics, SQL_TEXT_ARRAY);
        add(query, ")");
    }
    add(query, by_index && reader->few_names ? ")" : ") IS TRUE");
}

static void add_filter(struct query *query, const struct event_reader *reader, bool by_index)
{
    const struct event_filter *filter = reader->filter;
    add_name(query, " AND (e.client_id = ", filter->client, by_index);
    add_name(query, " AND (e.metric = ", filter->metric, by_index);
    add_text_condition(query, reader, by_index);
    add_condition(query, "e.amount >= ", filter->amount_min, "numeric");
    add_condition(query, "e.amount <= ", filter->amount_max, "numeric");
    if (filter->client == NULL || filter->metric == NULL || !by_index) return;
    add(query, " AND " SQL_PAIR("e.client_id", "e.metric") " = hashtextextended(");
    add_value(query, filter->client, "text");
    add(query, ", hashtextextended(");
    add_value(query, filter->metric, "text");
    add(query, ", 0))");
}

/* ---- one event, by its hash ------------------------------------------------------------------------------
 */

static bool read_by_hash(struct event_reader *reader, struct rows **ret_rows)
{
    struct query query = {0};
    add(&query, SQL_BY_HASH);
    add_value(&query, reader->filter->hash, "uuid");
    add_filter(&query, reader, false);
    add_time(&query, " AND e.event_time >= ", print_time(reader->filter->from_us, query.times[0]));
    add_time(&query, " AND e.event_time < ", print_time(reader->upper_us, query.times[1]));
    reader->ended = true;
    return run(reader, &query, ret_rows);
}

/* ---- windows ---------------------------------------------------------------------------------------------
 */

/* What the roll-ups say: none at or after newest_us; `matches` events from begins_us on, `last_matches` of
 * them in its hour, among last_total of all names, of which nothing is known but that it ends at ends_us. */
struct window {
    int64_t newest_us;
    int64_t begins_us;
    int64_t ends_us;
    int64_t matches;
    int64_t last_matches;
    int64_t last_total;
    bool is_all;
};

static bool look_into_rollups(struct event_reader *reader, size_t wanted, struct window *ret_window)
{
    struct rows *rows = NULL;
    char upper[INSTANT_TEXT_SIZE];
    char lower[INSTANT_TEXT_SIZE];
    char count[24];
    (void)snprintf(count, sizeof count, "%zu", wanted);
    const struct sql_parameter parameters[] = {
        sql_text(print_time(reader->upper_us, upper)),
        sql_text(print_time(reader->filter->from_us, lower)),
        sql_text(reader->filter->client != NULL ? reader->filter->client : reader->only_client),
        sql_text(reader->filter->metric != NULL ? reader->filter->metric : reader->only_metric),
        sql_text(count),
    };
    if (!call_run(reader->call, SESSION_READ, SQL_WINDOW, parameters, ARRAY_COUNT(parameters), &rows))
        return false;
    *ret_window = (struct window){.newest_us = rows_int(rows, 0, 0),
                                  .begins_us = rows_int(rows, 0, 1),
                                  .ends_us = rows_int(rows, 0, 2),
                                  .matches = rows_int(rows, 0, 3),
                                  .last_matches = rows_int(rows, 0, 4),
                                  .last_total = rows_int(rows, 0, 5),
                                  .is_all = rows_text(rows, 0, 6)[0] == 't'};
    rows_free(rows);
    return true;
}

/* Where in its last hour the window may begin, if events are spread evenly over that. */
static int64_t shrink(const struct window *window, size_t wanted)
{
    int64_t needed =
        (int64_t)(SURPLUS * (double)((int64_t)wanted - (window->matches - window->last_matches)));
    if (window->last_matches <= needed) return window->begins_us;
    int64_t length_us = window->ends_us - window->begins_us;
    return window->ends_us - (int64_t)((double)length_us * (double)needed / (double)window->last_matches) - 1;
}

/* Whether the filter lets fewer events through than the roll-ups tell. */
static bool is_blind(const struct event_reader *reader)
{
    const struct event_filter *filter = reader->filter;
    bool names_known = filter->text == NULL || reader->only_client != NULL || reader->only_metric != NULL;
    return filter->amount_min != NULL || filter->amount_max != NULL || !names_known;
}

/* Where a window for so many events begins, if they are as dense as in the hours that were looked at. */
static int64_t stretch(const struct window *window, int64_t events)
{
    double length_us = (double)(window->newest_us - window->begins_us);
    double width_us = length_us * (double)events / (double)window->matches;
    return (double)window->newest_us > width_us ? window->newest_us - (int64_t)width_us - 1 : 0;
}

/* How wide the next window has to be, if events are as dense there as in the last one, which held too few. */
static int64_t widen(const struct event_reader *reader, size_t wanted)
{
    double growth = GROWTH;
    if (reader->found > 0) growth = SURPLUS * (double)wanted / (double)reader->found;
    if (growth > GROWTH) growth = GROWTH;
    return (int64_t)(growth * (double)reader->width_us) + 1;
}

/* The first window, and each one of which the roll-ups know how much it holds. */
static bool choose_by_rollups(struct event_reader *reader, size_t wanted, int64_t *ret_lower_us)
{
    struct window window;
    const bool blind = is_blind(reader);
    const bool named = reader->filter->client != NULL || reader->filter->metric != NULL;
    if (!look_into_rollups(reader, blind ? BLIND_LEAST : wanted, &window)) return false;
    reader->ended = window.is_all && window.matches == 0;
    if (reader->ended) return true;
    if (window.ends_us > window.begins_us)
        reader->density = (double)window.last_total / (double)(window.ends_us - window.begins_us);
    reader->rarity = (double)window.last_total / (double)(window.last_matches > 0 ? window.last_matches : 1);
    if (window.newest_us < reader->upper_us) {
        reader->upper_us = window.newest_us;
        reader->has_key = false;
    }
    if (window.is_all)
        *ret_lower_us = reader->filter->from_us;
    else if (blind && window.matches > 0)
        *ret_lower_us = stretch(&window, named ? BLIND_NAMED * (int64_t)wanted : BLIND_LOOK);
    else
        *ret_lower_us = shrink(&window, wanted);
    const int64_t wider_us = reader->upper_us - widen(reader, wanted);
    const bool enough = window.matches >= (int64_t)wanted && wider_us < window.begins_us;
    if (reader->width_us > 0 && wider_us < *ret_lower_us)
        *ret_lower_us = enough ? window.begins_us : wider_us;
    return true;
}

/* Where the next window begins, inclusive. */
static bool choose_window(struct event_reader *reader, size_t wanted, int64_t *ret_lower_us)
{
    if (reader->width_us > 0 && is_blind(reader))
        *ret_lower_us = reader->upper_us - widen(reader, wanted);
    else if (!choose_by_rollups(reader, wanted, ret_lower_us))
        return false;
    const double width_us = reader->density > 0 ? LOOK_LEAST / reader->density : 1;
    const int64_t least_us = reader->upper_us - (int64_t)(width_us < DAY_US ? width_us : DAY_US) - 1;
    if (*ret_lower_us > least_us) *ret_lower_us = least_us;
    if (*ret_lower_us < reader->filter->from_us) *ret_lower_us = reader->filter->from_us;
    return true;
}

/* The start of the month, or of the next one, that holds the instant. */
static const char *print_month(int64_t instant_us, int ahead, char text[INSTANT_TEXT_SIZE])
{
    const time_t seconds = (time_t)(instant_us / 1000000);
    struct tm date;
    if (instant_us > INSTANT_MAX || gmtime_r(&seconds, &date) == NULL)
        return print_time(EVENT_TIME_END, text);
    const int months = (date.tm_year + 1900) * 12 + date.tm_mon + ahead;
    (void)snprintf(text, INSTANT_TEXT_SIZE, "%04d-%02d-01T00:00:00Z", months / 12, months % 12 + 1);
    return text;
}

/* The bucket is at most a day before the time. Telling so, by whole months, leaves the partitions of other
 * months alone; told more exactly, it would lead the planner to the much larger index by bucket. */
static void add_window(struct query *query, const struct event_reader *reader, int64_t lower_us)
{
    const int64_t day_before_us = lower_us > DAY_US ? lower_us - DAY_US : 0;
    add_time(query, " AND e.event_time >= ", print_time(lower_us, query->times[0]));
    add_time(query, " AND e.event_time < ", print_time(reader->upper_us, query->times[1]));
    add_time(query, " AND e.bucket >= ", print_month(day_before_us, 0, query->times[2]));
    add_time(query, " AND e.bucket < ", print_month(reader->upper_us, 1, query->times[3]));
    if (!reader->has_key) return;
    add_time(query, " AND (e.event_time, e.event_hash) < (",
             print_time(reader->upper_us - 1, query->times[4]));
    add(query, ", ");
    add_value(query, reader->key_hash, "uuid");
    add(query, ")");
}

/* How many events of all names the window holds: by its width, or by how rare those are that are wanted. The
 * first is too few where the hour of which the density is known begins or ends with nothing. */
static double expected_look(const struct event_reader *reader, int64_t lower_us, size_t wanted)
{
    const double by_width = reader->density * (double)(reader->upper_us - lower_us);
    const double by_rarity = reader->rarity * SURPLUS * (double)wanted;
    return by_width > by_rarity ? by_width : by_rarity;
}

/* By two processes of the server, or by one where it has no other to spare. The session serves others after a
 * failure, too. */
static bool run_helped(struct event_reader *reader, struct query *query, struct rows **ret_rows)
{
    if (!call_run(reader->call, SESSION_READ, SQL_HELPED, NULL, 0, NULL)) {
        buffer_done(&query->sql);
        return false;
    }
    const bool done = run(reader, query, ret_rows);
    const bool alone = call_run(reader->call, SESSION_READ, SQL_ALONE, NULL, 0, NULL);
    if (done && !alone) rows_free(*ret_rows);
    return done && alone;
}

static bool read_window(struct event_reader *reader, int64_t lower_us, size_t wanted, struct rows **ret_rows)
{
    static const char order[] = " ORDER BY e.event_time DESC, e.event_hash DESC";
    const double look = expected_look(reader, lower_us, wanted);
    struct query query = {0};
    char limit[40];
    (void)snprintf(limit, sizeof limit, " LIMIT %zu", wanted);
    add(&query, "SELECT " SQL_COLUMNS " FROM (SELECT * FROM winnow.event AS e WHERE true");
    add_filter(&query, reader, look > INDEX_PAYS);
    add_window(&query, reader, lower_us);
    add(&query, order);
    add(&query, limit);
    add(&query, ") AS e JOIN winnow.stream AS s USING (stream_id)");
    add(&query, order);
    return (look > HELP_PAYS ? run_helped : run)(reader, &query, ret_rows);
}

/* A full portion ends at its last row, one that is not full with its window. */
static void move_on(struct event_reader *reader, const struct rows *rows, size_t wanted, int64_t lower_us)
{
    size_t count = rows_count(rows);
    if (count == wanted) {
        reader->upper_us = rows_int(rows, count - 1, EVENT_TIME_US) + 1;
        reader->has_key = true;
        (void)snprintf(reader->key_hash, sizeof reader->key_hash, "%s",
                       rows_text(rows, count - 1, EVENT_HASH));
        reader->width_us = 0;
    } else {
        reader->width_us = reader->upper_us - lower_us;
        reader->found = count;
        reader->upper_us = lower_us;
        reader->has_key = false;
        reader->ended = lower_us <= reader->filter->from_us;
    }
}

bool event_reader_next(struct event_reader *reader, size_t wanted, struct rows **ret_rows)
{
    int64_t lower_us = 0;
    *ret_rows = NULL;
    if (reader->ended || reader->upper_us <= reader->filter->from_us) {
        reader->ended = true;
        return true;
    }
    if (!read_names(reader)) return false;
    if (reader->ended) return true;
    if (reader->filter->hash != NULL) return read_by_hash(reader, ret_rows);
    if (!choose_window(reader, wanted, &lower_us)) return false;
    if (reader->ended) return true;
    if (!read_window(reader, lower_us, wanted, ret_rows)) return false;
    move_on(reader, *ret_rows, wanted, lower_us);
    return true;
}
