// link: worker/sink_postgres.c worker/apply_parameters.c worker/array.c worker/database.c
// link: worker/metrics.c worker/database_fault.c worker/socket_wait.c worker/signals.c worker/log.c
// link: worker/clock.c worker/event_order.c worker/stuck_sessions.c migrations.c
// link: tests/broker/schema.c tests/broker/writer.c
/* What became of messages is added up exactly once, and an operator's move keeps the account whole, on a real
 * PostgreSQL. Without PGHOST it starts itself again below tests/lib/with_postgres.py. */
#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdlib.h>

#include "schema.h"
#include "with_postgres.h"
#include "writer.h"

/* 1000 * stored + 100 * duplicate + 10 * dead, and the dead letters by reason. */
static int64_t totals(int32_t partition)
{
    return progress("1000 * stored + 100 * duplicate + 10 * dead", partition) +
           ask("SELECT coalesce(sum(dead), 0) FROM winnow.dead_letter_count JOIN winnow.stream"
               " USING (stream_id) WHERE topic = '%s' AND partition = %" PRId32 " AND reason = 'empty'",
               text_topic, partition);
}

static int64_t told(int32_t partition, int outcome)
{
    return metrics_get(&metrics_partition(&counted, partition)->outcomes[outcome]);
}

/* Two events, a duplicate and a dead letter in partition 0. */
static void write_four(const char *first, const char *second)
{
    add_event(0, first, TIME_US);
    add_event(0, second, TIME_US);
    add_seen(0, second, TIME_US);
    add_dead(0);
    accept_write();
}

static void test_batches_add_up(void)
{
    begin("sums");
    write_four("1", "2");
    CU_ASSERT_EQUAL(totals(0), 2111);
    write_four("3", "4");
    CU_ASSERT_EQUAL(totals(0), 4222);
    CU_ASSERT_EQUAL(totals(1), 0);
    CU_ASSERT_EQUAL(told(0, OUTCOME_STORED), 4);
    CU_ASSERT_EQUAL(told(0, OUTCOME_DUPLICATE), 2);
    CU_ASSERT_EQUAL(told(0, OUTCOME_DEAD), 2);
    CU_ASSERT_EQUAL(progress("counted_offset", 0), 108);
    end();
}

static void test_what_is_fenced_is_not_counted(void)
{
    begin("fenced");
    (void)ask("UPDATE winnow.processing_log SET epoch = epoch + 1 WHERE stream_id ="
              " (SELECT stream_id FROM winnow.stream WHERE topic = 'fenced')");
    add_event(0, "1", TIME_US);
    add_dead(0);
    CU_ASSERT_EQUAL(send_write(sink).kind, INPUT_FENCED);
    CU_ASSERT_EQUAL(totals(0), 0);
    end();
}

/* As after a winnow that did not count: the claim adds up what it has applied, and only that. */
static void test_a_claim_counts_what_nobody_has(void)
{
    begin("claimed");
    write_four("1", "2");
    write_four("3", "4");
    (void)ask("UPDATE winnow.processing_log SET counted_offset = 104, stored = 2, duplicate = 1, dead = 1"
              " WHERE stream_id = (SELECT stream_id FROM winnow.stream WHERE topic = 'claimed')"
              " AND partition = 0");
    (void)ask("UPDATE winnow.dead_letter_count SET dead = 1 WHERE stream_id ="
              " (SELECT stream_id FROM winnow.stream WHERE topic = 'claimed')");
    for (int times = 0; times < 2; times++) {
        (void)claim(sink, 0);
        CU_ASSERT_EQUAL(totals(0), 4222);
    }
    CU_ASSERT_EQUAL(told(0, OUTCOME_STORED), 4);
    end();
}

/* ---- an operator's moves
 * -----------------------------------------------------------------------------------
 */

/* winnow seek: where the partition is then. */
static int64_t steer(const char *action, const char *target, const char *is_new_log)
{
    return ask("SELECT to_offset FROM winnow.steer_partition('%s', 0, 'g', '%s', %s, 0, %s, false, 'we',"
               " NULL)",
               text_topic, action, target, is_new_log);
}

/* Its offset is the one that is expected: only the epoch keeps the write out. */
static void test_a_move_raises_the_epoch(void)
{
    begin("epochs");
    const int64_t before = progress("epoch", 0);
    CU_ASSERT_EQUAL(steer("seek", "100", "false"), 100);
    CU_ASSERT_EQUAL(progress("epoch", 0), before + 1);
    CU_ASSERT_EQUAL(ask("SELECT max(epoch) FROM winnow.steering"), before + 1);
    add_event(0, "1", TIME_US);
    CU_ASSERT_EQUAL(send_write(sink).kind, INPUT_FENCED);
    end();
}

static void test_back_to_the_beginning_of_a_batch(void)
{
    begin("back");
    parts[0].tail_fingerprint[0] = 1;
    write_four("1", "2");
    write_four("3", "4");
    CU_ASSERT_EQUAL(steer("seek", "106", "false"), 104);
    CU_ASSERT_EQUAL(count("batch_log"), 1);
    CU_ASSERT_EQUAL(count("dead_letter"), 1);
    CU_ASSERT_EQUAL(count("batch_log_superseded"), 1);
    CU_ASSERT_EQUAL(count("dead_letter_superseded"), 1);
    expect_invariants();
    const struct claim again = claim(sink, 0);
    CU_ASSERT_EQUAL(again.next_offset, 104);
    CU_ASSERT_EQUAL(again.tail_offset, -1);
    parts[0].epoch = again.epoch;
    parts[0].expected_offset = parts[0].next_offset = 104;
    add_seen(0, "3", TIME_US);
    add_seen(0, "4", TIME_US);
    accept_write();
    CU_ASSERT_EQUAL(count("event"), 4);
    expect_invariants();
    end();
}

/* What was skipped is of one kind, so that a part of it is known. */
static void test_forward_and_back_into_what_was_skipped(void)
{
    begin("skipped");
    CU_ASSERT_EQUAL(steer("seek", "120", "false"), 120);
    CU_ASSERT_EQUAL(ask("SELECT sum(skipped) FROM winnow.batch_log JOIN winnow.stream USING (stream_id)"
                        " WHERE topic = 'skipped'"),
                    20);
    expect_invariants();
    CU_ASSERT_EQUAL(steer("seek", "110", "false"), 110);
    CU_ASSERT_EQUAL(ask("SELECT end_offset FROM winnow.batch_log JOIN winnow.stream USING (stream_id)"
                        " WHERE topic = 'skipped'"),
                    110);
    expect_invariants();
    end();
}

/* A topic that was recreated, and is longer than where its reader was. */
static void test_another_log_begins_its_account_anew(void)
{
    begin("another");
    write_four("1", "2");
    CU_ASSERT_TRUE(sink_halt(sink, 0, parts[0].epoch, "topic_changed", "told", &fault));
    CU_ASSERT_EQUAL(steer("resume", "102", "true"), 102);
    CU_ASSERT_EQUAL(progress("start_offset", 0), 102);
    CU_ASSERT_EQUAL(progress("(state = 'running')::int", 0), 1);
    CU_ASSERT_EQUAL(count("batch_log"), 0);
    CU_ASSERT_EQUAL(count("dead_letter"), 0);
    expect_invariants();
    end();
}

static int run_tests(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("counts", writer_start, writer_stop);
    CU_add_test(suite, "batches add up", test_batches_add_up);
    CU_add_test(suite, "what is fenced is not counted", test_what_is_fenced_is_not_counted);
    CU_add_test(suite, "a claim counts what nobody has", test_a_claim_counts_what_nobody_has);
    CU_add_test(suite, "a move raises the epoch", test_a_move_raises_the_epoch);
    CU_add_test(suite, "back to the beginning of a batch", test_back_to_the_beginning_of_a_batch);
    CU_add_test(suite, "forward, and back into what was skipped",
                test_forward_and_back_into_what_was_skipped);
    CU_add_test(suite, "another log begins its account anew", test_another_log_begins_its_account_anew);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    return with_postgres(argv[0], run_tests);
}
