// link: worker/dead_letter_batch.c worker/dead_letter_run.c worker/dead_letter_work.c worker/letter_query.c
// link: worker/json.c worker/print_json.c worker/database.c worker/database_fault.c worker/socket_wait.c
// link: worker/signals.c worker/log.c worker/clock.c migrations.c tests/broker/schema.c
/* What keeps two replays from sending one letter twice, on a real PostgreSQL without a broker. Without PGHOST
 * it starts itself again below tests/lib/with_postgres.py. */
#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dead_letter_batch.h"
#include "dead_letter_run.h"
#include "schema.h"
#include "with_postgres.h"

static const struct letter_scope scope = {"t", "g"};
static const struct letter_filter all;
static struct database *own; /* the session of a run; `database` is somebody else's */
static struct letter_run run;
static struct fault fault;

static struct database *connect_again(void)
{
    struct database *session = NULL;
    CU_ASSERT_TRUE_FATAL(database_open(
        &(struct database_options){.conninfo = "", .application_name = "winnow test"}, &session, &fault));
    return session;
}

/* Open letters 1/1 to 1/5, and a run that begins at 20 and 30 of partitions 0 and 1. */
static void begin(void)
{
    static const int64_t ends[] = {20, 30};
    bool held = false;
    (void)ask("DELETE FROM winnow.dead_letter");
    (void)ask("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail)"
              " SELECT stream_id, 1, n, 'v', 'invalid_json', 'M-3' FROM winnow.stream,"
              " generate_series(1, 5) AS n WHERE consumer_group = 'g'");
    own = connect_again();
    CU_ASSERT_TRUE_FATAL(letter_run_begin(own, &scope, "us", "all", ends, ARRAY_COUNT(ends), &run, &fault));
    CU_ASSERT_TRUE_FATAL(letter_run_hold(own, run.replay_id, &held, &fault));
    CU_ASSERT_TRUE_FATAL(held);
}

static void end(void)
{
    database_close(own);
}

static bool try_to_take(const char *offsets, size_t *ret_count)
{
    char partitions[32] = "{1";
    const struct letter_deed deed = {"retry", "us", NULL};
    struct rows *rows = NULL;
    for (const char *at = offsets; (at = strchr(at, ',')) != NULL; at++) strcat(partitions, ",1");
    strcat(partitions, "}");
    const struct letter_places places = {partitions, offsets};
    if (!letters_do(own, &scope, &places, "{open}", &deed, run.replay_id, &rows, &fault)) return false;
    *ret_count = rows_count(rows);
    rows_free(rows);
    return true;
}

static size_t take(const char *offsets)
{
    size_t count = 0;
    CU_ASSERT_TRUE_FATAL(try_to_take(offsets, &count));
    return count;
}

static void run_sql(struct database *session, const char *sql)
{
    CU_ASSERT_TRUE_FATAL(database_run(session, "test", sql, NULL, 0, NULL, &fault));
}

/* Both have seen the letter open; the second one must wait until the first one has written. */
static void test_one_takes_at_a_time(void)
{
    size_t count = 0;
    begin();
    run_sql(database, "BEGIN");
    (void)ask("SELECT 1 FROM pg_advisory_xact_lock(hashtextextended('winnow dead letters',"
              " (SELECT stream_id FROM winnow.stream WHERE topic = 't')))");
    (void)ask("INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor)"
              " SELECT stream_id, 1, 1, 'retry', 'they' FROM winnow.stream WHERE topic = 't'");
    run_sql(own, "SET lock_timeout = '200ms'");
    CU_ASSERT_FALSE(try_to_take("{1,2}", &count));
    CU_ASSERT_STRING_EQUAL(fault.sqlstate, "55P03");
    run_sql(database, "COMMIT");
    CU_ASSERT_EQUAL(take("{1,2}"), 1);
    end();
}

/* A message is sent only behind this: whoever looks for it later must find that it was taken. */
static void test_what_is_taken_is_written_down(void)
{
    begin();
    CU_ASSERT_EQUAL(take("{1,2,3}"), 3);
    database_close(own); /* killed */
    own = NULL;
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.dead_letter_retry WHERE outcome = 'in_doubt'"), 3);
    end();
}

/* However long ago: only the topic can tell whether it was sent. */
static void test_what_is_in_doubt_is_not_taken(void)
{
    begin();
    CU_ASSERT_EQUAL(take("{1,2}"), 2);
    (void)ask("UPDATE winnow.dead_letter_action SET acted_at = acted_at - interval '1 hour'");
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.dead_letter_work WHERE state = 'open'"), 5);
    CU_ASSERT_EQUAL(take("{1,2,3}"), 1);
    end();
}

static size_t count_doubts(int64_t *ret_from)
{
    struct rows *rows = NULL;
    CU_ASSERT_TRUE_FATAL(letters_in_doubt(database, &scope, &all, &rows, &fault));
    const size_t count = rows_count(rows);
    if (count > 0) *ret_from = rows_int(rows, 0, DOUBT_FROM);
    rows_free(rows);
    return count;
}

/* It is about to tell of them itself. */
static void test_letters_of_a_living_run_are_its_own(void)
{
    int64_t from = -1;
    bool held = true;
    begin();
    CU_ASSERT_EQUAL(take("{1,2}"), 2);
    CU_ASSERT_EQUAL(count_doubts(&from), 0);
    CU_ASSERT_TRUE_FATAL(letter_run_hold(database, run.replay_id, &held, &fault));
    CU_ASSERT_FALSE(held);
    run_sql(database, "SELECT pg_advisory_unlock_all()");
    (void)ask("SELECT pg_terminate_backend(pid, 10000)::int FROM pg_stat_activity"
              " WHERE application_name = 'winnow test' AND pid <> pg_backend_pid()");
    CU_ASSERT_EQUAL(count_doubts(&from), 2);
    database_close(own);
    own = connect_again();
    CU_ASSERT_TRUE_FATAL(letter_run_hold(own, run.replay_id, &held, &fault));
    CU_ASSERT_TRUE(held); /* who asked has let go of it */
    end();
}

/* Where its partition ended when the run began, or behind what the run sent there and wrote down. */
static void test_a_search_begins_where_it_can_be(void)
{
    int64_t from = -1;
    begin();
    CU_ASSERT_EQUAL(take("{1,2}"), 2);
    database_close(own);
    own = NULL;
    (void)ask("SELECT pg_terminate_backend(pid, 10000)::int FROM pg_stat_activity"
              " WHERE application_name = 'winnow test' AND pid <> pg_backend_pid()");
    CU_ASSERT_EQUAL(count_doubts(&from), 2);
    CU_ASSERT_EQUAL(from, 30);
    (void)ask("UPDATE winnow.dead_letter_action SET sent_partition = 1, sent_offset = 44"
              " WHERE message_offset = 1");
    CU_ASSERT_EQUAL(count_doubts(&from), 1);
    CU_ASSERT_EQUAL(from, 45);
    end();
}

static int64_t attempts_of(int offset)
{
    return ask("SELECT winnow.count_attempts(stream_id, 1, %d) FROM winnow.stream WHERE topic = 't'", offset);
}

static void send(int offset, const char *outcome)
{
    (void)ask("INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor,"
              " sent_partition, sent_offset, error) SELECT stream_id, 1, %d, 'retry', 'us', %s"
              " FROM winnow.stream WHERE topic = 't'",
              offset, outcome);
}

/* 1 is sent and fails as 2, which is sent and fails as 3. */
static void test_attempts_are_those_of_the_line(void)
{
    begin();
    send(1, "NULL, NULL, 'Kafka did not take it'");
    CU_ASSERT_EQUAL(attempts_of(1), 0);
    send(1, "1, 2, NULL");
    CU_ASSERT_EQUAL(attempts_of(1), 1);
    CU_ASSERT_EQUAL(attempts_of(2), 1);
    send(2, "1, 3, NULL");
    CU_ASSERT_EQUAL(attempts_of(3), 2);
    CU_ASSERT_EQUAL(attempts_of(1), 1); /* what it became does not count */
    CU_ASSERT_EQUAL(attempts_of(4), 0);
    end();
}

/* An operator has everything read again, of this log or of another one, and the same letters fail again. */
static void read_again(bool is_new_log)
{
    (void)ask(
        "WITH act AS MATERIALIZED (INSERT INTO winnow.steering (stream_id, partition, action, from_offset,"
        " to_offset, is_new_log, skipped, read_again, dead_letters, epoch, actor)"
        " SELECT stream_id, 1, 'seek', 9, 0, %s, 0, 9, 5, 2, 'us' FROM winnow.stream WHERE topic = 't'"
        " RETURNING steering_id, stream_id), "
        "moved AS MATERIALIZED (SELECT winnow.supersede_account(steering_id, stream_id, 1, 0) FROM act) "
        "SELECT count(*) FROM moved",
        is_new_log ? "true" : "false");
    (void)ask("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail)"
              " SELECT stream_id, 1, n, 'v', 'invalid_json', 'M-3' FROM winnow.stream,"
              " generate_series(1, 5) AS n WHERE consumer_group = 'g'");
}

/* 1 is sent and fails as 2, which is sent and fails as 3; then all of that is read again. */
static void test_attempts_outlive_a_move_back(void)
{
    begin();
    send(1, "1, 2, NULL");
    send(2, "1, 3, NULL");
    read_again(false);
    CU_ASSERT_EQUAL(attempts_of(1), 1);
    CU_ASSERT_EQUAL(attempts_of(2), 2);
    CU_ASSERT_EQUAL(attempts_of(3), 2);
    CU_ASSERT_EQUAL(attempts_of(4), 0);
    send(1, "1, 4, NULL");
    read_again(false);
    CU_ASSERT_EQUAL(attempts_of(1), 2);
    CU_ASSERT_EQUAL(attempts_of(3), 2);
    CU_ASSERT_EQUAL(attempts_of(4), 2);
    read_again(true);
    CU_ASSERT_EQUAL(attempts_of(1), 0);
    CU_ASSERT_EQUAL(attempts_of(3), 0);
    end();
}

static int run_tests(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("replay letters", schema_start_with_stream, schema_stop);
    CU_add_test(suite, "one takes at a time", test_one_takes_at_a_time);
    CU_add_test(suite, "what is taken is written down", test_what_is_taken_is_written_down);
    CU_add_test(suite, "what is in doubt is not taken", test_what_is_in_doubt_is_not_taken);
    CU_add_test(suite, "letters of a living run are its own", test_letters_of_a_living_run_are_its_own);
    CU_add_test(suite, "a search begins where it can be", test_a_search_begins_where_it_can_be);
    CU_add_test(suite, "attempts are those of the line", test_attempts_are_those_of_the_line);
    CU_add_test(suite, "attempts outlive a move back", test_attempts_outlive_a_move_back);
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
