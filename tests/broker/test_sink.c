// link: worker/sink_postgres.c worker/apply_parameters.c worker/array.c worker/database.c
// link: worker/metrics.c
// link: worker/database_fault.c worker/socket_wait.c worker/signals.c worker/log.c worker/clock.c
// link: worker/event_order.c worker/stuck_sessions.c migrations.c tests/broker/schema.c
// link: tests/broker/writer.c
/* The sink on a real PostgreSQL: each shield of its statements alone. Without PGHOST it starts itself again
 * below tests/lib/with_postgres.py. Each test has a stream of its own. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "database.h"
#include "schema.h"
#include "with_postgres.h"
#include "writer.h"

#define HOUR_US INT64_C(3600000000)

static void expect_nothing_done(void)
{
    CU_ASSERT_EQUAL(count("event"), 0);
    CU_ASSERT_EQUAL(count("rollup_hour"), 0);
    CU_ASSERT_EQUAL(count("dead_letter"), 0);
    CU_ASSERT_EQUAL(count("batch_log"), 0);
}

static void test_a_receipt_tells_what_is_durable(void)
{
    begin("receipt");
    add_event(0, "1", TIME_US);
    add_event(1, "2", TIME_US);
    add_seen(1, "2", TIME_US);
    add_dead(1);
    struct input answer = send_write(sink);
    CU_ASSERT_EQUAL_FATAL(answer.kind, INPUT_WRITTEN);
    size_t position_count = 0;
    const struct position *positions = receipt_positions(answer.receipt, &position_count);
    CU_ASSERT_EQUAL_FATAL(position_count, 2);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(positions[i].partition, i);
        CU_ASSERT_EQUAL(positions[i].offset, i == 0 ? 101 : 103);
        CU_ASSERT_EQUAL(progress("next_offset", i), positions[i].offset);
        CU_ASSERT_EQUAL(progress("tail_offset", i), positions[i].offset - 1);
    }
    CU_ASSERT_EQUAL(receipt_stored(answer.receipt), 2);
    CU_ASSERT_EQUAL(receipt_duplicate(answer.receipt), 1);
    CU_ASSERT_EQUAL(receipt_dead(answer.receipt), 1);
    expect_invariants();
    end();
}

static void test_every_claim_raises_the_epoch(void)
{
    begin("claims");
    struct claim first = claim(sink, 0);
    struct claim second = claim(sink, 0);
    CU_ASSERT_EQUAL(second.epoch, first.epoch + 1);
    CU_ASSERT_EQUAL(progress("epoch", 0), second.epoch);
    end();
}

/* The offset is still the expected one: only the epoch keeps this write out. */
static void test_another_epoch_is_fenced(void)
{
    begin("epoch");
    (void)ask("UPDATE winnow.processing_log SET epoch = epoch + 1 WHERE stream_id ="
              " (SELECT stream_id FROM winnow.stream WHERE topic = 'epoch') AND partition = 0");
    add_event(0, "1", TIME_US);
    add_dead(0);
    CU_ASSERT_EQUAL(send_write(sink).kind, INPUT_FENCED);
    expect_nothing_done();
    CU_ASSERT_EQUAL(progress("next_offset", 0), 100);
    end();
}

static void test_another_workers_claim_fences(void)
{
    begin("rival");
    struct sink *rival = sink_open(&settings, "cluster", &counted);
    struct claim rivals = claim(rival, 0);
    CU_ASSERT_EQUAL(rivals.next_offset, 100);
    add_event(0, "1", TIME_US);
    CU_ASSERT_EQUAL(send_write(sink).kind, INPUT_FENCED);
    expect_nothing_done();
    parts[0].epoch = rivals.epoch;
    CU_ASSERT_EQUAL(send_write(rival).kind, INPUT_WRITTEN);
    CU_ASSERT_EQUAL(count("event"), 1);
    sink_close(rival);
    end();
}

/* The epoch is still ours: only the offset keeps this write out. */
static void test_another_offset_is_fenced(void)
{
    begin("offset");
    (void)ask("UPDATE winnow.processing_log SET next_offset = 101 WHERE stream_id ="
              " (SELECT stream_id FROM winnow.stream WHERE topic = 'offset') AND partition = 0");
    add_event(0, "1", TIME_US);
    add_seen(0, "2", TIME_US);
    CU_ASSERT_EQUAL(send_write(sink).kind, INPUT_FENCED);
    expect_nothing_done();
    CU_ASSERT_EQUAL(progress("next_offset", 0), 101);
    (void)ask("UPDATE winnow.processing_log SET next_offset = start_offset WHERE next_offset = 101"
              " AND tail_offset IS NULL"); /* for the invariants of other tests */
    end();
}

/* One partition of two is lost: the other does not move either. */
static void test_a_batch_is_fenced_as_a_whole(void)
{
    begin("whole");
    (void)ask("UPDATE winnow.processing_log SET epoch = epoch + 1 WHERE stream_id ="
              " (SELECT stream_id FROM winnow.stream WHERE topic = 'whole') AND partition = 1");
    add_event(0, "1", TIME_US);
    add_event(1, "2", TIME_US);
    CU_ASSERT_EQUAL(send_write(sink).kind, INPUT_FENCED);
    expect_nothing_done();
    CU_ASSERT_EQUAL(progress("next_offset", 0), 100);
    end();
}

/* It looked new and is stored: nothing of the batch is done, and the same batch is taken when it is careful.
 */
static void test_a_careless_write_collides(void)
{
    begin("collision");
    add_event(0, "1", TIME_US);
    accept_write();
    add_event(0, "1.0", TIME_US);
    add_event(0, "2", TIME_US);
    struct input answer = send_write(sink);
    CU_ASSERT_EQUAL_FATAL(answer.kind, INPUT_FAILED);
    CU_ASSERT_EQUAL(answer.fault->status, STATUS_REJECT);
    CU_ASSERT_STRING_EQUAL(answer.fault->sqlstate, "23505");
    CU_ASSERT_EQUAL(progress("next_offset", 0), 101);
    CU_ASSERT_EQUAL(count("event"), 1);
    careful = true;
    answer = send_write(sink);
    careful = false;
    CU_ASSERT_EQUAL_FATAL(answer.kind, INPUT_WRITTEN);
    CU_ASSERT_EQUAL(receipt_stored(answer.receipt), 1);
    CU_ASSERT_EQUAL(receipt_duplicate(answer.receipt), 1);
    CU_ASSERT_EQUAL(progress("next_offset", 0), 103);
    expect_invariants();
    end();
}

/* Within a batch, across partitions, and in a later batch; also at another hour of the same day. */
static void test_what_is_there_already_is_not_added_up(void)
{
    begin("twice");
    add_event(0, "1.50", TIME_US);
    add_seen(0, "1.5", TIME_US + HOUR_US);
    add_seen(1, "1.5", TIME_US);
    add_event(1, "2", TIME_US);
    accept_write();
    add_seen(0, "2", TIME_US + HOUR_US);
    add_event(0, "3", TIME_US);
    accept_write();
    CU_ASSERT_EQUAL(count("event"), 3);
    CU_ASSERT_EQUAL(ask("SELECT sum(event_count) FROM winnow.rollup_hour WHERE client_id = 'twice'"), 3);
    CU_ASSERT_EQUAL(ask("SELECT sum(amount_sum) * 10 FROM winnow.rollup_hour WHERE client_id = 'twice'"), 65);
    CU_ASSERT_EQUAL(ask("SELECT event_count FROM analytics.totals_by_client WHERE client_id = 'twice'"), 3);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.invariant_violation() WHERE stream = 'g/twice'"), 0);
    CU_ASSERT_EQUAL(ask("SELECT sum(duplicate) FROM winnow.batch_log WHERE stream_id ="
                        " (SELECT stream_id FROM winnow.stream WHERE topic = 'twice')"),
                    3);
    /* of equal ones the first read is stored */
    CU_ASSERT_EQUAL(ask("SELECT origin_offset FROM winnow.event WHERE client_id = 'twice' AND amount = 1.5"),
                    100);
    expect_invariants();
    end();
}

static void test_dead_letters_and_losses_are_booked(void)
{
    begin("dead");
    add_event(0, "1", TIME_US);
    add_dead(0);
    parts[0].lost = 5;
    parts[0].next_offset += 7; /* of them two a gap */
    accept_write();
    CU_ASSERT_EQUAL(count("dead_letter"), 1);
    CU_ASSERT_EQUAL(ask("SELECT message_offset FROM winnow.dead_letter JOIN winnow.stream USING (stream_id)"
                        " WHERE topic = 'dead' AND reason = 'empty' AND value = '{}'::bytea"),
                    101);
    CU_ASSERT_EQUAL(ask("SELECT 100 * lost + gap FROM winnow.batch_log JOIN winnow.stream USING (stream_id)"
                        " WHERE topic = 'dead'"),
                    502);
    expect_invariants();
    end();
}

static void test_a_halt_is_written_down_by_the_owner_only(void)
{
    begin("halt");
    struct claim mine = claim(sink, 0);
    CU_ASSERT_FALSE(sink_halt(sink, 0, mine.epoch - 1, "topic_changed", "told", &fault));
    CU_ASSERT_EQUAL(fault.status, STATUS_RETRY);
    CU_ASSERT_EQUAL(progress("(state = 'halted')::int", 0), 0);
    CU_ASSERT_TRUE(sink_halt(sink, 0, mine.epoch, "topic_changed", "told", &fault));
    CU_ASSERT_EQUAL(progress("(state = 'halted' AND halt_reason = 'topic_changed')::int", 0), 1);
    CU_ASSERT_TRUE(claim(sink, 0).halted);
    CU_ASSERT_FALSE(claim(sink, 1).halted);
    end();
}

static void test_the_tail_comes_back_with_the_claim(void)
{
    begin("tail");
    CU_ASSERT_EQUAL(claim(sink, 0).tail_offset, -1);
    parts[0].epoch++;
    memset(parts[0].tail_fingerprint, 0xA5, FINGERPRINT_SIZE);
    add_event(0, "1", TIME_US);
    accept_write();
    struct claim told = claim(sink, 0);
    CU_ASSERT_EQUAL(told.next_offset, 101);
    CU_ASSERT_EQUAL(told.tail_offset, 100);
    CU_ASSERT_EQUAL(memcmp(told.tail_fingerprint, parts[0].tail_fingerprint, FINGERPRINT_SIZE), 0);
    end();
}

/* The offsets of another cluster mean nothing here. */
static void test_another_cluster_is_refused(void)
{
    begin("cluster");
    struct sink *other = sink_open(&settings, "another", &counted);
    CU_ASSERT_FALSE(sink_connect(other, &fault));
    CU_ASSERT_EQUAL(fault.status, STATUS_STOP);
    sink_close(other);
    end();
}

static void test_a_lost_connection_is_no_success(void)
{
    begin("lost");
    (void)ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
              " WHERE application_name = 'winnow worker' AND datname = current_database()");
    add_event(0, "1", TIME_US);
    struct input answer = send_write(sink);
    CU_ASSERT_EQUAL(answer.kind, INPUT_FAILED);
    if (answer.fault != NULL) CU_ASSERT_EQUAL(answer.fault->status, STATUS_RETRY);
    /* nor does it go out on a new session, before a claim has asked what became of it */
    CU_ASSERT_EQUAL(send_write(sink).kind, INPUT_FAILED);
    expect_nothing_done();
    struct input idle;
    sink_poll(sink, &idle);
    CU_ASSERT_EQUAL(idle.kind, INPUT_IDLE);
    CU_ASSERT_EQUAL(claim(sink, 0).next_offset, 100);
    end();
}

static void expect_setting(struct database *session, const char *name, const char *expected)
{
    struct rows *rows = NULL;
    struct sql_parameter parameter = sql_text(name);
    CU_ASSERT_TRUE_FATAL(
        database_run(session, "test", "SELECT pg_catalog.current_setting($1)", &parameter, 1, &rows, &fault));
    CU_ASSERT_STRING_EQUAL(rows_text(rows, 0, 0), expected);
    if (strcmp(rows_text(rows, 0, 0), expected) != 0)
        (void)fprintf(stderr, "%s is \"%s\", not \"%s\"\n", name, rows_text(rows, 0, 0), expected);
    rows_free(rows);
}

/* Whatever defaults the role or the database brings. */
static void test_sessions_are_set_up(void)
{
    static const char *const expected[][3] = {
        {"search_path", "", "public"},
        {"TimeZone", "UTC", "Asia/Tokyo"},
        {"DateStyle", "ISO, YMD", "German"},
        {"standard_conforming_strings", "on", "off"},
        {"statement_timeout", "12345ms", "77"},
        {"lock_timeout", "10s", "0"},
        {"idle_in_transaction_session_timeout", "10s", "0"},
        {"default_transaction_isolation", "read committed", "serializable"},
        {"plan_cache_mode", "force_generic_plan", "auto"},
    };
    const struct database_options options = {
        .conninfo = "", .application_name = "winnow test", .statement_timeout_ms = 12345};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        (void)ask("DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET %s = ''%s''', current_database()); END "
                  "$$",
                  expected[i][0], expected[i][2]);
    struct database *session = NULL;
    CU_ASSERT_TRUE_FATAL(database_open(&options, &session, &fault));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        expect_setting(session, expected[i][0], expected[i][1]);
    expect_setting(session, "client_encoding", "UTF8");
    database_close(session);
    (void)ask("DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I RESET ALL', current_database()); END $$");
}

static int run_tests(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("sink", writer_start, writer_stop);
    CU_add_test(suite, "a receipt tells what is durable", test_a_receipt_tells_what_is_durable);
    CU_add_test(suite, "every claim raises the epoch", test_every_claim_raises_the_epoch);
    CU_add_test(suite, "another epoch is fenced", test_another_epoch_is_fenced);
    CU_add_test(suite, "another worker's claim fences", test_another_workers_claim_fences);
    CU_add_test(suite, "another offset is fenced", test_another_offset_is_fenced);
    CU_add_test(suite, "a batch is fenced as a whole", test_a_batch_is_fenced_as_a_whole);
    CU_add_test(suite, "a careless write collides", test_a_careless_write_collides);
    CU_add_test(suite, "what is there already is not added up", test_what_is_there_already_is_not_added_up);
    CU_add_test(suite, "dead letters and losses are booked", test_dead_letters_and_losses_are_booked);
    CU_add_test(suite, "a halt is written down by the owner only",
                test_a_halt_is_written_down_by_the_owner_only);
    CU_add_test(suite, "the tail comes back with the claim", test_the_tail_comes_back_with_the_claim);
    CU_add_test(suite, "another cluster is refused", test_another_cluster_is_refused);
    CU_add_test(suite, "a lost connection is no success", test_a_lost_connection_is_no_success);
    CU_add_test(suite, "sessions are set up", test_sessions_are_set_up);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    return with_postgres(argv[0], run_tests);
}
