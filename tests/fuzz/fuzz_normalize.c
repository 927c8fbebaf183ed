/* Any bytes as a message: the answer is the same twice, a reject can be read, an event keeps its
 * promises, and written down in the canonical form it is the same event again.
 * The first byte chooses the client's rules. */
#include "buffer.h"
#include "instant.h"
#include "normalize.h"
#include "require.h"

static void require_printable(struct slice text)
{
    REQUIRE(is_printable(text.data, text.data + text.size));
}

static void add_text(struct buffer *out, const char *text)
{
    (void)buffer_add(out, text, strlen(text));
}

static void add_member(struct buffer *out, const char *key, struct slice value)
{
    add_text(out, out->size == 0 ? "{\"" : ",\"");
    add_text(out, key);
    add_text(out, "\":\"");
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == '"' || value.data[i] == '\\') add_text(out, "\\");
        (void)buffer_add(out, value.data + i, 1);
    }
    add_text(out, "\"");
}

/* The canonical event is an event like any other, whatever the client's rules. */
static void check_canonical(struct normalizer *normalizer, const struct event *event,
                            const struct client_rules *rules)
{
    char amount[DECIMAL_TEXT_SIZE];
    char time[INSTANT_TEXT_SIZE];
    struct event again;
    struct reject reject;
    struct buffer text = {0};
    add_member(&text, "client_id", event->client_id);
    add_member(&text, "metric", event->metric);
    add_member(&text, "amount", slice_of(amount, decimal_print(&event->amount, amount)));
    add_member(&text, "timestamp", slice_of(time, instant_print(event->time_us, time)));
    add_text(&text, "}");
    struct record record = {.timestamp_ms = -1, .value = slice_of(text.data, text.size)};
    REQUIRE(normalize(normalizer, &record, rules, &again, &reject) == STATUS_OK);
    REQUIRE(memcmp(again.hash, event->hash, EVENT_HASH_SIZE) == 0);
    REQUIRE(slice_equals(again.client_id, event->client_id) && slice_equals(again.metric, event->metric));
    REQUIRE(memcmp(&again.amount, &event->amount, sizeof again.amount) == 0);
    REQUIRE(again.time_us == event->time_us && again.bucket_us == event->bucket_us);
    buffer_done(&text);
}

static void check_event(const struct event *event, const struct client_rules *rules)
{
    char text[DECIMAL_TEXT_SIZE];
    struct decimal again;
    const struct slice texts[] = {event->client_id, event->metric};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        REQUIRE(texts[i].size >= 1 && texts[i].size <= EVENT_TEXT_BYTES_MAX);
        REQUIRE(slice_equals(slice_trim(texts[i]), texts[i]));
        require_printable(texts[i]);
    }
    size_t length = decimal_print(&event->amount, text);
    REQUIRE(length < sizeof text && decimal_parse(slice_of(text, length), &again) == DECIMAL_OK);
    REQUIRE(memcmp(&again, &event->amount, sizeof again) == 0);
    REQUIRE(event->time_us >= 0 && event->time_us <= INSTANT_MAX);
    REQUIRE(event->bucket_us == instant_cut(event->time_us, rules->granularity));
    REQUIRE(event->hash[6] >> 4 == 8 && event->hash[8] >> 6 == 2);
}

static void check_reject(const struct reject *reject)
{
    REQUIRE(reject->reason < REJECT_REASON_COUNT);
    size_t length = strnlen(reject->detail, sizeof reject->detail);
    REQUIRE(length > 0 && length < sizeof reject->detail);
    require_printable(slice_of(reject->detail, length));
}

static void check_findings(const struct normalizer *normalizer)
{
    for (enum field field = FIELD_CLIENT_ID; field < FIELD_COUNT; field++)
        REQUIRE(normalizer_finding(normalizer, field)->place <= PLACE_DATA);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct normalizer *reused;
    struct event first = {0};
    struct event second = {0};
    struct reject first_reject;
    struct reject second_reject;
    if (size == 0) return 0;
    struct client_rules rules = {.zone_offset_s = (data[0] % 5 - 2) * 3600,
                                 .date_order = (enum date_order)(data[0] / 5 % 3),
                                 .granularity = (enum granularity)(data[0] / 15 % 5)};
    struct record record = {.timestamp_ms = data[0] % 7 == 6 ? -1 : INT64_C(1704067200123),
                            .value = slice_of((const char *)data + 1, size - 1)};
    if (reused == NULL) reused = normalizer_new(4096);
    struct normalizer *fresh = normalizer_new(4096);

    enum status status = normalize(reused, &record, &rules, &first, &first_reject);
    REQUIRE(status == normalize(fresh, &record, &rules, &second, &second_reject));
    check_findings(reused);
    if (status == STATUS_OK) {
        check_event(&first, &rules);
        REQUIRE(memcmp(first.hash, second.hash, EVENT_HASH_SIZE) == 0);
        REQUIRE(slice_equals(first.client_id, second.client_id) && slice_equals(first.metric, second.metric));
        check_canonical(fresh, &first, &rules); /* the first borrows from the other one */
    } else {
        REQUIRE(status == STATUS_REJECT);
        check_reject(&first_reject);
        REQUIRE(first_reject.reason == second_reject.reason);
        REQUIRE(strcmp(first_reject.detail, second_reject.detail) == 0);
    }
    normalizer_free(fresh);
    return 0;
}
