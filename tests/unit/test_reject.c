#include <CUnit/Basic.h>
#include <stdlib.h>

#include "reject.h"

static void test_names_are_a_closed_list(void)
{
    CU_ASSERT_EQUAL(REJECT_REASON_COUNT, 19);
    CU_ASSERT_STRING_EQUAL(reject_name(REJECT_EMPTY), "empty");
    CU_ASSERT_STRING_EQUAL(reject_name(REJECT_CRASHED_WORKER), "crashed_worker");
    for (int i = 0; i < REJECT_REASON_COUNT; i++) {
        CU_ASSERT(strlen(reject_name((enum reject_reason)i)) > 0);
        CU_ASSERT(strlen(reject_sentence((enum reject_reason)i)) > 0);
    }
}

static void test_detail(void)
{
    struct reject reject;
    reject_set(&reject, REJECT_AMOUNT_INVALID, "A-2", "amount", slice_of_text("\"12abc\""), "a number");
    CU_ASSERT_EQUAL(reject.reason, REJECT_AMOUNT_INVALID);
    CU_ASSERT_STRING_EQUAL(reject.detail, "A-2: amount: found \"12abc\", expected a number");
    reject_set(&reject, REJECT_METRIC_MISSING, "T-1", "metric", slice_of(NULL, 0), "metric or type");
    CU_ASSERT_STRING_EQUAL(reject.detail, "T-1: metric: expected metric or type");
}

static void expect_found(const char *text, size_t size, const char *expected)
{
    struct reject reject;
    char detail[REJECT_DETAIL_SIZE];
    (void)snprintf(detail, sizeof detail, "M: f: found %s, expected e", expected);
    reject_set(&reject, REJECT_EMPTY, "M", "f", slice_of(text, size), "e");
    CU_ASSERT_STRING_EQUAL(reject.detail, detail);
}

#define TEN   "0123456789"
#define FIFTY TEN TEN TEN TEN TEN

static void test_found_is_cut_at_a_character(void)
{
    expect_found(FIFTY TEN TEN TEN, 80, FIFTY TEN TEN TEN);
    expect_found(FIFTY TEN TEN TEN "x", 81, FIFTY TEN TEN TEN "...");
    expect_found(FIFTY TEN TEN "012345678\xc3\xa9", 81, FIFTY TEN TEN "012345678...");
    expect_found(FIFTY TEN TEN "01234567\xc3\xa9x", 81, FIFTY TEN TEN "01234567\xc3\xa9...");
    expect_found(FIFTY TEN TEN "0123456\xf0\x9f\x98\x80", 81, FIFTY TEN TEN "0123456...");
    expect_found(FIFTY TEN TEN "012345678\xc3x", 81, FIFTY TEN TEN "012345678\\xc3...");
}

static void test_found_is_escaped(void)
{
    expect_found("a\0\n\r\t\x1b\x7f", 7, "a\\x00\\n\\r\\t\\x1b\\x7f");
    expect_found("\xc3\xa9\xff\xc3", 4, "\xc3\xa9\\xff\\xc3");
    expect_found("\xc2\x85", 2, "\\u0085");
    expect_found("\xd8\x9c\xd8\x9b", 4, "\\u061c\xd8\x9b"); /* what turns the direction of reading */
    expect_found("\xe2\x80\x8f\xe2\x80\xae\xe2\x80\xaf", 9, "\\u200f\\u202e\xe2\x80\xaf");
    expect_found("\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9", 9, "\xe2\x81\xa5\\u2066\\u2069");
    expect_found("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
}

static void test_escape_fits_its_room(void)
{
    char out[8];
    CU_ASSERT_EQUAL(reject_escape(slice_of_text("1234567"), out, sizeof out), 7);
    CU_ASSERT_STRING_EQUAL(out, "1234567");
    CU_ASSERT_EQUAL(reject_escape(slice_of_text("12345678"), out, sizeof out), 7);
    CU_ASSERT_EQUAL(reject_escape(slice_of_text("1234\x1b"), out, sizeof out), 4);
    CU_ASSERT_STRING_EQUAL(out, "1234");
    CU_ASSERT_EQUAL(reject_escape(slice_of_text("123456\xc3\xa9"), out, sizeof out), 6);
    CU_ASSERT_EQUAL(reject_escape(slice_of_text("x"), out, 1), 0);
    CU_ASSERT_STRING_EQUAL(out, "");
    CU_ASSERT_EQUAL(reject_escape(slice_of_text("x"), out, 0), 0);
    CU_ASSERT_EQUAL(reject_escape(slice_of(NULL, 0), out, sizeof out), 0);
}

/* The worst that can be found still leaves room for the rest. */
static void test_detail_holds_the_worst(void)
{
    char found[200];
    struct reject reject;
    memset(found, 0xFF, sizeof found);
    reject_set(&reject, REJECT_EMPTY, "M-1", "value", slice_of(found, sizeof found), "the end");
    CU_ASSERT_PTR_NOT_NULL(strstr(reject.detail, "\\xff..., expected the end"));
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("reject", NULL, NULL);
    CU_add_test(suite, "names are a closed list", test_names_are_a_closed_list);
    CU_add_test(suite, "detail", test_detail);
    CU_add_test(suite, "found is cut at a character", test_found_is_cut_at_a_character);
    CU_add_test(suite, "found is escaped", test_found_is_escaped);
    CU_add_test(suite, "escape fits its room", test_escape_fits_its_room);
    CU_add_test(suite, "detail holds the worst", test_detail_holds_the_worst);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
