/* A pool of another size, or of none for a while. */
// link: tests/unit/roster_steps.c
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "roster_steps.h"

static void test_resize_reaches_the_count(void)
{
    set_up(2);
    start_all(2, 0);
    CU_ASSERT_FALSE(roster_resize(&roster, 0));
    CU_ASSERT_FALSE(roster_resize(&roster, ROSTER_MEMBER_COUNT_MAX + 1));
    CU_ASSERT_TRUE(roster_resize(&roster, 4));
    check_step(10, ROSTER_START, 2);
    check_step(10, ROSTER_START, 3);
    CU_ASSERT_TRUE(roster_resize(&roster, 1));
    CU_ASSERT_EQUAL(roster_wanted_count(&roster), 1);
    roster_stop(&roster);
    CU_ASSERT_FALSE(roster_resize(&roster, 2));
}

/* A count that an operator has given since stays until the configuration says another one than before. */
static void test_other_options(void)
{
    set_up(2);
    start_all(2, 0);
    CU_ASSERT_TRUE(roster_resize(&roster, 1));
    roster_set_options(&roster, 2, 500, 0);
    CU_ASSERT_EQUAL(roster_wanted_count(&roster), 1);
    check_step(10, ROSTER_TERMINATE, 1);
    check_rest(10, 510);
    (void)roster_died(&roster, 1, &drained, 20);
    CU_ASSERT_TRUE(roster_drain(&roster));
    roster_set_options(&roster, 3, 500, 0);
    CU_ASSERT_EQUAL(roster_wanted_count(&roster), 0);
    CU_ASSERT_TRUE(roster_resume(&roster));
    CU_ASSERT_EQUAL(roster_wanted_count(&roster), 3);
}

static void test_drained_until_resumed(void)
{
    set_up(2);
    start_all(2, 0);
    CU_ASSERT_FALSE(roster_resume(&roster));
    CU_ASSERT_TRUE(roster_drain(&roster));
    CU_ASSERT_FALSE(roster_drain(&roster));
    check_step(10, ROSTER_TERMINATE, 0);
    check_step(10, ROSTER_TERMINATE, 1);
    (void)roster_died(&roster, 0, &drained, 20);
    (void)roster_died(&roster, 1, &drained, 20);
    check_rest(30, INT64_MAX); /* the pool stays */
    CU_ASSERT_FALSE(roster_grow(&roster));
    CU_ASSERT_FALSE(roster_shrink(&roster));
    CU_ASSERT_FALSE(roster_resize(&roster, 1));
    CU_ASSERT_TRUE(roster_resume(&roster));
    check_step(40, ROSTER_START, 0);
    check_step(40, ROSTER_START, 1);
    CU_ASSERT_EQUAL(roster_wanted_count(&roster), 2);
}

static void test_resumed_while_draining(void)
{
    set_up(1);
    start_all(1, 0);
    CU_ASSERT_TRUE(roster_drain(&roster));
    check_step(10, ROSTER_TERMINATE, 0);
    CU_ASSERT_TRUE(roster_resume(&roster));
    check_rest(11, 10 + DRAIN_MS);
    CU_ASSERT_EQUAL(roster_died(&roster, 0, &drained, 20).restart_in_ms, 0);
    check_step(20, ROSTER_START, 0);
}

static CU_TestInfo tests[] = {
    {"resize reaches the count", test_resize_reaches_the_count},
    {"other options", test_other_options},
    {"drained until resumed", test_drained_until_resumed},
    {"resumed while draining", test_resumed_while_draining},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    CU_SuiteInfo suites[] = {{"roster steering", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
