// link: worker/worker.c worker/slot.c worker/watch.c worker/metrics.c worker/shell_quote.c
// link: tests/sim/world.c tests/sim/world_source.c tests/sim/world_sink.c tests/sim/world_shell.c
/* The worker in a world of its own: each test tells a story and compares what passed the ports. */
#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exit_code.h"
#include "world.h"

static void expect_trace(const char *expected)
{
    CU_ASSERT_STRING_EQUAL(world_trace(), expected);
    if (strcmp(world_trace(), expected) != 0) {
        fprintf(stderr, "--- expected\n%s--- found\n%s---\n", expected, world_trace());
    }
}

static void stores_and_acknowledges(void)
{
    world_begin(100);
    world_produce(0, 1);
    world_produce(0, 2);
    world_produce(2, 3);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    expect_trace("assigned\n"
                 "claim\n"
                 "claim 0@0e1 1@0e1 2@0e1\n"
                 "start whole 0@0 1@0 2@0\n"
                 "write 3 rows: 0@0..2e1 2@0..1e1 -> written \n"
                 "ack 0@2 2@1\n"
                 "exit 0\n");
    CU_ASSERT_EQUAL(world_stored(), 3);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void begins_at_the_tail(void)
{
    world_begin(100);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    world_trace_clear();
    world_produce(0, 2);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    expect_trace("assigned\n"
                 "claim 0@1e2 1@0e2 2@0e2\n"
                 "start whole 0@0 1@0 2@0\n"
                 "write 1 rows: 0@1..2e2 -> written \n"
                 "ack 0@2\n"
                 "exit 0\n");
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void halts_when_the_topic_changed(void)
{
    world_begin(100);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    world_trace_clear();
    world_replace(0, 0, 7);
    world_produce(0, 8);
    world_produce(1, 9);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    expect_trace("assigned\n"
                 "claim 0@1e2 1@0e2 2@0e2\n"
                 "start whole 0@0 1@0 2@0\n"
                 "halt 0 topic_changed\n"
                 "write 1 rows: 1@0..1e2 -> written \n"
                 "ack 1@1\n"
                 "exit 0\n");
    CU_ASSERT_TRUE(world_is_halted(0, "topic_changed"));
    CU_ASSERT_EQUAL(world_next_offset(0), 1);
    world_end();
}

/* The first partition that is found to have changed must not lead the others past their own comparison. */
static void compares_every_partition(void)
{
    world_begin(100);
    for (int p = 0; p < 3; p++) world_produce(p, p);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    for (int p = 0; p < 3; p++) {
        world_replace(p, 0, 100 + p);
        world_produce(p, 200 + p);
    }
    CU_ASSERT_EQUAL(world_run(10000), EXIT_DRAINED);
    for (int p = 0; p < 3; p++) {
        CU_ASSERT_TRUE(world_is_halted(p, "topic_changed"));
        CU_ASSERT_EQUAL(world_next_offset(p), 1);
    }
    world_end();
}

/* Halted partitions are no longer read, a while after. */
static void stops_reading_what_is_halted(void)
{
    world_begin(100);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    world_replace(0, 0, 7);
    world_produce(0, 8);
    world_slow_database(3000);
    world_produce(1, 9);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_PTR_NOT_NULL(strstr(world_trace(), "start whole 1@1 2@0\n"));
    world_end();
}

/* What is lost before a halt stays lost, and is not booked as a gap by a claim that comes too early. */
static void keeps_the_loss_before_a_halt(void)
{
    world_begin(100);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    for (int i = 0; i < 50; i++) world_produce(0, i < 9 ? i : -1);
    world_retain(0, 10);
    CU_ASSERT_EQUAL(world_run(20000), EXIT_DRAINED);
    CU_ASSERT_TRUE(world_is_halted(0, "circuit_breaker"));
    CU_ASSERT_EQUAL(world_lost(0), 9);
    CU_ASSERT_EQUAL(world_next_offset(0), 21);
    world_end();
}

/* A constraint that refuses everything must not drain the topic into dead letters. */
static void trips_the_breaker_when_the_database_refuses_everything(void)
{
    world_begin(8);
    for (int i = 0; i < 50; i++) world_produce(0, -2);
    for (int i = 0; i < 5; i++) world_produce(1, i);
    CU_ASSERT_EQUAL(world_run(20000), EXIT_DRAINED);
    CU_ASSERT_TRUE(world_is_halted(0, "circuit_breaker"));
    CU_ASSERT_EQUAL(world_dead(), 10); /* of a window of 20; the eleventh tripped it and is read again */
    CU_ASSERT_EQUAL(world_next_offset(0), 10);
    CU_ASSERT_EQUAL(world_stored(), 5);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* With the database busy and no room left, the group is answered all the same. */
static void answers_the_group_while_the_database_is_busy(void)
{
    world_begin(2);
    world_slow_database(5000);
    for (int i = 0; i < 40; i++) world_produce(0, i);
    world_rebalance_at(1000);
    CU_ASSERT_EQUAL(world_run(3600000), EXIT_DRAINED);
    CU_ASSERT_TRUE(world_revoked_ms() >= 1000 && world_revoked_ms() < 1300);
    CU_ASSERT_EQUAL(world_stored(), 40);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void halts_when_the_topic_was_truncated(void)
{
    world_begin(100);
    for (int i = 0; i < 3; i++) world_produce(0, i);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    world_truncate(0, 1);
    CU_ASSERT_EQUAL(world_run(10000), EXIT_DRAINED);
    CU_ASSERT_TRUE(world_is_halted(0, "offset_out_of_range"));
    world_end();
}

static void writes_down_what_retention_took(void)
{
    world_begin(100);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    for (int i = 2; i < 8; i++) world_produce(0, i);
    world_retain(0, 5);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_next_offset(0), 7);
    CU_ASSERT_EQUAL(world_lost(0), 4);
    CU_ASSERT_EQUAL(world_stored(), 3);
    world_end();
}

static void goes_on_when_only_the_tail_is_gone(void)
{
    world_begin(100);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    world_produce(0, 2);
    world_retain(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_stored(), 2);
    CU_ASSERT_EQUAL(world_lost(0), 0);
    world_end();
}

static void claims_again_when_fenced(void)
{
    world_begin(100);
    world_plan(MISHAP_RIVAL);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    expect_trace("assigned\n"
                 "claim\n"
                 "claim 0@0e1 1@0e1 2@0e1\n"
                 "start whole 0@0 1@0 2@0\n"
                 "write 1 rows: 0@0..1e1 -> fenced \n"
                 "claim 0@0e3 1@0e2 2@0e2\n"
                 "start whole 0@0 1@0 2@0\n"
                 "write 1 rows: 0@0..1e3 -> written \n"
                 "ack 0@1\n"
                 "exit 0\n");
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* The outcome is unknown: the database is asked, nothing is assumed. */
static void asks_when_the_answer_is_lost(void)
{
    world_begin(100);
    world_plan(MISHAP_LOST_AFTER);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(2000), EXIT_DRAINED);
    expect_trace("assigned\n"
                 "claim\n"
                 "claim 0@0e1 1@0e1 2@0e1\n"
                 "start whole 0@0 1@0 2@0\n"
                 "write 1 rows: 0@0..1e1 -> failed \n"
                 "claim 0@1e2 1@0e2 2@0e2\n"
                 "start whole 0@0 1@0 2@0\n"
                 "exit 0\n");
    world_trace_clear();
    world_produce(0, 2);
    world_plan(MISHAP_LOST_BEFORE);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_stored(), 2);
    CU_ASSERT_EQUAL(world_duplicate(), 0);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void rereads_a_jump_once(void)
{
    world_begin(100);
    for (int i = 0; i < 4; i++) world_produce(0, i);
    world_jump_once(0, 2);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    expect_trace("assigned\n"
                 "claim\n"
                 "claim 0@0e1 1@0e1 2@0e1\n"
                 "start whole 0@0 1@0 2@0\n"
                 "start 0@0\n"
                 "write 4 rows: 0@0..4e1 -> written \n"
                 "ack 0@4\n"
                 "exit 0\n");
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void believes_a_jump_that_is_there_twice(void)
{
    world_begin(100);
    world_produce(0, 1);
    world_skip(0, 3);
    world_produce(0, 2);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_stored(), 2);
    CU_ASSERT_EQUAL(world_next_offset(0), 5);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void buries_poison_wherever_it_stands(void)
{
    world_begin(100);
    for (int i = 0; i < 5; i++) world_produce(0, i == 0 || i == 2 || i == 4 ? -1 : i);
    world_produce(1, -1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_dead(), 4);
    CU_ASSERT_EQUAL(world_stored(), 2);
    CU_ASSERT_EQUAL(world_next_offset(0), 5);
    CU_ASSERT_EQUAL(world_next_offset(1), 1);
    CU_ASSERT_STRING_EQUAL(world_dead_reason(0, 4), "invalid_json");
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void bisects_what_the_database_refuses(void)
{
    world_begin(100);
    for (int i = 0; i < 8; i++) world_produce(0, i == 5 ? -2 : i);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    expect_trace("assigned\n"
                 "claim\n"
                 "claim 0@0e1 1@0e1 2@0e1\n"
                 "start whole 0@0 1@0 2@0\n"
                 "write 8 rows: 0@0..8e1 -> failed 22003\n"
                 "write 4 rows: 0@0..4e1 -> written \n"
                 "ack 0@4\n"
                 "write 2 rows: 0@4..6e1 -> failed 22003\n"
                 "write 1 rows: 0@4..5e1 -> written \n"
                 "ack 0@5\n"
                 "write 1 rows: 0@5..6e1 -> failed 22003\n"
                 "write 1 rows: 0@5..6e1 -> written \n"
                 "ack 0@6\n"
                 "write 2 rows: 0@6..8e1 -> written \n"
                 "ack 0@8\n"
                 "exit 0\n");
    CU_ASSERT_STRING_EQUAL(world_dead_reason(0, 5), "database_rejected");
    CU_ASSERT_EQUAL(world_dead(), 1);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void meet_transient_errors(int count, int messages)
{
    world_begin(100);
    for (int i = 0; i < count; i++) world_plan(i % 2 == 0 ? MISHAP_TIMEOUT : MISHAP_LOST_BEFORE);
    for (int i = 0; i < messages; i++) world_produce(0, i);
    CU_ASSERT_EQUAL(world_run(3600000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_dead(), 0);
    CU_ASSERT_EQUAL(world_stored(), (size_t)messages);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* However many: a few errors more or fewer, and a batch that was taken apart would be whole again. */
static void transient_errors_never_bury(void)
{
    meet_transient_errors(60, 10);
    for (int count = 1; count < 8; count++) {
        for (int messages = 1; messages < 6; messages++) meet_transient_errors(count, messages);
    }
}

static void waits_while_the_database_is_down(void)
{
    world_begin(100);
    world_database_down(0, 20000);
    for (int i = 0; i < 10; i++) world_produce(i % 3, i);
    CU_ASSERT_EQUAL(world_run(3600000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_dead(), 0);
    CU_ASSERT_EQUAL(world_stored(), 10);
    CU_ASSERT_TRUE(world_now_ms() >= 20000 && world_now_ms() < 22000);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* The group must not wait for a worker that waits for its database. */
static void answers_the_group_while_it_waits(void)
{
    world_begin(100);
    world_plan(MISHAP_DENIED);
    world_plan(MISHAP_DENIED);
    world_rebalance_at(5000);
    for (int i = 0; i < 10; i++) world_produce(0, i);
    CU_ASSERT_EQUAL(world_run(3600000), EXIT_DRAINED);
    CU_ASSERT_TRUE(world_revoked_ms() >= 5000 && world_revoked_ms() < 5300);
    CU_ASSERT_EQUAL(world_stored(), 10);
    world_end();
}

/* An operator's error stops us, first for a second, then for 30 s at a time, and buries nothing. */
static void waits_for_the_operator(void)
{
    world_begin(100);
    world_plan(MISHAP_DENIED);
    world_plan(MISHAP_DENIED);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(3600000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_dead(), 0);
    CU_ASSERT_EQUAL(world_stored(), 1);
    CU_ASSERT_TRUE(world_now_ms() >= 31000 && world_now_ms() < 33000);
    world_end();
}

static void stops_when_integrity_is_in_doubt(void)
{
    world_begin(100);
    world_plan(MISHAP_CORRUPT);
    world_produce(0, 1);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_BROKEN);
    CU_ASSERT_EQUAL(world_next_offset(0), 0);
    world_end();
}

static void trips_the_breaker(void)
{
    world_begin(100);
    for (int i = 0; i < 50; i++) world_produce(0, -1);
    world_produce(1, 1);
    CU_ASSERT_EQUAL(world_run(20000), EXIT_DRAINED);
    CU_ASSERT_TRUE(world_is_halted(0, "circuit_breaker"));
    CU_ASSERT_EQUAL(world_dead(), 11); /* over half of a window of 20 */
    CU_ASSERT_EQUAL(world_next_offset(0), 11);
    CU_ASSERT_EQUAL(world_stored(), 1);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void drains_on_term(void)
{
    world_begin(4);
    for (int i = 0; i < 40; i++) world_produce(0, i);
    world_stop_after_writes(3);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_deadline_ms(), 1000); /* as configured: it must not hang for ever */
    CU_ASSERT_EQUAL(world_next_offset(0), 12);  /* the statement in flight is finished and acknowledged */
    CU_ASSERT_PTR_NOT_NULL(strstr(world_trace(), "ack 0@12\nexit 0\n"));
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_stored(), 40);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

static void survives_a_rebalance(void)
{
    world_begin(4);
    for (int i = 0; i < 40; i++) world_produce(i % 3, i);
    world_rebalance_after(7);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_stored(), 40);
    CU_ASSERT_EQUAL(world_duplicate(), 0);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* Random mishaps of every kind, in many short lives: whatever happens, each message counts once. */
static void is_exact_in_chaos(void)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("\n    SEED=%" PRIu64 "\n", seed);
    for (unsigned round = 0; round < 300; round++) {
        world_begin(1 + (seed + round) % 40);
        for (int i = 0; i < 400; i++) {
            int kind = (int)((seed + round * 7919 + (unsigned)i * 104729) % 100);
            world_produce(i % 3, kind == 0 ? -1 : kind == 1 ? -2 : i / (1 + kind % 2));
            if (kind == 2) world_skip(i % 3, 1 + i % 4);
        }
        world_chaos(seed + round, 6 + round % 40);
        for (unsigned life = 0; life < 6; life++) {
            world_stop_after_writes(life < 5 ? 1 + (round + life) % 9 : 0);
            if (life == 5) world_chaos(seed, 0); /* the last one finds peace, and finishes */
            CU_ASSERT_EQUAL(world_run(3600000), EXIT_DRAINED);
        }
        CU_ASSERT_TRUE(world_is_exact());
        CU_ASSERT_EQUAL(world_stored() + world_duplicate() + world_dead(), 400);
        world_end();
    }
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return 70;
    CU_pSuite suite = CU_add_suite("worker", NULL, NULL);
    CU_ADD_TEST(suite, stores_and_acknowledges);
    CU_ADD_TEST(suite, begins_at_the_tail);
    CU_ADD_TEST(suite, halts_when_the_topic_changed);
    CU_ADD_TEST(suite, compares_every_partition);
    CU_ADD_TEST(suite, stops_reading_what_is_halted);
    CU_ADD_TEST(suite, keeps_the_loss_before_a_halt);
    CU_ADD_TEST(suite, trips_the_breaker_when_the_database_refuses_everything);
    CU_ADD_TEST(suite, answers_the_group_while_the_database_is_busy);
    CU_ADD_TEST(suite, halts_when_the_topic_was_truncated);
    CU_ADD_TEST(suite, writes_down_what_retention_took);
    CU_ADD_TEST(suite, goes_on_when_only_the_tail_is_gone);
    CU_ADD_TEST(suite, claims_again_when_fenced);
    CU_ADD_TEST(suite, asks_when_the_answer_is_lost);
    CU_ADD_TEST(suite, rereads_a_jump_once);
    CU_ADD_TEST(suite, believes_a_jump_that_is_there_twice);
    CU_ADD_TEST(suite, buries_poison_wherever_it_stands);
    CU_ADD_TEST(suite, bisects_what_the_database_refuses);
    CU_ADD_TEST(suite, transient_errors_never_bury);
    CU_ADD_TEST(suite, waits_while_the_database_is_down);
    CU_ADD_TEST(suite, answers_the_group_while_it_waits);
    CU_ADD_TEST(suite, waits_for_the_operator);
    CU_ADD_TEST(suite, stops_when_integrity_is_in_doubt);
    CU_ADD_TEST(suite, trips_the_breaker);
    CU_ADD_TEST(suite, drains_on_term);
    CU_ADD_TEST(suite, survives_a_rebalance);
    CU_ADD_TEST(suite, is_exact_in_chaos);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
