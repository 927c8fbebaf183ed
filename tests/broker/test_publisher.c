// link: worker/dead_letter_publisher.c worker/dead_letter_lease.c worker/dead_letter_headers.c
// link: worker/producer.c worker/kafka_client.c worker/kafka_questions.c worker/nearest.c
// link: worker/database.c worker/database_fault.c
// link: worker/socket_wait.c worker/signals.c worker/array.c worker/log.c worker/clock.c
// link: worker/stuck_sessions.c migrations.c tests/broker/schema.c tests/broker/mock.c
// link: worker/kafka_trouble.c
/* The publisher, between a real PostgreSQL and the development broker. Without PGHOST it starts itself again
 * below tests/lib/with_postgres.py. Each test has a stream and a dead-letter topic of its own. */
#include <CUnit/Basic.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "database.h"
#include "dead_letter_publisher.h"
#include "headers.h"
#include "log.h"
#include "mock.h"
#include "schema.h"
#include "with_postgres.h"

#define PATIENCE_MS INT64_C(90000)
#define STOP_MS     30000

static struct metrics counted;
static struct mock *mock;
static struct topic topic;
static char text_group[] = "g";
static char text_database[] = "";
static char text_topic[64];
static char text_dead[70];
static struct settings settings = {
    .group = text_group, .topic = text_topic, .dead_letter_topic = text_dead, .database = text_database};

static void begin(const char *name)
{
    (void)snprintf(text_topic, sizeof text_topic, "%s", name);
    (void)snprintf(text_dead, sizeof text_dead, "%s.dlq", name);
    (void)ask("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('g', '%s', 'c'),"
              " ('other', '%s', 'c')",
              name, name);
}

static void insert_letters(int from, int count)
{
    (void)ask("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail)"
              " SELECT stream_id, n %% 3, n, convert_to('v' || n, 'UTF8'), 'invalid_json', 'M-3'"
              " FROM winnow.stream, generate_series(%d, %d) AS n WHERE consumer_group = 'g' AND topic = '%s'",
              from, from + count - 1, text_topic);
}

static int64_t count_letters(const char *condition)
{
    return ask("SELECT count(*) FROM winnow.dead_letter JOIN winnow.stream USING (stream_id)"
               " WHERE consumer_group = 'g' AND topic = '%s' AND %s",
               text_topic, condition);
}

static bool all_published(void *context)
{
    (void)context;
    return count_letters("published_at IS NULL") == 0;
}

/* No id twice, and as many as there should be. */
static void check_each_once(size_t count)
{
    topic_read(mock_address(mock), text_dead, 1, &topic);
    CU_ASSERT_EQUAL(topic.count, count);
    size_t twice = 0;
    for (size_t i = 0; i < topic.count; i++)
        for (size_t j = 0; j < i; j++)
            twice += slice_equals(topic_header(&topic, i, "winnow-id"), topic_header(&topic, j, "winnow-id"));
    CU_ASSERT_EQUAL(twice, 0);
}

/* The message with that id. */
static size_t find_letter(const char *id)
{
    for (size_t i = 0; i < topic.count; i++)
        if (slice_equals(topic_header(&topic, i, "winnow-id"), slice_of_text(id))) return i;
    CU_FAIL_FATAL("a letter is missing");
    return 0;
}

static void insert_three_kinds(void)
{
    (void)ask("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, message_time, key, "
              "value, headers,"
              "  reason, detail, sqlstate)"
              " SELECT stream_id, v.* FROM winnow.stream, (VALUES"
              " (0, 7, '2024-01-01T00:00:00.123Z'::timestamptz, '\\x6b00'::bytea, '\\x7b00ff'::bytea,"
              "  '\\x00000001680000000176'::bytea, 'database_rejected', 'found x', '22003'),"
              " (1, 8, NULL, NULL, NULL, NULL, 'empty', 'M-1', NULL),"
              " (2, 9, NULL, '', '', NULL, 'empty', 'M-1', NULL)) AS v"
              " WHERE consumer_group = 'g' AND topic = 'kinds'");
    (void)ask("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, reason, detail)"
              " SELECT stream_id, 0, 1, 'empty', 'M-1' FROM winnow.stream WHERE consumer_group = 'other'"
              " AND topic = 'kinds'");
}

static void test_letters_as_they_were(void)
{
    begin("kinds");
    insert_three_kinds();
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(3);
    size_t whole = find_letter("kinds/0/7");
    CU_ASSERT_TRUE(slice_equals(topic_key(&topic, whole), slice_of("k\0", 2)));
    CU_ASSERT_TRUE(slice_equals(topic_value(&topic, whole), slice_of("{\0\xff", 3)));
    CU_ASSERT_TRUE(slice_equals(topic_header(&topic, whole, "h"), slice_of_text("v")));
    CU_ASSERT_TRUE(slice_equals(topic_header(&topic, whole, "winnow-sqlstate"), slice_of_text("22003")));
    CU_ASSERT_EQUAL(topic.messages[whole].timestamp_ms, 1704067200123);
    size_t tombstone = find_letter("kinds/1/8");
    CU_ASSERT_PTR_NULL(topic_value(&topic, tombstone).data);
    CU_ASSERT_PTR_NULL(topic_key(&topic, tombstone).data);
    size_t empty = find_letter("kinds/2/9");
    CU_ASSERT_PTR_NOT_NULL(topic_value(&topic, empty).data);
    CU_ASSERT_PTR_NOT_NULL(topic_key(&topic, empty).data);
    CU_ASSERT_EQUAL(
        count_letters("publish_attempts = 0 AND publish_error IS NULL AND publish_lease_until IS NULL"), 3);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.dead_letter WHERE published_at IS NULL"), 1);
    (void)ask("DELETE FROM winnow.dead_letter WHERE published_at IS NULL");
}

static void test_two_publishers_share_the_work(void)
{
    begin("two");
    insert_letters(0, 1000);
    struct publisher *first = publisher_start(&settings, &counted);
    struct publisher *second = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(first, STOP_MS));
    CU_ASSERT_TRUE(publisher_stop(second, STOP_MS));
    check_each_once(1000);
}

static void test_a_poke_is_heard_at_once(void)
{
    begin("poke");
    insert_letters(0, 1);
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    for (int i = 1; i < 4; i++) {
        insert_letters(i, 1);
        publisher_poke(publisher);
        int64_t begun_ms = clock_now_ms();
        CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
        CU_ASSERT_TRUE(clock_now_ms() - begun_ms < 4500); /* a sweep would take five seconds and more */
    }
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(4);
}

static bool time_is_over(void *context)
{
    const int64_t *until_ms = context;
    return clock_now_ms() >= *until_ms;
}

/* While the topic is away, nothing is written to the table. */
static void test_topic_is_missing_and_comes(void)
{
    begin("missing");
    insert_letters(0, 5);
    mock_command(mock, "topic-error missing.dlq UNKNOWN_TOPIC_OR_PART");
    struct publisher *publisher = publisher_start(&settings, &counted);
    int64_t until_ms = clock_now_ms() + 1500;
    CU_ASSERT_TRUE(wait_until(time_is_over, &until_ms, PATIENCE_MS));
    CU_ASSERT_EQUAL(
        count_letters("published_at IS NULL AND publish_lease_until IS NULL AND publish_attempts = 0"), 5);
    mock_command(mock, "topic-error missing.dlq 0");
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(5);
}

static void test_brokers_are_away_and_come(void)
{
    begin("away");
    insert_letters(0, 5);
    mock_command(mock, "down");
    struct publisher *publisher = publisher_start(&settings, &counted);
    int64_t until_ms = clock_now_ms() + 1500;
    CU_ASSERT_TRUE(wait_until(time_is_over, &until_ms, PATIENCE_MS));
    CU_ASSERT_EQUAL(count_letters("published_at IS NULL AND publish_attempts = 0"), 5);
    mock_command(mock, "up");
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(5);
}

static bool has_failed(void *context)
{
    (void)context;
    return count_letters("publish_attempts > 0 AND publish_error LIKE '%authoriz%'") > 0;
}

static void test_topic_is_forbidden_for_a_while(void)
{
    begin("forbidden");
    insert_letters(0, 5);
    mock_command(mock, "error produce TOPIC_AUTHORIZATION_FAILED");
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(has_failed, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(5);
    CU_ASSERT_EQUAL(count_letters("publish_error IS NULL"), 5);
}

/* The broker refuses the request with all five, then the first one alone, and takes it without its value. */
static void test_too_large_goes_without_its_value(void)
{
    begin("large");
    insert_letters(0, 5);
    mock_command(mock, "error produce MSG_SIZE_TOO_LARGE 2");
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(5);
    size_t without = 0;
    for (size_t i = 0; i < topic.count; i++) {
        if (topic_header(&topic, i, "winnow-value-omitted").data == NULL) continue;
        without++;
        CU_ASSERT_EQUAL(topic_value(&topic, i).size, 0);
        CU_ASSERT_PTR_NOT_NULL(topic_value(&topic, i).data);
    }
    CU_ASSERT_EQUAL(without, 1);
    CU_ASSERT_EQUAL(count_letters("octet_length(value) > 0"), 5);
}

static bool has_given_up(void *context)
{
    (void)context;
    return count_letters("publish_attempts = 1 AND publish_lease_until > now() + interval '3 seconds'") == 1;
}

/* Refused in every form: it waits, and the others do not. */
static void test_one_that_no_topic_takes(void)
{
    begin("hopeless");
    insert_letters(0, 1);
    mock_command(mock, "error produce MSG_SIZE_TOO_LARGE 4");
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(has_given_up, NULL, PATIENCE_MS));
    insert_letters(1, 5);
    publisher_poke(publisher);
    int64_t begun_ms = clock_now_ms();
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS)); /* the first one too, in the end */
    CU_ASSERT_TRUE(clock_now_ms() - begun_ms > 2000);
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(6);
}

static void test_huge_value_stays_in_the_table(void)
{
    begin("huge");
    (void)ask("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail)"
              " SELECT stream_id, 0, 0, convert_to(repeat('x', 13000000), 'UTF8'), 'too_large', 'M-2'"
              " FROM winnow.stream WHERE consumer_group = 'g' AND topic = 'huge'");
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(1);
    CU_ASSERT_EQUAL(topic_value(&topic, 0).size, 0);
    CU_ASSERT_PTR_NOT_NULL(topic_header(&topic, 0, "winnow-value-omitted").data);
    CU_ASSERT_EQUAL(count_letters("octet_length(value) = 13000000"), 1);
}

static void test_database_connections_are_terminated(void)
{
    begin("terminated");
    insert_letters(0, 1);
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_EQUAL(ask("SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity"
                        " WHERE application_name = 'winnow publisher'"),
                    1);
    insert_letters(1, 5);
    publisher_poke(publisher);
    CU_ASSERT_TRUE(wait_until(all_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    check_each_once(6);
}

static bool two_are_published(void *context)
{
    (void)context;
    return count_letters("published_at IS NOT NULL") >= 2;
}

/* Another publisher died with these on lease. */
static void test_leases_run_out(void)
{
    begin("leased");
    insert_letters(0, 4);
    (void)ask("UPDATE winnow.dead_letter SET publish_lease_until ="
              " now() + CASE WHEN message_offset < 2 THEN interval '1 hour' ELSE interval '1 second' END"
              " WHERE published_at IS NULL");
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(two_are_published, NULL, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    CU_ASSERT_EQUAL(count_letters("published_at IS NOT NULL AND message_offset >= 2"), 2);
    check_each_once(2);
    (void)ask("DELETE FROM winnow.dead_letter WHERE published_at IS NULL");
}

/* A session that has executed its statement and not sent the Sync: what a frozen publisher leaves. */
static PGconn *stop_before_sync(const char *sql)
{
    PGconn *connection = PQconnectdb("application_name='winnow publisher'");
    if (PQstatus(connection) != CONNECTION_OK || PQenterPipelineMode(connection) != 1 ||
        PQsendQueryParams(connection, sql, 0, NULL, NULL, NULL, NULL, 0) != 1 ||
        PQsendFlushRequest(connection) != 1 || PQflush(connection) != 0)
        abort();
    PGresult *result = PQgetResult(connection);
    CU_ASSERT_EQUAL(PQresultStatus(result), PGRES_TUPLES_OK);
    CU_ASSERT_EQUAL(PQntuples(result), 3);
    PQclear(result);
    return connection;
}

static bool all_published_when_poked(void *publisher)
{
    publisher_poke(publisher);
    return all_published(NULL);
}

/* It holds them without a lease, and nobody waits for letters that are locked. */
static void test_another_froze_before_its_sync(void)
{
    begin("frozen");
    insert_letters(0, 3);
    PGconn *frozen = stop_before_sync("SELECT FROM winnow.dead_letter WHERE published_at IS NULL FOR UPDATE");
    struct publisher *publisher = publisher_start(&settings, &counted);
    CU_ASSERT_TRUE(wait_until(all_published_when_poked, publisher, PATIENCE_MS));
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    PQfinish(frozen);
    check_each_once(3);
}

static void test_stop_is_quick(void)
{
    begin("stop");
    struct publisher *publisher = publisher_start(&settings, &counted);
    int64_t begun_ms = clock_now_ms();
    CU_ASSERT_TRUE(publisher_stop(publisher, STOP_MS));
    CU_ASSERT_TRUE(clock_now_ms() - begun_ms < STOP_MS / 2);
    CU_ASSERT_TRUE(publisher_stop(NULL, 0));
}

static int start(void)
{
    static const char *const topics[] = {"kinds.dlq:1",      "two.dlq:1",
                                         "poke.dlq:1",       "missing.dlq:1",
                                         "away.dlq:1",       "large.dlq:1",
                                         "forbidden.dlq:1",  "huge.dlq:1",
                                         "terminated.dlq:1", "leased.dlq:1",
                                         "hopeless.dlq:1",   "frozen.dlq:1",
                                         "stop.dlq:1",       NULL};
    const char *level = getenv("TEST_LOG");
    enum log_level log_level = LOG_LEVEL_ERROR;
    if (level != NULL && !log_level_read(level, &log_level)) return 1;
    log_init(log_level, "test");
    if (schema_start() != 0) return 1;
    mock = mock_start(topics);
    settings.brokers = strdup(mock_address(mock));
    return 0;
}

static int stop(void)
{
    topic_done(&topic);
    mock_stop(mock);
    free(settings.brokers);
    return schema_stop();
}

static int run_tests(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("publisher", start, stop);
    CU_add_test(suite, "letters as they were", test_letters_as_they_were);
    CU_add_test(suite, "two publishers share the work", test_two_publishers_share_the_work);
    CU_add_test(suite, "a poke is heard at once", test_a_poke_is_heard_at_once);
    CU_add_test(suite, "the topic is missing and comes", test_topic_is_missing_and_comes);
    CU_add_test(suite, "the brokers are away and come", test_brokers_are_away_and_come);
    CU_add_test(suite, "the topic is forbidden for a while", test_topic_is_forbidden_for_a_while);
    CU_add_test(suite, "too large goes without its value", test_too_large_goes_without_its_value);
    CU_add_test(suite, "one that no topic takes", test_one_that_no_topic_takes);
    CU_add_test(suite, "a huge value stays in the table", test_huge_value_stays_in_the_table);
    CU_add_test(suite, "database connections are terminated", test_database_connections_are_terminated);
    CU_add_test(suite, "leases run out", test_leases_run_out);
    CU_add_test(suite, "another froze before its Sync", test_another_froze_before_its_sync);
    CU_add_test(suite, "stop is quick", test_stop_is_quick);
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
