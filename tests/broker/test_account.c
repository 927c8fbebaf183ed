// link: worker/database.c worker/database_fault.c worker/socket_wait.c worker/signals.c worker/log.c
// link: worker/clock.c migrations.c tests/broker/schema.c
/* What is dropped is written down, what is merged stays whole, and totals that are kept hold only as long as
 * nothing is added to them, on a real PostgreSQL. Without PGHOST it starts itself again below
 * tests/lib/with_postgres.py. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema.h"
#include "with_postgres.h"

static void expect_invariants(void)
{
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.invariant_violation()"), 0);
}

/* Events of partitions 0 and 1, all of a time, as a worker would have stored them, each in a row of the
 * account of its own. */
static void begin(const char *time, int count)
{
    (void)ask("TRUNCATE winnow.event, winnow.batch_log, winnow.rollup_hour, winnow.rollup_client,"
              " winnow.rollup_metric, winnow.rollup_day, winnow.retention, winnow.processing_log,"
              " winnow.batch_log_superseded,"
              " winnow.kept_day, winnow.kept_client, winnow.kept_client_hours, winnow.kept_metric");
    (void)ask("INSERT INTO winnow.event (bucket, event_time, ingested_at, origin_offset, event_hash,"
              " origin_partition, stream_id, client_id, metric, amount)"
              " SELECT date_trunc('day', t), t, now() - interval '20 days', n, gen_random_uuid(), p, 1, 'c',"
              " 'm', n FROM (SELECT %s) AS of (t), generate_series(0, 1) AS p,"
              " generate_series(0, %d) AS n",
              time, count - 1);
    (void)ask("INSERT INTO winnow.rollup_hour SELECT date_bin('1 hour', event_time, 'epoch'), client_id,"
              " metric, 1, 0, count(*), sum(amount) FROM winnow.event GROUP BY 1, 2, 3");
    (void)ask("INSERT INTO winnow.rollup_client SELECT client_id, 1, 0, sum(event_count), sum(amount_sum)"
              " FROM winnow.rollup_hour GROUP BY 1");
    (void)ask("INSERT INTO winnow.rollup_metric SELECT metric, 1, 0, sum(event_count), sum(amount_sum)"
              " FROM winnow.rollup_hour GROUP BY 1");
    (void)ask("INSERT INTO winnow.rollup_day SELECT date_bin('1 day', bucket, 'epoch'), 1, 0,"
              " sum(event_count), sum(amount_sum), '-infinity' FROM winnow.rollup_hour GROUP BY 1");
    (void)ask("INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset)"
              " SELECT 1, p, 0, %d FROM generate_series(0, 1) AS p",
              count);
    (void)ask("INSERT INTO winnow.batch_log (stream_id, partition, start_offset, end_offset, epoch, received,"
              " stored, duplicate, dead, committed_at) SELECT 1, origin_partition, origin_offset,"
              " origin_offset + 1, 1, 1, 1, 0, 0, ingested_at FROM winnow.event");
    expect_invariants();
}

/* ---- retention
 * ---------------------------------------------------------------------------------------------
 */

static void test_a_dropped_month_is_written_down(void)
{
    (void)ask("SELECT winnow.ensure_event_month('2021-03-01')::text");
    begin("'2021-03-04 05:00Z'::timestamptz", 3);
    CU_ASSERT_EQUAL(ask("SELECT winnow.retire_event_month('2021-03-01')::int"), 1);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.event"), 0);
    expect_invariants(); /* killed here, nothing is lost */
    CU_ASSERT_EQUAL(ask("SELECT event_count FROM winnow.drop_retired_month()"), 6);
    CU_ASSERT_EQUAL(ask("SELECT 100 * sum(event_count) + sum(amount_sum) FROM winnow.retention"), 606);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.retention"), 2);
    expect_invariants();
}

static void test_events_without_a_partition_are_written_down(void)
{
    begin("'1999-03-04 05:00Z'::timestamptz", 3);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.event_default"), 6);
    CU_ASSERT_EQUAL(ask("SELECT winnow.drop_default_events('1 year', 4)"), 4);
    CU_ASSERT_EQUAL(ask("SELECT sum(event_count) FROM winnow.retention"), 4);
    expect_invariants();
    CU_ASSERT_EQUAL(ask("SELECT winnow.drop_default_events('1 year', 4)"), 2);
    expect_invariants();
}

/* However short a time is asked for. */
static void test_a_month_that_is_not_over_stays(void)
{
    begin("now()", 3);
    CU_ASSERT_EQUAL(ask("SELECT winnow.drop_default_events('1 second', 100)"), 0);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.event"), 6);
}

/* ---- merging
 * -----------------------------------------------------------------------------------------------
 */

static int64_t merge(int most)
{
    return ask("SELECT removed FROM winnow.merge_batches(1::smallint, 0, 0, now() - interval '7 days', %d)",
               most);
}

static void test_merged_rows_tile(void)
{
    begin("'1999-03-04 05:00Z'::timestamptz", 10);
    CU_ASSERT_EQUAL(merge(4), 3);
    CU_ASSERT_EQUAL(ask("SELECT end_offset FROM winnow.batch_log WHERE partition = 0 AND start_offset = 0"),
                    4);
    expect_invariants();
    CU_ASSERT_EQUAL(merge(100), 6);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.batch_log WHERE partition = 0"), 1);
    expect_invariants();
}

/* Where something was lost or skipped can be seen for ever. */
static void test_losses_are_not_merged(void)
{
    begin("'1999-03-04 05:00Z'::timestamptz", 6);
    (void)ask("UPDATE winnow.batch_log SET received = 0, stored = 0, lost = 1 WHERE partition = 0"
              " AND start_offset = 2");
    (void)ask("DELETE FROM winnow.event WHERE origin_partition = 0 AND origin_offset = 2");
    CU_ASSERT_EQUAL(merge(100), 3);
    CU_ASSERT_EQUAL(ask("SELECT lost FROM winnow.batch_log WHERE partition = 0 AND start_offset = 2"), 1);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.invariant_violation() WHERE invariant = 'I1'"), 0);
}

/* By the time between the first and the last batch. */
static void test_events_of_merged_rows_are_found(void)
{
    begin("'1999-03-04 05:00Z'::timestamptz", 6);
    (void)ask("UPDATE winnow.event SET ingested_at = date_trunc('day', ingested_at) +"
              " origin_offset * interval '1 second'");
    (void)ask("UPDATE winnow.batch_log AS b SET committed_at = e.ingested_at FROM winnow.event AS e"
              " WHERE e.origin_partition = b.partition AND e.origin_offset = b.start_offset");
    for (int most = 3; most <= 6; most += 3) {
        CU_ASSERT_TRUE(merge(most) > 0);
        CU_ASSERT_EQUAL(ask("SELECT count(*) FROM generate_series(0, 5) AS n,"
                            " winnow.find_event_by_origin(1::smallint, 0, n)"),
                        6);
    }
}

#define ADVISORY(lock) "pg_advisory_xact_lock(hashtextextended(" lock "))"

/* Whether the statement waits for who has done `SELECT holding`. */
static bool waits(const char *holding, const char *statement)
{
    struct database *other = NULL;
    struct fault fault;
    char sql[128];
    (void)snprintf(sql, sizeof sql, "BEGIN; SELECT %s", holding);
    const bool held = database_open(&(struct database_options){.conninfo = "", .application_name = "other"},
                                    &other, &fault) &&
                      database_run(other, "test", sql, NULL, 0, NULL, &fault);
    CU_ASSERT_TRUE_FATAL(held);
    (void)ask("DROP TABLE IF EXISTS went_through");
    (void)ask("DO $$ BEGIN SET LOCAL lock_timeout = '200ms'; PERFORM %s; CREATE TEMP TABLE went_through ();"
              " EXCEPTION WHEN lock_not_available THEN NULL; END $$",
              statement);
    database_close(other);
    return ask("SELECT (to_regclass('pg_temp.went_through') IS NULL)::int") == 1;
}

#define SQL_MOVE_BACK "winnow.steer_partition('t', 0, 'g', 'seek', 0, 0, false, false, 'we', NULL)"

static void test_a_move_is_waited_for(void)
{
    static const char merging[] = "winnow.merge_batches(1::smallint, 0, 0, now(), 100)";
    begin("'1999-03-04 05:00Z'::timestamptz", 2);
    CU_ASSERT_TRUE(waits(ADVISORY("'winnow account', 0"), merging));
    CU_ASSERT_FALSE(waits(ADVISORY("'another', 0"), merging));
}

static void test_a_move_waits_too(void)
{
    begin("'1999-03-04 05:00Z'::timestamptz", 2);
    CU_ASSERT_TRUE(waits(ADVISORY("'winnow account', 0"), SQL_MOVE_BACK));
    CU_ASSERT_FALSE(waits(ADVISORY("'another', 0"), SQL_MOVE_BACK));
}

/* A batch that is under way has the row: where the partition is shows when it is over. */
static void test_a_move_waits_for_a_batch(void)
{
    static const char dry_move[] =
        "winnow.steer_partition('t', 0, 'g', 'seek', 0, 0, false, true, 'we', NULL)";
    begin("'1999-03-04 05:00Z'::timestamptz", 2);
    CU_ASSERT_TRUE(waits("FROM winnow.processing_log WHERE partition = 0 FOR NO KEY UPDATE", dry_move));
    CU_ASSERT_FALSE(waits("FROM winnow.processing_log WHERE partition = 1 FOR NO KEY UPDATE", dry_move));
}

static void test_a_move_waits_for_who_takes_letters(void)
{
    begin("'1999-03-04 05:00Z'::timestamptz", 2);
    CU_ASSERT_TRUE(waits(ADVISORY("'winnow dead letters', 1"), SQL_MOVE_BACK));
    CU_ASSERT_FALSE(waits(ADVISORY("'winnow dead letters', 2"), SQL_MOVE_BACK));
}

/* ---- kept totals
 * -------------------------------------------------------------------------------------------
 */

/* 10 * days that are kept + whether they are kept together. */
static int64_t kept(void)
{
    return ask("SELECT 10 * (SELECT count(*) FROM winnow.total_days('-infinity', 'infinity', false) AS d"
               " WHERE d.kept) + (SELECT count(*) FROM winnow.total_days('-infinity', 'infinity', true) AS d"
               " WHERE d.kept AND d.day = '-infinity')");
}

static void add_to_a_day(int count, const char *amount)
{
    (void)ask("UPDATE winnow.rollup_hour SET event_count = event_count + %d, amount_sum = amount_sum + %s",
              count, amount);
    (void)ask("UPDATE winnow.rollup_day SET event_count = event_count + %d, amount_sum = amount_sum + %s",
              count, amount);
}

static void test_what_is_kept_holds_while_nothing_is_added(void)
{
    begin("'1999-03-04 05:00Z'::timestamptz", 3);
    CU_ASSERT_EQUAL(kept(), 0);
    (void)ask("SELECT winnow.keep_days('1 minute', '1 second')");
    CU_ASSERT_EQUAL(kept(), 11);
    CU_ASSERT_EQUAL(ask("SELECT winnow.keep_days('1 minute', '1 second')"), 0);
    expect_invariants();
    add_to_a_day(1, "5");
    CU_ASSERT_EQUAL(kept(), 0);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.invariant_violation() WHERE invariant = 'I8'"), 0);
    CU_ASSERT_EQUAL(ask("SELECT winnow.keep_days('1 minute', '1 second')"), 1);
    CU_ASSERT_EQUAL(ask("SELECT event_count FROM winnow.kept_client WHERE day > '-infinity'"), 7);
}

static int run_tests(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("account", schema_start_with_stream, schema_stop);
    CU_add_test(suite, "a dropped month is written down", test_a_dropped_month_is_written_down);
    CU_add_test(suite, "events without a partition are written down",
                test_events_without_a_partition_are_written_down);
    CU_add_test(suite, "a month that is not over stays", test_a_month_that_is_not_over_stays);
    CU_add_test(suite, "merged rows tile", test_merged_rows_tile);
    CU_add_test(suite, "losses are not merged", test_losses_are_not_merged);
    CU_add_test(suite, "events of merged rows are found", test_events_of_merged_rows_are_found);
    CU_add_test(suite, "a move is waited for", test_a_move_is_waited_for);
    CU_add_test(suite, "a move waits too", test_a_move_waits_too);
    CU_add_test(suite, "a move waits for a batch", test_a_move_waits_for_a_batch);
    CU_add_test(suite, "a move waits for who takes letters", test_a_move_waits_for_who_takes_letters);
    CU_add_test(suite, "what is kept holds while nothing is added",
                test_what_is_kept_holds_while_nothing_is_added);
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
