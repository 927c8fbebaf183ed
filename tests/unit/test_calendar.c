#include <CUnit/Basic.h>
#include <stdlib.h>

#include "calendar.h"

static void test_known_days(void)
{
    CU_ASSERT_EQUAL(calendar_days((struct date){1970, 1, 1}), 0);
    CU_ASSERT_EQUAL(calendar_days((struct date){1969, 12, 31}), -1);
    CU_ASSERT_EQUAL(calendar_days((struct date){2000, 3, 1}), 11017);
    CU_ASSERT_EQUAL(calendar_days((struct date){2024, 1, 1}), 19723);
    CU_ASSERT_EQUAL(calendar_days((struct date){2199, 12, 31}), 84005);
    CU_ASSERT_EQUAL(calendar_days((struct date){0, 1, 1}), -719528);
}

/* Every day of ten thousand years, one after the other. */
static void test_every_day(void)
{
    int64_t days = calendar_days((struct date){0, 1, 1});
    struct date date = {0, 1, 1};
    bool all = true;
    while (date.year < 10000) {
        struct date found = calendar_date(days);
        all = all && calendar_days(date) == days && found.year == date.year && found.month == date.month &&
              found.day == date.day;
        days++;
        date.day++;
        if (!calendar_has(date)) date = (struct date){date.year, date.month + 1, 1};
        if (!calendar_has(date)) date = (struct date){date.year + 1, 1, 1};
    }
    CU_ASSERT(all);
    CU_ASSERT_EQUAL(days, calendar_days((struct date){10000, 1, 1}));
}

static void test_leap_years(void)
{
    CU_ASSERT(calendar_has((struct date){2024, 2, 29}));
    CU_ASSERT(calendar_has((struct date){2000, 2, 29}));
    CU_ASSERT(!calendar_has((struct date){2023, 2, 29}));
    CU_ASSERT(!calendar_has((struct date){2100, 2, 29}));
    CU_ASSERT(!calendar_has((struct date){2024, 2, 30}));
}

static void test_no_dates(void)
{
    CU_ASSERT(!calendar_has((struct date){2024, 0, 1}));
    CU_ASSERT(!calendar_has((struct date){2024, 13, 1}));
    CU_ASSERT(!calendar_has((struct date){2024, 1, 0}));
    CU_ASSERT(!calendar_has((struct date){2024, 4, 31}));
    CU_ASSERT(calendar_has((struct date){2024, 12, 31}));
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("calendar", NULL, NULL);
    CU_add_test(suite, "known days", test_known_days);
    CU_add_test(suite, "every day", test_every_day);
    CU_add_test(suite, "leap years", test_leap_years);
    CU_add_test(suite, "no dates", test_no_dates);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
