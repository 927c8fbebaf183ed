/* A pool of another size, or of none for a while. */
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "roster.h"

#define DRAIN_MS 11000

static struct roster roster;
static const struct roster_death drained = {.kind = DEATH_DRAINED};

static void set_up(unsigned count)
{
    const struct roster_options options = {.count = count, .drain_ms = DRAIN_MS, .seed = 7};
    roster_init(&roster, &options);
}

static void check_step(int64_t now_ms, enum roster_action_kind kind, unsigned slot)
{
    const struct roster_action action = roster_step(&roster, now_ms);
    CU_ASSERT_EQUAL(action.kind, kind);
    CU_ASSERT_EQUAL(action.slot, slot);
}

/* Nothing to do now; time alone changes that at `until_ms`. */
static void check_rest(int64_t now_ms, int64_t until_ms)
{
    const struct roster_action action = roster_step(&roster, now_ms);
    CU_ASSERT_EQUAL(action.kind, ROSTER_WAIT);
    CU_ASSERT_EQUAL(action.wait_until_ms, until_ms);
}

static void start_all(unsigned count, int64_t now_ms)
{
    for (unsigned slot = 0; slot < count; slot++) {
        check_step(now_ms, ROSTER_START, slot);
        roster_joined(&roster, slot);
    }
    check_rest(now_ms, INT64_MAX);
}

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
