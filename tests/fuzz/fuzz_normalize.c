/* Any bytes as a message: the answer is the same twice, a reject can be read, an event keeps its promises.
 * The first byte chooses the client's rules. */
#include <stdint.h>
#include <stdlib.h>

#include "instant.h"
#include "normalize.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

static void require_printable(struct slice text)
{
    const char *end = text.data + text.size;
    for (const char *at = text.data; at < end; at += utf8_size(at, end))
        REQUIRE(utf8_size(at, end) > 0 && !utf8_is_control(at, end));
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
    } else {
        REQUIRE(status == STATUS_REJECT);
        check_reject(&first_reject);
        REQUIRE(first_reject.reason == second_reject.reason);
        REQUIRE(strcmp(first_reject.detail, second_reject.detail) == 0);
    }
    normalizer_free(fresh);
    return 0;
}
