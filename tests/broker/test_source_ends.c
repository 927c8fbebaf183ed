// link: worker/source_kafka.c worker/kafka_client.c worker/kafka_questions.c worker/nearest.c
// link: worker/signals.c worker/log.c worker/clock.c
// link: tests/broker/mock.c
// link: worker/kafka_trouble.c
/* Where the logs end, asked of three brokers of which one is in trouble. */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "kafka_client.h"
#include "log.h"
#include "mock.h"
#include "source_kafka.h"

#define PARTITIONS  6
#define PATIENCE_MS 90000
#define SILENCE_MS  10000 /* one that is silent is waited for a second, and not as long as its client does */

static const int32_t partitions[PARTITIONS] = {0, 1, 2, 3, 4, 5};
static struct mock *mock;
static struct source *source;
static char text_group[] = "g";
static char text_topic[] = "t";
static struct settings settings = {.group = text_group, .topic = text_topic};

/* Nothing is acknowledged here. */
const struct position *receipt_positions(const struct receipt *receipt, size_t *ret_count)
{
    (void)receipt;
    *ret_count = 0;
    return NULL;
}

/* Checks the ends of the partitions led by all brokers but `silent` (0: by all). */
static void check_ends(int silent)
{
    const struct log_end *ends = NULL;
    int64_t begin_ms = clock_now_ms();
    CU_ASSERT_TRUE_FATAL(source_ends(source, partitions, PARTITIONS, &ends));
    CU_ASSERT(clock_now_ms() - begin_ms < SILENCE_MS);
    for (int i = 0; i < PARTITIONS; i++) {
        CU_ASSERT_EQUAL(ends[i].partition, i);
        CU_ASSERT_EQUAL(ends[i].offset, i % 3 + 1 == silent ? -1 : 0);
    }
}

static bool answers_all(void *context)
{
    (void)context;
    const struct log_end *ends = NULL;
    if (!source_ends(source, partitions, PARTITIONS, &ends)) return false;
    for (int i = 0; i < PARTITIONS; i++)
        if (ends[i].offset < 0) return false;
    return true;
}

static void test_all_answer(void)
{
    CU_ASSERT_TRUE_FATAL(wait_until(answers_all, NULL, PATIENCE_MS));
    check_ends(0);
}

static void test_one_leader_is_silent(void)
{
    mock_command(mock, "down 2");
    check_ends(2);
    check_ends(2);
    mock_command(mock, "up 2");
    CU_ASSERT_TRUE(wait_until(answers_all, NULL, PATIENCE_MS));
}

static void test_one_leader_refuses(void)
{
    mock_command(mock, "error list_offsets NOT_LEADER_FOR_PARTITION");
    check_ends(0);
}

static void test_nobody_answers(void)
{
    const struct log_end *ends = NULL;
    mock_command(mock, "down");
    int64_t begin_ms = clock_now_ms();
    CU_ASSERT_FALSE(source_ends(source, partitions, PARTITIONS, &ends));
    CU_ASSERT(clock_now_ms() - begin_ms < SILENCE_MS);
    mock_command(mock, "up");
}

/* Who asked before has it in mind who leads. */
static void test_leader_has_moved(void)
{
    rd_kafka_t *client = NULL;
    struct fault fault = {0};
    int64_t low = -1;
    int64_t high = -1;
    CU_ASSERT_TRUE_FATAL(kafka_reader_client_new(&settings, &client, &fault));
    CU_ASSERT_TRUE(kafka_watermarks(client, text_topic, 0, PATIENCE_MS, &low, &high, &fault));
    mock_command(mock, "leader t 0 2");
    CU_ASSERT_TRUE(kafka_watermarks(client, text_topic, 0, PATIENCE_MS, &low, &high, &fault));
    mock_command(mock, "error list_offsets NOT_LEADER_FOR_PARTITION 100");
    const int64_t begin_ms = clock_now_ms();
    CU_ASSERT_FALSE(kafka_watermarks(client, text_topic, 0, 300, &low, &high, &fault));
    CU_ASSERT(clock_now_ms() - begin_ms < SILENCE_MS);
    CU_ASSERT_EQUAL(fault.status, STATUS_RETRY);
    mock_command(mock, "clear list_offsets");
    mock_command(mock, "leader t 0 1");
    rd_kafka_destroy(client);
}

static int start(void)
{
    static const char *const topics[] = {"t:6", NULL};
    struct fault fault;
    log_init(LOG_LEVEL_ERROR, "test");
    mock = mock_start_cluster(3, topics);
    settings.brokers = strdup(mock_address(mock));
    for (int i = 0; i < PARTITIONS; i++) mock_command(mock, "leader t %d %d", i, i % 3 + 1);
    if (source_open(&settings, &source, &fault)) return 0;
    (void)fprintf(stderr, "%s\n", fault.text);
    return 1;
}

static int stop(void)
{
    (void)!source_close(source);
    mock_stop(mock);
    free(settings.brokers);
    return 0;
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("source ends", start, stop);
    CU_add_test(suite, "all answer", test_all_answer);
    CU_add_test(suite, "one leader is silent", test_one_leader_is_silent);
    CU_add_test(suite, "one leader refuses", test_one_leader_refuses);
    CU_add_test(suite, "the leader has moved", test_leader_has_moved);
    CU_add_test(suite, "nobody answers", test_nobody_answers);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
