#include <CUnit/Basic.h>
#include <stdlib.h>

#include "instant.h"
#include "normalize.h"

/* The rules themselves are proven by tests/golden; here is what a row cannot tell. */

static struct normalizer *normalizer;

static enum status run(const char *value, struct event *ret_event, struct reject *ret_reject)
{
    const struct client_rules rules = {0};
    const struct record record = {.timestamp_ms = 1000, .value = slice_of_text(value)};
    return normalize(normalizer, &record, &rules, ret_event, ret_reject);
}

static void expect_detail(const char *value, enum reject_reason reason, const char *detail)
{
    struct event event;
    struct event before;
    struct reject reject;
    memset(&event, 0x5A, sizeof event);
    before = event;
    CU_ASSERT_EQUAL(run(value, &event, &reject), STATUS_REJECT);
    CU_ASSERT_EQUAL(reject.reason, reason);
    CU_ASSERT_STRING_EQUAL(reject.detail, detail);
    CU_ASSERT_EQUAL(memcmp(&event, &before, sizeof event), 0); /* untouched */
}

static void test_details_of_the_message(void)
{
    expect_detail("", REJECT_EMPTY, "M-1: value: found no bytes, expected a JSON object");
    expect_detail("{'a':1}", REJECT_INVALID_JSON,
                  "M-3: byte 1: found 'a':1}, expected a key in double quotes");
    expect_detail("{\"a\":1", REJECT_INVALID_JSON,
                  "M-3: byte 6: found the end of the message, expected a comma or }");
    expect_detail("\xef\xbb\xbf{\"a\":NaN}", REJECT_INVALID_JSON,
                  "M-3: byte 8: found NaN}, expected a value");
    expect_detail("{\"a\":\"\n\"}", REJECT_INVALID_JSON,
                  "M-3: byte 6: found \\n\"}, expected no raw control character within a string");
    expect_detail("{\"a\":\"\xff\"}", REJECT_INVALID_UTF8,
                  "M-4: byte 6: found \\xff\"}, expected well-formed UTF-8 and surrogate escapes in pairs");
    expect_detail("{\"source\":\"a\\u0000\"}", REJECT_NUL_CHARACTER,
                  "M-5: client_id: found \"a\\u0000\", expected text without U+0000");
    expect_detail("[]", REJECT_NOT_AN_OBJECT, "M-7: value: found an array, expected an object");
}

/* The limit itself is still accepted. */
static void test_limit_of_size(void)
{
    static const char value[] = "{\"client\":\"c\",\"metric\":\"m\"}";
    struct normalizer *usual = normalizer;
    struct event event;
    struct reject reject;
    normalizer = normalizer_new(sizeof value - 1);
    CU_ASSERT_EQUAL(run(value, &event, &reject), STATUS_OK);
    normalizer_free(normalizer);
    normalizer = normalizer_new(sizeof value - 2);
    expect_detail(value, REJECT_TOO_LARGE, "M-2: value: found 27 bytes, expected at most 26");
    normalizer_free(normalizer);
    normalizer = usual;
}

static void test_details_of_the_fields(void)
{
    expect_detail("{}", REJECT_CLIENT_ID_MISSING, "C-1: client_id: expected client_id, client or source");
    expect_detail("{\"client\":\"a\"}", REJECT_METRIC_MISSING,
                  "T-1: metric: expected metric, type or metricName");
    expect_detail("{\"client\":true}", REJECT_CLIENT_ID_INVALID,
                  "C-2: client_id: found true, expected a string of 1 to 200 bytes without control "
                  "characters, or an integer");
    expect_detail("{\"client\":\"a\",\"type\":\"m\",\"sum\":\"12abc\"}", REJECT_AMOUNT_INVALID,
                  "A-2: amount: found \"12abc\", expected a number such as 1200, \"1,234.50\" or 1.2e3");
    expect_detail("{\"client\":\"a\",\"type\":\"m\",\"sum\":1e31}", REJECT_AMOUNT_OUT_OF_RANGE,
                  "A-3: amount: found 1e31, expected at most 38 significant digits and a magnitude within "
                  "1e-18 .. 1e30");
    expect_detail("{\"client\":\"a\",\"type\":\"m\",\"time\":\"1/2/2024\"}", REJECT_TIMESTAMP_INVALID,
                  "D-6: timestamp: found \"1/2/2024\", expected a date such as 2024-01-15, "
                  "2024-01-15T10:30:00Z or 1705314600");
    expect_detail("{\"client\":\"a\",\"type\":\"m\",\"time\":-1}", REJECT_TIMESTAMP_OUT_OF_RANGE,
                  "D-7: timestamp: found -1, expected a time from 1970 to 2199");
}

/* The order of the rules decides when several are broken. */
static void test_first_failure_is_the_reason(void)
{
    struct event event;
    struct reject reject;
    static const struct {
        const char *value;
        enum reject_reason reason;
    } cases[] = {
        {"{\"x\":\"\xff\"", REJECT_INVALID_JSON},
        {"{\"client\":\"\\u0000\",\"x\":\"\xff\"}", REJECT_INVALID_UTF8},
        {"{\"client\":true,\"type\":\"\\u0000\"}", REJECT_NUL_CHARACTER},
        {"{\"client\":true,\"sum\":\"x\"}", REJECT_CLIENT_ID_INVALID},
        {"{\"client\":1,\"sum\":\"x\",\"time\":\"x\"}", REJECT_METRIC_MISSING},
        {"{\"client\":1,\"type\":1,\"sum\":\"x\",\"time\":\"x\"}", REJECT_AMOUNT_INVALID},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CU_ASSERT_EQUAL(run(cases[i].value, &event, &reject), STATUS_REJECT);
        CU_ASSERT_EQUAL(reject.reason, cases[i].reason);
    }
}

static bool is_text(struct slice text, const char *expected)
{
    return slice_equals(text, slice_of_text(expected));
}

static void test_findings(void)
{
    struct event event;
    struct reject reject;
    CU_ASSERT_EQUAL_FATAL(
        run("{\"Source\":\" a \",\"payload\":{\"type\":\"m\"},\"data\":{\"sum\":1.50}}", &event, &reject),
        STATUS_OK);
    const struct finding *finding = normalizer_finding(normalizer, FIELD_CLIENT_ID);
    CU_ASSERT(finding->place == PLACE_TOP && is_text(finding->key, "Source") &&
              is_text(finding->value, " a "));
    finding = normalizer_finding(normalizer, FIELD_METRIC);
    CU_ASSERT(finding->place == PLACE_PAYLOAD && is_text(finding->key, "type") &&
              is_text(finding->value, "m"));
    finding = normalizer_finding(normalizer, FIELD_AMOUNT);
    CU_ASSERT(finding->place == PLACE_DATA && is_text(finding->key, "sum") &&
              is_text(finding->value, "1.50"));
    CU_ASSERT_EQUAL(normalizer_finding(normalizer, FIELD_TIMESTAMP)->place, PLACE_NONE);
    CU_ASSERT_EQUAL(run("{", &event, &reject), STATUS_REJECT);
    for (enum field field = FIELD_CLIENT_ID; field < FIELD_COUNT; field++)
        CU_ASSERT_EQUAL(normalizer_finding(normalizer, field)->place, PLACE_NONE);
}

static void test_buckets(void)
{
    struct event event;
    struct reject reject;
    struct client_rules rules = {.granularity = GRANULARITY_HOUR};
    struct record record = {
        .value = slice_of_text("{\"client\":1,\"type\":2,\"time\":\"2024-01-15T10:30:15.5Z\"}")};
    CU_ASSERT_EQUAL_FATAL(normalize(normalizer, &record, &rules, &event, &reject), STATUS_OK);
    CU_ASSERT_EQUAL(event.time_us, INT64_C(1705314615500000));
    CU_ASSERT_EQUAL(event.bucket_us, INT64_C(1705312800000000));
}

static void expect_client(const char *text, const char *client)
{
    static const struct client_rules rules;
    struct event event;
    struct reject reject;
    const struct record record = {.value = slice_of_text(text)};
    (void)!normalize(normalizer, &record, &rules, &event, &reject);
    const struct slice found = normalizer_client(normalizer);
    if (client == NULL)
        CU_ASSERT_PTR_NULL(found.data)
    else
        CU_ASSERT(slice_equals(found, slice_of_text(client)));
}

static void test_client_of_a_reject(void)
{
    expect_client("{\"client\":\" a\\u0062 \",\"metric\":\"m\"}", "ab");
    expect_client("{\"client\":\"ab\",\"metric\":\"m\",\"amount\":\"x\"}", "ab");
    expect_client("{\"client\":7}", "7");
    expect_client("{\"client\":true,\"metric\":\"m\"}", NULL);
    expect_client("{\"metric\":\"m\"}", NULL);
    expect_client("{\"client\":\"ab\",\"amount\":", NULL);
    expect_client("", NULL);
}

static void test_names(void)
{
    CU_ASSERT_STRING_EQUAL(field_name(FIELD_CLIENT_ID), "client_id");
    CU_ASSERT_STRING_EQUAL(field_name(FIELD_METRIC), "metric");
    CU_ASSERT_STRING_EQUAL(field_name(FIELD_AMOUNT), "amount");
    CU_ASSERT_STRING_EQUAL(field_name(FIELD_TIMESTAMP), "timestamp");
    CU_ASSERT_STRING_EQUAL(place_name(PLACE_TOP), "top level");
    CU_ASSERT_STRING_EQUAL(place_name(PLACE_PAYLOAD), "payload");
    CU_ASSERT_STRING_EQUAL(place_name(PLACE_DATA), "data");
}

static void test_free_takes_null(void)
{
    normalizer_free(NULL);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("normalize", NULL, NULL);
    CU_add_test(suite, "details of the message", test_details_of_the_message);
    CU_add_test(suite, "limit of size", test_limit_of_size);
    CU_add_test(suite, "details of the fields", test_details_of_the_fields);
    CU_add_test(suite, "first failure is the reason", test_first_failure_is_the_reason);
    CU_add_test(suite, "findings", test_findings);
    CU_add_test(suite, "buckets", test_buckets);
    CU_add_test(suite, "client of a reject", test_client_of_a_reject);
    CU_add_test(suite, "names", test_names);
    CU_add_test(suite, "free takes null", test_free_takes_null);
    normalizer = normalizer_new(NORMALIZE_EVENT_BYTES_MAX_DEFAULT);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    normalizer_free(normalizer);
    return failures != 0;
}
