/* One event in many spellings, and damaged messages, over random inputs. */
#include "instant.h"
#include "normalize.h"
#include "property.h"

#define NOISE_UNTIL 1000 /* bytes of an object: some seed would find a text that has no room */

static struct normalizer *normalizer;

static enum status run(struct slice value, struct event *ret_event, struct reject *ret_reject)
{
    const struct client_rules rules = {.granularity = GRANULARITY_EXACT};
    const struct record record = {.timestamp_ms = INT64_C(1704067200123), .value = value};
    return normalize(normalizer, &record, &rules, ret_event, ret_reject);
}

/* --- one event, written in many ways --- */

struct source {
    char client_id[64]; /* JSON text without quotes */
    char metric[64];
    struct decimal amount;
    int64_t time_us;
};

static void random_name(char *to, size_t size)
{
    static const char *const pieces[] = {
        "a", "Z", "7", "_", ".", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\\"", "/", "\\\\", " "};
    size_t count = below(8);
    (void)snprintf(to, size, "x");
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(to);
        (void)snprintf(to + length, size - length, "%s", pieces[below(ARRAY_COUNT(pieces))]);
    }
    (void)snprintf(to + strlen(to), size - strlen(to), "y");
}

static struct decimal random_decimal(void)
{
    struct decimal decimal = {0};
    size_t count = below(DECIMAL_DIGITS_MAX + 1);
    if (count == 0) return decimal;
    for (size_t i = 0; i < count; i++) decimal.digits[i] = (char)('0' + below(10));
    decimal.digits[0] = (char)('1' + below(9));
    decimal.digits[count - 1] = count == 1 ? decimal.digits[0] : (char)('1' + below(9));
    /* The first digit's power of ten lies within -18 .. 29. */
    decimal.digit_count = (uint8_t)count;
    decimal.exponent = (int16_t)((int)below(48) - 18 - (int)count + 1);
    decimal.negative = below(2) == 1;
    return decimal;
}

static struct source random_source(void)
{
    struct source source;
    random_name(source.client_id, sizeof source.client_id);
    random_name(source.metric, sizeof source.metric);
    source.amount = random_decimal();
    source.time_us = (int64_t)(random_bits() % (uint64_t)(INSTANT_MAX + 1));
    return source;
}

/* The name with its case changed and separators thrown in (F-1), now and then a letter as an escape. */
static void add_key(struct text *text, const char *name)
{
    add(text, "\"");
    for (const char *c = name; *c != '\0'; c++) {
        char letter = below(3) == 0 && *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
        if (below(6) == 0) add(text, "%c", "_- "[below(3)]);
        if (below(12) == 0)
            add(text, "\\u%04x", letter);
        else
            add(text, "%c", letter);
    }
    add(text, "\":");
}

static void add_amount(struct text *text, const struct decimal *amount)
{
    char plain[DECIMAL_TEXT_SIZE];
    (void)decimal_print(amount, plain);
    switch (below(4)) {
    case 0:
        add(text, "%s", plain);
        break;
    case 1:
        add(text, "\" %s%s \"", amount->negative ? "" : "+", plain);
        break;
    case 2:
        add(text, "\"%s%s\"", plain, strchr(plain, '.') == NULL ? ".000" : "000");
        break;
    default:
        add(text, "%s%.*s%se%d", amount->negative ? "-" : "", amount->digit_count, amount->digits,
            amount->digit_count == 0 ? "0" : "", amount->exponent);
    }
}

static void add_time(struct text *text, int64_t time_us)
{
    char plain[INSTANT_TEXT_SIZE];
    size_t size = instant_print(time_us, plain);
    switch (below(4)) {
    case 0:
        add(text, "\"%s\"", plain);
        break;
    case 1:
        plain[10] = ' ';
        add(text, "\"%.*s\"", (int)size - 1, plain);
        break;
    case 2:
        add(text, "%lld.%06lld", (long long)(time_us / 1000000), (long long)(time_us % 1000000));
        break;
    default:
        add(text, "%llde-6", (long long)time_us);
    }
}

static void add_member(struct text *text, const struct source *source, enum field field)
{
    static const char *const names[FIELD_COUNT][3] = {{"client_id", "client", "source"},
                                                      {"metric", "type", "metricname"},
                                                      {"amount", "value", "sum"},
                                                      {"timestamp", "time", "created_at"}};
    add_key(text, names[field][below(3)]);
    if (field == FIELD_CLIENT_ID)
        add(text, "\"%s%s\"", below(2) ? " \\t" : "", source->client_id);
    else if (field == FIELD_METRIC)
        add(text, "\"%s%s\"", source->metric, below(2) ? "\\n" : "");
    else if (field == FIELD_AMOUNT)
        add_amount(text, &source->amount);
    else
        add_time(text, source->time_us);
}

static void add_noise(struct text *text)
{
    static const char *const noise[] = {"\"x\":1",
                                        "\"note\":\"\\u0000\"",
                                        "\"\":[{\"amount\":1}]",
                                        "\"tags\":{\"time\":null}",
                                        "\"payload_\\u0000\":{}",
                                        "\"n\":1e999"};
    add(text, "%s", noise[below(ARRAY_COUNT(noise))]);
}

/* An object with the fields whose bits are set, in random order, with noise between them. */
static void add_object(struct text *text, const struct source *source, unsigned fields,
                       const struct text *inner)
{
    bool first = true;
    bool inner_left = inner != NULL;
    add(text, "{");
    while (fields != 0 || inner_left) {
        size_t choice = below(FIELD_COUNT + 2);
        const bool is_field = choice < FIELD_COUNT && (fields >> choice & 1) != 0;
        const bool is_inner = choice == FIELD_COUNT && inner_left;
        if (!is_field && !is_inner && text->size > NOISE_UNTIL) continue;
        if (!first) add(text, below(3) == 0 ? " , " : ",");
        first = false;
        if (is_field) {
            add_member(text, source, (enum field)choice);
            fields &= ~(1U << choice);
        } else if (is_inner) {
            add(text, "%s", inner->data);
            inner_left = false;
        } else {
            add_noise(text);
        }
    }
    add(text, "}");
}

static void add_quoted(struct text *text, const struct text *inner)
{
    add(text, "\"");
    for (const char *c = inner->data; *c != '\0'; c++) add(text, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    add(text, "\"");
}

/* Any spelling, order and place of the same event. */
static void write_somehow(const struct source *source, struct text *ret_text)
{
    const unsigned all = (1U << FIELD_COUNT) - 1;
    unsigned inside = (unsigned)below(all + 1);
    struct text object = {0};
    struct text member = {0};
    ret_text->size = 0;
    add_object(&object, source, inside, NULL);
    add_key(&member, below(2) == 0 ? "payload" : "data");
    if (below(3) == 0)
        add_quoted(&member, &object);
    else
        add(&member, "%s", object.data);
    add_object(ret_text, source, all & ~inside, &member);
}

static bool is_event_of(const struct event *event, const struct source *source)
{
    return event->time_us == source->time_us &&
           memcmp(&event->amount, &source->amount, sizeof source->amount) == 0;
}

static void test_every_spelling_has_the_same_hash(void)
{
    struct event first = {0};
    struct event other;
    struct reject reject;
    struct text text;
    for (int i = 0; i < rounds; i++) {
        struct source source = random_source();
        for (int j = 0; j < 3; j++) {
            write_somehow(&source, &text);
            enum status status = run(slice_of_whole(&text), &other, &reject);
            require(status == STATUS_OK, status == STATUS_OK ? "" : reject.detail, slice_of_whole(&text));
            require(is_event_of(&other, &source), "another amount or time", slice_of_whole(&text));
            if (j == 0) first = other;
            require(memcmp(first.hash, other.hash, EVENT_HASH_SIZE) == 0, "another hash",
                    slice_of_whole(&text));
        }
    }
}

static void add_json_string(struct text *text, struct slice plain)
{
    struct text copy = {0};
    memcpy(copy.data, plain.data, plain.size);
    add_quoted(text, &copy);
}

/* Normalizing what normalization wrote changes nothing. */
static void test_canonical_text_is_a_fixed_point(void)
{
    char amount[DECIMAL_TEXT_SIZE];
    char time_text[INSTANT_TEXT_SIZE];
    struct event first;
    struct event again;
    struct reject reject;
    for (int i = 0; i < rounds; i++) {
        struct source source = random_source();
        struct text text;
        struct text canonical = {0};
        write_somehow(&source, &text);
        require(run(slice_of_whole(&text), &first, &reject) == STATUS_OK, "refused", slice_of_whole(&text));
        (void)decimal_print(&first.amount, amount);
        (void)instant_print(first.time_us, time_text);
        add(&canonical, "{\"client_id\":");
        add_json_string(&canonical, first.client_id);
        add(&canonical, ",\"metric\":");
        add_json_string(&canonical, first.metric);
        add(&canonical, ",\"amount\":\"%s\",\"timestamp\":\"%s\"}", amount, time_text);
        uint8_t hash[EVENT_HASH_SIZE];
        memcpy(hash, first.hash, sizeof hash);
        require(run(slice_of_whole(&canonical), &again, &reject) == STATUS_OK, "refused",
                slice_of_whole(&canonical));
        require(memcmp(hash, again.hash, sizeof hash) == 0, "another hash", slice_of_whole(&canonical));
    }
}

/* --- damage --- */

static void damage(struct text *text)
{
    static const char bytes[] = "\"\\{}[]:,0-.eEu \0\xff\xc3\xed\xa0tfn/'";
    size_t count = 1 + below(4);
    for (size_t i = 0; i < count && text->size > 1; i++) {
        size_t at = below(text->size);
        if (below(3) == 0) {
            memmove(text->data + at, text->data + at + 1, text->size - at - 1);
            text->size--;
        } else {
            text->data[at] = below(2) ? bytes[below(sizeof bytes - 1)] : (char)random_bits();
        }
    }
}

static bool same_outcome(enum status status, const struct event *a, const struct event *b,
                         const struct reject *x, const struct reject *y)
{
    if (status == STATUS_OK) return memcmp(a->hash, b->hash, EVENT_HASH_SIZE) == 0;
    return x->reason == y->reason && strcmp(x->detail, y->detail) == 0;
}

/* Whatever happens to a message, the answer is one of two, and the same from a normalizer without a past. */
static void test_damage_is_judged_alike_twice(void)
{
    const struct client_rules rules = {.granularity = GRANULARITY_EXACT};
    for (int i = 0; i < rounds; i++) {
        struct source source = random_source();
        struct text text;
        struct event first;
        struct event second;
        struct reject first_reject;
        struct reject second_reject;
        write_somehow(&source, &text);
        damage(&text);
        char *copy = malloc(text.size); /* of exactly this size, for the sanitizer */
        memcpy(copy, text.data, text.size);
        const struct record record = {.timestamp_ms = INT64_C(1704067200123),
                                      .value = slice_of(copy, text.size)};
        struct normalizer *fresh = normalizer_new(NORMALIZE_EVENT_BYTES_MAX_DEFAULT);
        enum status status = normalize(normalizer, &record, &rules, &first, &first_reject);
        require(status == STATUS_OK || status == STATUS_REJECT, "another status", slice_of_whole(&text));
        require(status == normalize(fresh, &record, &rules, &second, &second_reject), "another status",
                slice_of_whole(&text));
        require(same_outcome(status, &first, &second, &first_reject, &second_reject), "another outcome",
                slice_of_whole(&text));
        normalizer_free(fresh);
        free(copy);
    }
}

int main(void)
{
    property_begin();
    normalizer = normalizer_new(NORMALIZE_EVENT_BYTES_MAX_DEFAULT);
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("normalize property", NULL, NULL);
    CU_add_test(suite, "every spelling has the same hash", test_every_spelling_has_the_same_hash);
    CU_add_test(suite, "canonical text is a fixed point", test_canonical_text_is_a_fixed_point);
    CU_add_test(suite, "damage is judged alike twice", test_damage_is_judged_alike_twice);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    normalizer_free(normalizer);
    return failures != 0;
}
