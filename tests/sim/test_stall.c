// link: worker/worker.c worker/slot.c worker/watch.c worker/metrics.c worker/shell_quote.c
// link: tests/sim/world.c tests/sim/world_source.c tests/sim/world_sink.c tests/sim/world_shell.c
/* A source that stops handing out a partition, or passes over its last messages, without a word. */
#include <CUnit/Basic.h>
#include <string.h>

#include "exit_code.h"
#include "world.h"

#define STALL_MS 60000 /* world_shell.c */
#define HOUR_MS  3600000

static unsigned count_of(const char *line)
{
    unsigned count = 0;
    for (const char *at = world_trace(); (at = strstr(at, line)) != NULL; at++) count++;
    return count;
}

static void begin(void)
{
    world_begin(100);
    for (int i = 0; i < 9; i++) world_produce(i % 3, i);
}

/* Assigning is the first start, reading anew the second. */
static void reads_a_stuck_partition_anew(void)
{
    begin();
    world_stick(0, 2);
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(count_of("start 0@0\n"), 1);
    CU_ASSERT_EQUAL(world_stored(), 9);
    CU_ASSERT_TRUE(world_now_ms() >= STALL_MS && world_now_ms() <= 2 * STALL_MS);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void asks_for_a_new_client_when_that_does_not_help(void)
{
    begin();
    world_stick(0, 1000);
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_TEMPORARY);
    CU_ASSERT_EQUAL(count_of("start 0@0\n"), 2);
    CU_ASSERT_EQUAL(world_stored(), 6);
    CU_ASSERT_TRUE(world_now_ms() <= 9 * STALL_MS);
    world_stick(0, 0);
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_stored(), 9);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* The comparison with the last applied message must not be left out by it. */
static void compares_before_it_goes_on(void)
{
    begin();
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    world_trace_clear();
    world_produce(0, 10);
    world_stick(0, 2);
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(count_of("start 0@2\n"), 1);
    CU_ASSERT_EQUAL(world_stored(), 10);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* Nothing comes after it that would show the gap. */
static void finds_a_last_message_that_was_passed_over(void)
{
    begin();
    world_pass_over_once(0, 2);
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(count_of("start 0@2\n"), 1);
    CU_ASSERT_EQUAL(world_stored(), 9);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* The end stays beyond the last message for ever. */
static void looks_once_at_what_a_transaction_leaves(void)
{
    begin();
    world_skip(0, 1);
    world_linger();
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(count_of("start 0@3\n"), 1);
    CU_ASSERT_EQUAL(count_of("start 0@"), 1);
    CU_ASSERT_EQUAL(world_stored(), 9);
    world_end();
}

/* A new client would have to pass over it, too. */
static void keeps_the_client_while_transactions_are_aborted(void)
{
    begin();
    world_abort(0, true);
    world_linger();
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_TRUE(count_of("start 0@3\n") >= 3 && count_of("start 0@3\n") <= 6);
    world_abort(0, false);
    world_produce(0, 10);
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_stored(), 10);
    world_end();
}

static void leaves_idle_partitions_alone(void)
{
    begin();
    world_linger();
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(count_of("start"), 1);
    world_end();
}

/* While the database is busy a message is read now and then, and those of partition 0 come first: nothing
 * comes of the others for many minutes. */
static void blames_nobody_while_it_does_not_read(void)
{
    world_begin(2);
    for (int i = 0; i < 4010; i++) world_produce(i < 4000 ? 0 : 2, i);
    world_slow_database(45000);
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(count_of("start"), 1);
    CU_ASSERT_EQUAL(world_stored(), 4010);
    world_end();
}

static void blames_nobody_while_the_broker_does_not_answer(void)
{
    begin();
    world_stick(0, 1000);
    world_hide_ends(true);
    CU_ASSERT_EQUAL(world_run(HOUR_MS), EXIT_DRAINED);
    CU_ASSERT_EQUAL(count_of("start"), 1);
    world_end();
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return 70;
    CU_pSuite suite = CU_add_suite("stall", NULL, NULL);
    CU_ADD_TEST(suite, reads_a_stuck_partition_anew);
    CU_ADD_TEST(suite, asks_for_a_new_client_when_that_does_not_help);
    CU_ADD_TEST(suite, compares_before_it_goes_on);
    CU_ADD_TEST(suite, finds_a_last_message_that_was_passed_over);
    CU_ADD_TEST(suite, looks_once_at_what_a_transaction_leaves);
    CU_ADD_TEST(suite, keeps_the_client_while_transactions_are_aborted);
    CU_ADD_TEST(suite, leaves_idle_partitions_alone);
    CU_ADD_TEST(suite, blames_nobody_while_it_does_not_read);
    CU_ADD_TEST(suite, blames_nobody_while_the_broker_does_not_answer);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
