#include <CUnit/Basic.h>
#include <stdlib.h>

#include "decimal.h"

static void expect(const char *text, const char *expected)
{
    struct decimal decimal;
    char printed[DECIMAL_TEXT_SIZE];
    CU_ASSERT_EQUAL_FATAL(decimal_parse(slice_of_text(text), &decimal), DECIMAL_OK);
    CU_ASSERT_EQUAL(decimal_print(&decimal, printed), strlen(expected));
    CU_ASSERT_STRING_EQUAL(printed, expected);
}

static void expect_failure(const char *text, enum decimal_result expected)
{
    struct decimal decimal;
    struct decimal before;
    memset(&decimal, 0x5A, sizeof decimal);
    before = decimal;
    CU_ASSERT_EQUAL(decimal_parse(slice_of_text(text), &decimal), expected);
    CU_ASSERT_EQUAL(memcmp(&decimal, &before, sizeof decimal), 0); /* untouched */
}

/* */
static void test_accepted_forms(void)
{
    expect("0", "0");
    expect("1200", "1200");
    expect("+1200.50", "1200.5");
    expect("-0.5", "-0.5");
    expect("1,234.50", "1234.5");
    expect("12,345,678", "12345678");
    expect("123,456e-3", "123.456");
    expect("1E+2", "100");
    expect("00012", "12");
}

static void test_refused_forms(void)
{
    static const char *const texts[] = {
        "",        "+",         "-",    ".",      ".5",       "5.",    "1e",    "1e+",
        "e1",      "1.e1",      "1,23", "1,2345", "1234,567", ",123",  "1,",    "1,234,",
        "1,234,5", "1.234,567", "1..2", "1.2.3",  "1e1e1",    "1e1.0", " 1",    "1 ",
        "--1",     "+-1",       "0x10", "NaN",    "inf",      "1_000", "12abc", "1e1,000"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) expect_failure(texts[i], DECIMAL_INVALID);
}

/* */
static void test_digits(void)
{
    expect("12345678901234567890123456789.012345678", "12345678901234567890123456789.012345678");
    expect("0.00000000001234567890123456789012345678901234567800000",
           "0.000000000012345678901234567890123456789012345678");
    expect("10000000000000000000000000000000000000000000000e-30", "10000000000000000");
    expect_failure("0.100000000000000000000000000000000000001", DECIMAL_OUT_OF_RANGE);
    expect_failure("1234567890123456789.01234567890123456789", DECIMAL_OUT_OF_RANGE);
}

static void test_magnitude(void)
{
    expect("1e30", "1000000000000000000000000000000");
    expect("-1000e27", "-1000000000000000000000000000000");
    expect("1e-18", "0.000000000000000001");
    expect("-1.5e-18", "-0.0000000000000000015");
    expect("999999999999999999999999999999.9", "999999999999999999999999999999.9");
    expect_failure("1.1e30", DECIMAL_OUT_OF_RANGE);
    expect_failure("2e30", DECIMAL_OUT_OF_RANGE);
    expect_failure("1000000000000000000000000000000.0000001", DECIMAL_OUT_OF_RANGE);
    expect_failure("9.99e-19", DECIMAL_OUT_OF_RANGE);
}

static void test_huge_exponents(void)
{
    expect("0e999999999999", "0");
    expect("-0.000e-99999999999999999999999999999", "0");
    expect_failure("1e99999999999", DECIMAL_OUT_OF_RANGE);
    expect_failure("1e-99999999999", DECIMAL_OUT_OF_RANGE);
    expect_failure("1e18446744073709551616", DECIMAL_OUT_OF_RANGE);
    expect_failure("1e-18446744073709551616", DECIMAL_OUT_OF_RANGE);
    expect("1e0000000000000000000000000000001", "10");
}

/* A million digits, whose point an exponent shifts back into range. */
static void test_long_text(void)
{
    size_t zeros = 1000000;
    char *text = malloc(zeros + 32);
    struct decimal decimal;
    text[0] = '7';
    memset(text + 1, '0', zeros);
    strcpy(text + 1 + zeros, "e-1000000");
    CU_ASSERT_EQUAL(decimal_parse(slice_of_text(text), &decimal), DECIMAL_OK);
    CU_ASSERT(decimal.digit_count == 1 && decimal.digits[0] == '7' && decimal.exponent == 0);
    free(text);
}

/* equal numbers are equal structures. */
static void test_equal_numbers(void)
{
    static const char *const texts[] = {"1200", "1200.00", "1.2e3", "+1200", "1,200", "0001200", "12000e-1"};
    struct decimal first;
    struct decimal other;
    CU_ASSERT_EQUAL_FATAL(decimal_parse(slice_of_text(texts[0]), &first), DECIMAL_OK);
    for (size_t i = 1; i < ARRAY_COUNT(texts); i++) {
        memset(&other, 0xFF, sizeof other);
        CU_ASSERT_EQUAL_FATAL(decimal_parse(slice_of_text(texts[i]), &other), DECIMAL_OK);
        CU_ASSERT_EQUAL(memcmp(&first, &other, sizeof first), 0);
    }
}

static void test_zero_has_no_sign(void)
{
    struct decimal zero = {0};
    struct decimal decimal;
    CU_ASSERT_EQUAL(decimal_parse(slice_of_text("-0.00e7"), &decimal), DECIMAL_OK);
    CU_ASSERT_EQUAL(memcmp(&decimal, &zero, sizeof zero), 0);
}

static void test_longest_text_fits(void)
{
    struct decimal decimal;
    char printed[DECIMAL_TEXT_SIZE];
    const char *text = "-1.2345678901234567890123456789012345678e-18";
    CU_ASSERT_EQUAL_FATAL(decimal_parse(slice_of_text(text), &decimal), DECIMAL_OK);
    CU_ASSERT_EQUAL(decimal_print(&decimal, printed), 58);
    CU_ASSERT_STRING_EQUAL(printed, "-0.0000000000000000012345678901234567890123456789012345678");
}

static void test_split(void)
{
    struct decimal_parts parts;
    CU_ASSERT_TRUE_FATAL(decimal_split(slice_of_text("-1,234.50e-07"), &parts));
    CU_ASSERT(parts.negative);
    CU_ASSERT(slice_equals(parts.whole, slice_of_text("1,234")));
    CU_ASSERT(slice_equals(parts.fraction, slice_of_text("50")));
    CU_ASSERT_EQUAL(parts.exponent, -7);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("decimal", NULL, NULL);
    CU_add_test(suite, "accepted forms", test_accepted_forms);
    CU_add_test(suite, "refused forms", test_refused_forms);
    CU_add_test(suite, "digits", test_digits);
    CU_add_test(suite, "magnitude", test_magnitude);
    CU_add_test(suite, "huge exponents", test_huge_exponents);
    CU_add_test(suite, "long text", test_long_text);
    CU_add_test(suite, "equal numbers", test_equal_numbers);
    CU_add_test(suite, "zero has no sign", test_zero_has_no_sign);
    CU_add_test(suite, "longest text fits", test_longest_text_fits);
    CU_add_test(suite, "split", test_split);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
