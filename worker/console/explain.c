/* POST /api/v1/explain: what a worker would make of a message, and whether the event is stored already.
 * Nothing is sent. */
#include "explain_rule.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "console/call_state.h"
#include "console/routes.h"
#include "console/work.h"
#include "identity.h"
#include "instant.h"
#include "json.h"
#include "normalize.h"

struct explanation {
    struct normalizer *normalizer;
    bool accepted;
    struct event event;
    struct reject reject;
    char amount[DECIMAL_TEXT_SIZE];
    char when[INSTANT_TEXT_SIZE];
    char bucket[INSTANT_TEXT_SIZE];
    char hash[IDENTITY_TEXT_SIZE];
};

/* The event as it is stored. */
static const char find_sql[] =
    "SELECT s.topic, e.origin_partition, e.origin_offset FROM winnow.event AS e JOIN winnow.stream AS s "
    "USING (stream_id) WHERE e.bucket OPERATOR(pg_catalog.=) $1 AND e.event_hash OPERATOR(pg_catalog.=) $2";

static void add_rule(struct buffer *out, const char *rule, const char *what, struct slice text,
                     const char *quote)
{
    char shown[400];
    char says[500];
    (void)reject_escape(text, shown, sizeof shown);
    (void)snprintf(says, sizeof says, "%s%s%s%s", what, quote, shown, quote);
    json_open(out, '{');
    json_text(out, "rule", rule);
    json_text(out, "says", says);
    json_close(out, '}');
}

static void add_absent(struct buffer *out, enum field field)
{
    if (field == FIELD_AMOUNT)
        add_rule(out, "A-1", "absent: ", slice_of_text("0 is taken"), "");
    else
        add_rule(out, "D-1",
                 "absent: ", slice_of_text("the message's own timestamp is taken, here the present"), "");
}

static void add_rules(struct buffer *out, const struct explanation *explanation, enum field field,
                      const struct finding *finding, struct slice value)
{
    json_name(out, "rules");
    json_open(out, '[');
    if (finding->place == PLACE_NONE) {
        add_absent(out, field);
    } else {
        add_rule(out, "F-3", "place: ", slice_of_text(place_name(finding->place)), "");
        add_rule(out, "F-2", "name: ", finding->key, "\"");
        if (explanation->accepted)
            add_rule(out, explain_value_rule(field, finding, explanation->event.time_us),
                     "as written: ", finding->value, "");
        if (explanation->accepted && field == FIELD_AMOUNT) add_rule(out, "A-4", "canonical: ", value, "");
    }
    json_close(out, ']');
}

/* What is not UTF-8 in a message that is rejected for it has no place in JSON: it is shown escaped. */
static void add_written(struct buffer *out, const char *name, struct slice text)
{
    char shown[REJECT_DETAIL_SIZE];
    (void)reject_escape(text, shown, sizeof shown);
    json_text(out, name, shown);
}

static struct slice value_of(const struct explanation *explanation, enum field field)
{
    if (!explanation->accepted) return slice_of(NULL, 0);
    switch (field) {
    case FIELD_CLIENT_ID:
        return explanation->event.client_id;
    case FIELD_METRIC:
        return explanation->event.metric;
    case FIELD_AMOUNT:
        return slice_of_text(explanation->amount);
    default:
        return slice_of_text(explanation->when);
    }
}

static void add_field(struct buffer *out, const struct explanation *explanation, enum field field)
{
    const struct finding *finding = normalizer_finding(explanation->normalizer, field);
    struct slice value = value_of(explanation, field);
    if (finding->place == PLACE_NONE && !explanation->accepted) return;
    json_open(out, '{');
    json_text(out, "field", field_name(field));
    json_slice(out, "value", value);
    json_text(out, "place", finding->place == PLACE_NONE ? "absent" : place_name(finding->place));
    if (finding->place == PLACE_NONE) {
        json_null(out, "name");
        json_null(out, "as_written");
    } else {
        add_written(out, "name", finding->key);
        add_written(out, "as_written", finding->value);
    }
    add_rules(out, explanation, field, finding, value);
    json_close(out, '}');
}

static void add_event(struct buffer *out, const struct explanation *explanation)
{
    if (!explanation->accepted) {
        json_null(out, "event");
        return;
    }
    json_name(out, "event");
    json_open(out, '{');
    json_slice(out, "client_id", explanation->event.client_id);
    json_slice(out, "metric", explanation->event.metric);
    json_text(out, "amount", explanation->amount);
    json_text(out, "timestamp", explanation->when);
    json_text(out, "event_hash", explanation->hash);
    json_close(out, '}');
}

static void add_origin(struct buffer *out, const struct rows *rows)
{
    json_bool(out, "duplicate", rows_count(rows) > 0);
    if (rows_count(rows) == 0) {
        json_null(out, "duplicate_of");
        return;
    }
    json_name(out, "duplicate_of");
    json_open(out, '{');
    json_text(out, "topic", rows_text(rows, 0, 0));
    json_int(out, "partition", rows_int(rows, 0, 1));
    json_int(out, "offset", rows_int(rows, 0, 2));
    json_close(out, '}');
}

/* That the database is away takes nothing from the rest of the explanation. */
static void add_duplicate(struct call *call, struct buffer *out, const struct explanation *explanation)
{
    struct fault fault;
    struct rows *rows = NULL;
    const struct sql_parameter parameters[] = {
        {.type = SQL_TIMESTAMPTZ, .data = explanation->bucket},
        {.type = SQL_UUID, .data = explanation->hash},
    };
    struct database *database =
        explanation->accepted ? work_database(call->thread, SESSION_READ, &fault) : NULL;
    if (database == NULL || !database_run(database, "explain", find_sql, parameters, 2, &rows, &fault)) {
        json_null(out, "duplicate");
        json_null(out, "duplicate_of");
        return;
    }
    add_origin(out, rows);
    rows_free(rows);
}

static void print_texts(struct explanation *explanation)
{
    (void)decimal_print(&explanation->event.amount, explanation->amount);
    (void)instant_print(explanation->event.time_us, explanation->when);
    (void)instant_print(explanation->event.bucket_us, explanation->bucket);
    identity_print(explanation->event.hash, explanation->hash);
}

static void normalize_body(struct call *call, struct explanation *ret)
{
    static const struct client_rules rules;
    struct record record = {.timestamp_ms = clock_wall_ms(), .value = call_body(call)};
    ret->normalizer = normalizer_new((size_t)call_settings(call)->event_bytes_max);
    ret->accepted = normalize(ret->normalizer, &record, &rules, &ret->event, &ret->reject) == STATUS_OK;
    if (ret->accepted) print_texts(ret);
}

void handle_explain(struct call *call)
{
    struct buffer out = {0};
    struct explanation explanation = {0};
    normalize_body(call, &explanation);
    json_open(&out, '{');
    json_bool(&out, "accepted", explanation.accepted);
    add_event(&out, &explanation);
    json_name(&out, "fields");
    json_open(&out, '[');
    for (int field = 0; field < FIELD_COUNT; field++) add_field(&out, &explanation, (enum field)field);
    json_close(&out, ']');
    json_text(&out, "bucket", explanation.accepted ? explanation.bucket : NULL);
    json_text(&out, "reason", explanation.accepted ? NULL : reject_name(explanation.reject.reason));
    json_text(&out, "detail", explanation.accepted ? NULL : explanation.reject.detail);
    add_duplicate(call, &out, &explanation);
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    normalizer_free(explanation.normalizer);
    buffer_done(&out);
}
