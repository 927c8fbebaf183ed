// link: worker/dead_letter_headers.c
/* Any bytes as encoded headers: reading ends, stays within them, and what was read encodes to the same bytes.
 * A dead letter made of them has them first and as they were, and every name of ours with its value. */
#include "dead_letter_headers.h"
#include "headers.h"
#include "require.h"

static const char *const own_names[] = {"winnow-reason", "winnow-detail", "winnow-id"};
static const char *const once_names[] = {"__connect.errors.topic", "__connect.errors.offset",
                                         "kafka_dlt-original-topic", "kafka_dlt-original-offset",
                                         "kafka_dlt-exception-message"};

/* How many headers have that name; the value of the last one. */
static size_t find(struct slice headers, const char *wanted, struct slice *ret_value)
{
    struct slice name;
    struct slice value;
    size_t count = 0;
    while (headers_next(&headers, &name, &value)) {
        if (!slice_equals(name, slice_of_text(wanted))) continue;
        *ret_value = value;
        count++;
    }
    return count;
}

static void check_all_readable(struct slice headers)
{
    struct slice name;
    struct slice value;
    while (headers_next(&headers, &name, &value)) {
    }
    REQUIRE(headers.size == 0);
}

/* `originals`: what could be read of the message's own. */
static void check_letter(struct slice all, struct slice originals, struct slice published,
                         enum omission omission)
{
    struct slice value;
    check_all_readable(published);
    bool kept = omission < OMIT_ORIGINAL;
    if (!kept) originals = slice_of(all.data, 0);
    REQUIRE(published.size > originals.size);
    REQUIRE(originals.size == 0 || memcmp(published.data, originals.data, originals.size) == 0);
    for (size_t i = 0; i < ARRAY_COUNT(own_names); i++)
        REQUIRE(find(published, own_names[i], &value) == find(originals, own_names[i], &value) + 1);
    for (size_t i = 0; i < ARRAY_COUNT(once_names); i++) {
        size_t before = find(originals, once_names[i], &value);
        REQUIRE(find(published, once_names[i], &value) == (before > 0 ? before : 1));
    }
    REQUIRE(find(published, "winnow-id", &value) > 0 && slice_equals(value, slice_of_text("events/3/42")));
}

static void compose(struct slice all, struct slice originals)
{
    struct dead_letter_origin origin = {.group = "g",
                                        .topic = "events",
                                        .partition = 3,
                                        .offset = 42,
                                        .timestamp_ms = -1,
                                        .headers = all,
                                        .reason = "invalid_json",
                                        .detail = "M-3: byte 0",
                                        .sqlstate = ""};
    for (enum omission omission = OMIT_NOTHING; omission < OMISSION_COUNT; omission++) {
        struct buffer published = {0};
        dead_letter_headers(&published, &origin, omission);
        check_letter(all, originals, slice_of(published.data, published.size), omission);
        buffer_done(&published);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer again = {0};
    struct slice all = slice_of((const char *)data, size);
    struct slice rest = all;
    struct slice name;
    struct slice value;
    while (headers_next(&rest, &name, &value)) {
        REQUIRE(name.data >= all.data && name.data + name.size <= all.data + size);
        REQUIRE(value.data == NULL || (value.data >= all.data && value.data + value.size <= all.data + size));
        headers_add(&again, name, value);
    }
    REQUIRE(again.size + rest.size == size);
    REQUIRE(again.size == 0 || memcmp(again.data, data, again.size) == 0);
    compose(all, slice_of(again.data, again.size));
    buffer_done(&again);
    return 0;
}
