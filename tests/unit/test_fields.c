#include <CUnit/Basic.h>
#include <stdlib.h>

#include "fields.h"

static struct fields fields;

/* "place key=value" of one field of the message, or "absent". */
static void expect(const char *message, enum field field, const char *expected)
{
    struct jsontext_report report;
    struct pick pick;
    char found[256] = "absent";
    CU_ASSERT_EQUAL_FATAL(fields_scan(&fields, slice_of_text(message), &report), JSONTEXT_OK);
    fields_pick(&fields, field, &pick);
    if (pick.finding.place != PLACE_NONE)
        (void)snprintf(found, sizeof found, "%s %.*s=%.*s", place_name(pick.finding.place),
                       (int)pick.finding.key.size, pick.finding.key.data, (int)pick.text.size,
                       pick.text.data);
    CU_ASSERT_STRING_EQUAL(found, expected);
}

/* F-1 */
static void test_spellings(void)
{
    expect("{\"metricName\":1}", FIELD_METRIC, "top level metricName=1");
    expect("{\"METRIC-NAME\":1}", FIELD_METRIC, "top level METRIC-NAME=1");
    expect("{\" m e_t-r_i_c__n a m e \":1}", FIELD_METRIC, "top level  m e_t-r_i_c__n a m e =1");
    expect("{\"Created_At\":1}", FIELD_TIMESTAMP, "top level Created_At=1");
    expect("{\"metricNames\":1,\"metri\":2,\"\":3,\"___\":4,\"metric.name\":5}", FIELD_METRIC, "absent");
    expect("{\"m\\u0065tric\":1}", FIELD_METRIC, "top level m\\u0065tric=1");
    expect("{\"metric\\u0000\":1,\"metric\\t\":2}", FIELD_METRIC, "absent");
    expect("{\"PAY_LOAD\":{\"Sum\":1}}", FIELD_AMOUNT, "payload Sum=1");
    expect("{\"p\\u0061yload\":{\"s\\u0075m\":1}}", FIELD_AMOUNT, "payload s\\u0075m=1");
}

/* F-2 */
static void test_order_of_names(void)
{
    expect("{\"source\":1,\"client\":2,\"client_id\":3}", FIELD_CLIENT_ID, "top level client_id=3");
    expect("{\"source\":1,\"client\":2}", FIELD_CLIENT_ID, "top level client=2");
    expect("{\"source\":1}", FIELD_CLIENT_ID, "top level source=1");
    expect("{\"type\":1,\"metric\":2,\"metricName\":3}", FIELD_METRIC, "top level metric=2");
    expect("{\"metricName\":3,\"type\":1}", FIELD_METRIC, "top level type=1");
    expect("{\"sum\":1,\"value\":2,\"amount\":3}", FIELD_AMOUNT, "top level amount=3");
    expect("{\"sum\":1,\"value\":2}", FIELD_AMOUNT, "top level value=2");
    expect("{\"time\":1,\"created_at\":2}", FIELD_TIMESTAMP, "top level time=1");
}

static void test_absent_values(void)
{
    expect("{\"amount\":null,\"value\":\"\",\"sum\":\" \\t\\n\\r\\f\\u000b\\u0020\"}", FIELD_AMOUNT,
           "absent");
    expect("{\"amount\":\"\\u00a0\"}", FIELD_AMOUNT, "top level amount=\xc2\xa0");
    expect("{\"amount\":false}", FIELD_AMOUNT, "top level amount=false");
    expect("{\"amount\":[]}", FIELD_AMOUNT, "top level amount=[]");
    expect("{\"amount\":\" a\\u0062 \"}", FIELD_AMOUNT, "top level amount=ab");
}

/* F-3 */
static void test_places(void)
{
    expect("{\"client\":1,\"payload\":{\"client_id\":2}}", FIELD_CLIENT_ID, "top level client=1");
    expect("{\"data\":{\"client_id\":1},\"payload\":{\"source\":2}}", FIELD_CLIENT_ID, "payload source=2");
    expect("{\"data\":{\"client_id\":1},\"payload\":{\"source\":null}}", FIELD_CLIENT_ID, "data client_id=1");
    expect("{\"amount\":1,\"data\":{\"sum\":2}}", FIELD_AMOUNT, "data sum=2");
    expect("{\"amount\":1,\"data\":{\"amount\":2},\"payload\":{\"sum\":3}}", FIELD_AMOUNT, "payload sum=3");
    expect("{\"amount\":1,\"data\":{\"amount\":\" \"}}", FIELD_AMOUNT, "top level amount=1");
    expect("{\"amount\":1,\"other\":{\"amount\":2},\"payload\":{\"x\":{\"amount\":3}}}", FIELD_AMOUNT,
           "top level amount=1");
    expect("{\"amount\":1,\"payload\":[{\"amount\":2}],\"data\":7}", FIELD_AMOUNT, "top level amount=1");
}

static void test_payload_as_text(void)
{
    expect("{\"payload\":\" {\\\"sum\\\":1} \"}", FIELD_AMOUNT, "payload sum=1");
    expect("{\"data\":\"{\\\"s\\\\u0075m\\\":\\\" \\\\u0031 \\\"}\"}", FIELD_AMOUNT, "data s\\u0075m=1");
    expect("{\"sum\":2,\"payload\":\"{\\\"sum\\\":1\"}", FIELD_AMOUNT, "top level sum=2");
    expect("{\"sum\":2,\"payload\":\"[1]\"}", FIELD_AMOUNT, "top level sum=2");
    expect("{\"sum\":2,\"payload\":\"{\\\"sum\\\":1,\\\"x\\\":\\\"\\\\ud800\\\"}\"}", FIELD_AMOUNT,
           "top level sum=2");
    expect("{\"sum\":2,\"payload\":\"\"}", FIELD_AMOUNT, "top level sum=2");
    expect("{\"sum\":2,\"payload\":\"{}\"}", FIELD_AMOUNT, "top level sum=2");
    /* One level: what a text holds is not looked into again. */
    expect("{\"payload\":\"{\\\"payload\\\":{\\\"sum\\\":1}}\"}", FIELD_AMOUNT, "absent");
    expect("{\"payload\":{\"payload\":\"{\\\"sum\\\":1}\"}}", FIELD_AMOUNT, "absent");
}

/* F-6 */
static void test_last_of_equal_keys(void)
{
    expect("{\"amount\":1,\"amount\":2}", FIELD_AMOUNT, "top level amount=2");
    expect("{\"amount\":1,\"A-mount\":2}", FIELD_AMOUNT, "top level A-mount=2");
    expect("{\"amount\":1,\"amount\":null,\"sum\":3}", FIELD_AMOUNT, "top level sum=3");
    expect("{\"payload\":{\"amount\":1},\"payload\":{\"sum\":2}}", FIELD_AMOUNT, "payload sum=2");
    expect("{\"payload\":{\"amount\":1},\"Payload\":null}", FIELD_AMOUNT, "absent");
    expect("{\"payload\":{\"amount\":1},\"payload\":\"x\"}", FIELD_AMOUNT, "absent");
    expect("{\"payload\":\"{\\\"amount\\\":1}\",\"payload\":{}}", FIELD_AMOUNT, "absent");
    expect("{\"payload\":\"{\\\"amount\\\":1}\",\"payload\":7}", FIELD_AMOUNT, "absent");
}

/* Many strings with escapes, all of which stay where they are. */
static void test_decoded_strings_do_not_move(void)
{
    const char *message = "{\"client\\u005fid\":\"\\u0020\",\"client\":\"\\u0061\",\"payload\":\"{"
                          "\\\"type\\\":\\\"\\\\u0062\\\"}\",\"data\":\"{\\\"sum\\\":\\\"\\\\u0037\\\"}\"}";
    struct jsontext_report report;
    struct pick picks[FIELD_COUNT];
    struct fields fresh;
    fields_init(&fresh);
    CU_ASSERT_EQUAL_FATAL(fields_scan(&fresh, slice_of_text(message), &report), JSONTEXT_OK);
    for (enum field field = FIELD_CLIENT_ID; field < FIELD_COUNT; field++)
        fields_pick(&fresh, field, &picks[field]);
    CU_ASSERT(slice_equals(picks[FIELD_CLIENT_ID].text, slice_of_text("a")));
    CU_ASSERT(slice_equals(picks[FIELD_METRIC].text, slice_of_text("b")));
    CU_ASSERT(slice_equals(picks[FIELD_AMOUNT].text, slice_of_text("7")));
    CU_ASSERT_EQUAL(picks[FIELD_TIMESTAMP].finding.place, PLACE_NONE);
    fields_done(&fresh);
}

static void test_nothing_is_left_from_the_message_before(void)
{
    expect("{\"amount\":1,\"payload\":\"{\\\"sum\\\":2}\"}", FIELD_AMOUNT, "payload sum=2");
    expect("{}", FIELD_AMOUNT, "absent");
    expect("[]", FIELD_AMOUNT, "absent");
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("fields", NULL, NULL);
    CU_add_test(suite, "spellings", test_spellings);
    CU_add_test(suite, "order of names", test_order_of_names);
    CU_add_test(suite, "absent values", test_absent_values);
    CU_add_test(suite, "places", test_places);
    CU_add_test(suite, "payload as text", test_payload_as_text);
    CU_add_test(suite, "last of equal keys", test_last_of_equal_keys);
    CU_add_test(suite, "decoded strings do not move", test_decoded_strings_do_not_move);
    CU_add_test(suite, "nothing is left from the message before",
                test_nothing_is_left_from_the_message_before);
    fields_init(&fields);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    fields_done(&fields);
    return failures != 0;
}
