// link: worker/dead_letter_headers.c
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "dead_letter_headers.h"
#include "headers.h"

static struct buffer out;

static struct dead_letter_origin an_origin(struct slice headers)
{
    return (struct dead_letter_origin){
        .group = "g",
        .topic = "events",
        .partition = 258,
        .offset = INT64_C(0x0102030405060708),
        .timestamp_ms = 1700000000123,
        .headers = headers,
        .reason = "amount_invalid",
        .detail = "A-2: amount: found \"x\", expected a number",
        .sqlstate = "",
    };
}

static void compose(struct slice headers, enum omission omission)
{
    struct dead_letter_origin origin = an_origin(headers);
    buffer_clear(&out);
    dead_letter_headers(&out, &origin, omission);
}

/* How many headers have that name; the value of the last one. */
static int find(const char *wanted, struct slice *ret_value)
{
    struct slice rest = slice_of(out.data, out.size);
    struct slice name;
    struct slice value;
    int count = 0;
    while (headers_next(&rest, &name, &value)) {
        if (!slice_equals(name, slice_of_text(wanted))) continue;
        *ret_value = value;
        count++;
    }
    CU_ASSERT_EQUAL(rest.size, 0);
    return count;
}

static bool has(const char *name, struct slice wanted)
{
    struct slice value = slice_of(NULL, 0);
    return find(name, &value) == 1 && value.data != NULL && slice_equals(value, wanted);
}

static bool has_text(const char *name, const char *wanted)
{
    return has(name, slice_of_text(wanted));
}

static bool lacks(const char *name)
{
    struct slice value;
    return find(name, &value) == 0;
}

static void test_connect(void)
{
    compose(slice_of(NULL, 0), OMIT_NOTHING);
    CU_ASSERT_TRUE(has_text("__connect.errors.topic", "events"));
    CU_ASSERT_TRUE(has_text("__connect.errors.partition", "258"));
    CU_ASSERT_TRUE(has_text("__connect.errors.offset", "72623859790382856"));
    CU_ASSERT_TRUE(has_text("__connect.errors.connector.name", "g"));
    CU_ASSERT_TRUE(has_text("__connect.errors.task.id", "0"));
    CU_ASSERT_TRUE(has_text("__connect.errors.stage", "VALUE_CONVERTER"));
    CU_ASSERT_TRUE(has_text("__connect.errors.class.name", "winnow"));
    CU_ASSERT_TRUE(has_text("__connect.errors.exception.class.name", "winnow.amount_invalid"));
    CU_ASSERT_TRUE(
        has_text("__connect.errors.exception.message", "A-2: amount: found \"x\", expected a number"));
}

static void test_spring(void)
{
    compose(slice_of(NULL, 0), OMIT_NOTHING);
    CU_ASSERT_TRUE(has_text("kafka_dlt-original-topic", "events"));
    CU_ASSERT_TRUE(has("kafka_dlt-original-partition", slice_of("\0\0\1\2", 4)));
    CU_ASSERT_TRUE(has("kafka_dlt-original-offset", slice_of("\1\2\3\4\5\6\7\10", 8)));
    CU_ASSERT_TRUE(has("kafka_dlt-original-timestamp", slice_of("\0\0\1\x8b\xcf\xe5\x68\x7b", 8)));
    CU_ASSERT_TRUE(has_text("kafka_dlt-original-timestamp-type", "CreateTime"));
    CU_ASSERT_TRUE(has_text("kafka_dlt-original-consumer-group", "g"));
    CU_ASSERT_TRUE(has_text("kafka_dlt-exception-fqcn", "winnow.amount_invalid"));
    CU_ASSERT_TRUE(has_text("kafka_dlt-exception-message", "A-2: amount: found \"x\", expected a number"));
}

static void test_own(void)
{
    compose(slice_of(NULL, 0), OMIT_NOTHING);
    CU_ASSERT_TRUE(has_text("winnow-reason", "amount_invalid"));
    CU_ASSERT_TRUE(has_text("winnow-detail", "A-2: amount: found \"x\", expected a number"));
    CU_ASSERT_TRUE(has_text("winnow-id", "events/258/72623859790382856"));
    CU_ASSERT_TRUE(lacks("winnow-sqlstate") && lacks("winnow-value-omitted") &&
                   lacks("winnow-headers-omitted"));
}

static void test_refused_by_the_database(void)
{
    struct dead_letter_origin origin = an_origin(slice_of(NULL, 0));
    origin.reason = "database_rejected";
    origin.sqlstate = "22003";
    origin.timestamp_ms = -1;
    buffer_clear(&out);
    dead_letter_headers(&out, &origin, OMIT_NOTHING);
    CU_ASSERT_TRUE(has_text("winnow-sqlstate", "22003"));
    CU_ASSERT_TRUE(has_text("__connect.errors.stage", "TASK_PUT"));
    CU_ASSERT_TRUE(has("kafka_dlt-original-timestamp", slice_of("\xff\xff\xff\xff\xff\xff\xff\xff", 8)));
    CU_ASSERT_TRUE(has_text("kafka_dlt-original-timestamp-type", "NoTimestampType"));
}

static void test_originals_come_first_and_unchanged(void)
{
    struct buffer originals = {0};
    headers_add(&originals, slice_of_text("trace"), slice_of("\0\xff", 2));
    headers_add(&originals, slice_of_text("none"), slice_of(NULL, 0));
    headers_add(&originals, slice_of_text("trace"), slice_of_text("again"));
    compose(slice_of(originals.data, originals.size), OMIT_NOTHING);
    CU_ASSERT_TRUE_FATAL(out.size > originals.size);
    CU_ASSERT_EQUAL(memcmp(out.data, originals.data, originals.size), 0);
    buffer_done(&originals);
}

/* A dead letter of a dead letter: the first failure's headers stay, the newest winnow-* come last. */
static void test_nothing_is_overwritten(void)
{
    struct buffer originals = {0};
    struct slice value = slice_of(NULL, 0);
    headers_add(&originals, slice_of_text("__connect.errors.topic"), slice_of_text("older"));
    headers_add(&originals, slice_of_text("kafka_dlt-original-offset"), slice_of(NULL, 0));
    headers_add(&originals, slice_of_text("winnow-id"), slice_of_text("older/0/1"));
    compose(slice_of(originals.data, originals.size), OMIT_NOTHING);
    CU_ASSERT_TRUE(has_text("__connect.errors.topic", "older"));
    CU_ASSERT_EQUAL(find("kafka_dlt-original-offset", &value), 1);
    CU_ASSERT_PTR_NULL(value.data);
    CU_ASSERT_EQUAL(find("winnow-id", &value), 2);
    CU_ASSERT_TRUE(slice_equals(value, slice_of_text("events/258/72623859790382856")));
    buffer_done(&originals);
}

static void test_omissions_are_told(void)
{
    struct buffer originals = {0};
    headers_add(&originals, slice_of_text("trace"), slice_of_text("t"));
    compose(slice_of(originals.data, originals.size), OMIT_VALUE);
    CU_ASSERT_TRUE(has_text("trace", "t"));
    CU_ASSERT_TRUE(has_text("winnow-value-omitted", "full bytes in winnow.dead_letter"));
    CU_ASSERT_TRUE(lacks("winnow-headers-omitted"));
    compose(slice_of(originals.data, originals.size), OMIT_ORIGINAL);
    CU_ASSERT_TRUE(lacks("trace"));
    CU_ASSERT_TRUE(has_text("winnow-id", "events/258/72623859790382856"));
    CU_ASSERT_TRUE(has_text("winnow-value-omitted", "full bytes in winnow.dead_letter"));
    CU_ASSERT_TRUE(has_text("winnow-headers-omitted", "key and headers in winnow.dead_letter"));
    buffer_done(&originals);
}

static void test_damaged_headers_cost_nothing_else(void)
{
    struct buffer originals = {0};
    headers_add(&originals, slice_of_text("whole"), slice_of_text("w"));
    (void)buffer_add(&originals, "\0\0\1", 3);
    compose(slice_of(originals.data, originals.size), OMIT_NOTHING);
    CU_ASSERT_TRUE(has_text("whole", "w"));
    CU_ASSERT_TRUE(has_text("winnow-reason", "amount_invalid"));
    buffer_done(&originals);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("dead letter headers", NULL, NULL);
    CU_add_test(suite, "Connect's", test_connect);
    CU_add_test(suite, "Spring's", test_spring);
    CU_add_test(suite, "own", test_own);
    CU_add_test(suite, "refused by the database", test_refused_by_the_database);
    CU_add_test(suite, "originals come first and unchanged", test_originals_come_first_and_unchanged);
    CU_add_test(suite, "nothing is overwritten", test_nothing_is_overwritten);
    CU_add_test(suite, "omissions are told", test_omissions_are_told);
    CU_add_test(suite, "damaged headers cost nothing else", test_damaged_headers_cost_nothing_else);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    buffer_done(&out);
    return failures != 0;
}
