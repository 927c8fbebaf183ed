/* The decisions of a pool, as traces: what happened at which millisecond, and what the roster wanted then. */
// link: tests/unit/roster_steps.c
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "roster_steps.h"

static const struct roster_death crash = {.kind = DEATH_CRASHED};

static struct roster_verdict die_with(unsigned slot, int32_t partition, int64_t offset, int64_t now_ms)
{
    const struct roster_death death = {
        .kind = DEATH_CRASHED, .in_hand = true, .partition = partition, .offset = offset};
    return roster_died(&roster, slot, &death, now_ms);
}

static void test_starts_what_is_wanted(void)
{
    set_up(3);
    CU_ASSERT_EQUAL(roster_wanted_count(&roster), 3);
    start_all(3, 1000);
    CU_ASSERT_EQUAL(roster_joined_count(&roster), 3);
}

static void test_restart_waits_longer_each_time(void)
{
    set_up(1);
    int64_t now_ms = 0;
    int64_t limit_ms = ROSTER_RESTART_FLOOR_MS;
    for (int death = 0; death < 9; death++) {
        check_step(now_ms, ROSTER_START, 0);
        const struct roster_verdict verdict = roster_died(&roster, 0, &crash, now_ms + 5);
        CU_ASSERT_EQUAL(verdict.lived_ms, 5);
        CU_ASSERT(verdict.restart_in_ms >= limit_ms / 2 && verdict.restart_in_ms <= limit_ms);
        check_rest(now_ms + 5, now_ms + 5 + verdict.restart_in_ms);
        check_rest(now_ms + 5 + verdict.restart_in_ms - 1, now_ms + 5 + verdict.restart_in_ms);
        now_ms += 5 + verdict.restart_in_ms;
        limit_ms = limit_ms * 2 < ROSTER_RESTART_CEILING_MS ? limit_ms * 2 : ROSTER_RESTART_CEILING_MS;
    }
}

static void test_long_life_resets_the_delay(void)
{
    set_up(1);
    int64_t now_ms = 0;
    for (int death = 0; death < 6; death++) {
        check_step(now_ms, ROSTER_START, 0);
        now_ms += roster_died(&roster, 0, &crash, now_ms).restart_in_ms;
    }
    check_step(now_ms, ROSTER_START, 0);
    const int64_t short_life_ms =
        roster_died(&roster, 0, &crash, now_ms + ROSTER_STEADY_MS - 1).restart_in_ms;
    CU_ASSERT(short_life_ms > ROSTER_RESTART_FLOOR_MS);
    now_ms += ROSTER_STEADY_MS - 1 + short_life_ms;
    check_step(now_ms, ROSTER_START, 0);
    CU_ASSERT(roster_died(&roster, 0, &crash, now_ms + ROSTER_STEADY_MS).restart_in_ms <=
              ROSTER_RESTART_FLOOR_MS);
}

/* What all workers share is checked by one, so that a mistake is told once. */
static void test_the_first_one_checks_for_all(void)
{
    const struct roster_options options = {.count = 3, .drain_ms = DRAIN_MS, .hold_ms = 5000, .seed = 7};
    roster_init(&roster, &options);
    check_step(1000, ROSTER_START, 0);
    check_rest(1000, 6000);
    roster_checked(&roster);
    check_step(1200, ROSTER_START, 1);
    check_step(1200, ROSTER_START, 2);

    roster_init(&roster, &options);
    check_step(1000, ROSTER_START, 0);
    check_step(6000, ROSTER_START, 1); /* patience ends */
    check_step(6000, ROSTER_START, 2);

    const struct roster_death final = {.kind = DEATH_FINAL, .exit_code = 78};
    roster_init(&roster, &options);
    check_step(1000, ROSTER_START, 0);
    CU_ASSERT_TRUE(roster_died(&roster, 0, &final, 1100).stops_pool);
    CU_ASSERT_EQUAL(roster_step(&roster, 1100).kind, ROSTER_FINISH);
}

/* A server that refuses one worker for a while must not end those that work. */
static void test_a_refusal_is_final_only_before_the_first_check(void)
{
    const struct roster_death refused = {.kind = DEATH_REFUSED, .exit_code = 78};
    set_up(2);
    start_all(2, 0);
    CU_ASSERT_TRUE(roster_died(&roster, 1, &refused, 10).stops_pool);

    set_up(2);
    start_all(2, 0);
    roster_checked(&roster);
    const struct roster_verdict verdict = roster_died(&roster, 1, &refused, 10);
    CU_ASSERT_FALSE(verdict.stops_pool);
    CU_ASSERT_EQUAL(verdict.restart_in_ms, ROSTER_REFUSED_MS);
    check_rest(10, 10 + ROSTER_REFUSED_MS);
}

/* One that joins while the group still waits for its predecessor would make all the others wait as well. */
static void test_a_dead_member_comes_back_when_the_group_has_let_go(void)
{
    set_up(2);
    roster.options.rejoin_ms = 6000;
    check_step(0, ROSTER_START, 0);
    check_step(0, ROSTER_START, 1);
    CU_ASSERT(roster_died(&roster, 0, &crash, 10).restart_in_ms < 6000); /* had not joined */
    check_step(1000, ROSTER_START, 0);
    roster_joined(&roster, 0);
    CU_ASSERT(roster_died(&roster, 0, &crash, 1010).restart_in_ms < 6000); /* nobody else is there to wait */
    check_step(3000, ROSTER_START, 0);
    roster_joined(&roster, 0);
    roster_joined(&roster, 1);
    CU_ASSERT_EQUAL(roster_died(&roster, 0, &crash, 3010).restart_in_ms, 6000);
}

static void test_same_message_is_quarantined_at_the_third_death(void)
{
    set_up(2);
    start_all(2, 0);
    struct roster_verdict verdict = die_with(0, 3, 42, 10);
    CU_ASSERT_EQUAL(verdict.deaths, 1);
    CU_ASSERT_FALSE(verdict.quarantine);
    verdict = die_with(1, 3, 42, 20); /* the partition went to another worker */
    CU_ASSERT_EQUAL(verdict.deaths, 2);
    CU_ASSERT_FALSE(verdict.quarantine);
    check_step(1000, ROSTER_START, 0);
    verdict = die_with(0, 3, 42, 1010);
    CU_ASSERT_EQUAL(verdict.deaths, ROSTER_DEATHS_MAX);
    CU_ASSERT_TRUE(verdict.quarantine);
    CU_ASSERT(verdict.restart_in_ms >= 0);
}

static void test_other_messages_are_not_quarantined(void)
{
    set_up(1);
    int64_t now_ms = 0;
    for (int64_t i = 0; i < 2 * ROSTER_TALLY_COUNT; i++) {
        check_step(now_ms, ROSTER_START, 0);
        /* Neighbours in one partition, and the same offset in two. */
        const struct roster_verdict verdict = die_with(0, (int32_t)(i % 2), i / 2, now_ms);
        CU_ASSERT_EQUAL(verdict.deaths, 1);
        CU_ASSERT_FALSE(verdict.quarantine);
        now_ms += verdict.restart_in_ms;
    }
}

static void test_idle_deaths_are_not_tallied(void)
{
    set_up(1);
    int64_t now_ms = 0;
    for (int i = 0; i < 5; i++) {
        check_step(now_ms, ROSTER_START, 0);
        const struct roster_verdict verdict = roster_died(&roster, 0, &crash, now_ms);
        CU_ASSERT_EQUAL(verdict.deaths, 0);
        CU_ASSERT_FALSE(verdict.quarantine);
        now_ms += verdict.restart_in_ms;
    }
}

/* Exit codes that winnow uses, and deaths of workers that were asked to end, say nothing about a message. */
static void test_expected_deaths_are_not_tallied(void)
{
    set_up(1);
    check_step(0, ROSTER_START, 0);
    const struct roster_death ended = {.kind = DEATH_ENDED, .in_hand = true, .partition = 1, .offset = 1};
    CU_ASSERT_EQUAL(roster_died(&roster, 0, &ended, 1).deaths, 0);
    check_step(1000, ROSTER_START, 0);
    roster_stop(&roster);
    check_step(1000, ROSTER_TERMINATE, 0);
    CU_ASSERT_EQUAL(die_with(0, 1, 1, 1001).deaths, 0);
}

static void test_final_death_stops_the_pool(void)
{
    set_up(3);
    start_all(3, 0);
    const struct roster_death final = {.kind = DEATH_FINAL, .exit_code = 78};
    const struct roster_verdict verdict = roster_died(&roster, 1, &final, 5);
    CU_ASSERT_TRUE(verdict.stops_pool);
    CU_ASSERT_EQUAL(verdict.restart_in_ms, -1);
    check_step(5, ROSTER_TERMINATE, 0);
    check_step(5, ROSTER_TERMINATE, 2);
    check_rest(5, 5 + DRAIN_MS);
    const struct roster_death second = {.kind = DEATH_FINAL, .exit_code = 70};
    CU_ASSERT_FALSE(roster_died(&roster, 0, &second, 6).stops_pool);
    (void)roster_died(&roster, 2, &drained, 7);
    check_step(7, ROSTER_FINISH, 0);
    CU_ASSERT_EQUAL(roster_result(&roster), 78);
}

/* The first TERM after a pool began to stop by itself is not the second one. */
static void test_stop_after_a_final_death_does_not_kill(void)
{
    set_up(2);
    start_all(2, 0);
    const struct roster_death final = {.kind = DEATH_FINAL, .exit_code = 78};
    (void)roster_died(&roster, 0, &final, 5);
    check_step(5, ROSTER_TERMINATE, 1);
    roster_stop(&roster);
    check_rest(6, 5 + DRAIN_MS);
    roster_stop(&roster);
    check_step(7, ROSTER_KILL, 1);
}

static void test_stop_drains(void)
{
    set_up(2);
    start_all(2, 0);
    roster_stop(&roster);
    check_step(100, ROSTER_TERMINATE, 0);
    check_step(100, ROSTER_TERMINATE, 1);
    check_rest(100, 100 + DRAIN_MS);
    CU_ASSERT_EQUAL(roster_died(&roster, 0, &drained, 200).restart_in_ms, -1);
    check_rest(200, 100 + DRAIN_MS);
    (void)roster_died(&roster, 1, &drained, 300);
    check_step(300, ROSTER_FINISH, 0);
    CU_ASSERT_EQUAL(roster_result(&roster), 0);
}

/* 69 or 75 of a worker that was still connecting, against the same of one that had work. */
static void test_only_joined_workers_have_to_drain(void)
{
    const struct roster_death ended = {.kind = DEATH_ENDED};
    for (int joined = 0; joined <= 1; joined++) {
        set_up(1);
        check_step(0, ROSTER_START, 0);
        if (joined != 0) roster_joined(&roster, 0);
        roster_stop(&roster);
        check_step(1, ROSTER_TERMINATE, 0);
        (void)roster_died(&roster, 0, &ended, 2);
        check_step(2, ROSTER_FINISH, 0);
        CU_ASSERT_EQUAL(roster_result(&roster), joined != 0 ? -1 : 0);
    }
}

static void test_stop_does_not_wait_for_restarts(void)
{
    set_up(1);
    check_step(0, ROSTER_START, 0);
    (void)roster_died(&roster, 0, &crash, 1);
    roster_stop(&roster);
    check_step(2, ROSTER_FINISH, 0);
    CU_ASSERT_EQUAL(roster_result(&roster), 0);
}

static void test_patience_ends(void)
{
    set_up(1);
    start_all(1, 0);
    roster_stop(&roster);
    check_step(100, ROSTER_TERMINATE, 0);
    check_rest(100 + DRAIN_MS - 1, 100 + DRAIN_MS);
    check_step(100 + DRAIN_MS, ROSTER_KILL, 0);
    check_rest(100 + DRAIN_MS, INT64_MAX); /* once */
    (void)roster_died(&roster, 0, &crash, 100 + DRAIN_MS + 1);
    check_step(100 + DRAIN_MS + 1, ROSTER_FINISH, 0);
    CU_ASSERT_EQUAL(roster_result(&roster), -1);
}

static void test_second_stop_kills(void)
{
    set_up(2);
    start_all(2, 0);
    roster_stop(&roster);
    check_step(100, ROSTER_TERMINATE, 0);
    check_step(100, ROSTER_TERMINATE, 1);
    roster_stop(&roster);
    check_step(101, ROSTER_KILL, 0);
    check_step(101, ROSTER_KILL, 1);
    check_rest(101, INT64_MAX);
}

static void test_grow_and_shrink(void)
{
    set_up(1);
    start_all(1, 0);
    CU_ASSERT_FALSE(roster_shrink(&roster));
    CU_ASSERT_TRUE(roster_grow(&roster));
    check_step(10, ROSTER_START, 1);
    CU_ASSERT_EQUAL(roster_wanted_count(&roster), 2);
    CU_ASSERT_TRUE(roster_shrink(&roster));
    check_step(20, ROSTER_TERMINATE, 1);
    check_rest(20, 20 + DRAIN_MS);
    CU_ASSERT_EQUAL(roster_died(&roster, 1, &drained, 30).restart_in_ms, -1);
    check_rest(30, INT64_MAX);
    CU_ASSERT_EQUAL(roster_wanted_count(&roster), 1);
}

static void test_shrink_takes_the_youngest(void)
{
    set_up(3);
    start_all(3, 0);
    const int64_t delay_ms = roster_died(&roster, 0, &crash, 500).restart_in_ms;
    check_step(500 + delay_ms, ROSTER_START, 0);
    CU_ASSERT_TRUE(roster_shrink(&roster));
    check_step(900, ROSTER_TERMINATE, 0);
    (void)roster_died(&roster, 0, &drained, 901);
    (void)roster_died(&roster, 1, &crash, 902); /* not there at the moment: nobody has to leave */
    CU_ASSERT_TRUE(roster_shrink(&roster));
    check_rest(903, INT64_MAX);
    CU_ASSERT_EQUAL(roster.members[1].state, MEMBER_ABSENT);
    CU_ASSERT_EQUAL(roster.members[2].state, MEMBER_RUNNING);
}

static void test_grow_while_one_leaves_replaces_it(void)
{
    set_up(2);
    start_all(2, 0);
    CU_ASSERT_TRUE(roster_shrink(&roster));
    check_step(10, ROSTER_TERMINATE, 1);
    CU_ASSERT_TRUE(roster_grow(&roster));
    check_rest(11, 10 + DRAIN_MS);
    CU_ASSERT_EQUAL(roster_died(&roster, 1, &drained, 12).restart_in_ms, 0);
    check_step(12, ROSTER_START, 1);
}

static void test_grow_stops_at_the_limit(void)
{
    set_up(ROSTER_MEMBER_COUNT_MAX);
    CU_ASSERT_FALSE(roster_grow(&roster));
    set_up(2);
    roster_stop(&roster);
    CU_ASSERT_FALSE(roster_grow(&roster));
    CU_ASSERT_FALSE(roster_shrink(&roster));
}

static void test_renewal_is_one_after_the_other(void)
{
    set_up(2);
    start_all(2, 0);
    roster_renew(&roster);
    CU_ASSERT_TRUE(roster_is_renewing(&roster));
    check_step(10, ROSTER_TERMINATE, 0);
    check_rest(10, 10 + DRAIN_MS);
    CU_ASSERT_EQUAL(roster_died(&roster, 0, &drained, 20).restart_in_ms, 0);
    check_step(20, ROSTER_START, 0);
    check_rest(20, 20 + ROSTER_SETTLE_MS);
    roster_joined(&roster, 0);
    check_step(30, ROSTER_TERMINATE, 1);
    (void)roster_died(&roster, 1, &drained, 40);
    check_step(40, ROSTER_START, 1);
    roster_joined(&roster, 1);
    check_rest(41, INT64_MAX);
    CU_ASSERT_FALSE(roster_is_renewing(&roster));
}

static void test_renewal_goes_on_without_joining(void)
{
    set_up(2);
    start_all(2, 0);
    roster_renew(&roster);
    check_step(10, ROSTER_TERMINATE, 0);
    (void)roster_died(&roster, 0, &drained, 20);
    check_step(20, ROSTER_START, 0);
    check_rest(20 + ROSTER_SETTLE_MS - 1, 20 + ROSTER_SETTLE_MS);
    check_step(20 + ROSTER_SETTLE_MS, ROSTER_TERMINATE, 1);
}

/* What is wrong with the new one would be wrong with the next. */
static void test_renewal_stops_at_a_refusal(void)
{
    const struct roster_death refused = {.kind = DEATH_REFUSED, .exit_code = 78};
    set_up(2);
    start_all(2, 0);
    roster_checked(&roster);
    roster_renew(&roster);
    check_step(10, ROSTER_TERMINATE, 0);
    (void)roster_died(&roster, 0, &drained, 20);
    check_step(20, ROSTER_START, 0);
    struct roster_verdict verdict = roster_died(&roster, 0, &refused, 30);
    CU_ASSERT_TRUE(verdict.stops_renewal);
    CU_ASSERT_FALSE(verdict.stops_pool);
    CU_ASSERT_FALSE(roster_is_renewing(&roster));
    check_rest(30, 30 + ROSTER_REFUSED_MS);
    check_step(30 + ROSTER_REFUSED_MS, ROSTER_START, 0);
    CU_ASSERT_FALSE(roster_died(&roster, 0, &refused, 40 + ROSTER_REFUSED_MS).stops_renewal);
    check_rest(40 + ROSTER_REFUSED_MS, 40 + 2 * ROSTER_REFUSED_MS);
}

static void test_renewed_worker_is_killed_when_it_stays(void)
{
    set_up(1);
    start_all(1, 0);
    roster_renew(&roster);
    check_step(10, ROSTER_TERMINATE, 0);
    check_step(10 + DRAIN_MS, ROSTER_KILL, 0);
    CU_ASSERT_EQUAL(roster_died(&roster, 0, &crash, 10 + DRAIN_MS + 1).restart_in_ms, 0);
    check_step(10 + DRAIN_MS + 1, ROSTER_START, 0);
}

static void test_stop_ends_a_renewal(void)
{
    set_up(2);
    start_all(2, 0);
    roster_renew(&roster);
    check_step(10, ROSTER_TERMINATE, 0);
    roster_stop(&roster);
    check_step(20, ROSTER_TERMINATE, 1); /* the first one has been asked */
    CU_ASSERT_EQUAL(roster_died(&roster, 0, &drained, 30).restart_in_ms, -1);
    (void)roster_died(&roster, 1, &drained, 31);
    check_step(31, ROSTER_FINISH, 0);
}

static CU_TestInfo tests[] = {
    {"starts what is wanted", test_starts_what_is_wanted},
    {"a restart waits longer each time", test_restart_waits_longer_each_time},
    {"a long life resets the delay", test_long_life_resets_the_delay},
    {"the first one checks for all", test_the_first_one_checks_for_all},
    {"a refusal is final only before the first check", test_a_refusal_is_final_only_before_the_first_check},
    {"a dead member comes back when the group has let go",
     test_a_dead_member_comes_back_when_the_group_has_let_go},
    {"the same message is quarantined at the third death",
     test_same_message_is_quarantined_at_the_third_death},
    {"other messages are not quarantined", test_other_messages_are_not_quarantined},
    {"idle deaths are not tallied", test_idle_deaths_are_not_tallied},
    {"expected deaths are not tallied", test_expected_deaths_are_not_tallied},
    {"a final death stops the pool", test_final_death_stops_the_pool},
    {"a stop after a final death does not kill", test_stop_after_a_final_death_does_not_kill},
    {"a stop drains", test_stop_drains},
    {"only joined workers have to drain", test_only_joined_workers_have_to_drain},
    {"a stop does not wait for restarts", test_stop_does_not_wait_for_restarts},
    {"patience ends", test_patience_ends},
    {"a second stop kills", test_second_stop_kills},
    {"grow and shrink", test_grow_and_shrink},
    {"shrink takes the youngest", test_shrink_takes_the_youngest},
    {"grow while one leaves replaces it", test_grow_while_one_leaves_replaces_it},
    {"grow stops at the limit", test_grow_stops_at_the_limit},
    {"a renewal is one after the other", test_renewal_is_one_after_the_other},
    {"a renewal goes on without joining", test_renewal_goes_on_without_joining},
    {"a renewed worker is killed when it stays", test_renewed_worker_is_killed_when_it_stays},
    {"a renewal stops at a refusal", test_renewal_stops_at_a_refusal},
    {"a stop ends a renewal", test_stop_ends_a_renewal},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    CU_SuiteInfo suites[] = {{"roster", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
