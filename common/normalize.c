/* The rules of a message in their order: as a whole (M), then client_id (C), metric (T), amount (A) and
 * timestamp (D). Each check_x() and take_x() returns STATUS_OK, or fills the reject and returns
 * STATUS_REJECT; the first one ends the call. */
#include "normalize.h"

#include <stdio.h>
#include <stdlib.h>

#include "decimal.h"
#include "fields.h"
#include "identity.h"
#include "instant.h"
#include "utf8.h"

#define FRAME_SIZE           5  /* F-8: magic byte and schema id */
#define FOUND_BYTES_AT_FAULT 16 /* shown of a text that is not JSON */

struct normalizer {
    size_t event_bytes_max;
    struct identity *identity;
    struct pick picks[FIELD_COUNT];
    struct fields fields;
    struct slice client; /* of the last message; data NULL: not known */
};

/* What the reject for one field of text says. */
struct text_rule {
    enum field field;
    const char *missing_rule;
    const char *invalid_rule;
    enum reject_reason missing;
    enum reject_reason invalid;
    const char *names;
};

static const struct text_rule client_rule = {
    FIELD_CLIENT_ID,
    "C-1",
    "C-2",
    REJECT_CLIENT_ID_MISSING,
    REJECT_CLIENT_ID_INVALID,
    "client_id, client or source",
};
static const struct text_rule metric_rule = {
    FIELD_METRIC, "T-1", "T-2", REJECT_METRIC_MISSING, REJECT_METRIC_INVALID, "metric, type or metricName",
};

struct normalizer *normalizer_new(size_t event_bytes_max)
{
    struct normalizer *normalizer = calloc(1, sizeof *normalizer);
    if (normalizer == NULL) abort();
    normalizer->event_bytes_max = event_bytes_max;
    normalizer->identity = identity_new();
    fields_init(&normalizer->fields);
    return normalizer;
}

void normalizer_free(struct normalizer *normalizer)
{
    if (normalizer == NULL) return;
    identity_free(normalizer->identity);
    fields_done(&normalizer->fields);
    free(normalizer);
}

struct slice normalizer_client(const struct normalizer *normalizer)
{
    return normalizer->client;
}

const struct finding *normalizer_finding(const struct normalizer *normalizer, enum field field)
{
    return &normalizer->picks[field].finding;
}

const char *field_name(enum field field)
{
    static const char *const names[FIELD_COUNT] = {
        [FIELD_CLIENT_ID] = "client_id",
        [FIELD_METRIC] = "metric",
        [FIELD_AMOUNT] = "amount",
        [FIELD_TIMESTAMP] = "timestamp",
    };
    return names[field];
}

const char *place_name(enum place place)
{
    static const char *const names[] = {
        [PLACE_NONE] = "nowhere",
        [PLACE_TOP] = "top level",
        [PLACE_PAYLOAD] = "payload",
        [PLACE_DATA] = "data",
    };
    return names[place];
}

static enum status refuse(struct reject *reject, enum reject_reason reason, const char *rule,
                          const char *field, struct slice found, const char *expected)
{
    reject_set(reject, reason, rule, field, found, expected);
    return STATUS_REJECT;
}

/* Refuses what a field holds, shown as it is written in the message, the quotes of a string included. */
static enum status refuse_pick(struct reject *reject, enum reject_reason reason, const char *rule,
                               enum field field, const struct pick *pick, const char *expected)
{
    struct slice found = pick->finding.value;
    if (pick->kind == JSONTEXT_STRING) found = slice_of(found.data - 1, found.size + 2);
    return refuse(reject, reason, rule, field_name(field), found, expected);
}

/* --- the message as a whole --- */

static enum status check_size(const struct normalizer *normalizer, struct slice value, struct reject *reject)
{
    if (value.data == NULL || value.size == 0)
        return refuse(reject, REJECT_EMPTY, "M-1", "value",
                      slice_of_text(value.data == NULL ? "a tombstone (NULL)" : "no bytes"), "a JSON object");
    if (value.size <= normalizer->event_bytes_max) return STATUS_OK;
    char found[64];
    char expected[64];
    (void)snprintf(found, sizeof found, "%zu bytes", value.size);
    (void)snprintf(expected, sizeof expected, "at most %zu", normalizer->event_bytes_max);
    return refuse(reject, REJECT_TOO_LARGE, "M-2", "value", slice_of_text(found), expected);
}

/* F-8, and the byte order mark of M-3. */
static enum status skip_framing(struct slice *value, struct reject *reject)
{
    static const char mark[] = {'\xEF', '\xBB', '\xBF'};
    size_t skipped = 0;
    if (value->data[0] == '\0') {
        if (value->size <= FRAME_SIZE || value->data[FRAME_SIZE] != '{')
            return refuse(reject, REJECT_UNSUPPORTED_FRAMING, "F-8", "value", *value,
                          "JSON, alone or behind the five bytes of a schema registry");
        skipped = FRAME_SIZE;
    } else if (value->size >= sizeof mark && memcmp(value->data, mark, sizeof mark) == 0) {
        skipped = sizeof mark;
    }
    *value = slice_of(value->data + skipped, value->size - skipped);
    return STATUS_OK;
}

/* M-3 and M-4. The offset counts from the start of the message, what was skipped included. */
static enum status refuse_text(struct slice whole, struct slice text, enum jsontext_result result,
                               const struct jsontext_report *report, struct reject *reject)
{
    char field[32];
    size_t offset = whole.size - text.size + report->offset;
    struct slice found = slice_of(whole.data + offset, whole.size - offset);
    (void)snprintf(field, sizeof field, "byte %zu", offset);
    if (found.size == 0)
        found = slice_of_text("the end of the message");
    else if (found.size > FOUND_BYTES_AT_FAULT)
        found.size = FOUND_BYTES_AT_FAULT;
    if (result == JSONTEXT_INVALID)
        return refuse(reject, REJECT_INVALID_JSON, "M-3", field, found, report->expected);
    return refuse(reject, REJECT_INVALID_UTF8, "M-4", field, found,
                  "well-formed UTF-8 and surrogate escapes in pairs");
}

static enum status check_nul(const struct normalizer *normalizer, enum field field, struct reject *reject)
{
    const struct pick *pick = &normalizer->picks[field];
    if (pick->finding.place == PLACE_NONE || pick->kind != JSONTEXT_STRING) return STATUS_OK;
    if (memchr(pick->text.data, '\0', pick->text.size) == NULL) return STATUS_OK;
    return refuse_pick(reject, REJECT_NUL_CHARACTER, "M-5", field, pick, "text without U+0000");
}

/* M-6 and M-7. */
static enum status check_shape(const struct jsontext_report *report, struct reject *reject)
{
    static const char *const kinds[] = {
        [JSONTEXT_NULL] = "null",       [JSONTEXT_BOOLEAN] = "a boolean", [JSONTEXT_NUMBER] = "a number",
        [JSONTEXT_STRING] = "a string", [JSONTEXT_ARRAY] = "an array",    [JSONTEXT_OBJECT] = "an object",
    };
    if (report->depth > NORMALIZE_DEPTH_MAX) {
        char found[64];
        (void)snprintf(found, sizeof found, "%zu levels", report->depth);
        return refuse(reject, REJECT_TOO_DEEP, "M-6", "value", slice_of_text(found), "at most 32 levels");
    }
    if (report->kind == JSONTEXT_OBJECT) return STATUS_OK;
    return refuse(reject, REJECT_NOT_AN_OBJECT, "M-7", "value", slice_of_text(kinds[report->kind]),
                  "an object");
}

/* M-1 .. M-7; the picks are filled once the text is known to be JSON. */
static enum status read_message(struct normalizer *normalizer, struct slice value, struct reject *reject)
{
    struct jsontext_report report;
    struct slice text = value;
    for (int field = 0; field < FIELD_COUNT; field++) normalizer->picks[field].finding.place = PLACE_NONE;
    if (check_size(normalizer, value, reject) != STATUS_OK) return STATUS_REJECT;
    if (skip_framing(&text, reject) != STATUS_OK) return STATUS_REJECT;
    enum jsontext_result result = fields_scan(&normalizer->fields, text, &report);
    if (result != JSONTEXT_OK) return refuse_text(value, text, result, &report, reject);
    for (int field = 0; field < FIELD_COUNT; field++)
        fields_pick(&normalizer->fields, (enum field)field, &normalizer->picks[field]);
    if (check_nul(normalizer, FIELD_CLIENT_ID, reject) != STATUS_OK) return STATUS_REJECT;
    if (check_nul(normalizer, FIELD_METRIC, reject) != STATUS_OK) return STATUS_REJECT;
    return check_shape(&report, reject);
}

/* --- the fields --- */

static bool has_control(struct slice text)
{
    const char *end = text.data + text.size;
    for (const char *at = text.data; at < end; at++) {
        if (utf8_is_control(at, end)) return true;
    }
    return false;
}

/* C-1, C-2, T-1, T-2. */
static enum status take_text(const struct normalizer *normalizer, const struct text_rule *rule,
                             struct slice *ret_text, struct reject *reject)
{
    const struct pick *pick = &normalizer->picks[rule->field];
    if (pick->finding.place == PLACE_NONE)
        return refuse(reject, rule->missing, rule->missing_rule, field_name(rule->field), slice_of(NULL, 0),
                      rule->names);
    bool of_kind = pick->kind == JSONTEXT_STRING || (pick->kind == JSONTEXT_NUMBER && pick->integer);
    if (!of_kind || pick->text.size > EVENT_TEXT_BYTES_MAX || has_control(pick->text))
        return refuse_pick(reject, rule->invalid, rule->invalid_rule, rule->field, pick,
                           "a string of 1 to 200 bytes without control characters, or an integer");
    *ret_text = pick->text;
    return STATUS_OK;
}

/* A-1 .. A-4. */
static enum status take_amount(const struct normalizer *normalizer, struct decimal *ret_amount,
                               struct reject *reject)
{
    const struct pick *pick = &normalizer->picks[FIELD_AMOUNT];
    enum decimal_result result = DECIMAL_INVALID;
    if (pick->finding.place == PLACE_NONE) {
        *ret_amount = (struct decimal){0};
        return STATUS_OK;
    }
    if (pick->kind == JSONTEXT_STRING || pick->kind == JSONTEXT_NUMBER)
        result = decimal_parse(pick->text, ret_amount);
    if (result == DECIMAL_OK) return STATUS_OK;
    if (result == DECIMAL_INVALID)
        return refuse_pick(reject, REJECT_AMOUNT_INVALID, "A-2", FIELD_AMOUNT, pick,
                           "a number such as 1200, \"1,234.50\" or 1.2e3");
    return refuse_pick(reject, REJECT_AMOUNT_OUT_OF_RANGE, "A-3", FIELD_AMOUNT, pick,
                       "at most 38 significant digits and a magnitude within 1e-18 .. 1e30");
}

/* D-1: the message's own time, never the worker's clock, so that a redelivery hashes alike. */
static enum status take_broker_time(int64_t timestamp_ms, int64_t *ret_time_us, struct reject *reject)
{
    if (instant_from_ms(timestamp_ms, ret_time_us) == INSTANT_OK) return STATUS_OK;
    char found[64];
    (void)snprintf(found, sizeof found, "no such field, and %lld ms as the message's own",
                   (long long)timestamp_ms);
    return refuse(reject, REJECT_TIMESTAMP_OUT_OF_RANGE, "D-1", field_name(FIELD_TIMESTAMP),
                  slice_of_text(found), "a time from 1970 to 2199");
}

/* D-2 .. D-7. */
static enum status take_time(const struct normalizer *normalizer, const struct client_rules *rules,
                             int64_t timestamp_ms, int64_t *ret_time_us, struct reject *reject)
{
    const struct pick *pick = &normalizer->picks[FIELD_TIMESTAMP];
    enum instant_result result = INSTANT_INVALID;
    if (pick->finding.place == PLACE_NONE) return take_broker_time(timestamp_ms, ret_time_us, reject);
    if (pick->kind == JSONTEXT_STRING) result = instant_parse_text(pick->text, rules, ret_time_us);
    if (pick->kind == JSONTEXT_NUMBER) result = instant_parse_number(pick->text, ret_time_us);
    if (result == INSTANT_OK) return STATUS_OK;
    if (result == INSTANT_INVALID)
        return refuse_pick(reject, REJECT_TIMESTAMP_INVALID, "D-6", FIELD_TIMESTAMP, pick,
                           "a date such as 2024-01-15, 2024-01-15T10:30:00Z or 1705314600");
    return refuse_pick(reject, REJECT_TIMESTAMP_OUT_OF_RANGE, "D-7", FIELD_TIMESTAMP, pick,
                       "a time from 1970 to 2199");
}

enum status normalize(struct normalizer *normalizer, const struct record *record,
                      const struct client_rules *rules, struct event *ret_event, struct reject *ret_reject)
{
    struct event event;
    normalizer->client = slice_of(NULL, 0);
    if (read_message(normalizer, record->value, ret_reject) != STATUS_OK) return STATUS_REJECT;
    if (take_text(normalizer, &client_rule, &event.client_id, ret_reject) != STATUS_OK) return STATUS_REJECT;
    normalizer->client = event.client_id;
    if (take_text(normalizer, &metric_rule, &event.metric, ret_reject) != STATUS_OK) return STATUS_REJECT;
    if (take_amount(normalizer, &event.amount, ret_reject) != STATUS_OK) return STATUS_REJECT;
    if (take_time(normalizer, rules, record->timestamp_ms, &event.time_us, ret_reject) != STATUS_OK)
        return STATUS_REJECT;
    event.bucket_us = instant_cut(event.time_us, rules->granularity);
    identity_hash(normalizer->identity, &event);
    *ret_event = event;
    return STATUS_OK;
}
