#include <CUnit/Basic.h>
#include <stdlib.h>

#include "identity.h"

static struct event sample(void)
{
    struct event event = {.client_id = slice_of_text("client_A"),
                          .metric = slice_of_text("sale"),
                          .bucket_us = INT64_C(1704067200000000)};
    if (decimal_parse(slice_of_text("1200"), &event.amount) != DECIMAL_OK) abort();
    return event;
}

/* The value is computed independently; it must never change. */
static void test_known_hash(void)
{
    struct identity *identity = identity_new();
    struct event event = sample();
    char text[IDENTITY_TEXT_SIZE];
    for (int i = 0; i < 3; i++) {
        identity_hash(identity, &event);
        identity_print(event.hash, text);
        CU_ASSERT_STRING_EQUAL(text, "0b8d4822-3822-8c49-88b8-13690a9224f4");
    }
    identity_free(identity);
}

static void expect_other(struct identity *identity, struct event event)
{
    struct event base = sample();
    identity_hash(identity, &base);
    identity_hash(identity, &event);
    CU_ASSERT_NOT_EQUAL(memcmp(base.hash, event.hash, EVENT_HASH_SIZE), 0);
    CU_ASSERT_EQUAL(event.hash[6] >> 4, 8);
    CU_ASSERT_EQUAL(event.hash[8] >> 6, 2);
}

static void test_each_part_counts(void)
{
    struct identity *identity = identity_new();
    struct event event = sample();
    event.client_id = slice_of_text("client_B");
    expect_other(identity, event);
    event = sample();
    event.metric = slice_of_text("sales");
    expect_other(identity, event);
    event = sample();
    event.amount.negative = true;
    expect_other(identity, event);
    event = sample();
    event.bucket_us++;
    expect_other(identity, event);
    event = sample();
    event.client_id = slice_of_text("client_As");
    event.metric = slice_of_text("ale");
    expect_other(identity, event);
    identity_free(identity);
}

/* time_us is not part of it: only the bucket is. */
static void test_time_within_bucket_does_not_count(void)
{
    struct identity *identity = identity_new();
    struct event base = sample();
    struct event event = sample();
    event.time_us = 12345;
    identity_hash(identity, &base);
    identity_hash(identity, &event);
    CU_ASSERT_EQUAL(memcmp(base.hash, event.hash, EVENT_HASH_SIZE), 0);
    identity_free(identity);
}

static void test_longest_event(void)
{
    struct identity *identity = identity_new();
    char text[EVENT_TEXT_BYTES_MAX];
    struct event event = sample();
    memset(text, 'x', sizeof text);
    event.client_id = event.metric = slice_of(text, sizeof text);
    if (decimal_parse(slice_of_text("-1.2345678901234567890123456789012345678e-18"), &event.amount) !=
        DECIMAL_OK)
        abort();
    expect_other(identity, event);
    identity_free(identity);
}

static void test_fingerprints(void)
{
    struct identity *identity = identity_new();
    const struct slice null = slice_of(NULL, 0);
    const struct slice empty = slice_of_text("");
    const struct slice a = slice_of_text("a");
    const struct slice ab = slice_of_text("ab");
    const struct slice b = slice_of_text("b");
    const struct {
        int64_t time;
        struct slice key;
        struct slice value;
    } messages[] = {
        {1, a, b},    {2, a, b},     {-1, a, b},     {1, b, a},      {1, null, b},    {1, empty, b},
        {1, a, null}, {1, a, empty}, {1, ab, empty}, {1, empty, ab}, {1, null, null}, {1, empty, empty},
    };
    uint8_t prints[ARRAY_COUNT(messages)][FINGERPRINT_SIZE];
    uint8_t again[FINGERPRINT_SIZE];
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        identity_fingerprint(identity, messages[i].time, messages[i].key, messages[i].value, prints[i]);
        identity_fingerprint(identity, messages[i].time, messages[i].key, messages[i].value, again);
        CU_ASSERT_EQUAL(memcmp(prints[i], again, FINGERPRINT_SIZE), 0);
        for (size_t j = 0; j < i; j++) CU_ASSERT_NOT_EQUAL(memcmp(prints[i], prints[j], FINGERPRINT_SIZE), 0);
    }
    identity_free(identity);
}

static void test_free_takes_null(void)
{
    identity_free(NULL);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("identity", NULL, NULL);
    CU_add_test(suite, "known hash", test_known_hash);
    CU_add_test(suite, "each part counts", test_each_part_counts);
    CU_add_test(suite, "time within bucket does not count", test_time_within_bucket_does_not_count);
    CU_add_test(suite, "longest event", test_longest_event);
    CU_add_test(suite, "fingerprints", test_fingerprints);
    CU_add_test(suite, "free takes null", test_free_takes_null);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
