#include <CUnit/Basic.h>
#include <stdlib.h>

#include "instant.h"

#define UNTOUCHED INT64_C(-77)

static void expect_rules(const char *text, const struct client_rules *rules, enum instant_result result,
                         const char *expected)
{
    int64_t instant_us = UNTOUCHED;
    char printed[INSTANT_TEXT_SIZE];
    CU_ASSERT_EQUAL(instant_parse_text(slice_of_text(text), rules, &instant_us), result);
    if (result != INSTANT_OK) {
        CU_ASSERT_EQUAL(instant_us, UNTOUCHED);
        return;
    }
    CU_ASSERT_FATAL(instant_us >= 0 && instant_us <= INSTANT_MAX);
    CU_ASSERT_EQUAL(instant_print(instant_us, printed), strlen(expected));
    CU_ASSERT_STRING_EQUAL(printed, expected);
}

static void expect(const char *text, const char *expected)
{
    const struct client_rules rules = {0};
    expect_rules(text, &rules, INSTANT_OK, expected);
}

static void expect_invalid(const char *text)
{
    const struct client_rules rules = {0};
    expect_rules(text, &rules, INSTANT_INVALID, NULL);
}

static void expect_number(const char *text, enum instant_result result, int64_t expected)
{
    int64_t instant_us = UNTOUCHED;
    CU_ASSERT_EQUAL(instant_parse_number(slice_of_text(text), &instant_us), result);
    CU_ASSERT_EQUAL(instant_us, result == INSTANT_OK ? expected : UNTOUCHED);
}

/* D-2 */
static void test_iso(void)
{
    expect("2024-01-15", "2024-01-15T00:00:00Z");
    expect("2024/1/5", "2024-01-05T00:00:00Z");
    expect("20240115", "2024-01-15T00:00:00Z");
    expect("20240115 10:30", "2024-01-15T10:30:00Z");
    expect("2024-01-15T10:30:15.1Z", "2024-01-15T10:30:15.1Z");
    expect("2024-01-15T10:30:15.123456789Z", "2024-01-15T10:30:15.123456Z");
    expect("2024-01-15T10:30:15.0000009Z", "2024-01-15T10:30:15Z");
    expect("2024-01-15T10:30+05:30", "2024-01-15T05:00:00Z");
    expect("2024-01-15T10:30-0530", "2024-01-15T16:00:00Z");
    expect("2024-01-15T10:30:00-12", "2024-01-15T22:30:00Z");
}

/* Nothing that the rules do not name, and no character more or less. */
static void test_iso_cut_and_longer(void)
{
    static const char whole[] = "2024-01-15T10:30:15.5+01:30";
    const struct client_rules rules = {0};
    char longer[sizeof whole + 1];
    for (size_t size = 1; size < sizeof whole - 1; size++) {
        int64_t instant_us;
        /* 2024 is an epoch; the date, hh:mm, hh:mm:ss, the fraction, +01 and are whole themselves. */
        bool good = size == 1 || size == 2 || size == 3 || size == 4 || size == 10 || size == 16 ||
                    size == 19 || size == 21 || size == 24;
        CU_ASSERT_EQUAL(instant_parse_text(slice_of(whole, size), &rules, &instant_us) == INSTANT_OK, good);
    }
    (void)snprintf(longer, sizeof longer, "%s0", whole);
    expect_invalid(longer);
}

/* D-3 */
static void test_epoch_numbers(void)
{
    expect_number("0", INSTANT_OK, 0);
    expect_number("-0", INSTANT_OK, 0);
    expect_number("-0.000", INSTANT_OK, 0);
    expect_number("-0e5", INSTANT_OK, 0);
    expect_number("7258118399", INSTANT_OK, INT64_C(7258118399000000));
    expect_number("7258118400", INSTANT_OUT_OF_RANGE, 0);
    expect_number("99999999999", INSTANT_OUT_OF_RANGE, 0);
    expect_number("100000000000", INSTANT_OK, INT64_C(100000000000000));
    expect_number("99999999999999", INSTANT_OUT_OF_RANGE, 0);
    expect_number("100000000000000", INSTANT_OK, INT64_C(100000000000000));
    expect_number("7258118399999999", INSTANT_OK, INSTANT_MAX);
    expect_number("7258118400000000", INSTANT_OUT_OF_RANGE, 0);
    expect_number("100000000000000000", INSTANT_OK, INT64_C(100000000000000));
    expect_number("7258118399999999999", INSTANT_OK, INSTANT_MAX);
    expect_number("7258118400000000000", INSTANT_OUT_OF_RANGE, 0);
    expect_number("9999999999999999999", INSTANT_OUT_OF_RANGE, 0);
    expect_number("18446744073709551617", INSTANT_OUT_OF_RANGE, 0);
    expect_number("-1", INSTANT_OUT_OF_RANGE, 0);
}

static void test_fractions_of_seconds(void)
{
    expect_number("1.5", INSTANT_OK, 1500000);
    expect_number("1.9999999", INSTANT_OK, 1999999);
    expect_number("1e3", INSTANT_OK, 1000000000);
    expect_number("1704067200123e-3", INSTANT_OK, INT64_C(1704067200123000));
    expect_number("7258118399.9999999", INSTANT_OK, INSTANT_MAX);
    expect_number("7258118400.0", INSTANT_OUT_OF_RANGE, 0);
    expect_number("0.000000000000000000000000000000000000000000001e45", INSTANT_OK, 1000000);
    expect_number("1e-7", INSTANT_OK, 0);
    expect_number("-1e-7", INSTANT_OUT_OF_RANGE, 0);
    expect_number("0e99999999999999999999", INSTANT_OK, 0);
    expect_number("1e99999999999999999999", INSTANT_OUT_OF_RANGE, 0);
    expect_number("1e-99999999999999999999", INSTANT_OK, 0);
}

static void test_epoch_strings(void)
{
    expect("1704067200", "2024-01-01T00:00:00Z");
    expect("1704067200123", "2024-01-01T00:00:00.123Z");
    expect("0", "1970-01-01T00:00:00Z");
    expect("000000000", "1970-01-01T00:00:00Z");
    expect("00000000000000000000000001704067200", "2024-01-01T00:00:00Z");
    expect_invalid("00000000"); /* eight digits are a date */
    expect_invalid("-1");
    expect_invalid("+1");
    expect_invalid("1.5");
    expect_invalid("");
}

/* D-4 */
static void test_mail(void)
{
    expect("Mon, 15 Jan 2024 10:30:00 GMT", "2024-01-15T10:30:00Z");
    expect("Sun, 15 Jan 2024 10:30:00 GMT", "2024-01-15T10:30:00Z"); /* a wrong weekday is ignored */
    expect("5 feb 2024 10:30 UTC", "2024-02-05T10:30:00Z");
    expect("05 MAR 2024 10:30:01 +0100", "2024-03-05T09:30:01Z");
    expect("05 Mar 2024 10:30:01", "2024-03-05T10:30:01Z");
    expect_invalid("Mon, 15 Jan 2024");
    expect_invalid("Mon, 32 Jan 2024 10:30:00 GMT");
    expect_invalid("Mon, 15 Foo 2024 10:30:00 GMT");
    expect_invalid("Mon, 15 Jan 2024 10:30:00 PST");
    expect_invalid("Mon,  15 Jan 2024 10:30:00 GMT");
}

/* D-5 */
static void test_configured_zone(void)
{
    const struct client_rules rules = {.zone_offset_s = 3600};
    expect_rules("2024-01-15", &rules, INSTANT_OK, "2024-01-14T23:00:00Z");
    expect_rules("2024-01-15T00:30Z", &rules, INSTANT_OK, "2024-01-15T00:30:00Z");
    expect_rules("2024-01-15T00:30+02", &rules, INSTANT_OK, "2024-01-14T22:30:00Z");
    expect_rules("1704067200", &rules, INSTANT_OK, "2024-01-01T00:00:00Z");
    expect_rules("1970-01-01", &rules, INSTANT_OUT_OF_RANGE, NULL);
}

/* D-6 */
static void test_date_order(void)
{
    const struct client_rules dmy = {.date_order = DATE_ORDER_DMY};
    const struct client_rules mdy = {.date_order = DATE_ORDER_MDY};
    expect_invalid("01/02/2024");
    expect_rules("01/02/2024", &dmy, INSTANT_OK, "2024-02-01T00:00:00Z");
    expect_rules("01/02/2024", &mdy, INSTANT_OK, "2024-01-02T00:00:00Z");
    expect_rules("31/12/2024T10:30Z", &dmy, INSTANT_OK, "2024-12-31T10:30:00Z");
    expect_rules("31/12/2024", &mdy, INSTANT_INVALID, NULL);
    expect_rules("2024/02/01", &dmy, INSTANT_OK, "2024-02-01T00:00:00Z");
}

/* D-7: the offset comes first. */
static void test_range(void)
{
    const struct client_rules rules = {0};
    expect("1970-01-01", "1970-01-01T00:00:00Z");
    expect("1969-12-31T23:59:59-00:01", "1970-01-01T00:00:59Z");
    expect("2200-01-01T00:00+00:01", "2199-12-31T23:59:00Z");
    expect("2199-12-31T23:59:59.999999999", "2199-12-31T23:59:59.999999Z");
    expect_rules("1969-12-31T23:59:59.999999Z", &rules, INSTANT_OUT_OF_RANGE, NULL);
    expect_rules("2200-01-01", &rules, INSTANT_OUT_OF_RANGE, NULL);
    expect_rules("1970-01-01T00:00+00:01", &rules, INSTANT_OUT_OF_RANGE, NULL);
    expect_rules("0000-02-30", &rules, INSTANT_INVALID, NULL);
}

/* D-1 */
static void test_broker_time(void)
{
    int64_t instant_us = UNTOUCHED;
    CU_ASSERT_EQUAL(instant_from_ms(-1, &instant_us), INSTANT_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(instant_from_ms(INT64_MAX, &instant_us), INSTANT_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(instant_from_ms(INT64_MIN, &instant_us), INSTANT_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(instant_from_ms(INT64_C(7258118400000), &instant_us), INSTANT_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(instant_us, UNTOUCHED);
    CU_ASSERT_EQUAL(instant_from_ms(INT64_C(7258118399999), &instant_us), INSTANT_OK);
    CU_ASSERT_EQUAL(instant_us, INSTANT_MAX - 999);
}

/* H-2 */
static void test_cut(void)
{
    int64_t instant_us = INT64_C(1705314645123456); /* 2024-01-15T10:30:45.123456Z */
    CU_ASSERT_EQUAL(instant_cut(instant_us, GRANULARITY_DAY), INT64_C(1705276800000000));
    CU_ASSERT_EQUAL(instant_cut(instant_us, GRANULARITY_HOUR), INT64_C(1705312800000000));
    CU_ASSERT_EQUAL(instant_cut(instant_us, GRANULARITY_MINUTE), INT64_C(1705314600000000));
    CU_ASSERT_EQUAL(instant_cut(instant_us, GRANULARITY_SECOND), INT64_C(1705314645000000));
    CU_ASSERT_EQUAL(instant_cut(instant_us, GRANULARITY_EXACT), instant_us);
    CU_ASSERT_EQUAL(instant_cut(0, GRANULARITY_DAY), 0);
    CU_ASSERT_EQUAL(instant_cut(INSTANT_MAX, GRANULARITY_DAY), INSTANT_MAX - INT64_C(86399999999));
}

static void test_months(void)
{
    CU_ASSERT_EQUAL(instant_month(0), 0);
    CU_ASSERT_EQUAL(instant_month(INT64_C(2678399999999)), 0);
    CU_ASSERT_EQUAL(instant_month(INT64_C(2678400000000)), 1);
    CU_ASSERT_EQUAL(instant_month(INSTANT_MAX), 2759);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("instant", NULL, NULL);
    CU_add_test(suite, "iso", test_iso);
    CU_add_test(suite, "iso cut and longer", test_iso_cut_and_longer);
    CU_add_test(suite, "epoch numbers", test_epoch_numbers);
    CU_add_test(suite, "fractions of seconds", test_fractions_of_seconds);
    CU_add_test(suite, "epoch strings", test_epoch_strings);
    CU_add_test(suite, "mail", test_mail);
    CU_add_test(suite, "configured zone", test_configured_zone);
    CU_add_test(suite, "date order", test_date_order);
    CU_add_test(suite, "range", test_range);
    CU_add_test(suite, "broker time", test_broker_time);
    CU_add_test(suite, "cut", test_cut);
    CU_add_test(suite, "months", test_months);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
