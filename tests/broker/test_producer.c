// link: worker/producer.c worker/kafka_client.c worker/kafka_questions.c worker/nearest.c
// link: worker/log.c worker/clock.c tests/broker/mock.c
// link: worker/kafka_trouble.c
/* The producer and the questions, against the development broker. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "headers.h"
#include "kafka_client.h"
#include "log.h"
#include "mock.h"
#include "producer.h"

#define PATIENCE_MS 60000

static struct mock *mock;
static struct settings settings;
static struct topic topic;

/* What the reports told. */
struct heard {
    int acknowledged;
    int failed;
    enum status status; /* of the last failure */
    char text[FAULT_TEXT_SIZE];
    int64_t offset;
};

static void hear(void *context, const struct delivery *delivery)
{
    struct heard *heard = context;
    if (delivery->fault->status == STATUS_OK) {
        heard->acknowledged++;
        heard->offset = delivery->offset;
        return;
    }
    heard->failed++;
    heard->status = delivery->fault->status;
    (void)snprintf(heard->text, sizeof heard->text, "%s", delivery->fault->text);
}

static struct producer *open_producer(const char *name, struct heard *heard)
{
    struct producer *producer = NULL;
    struct fault fault;
    *heard = (struct heard){0};
    settings.brokers = strdup(mock_address(mock));
    if (!producer_new(&settings, name, hear, heard, &producer, &fault)) {
        (void)fprintf(stderr, "%s\n", fault.text);
        abort();
    }
    free(settings.brokers);
    return producer;
}

static void send_text(struct producer *producer, const char *key, const char *value)
{
    struct fault fault = {0};
    struct outgoing message = {.key = slice_of_text(key), .value = slice_of_text(value), .partition = -1};
    CU_ASSERT_TRUE(producer_send(producer, &message, &fault));
}

static void serve_all(struct producer *producer, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    while (producer_serve(producer, 50) > 0 && clock_now_ms() < deadline_ms) continue;
}

static void test_acknowledged_as_sent(void)
{
    struct heard heard;
    struct fault fault;
    struct buffer headers = {0};
    struct producer *producer = open_producer("parts", &heard);
    headers_add(&headers, slice_of_text("h"), slice_of("\0\1", 2));
    headers_add(&headers, slice_of_text("none"), slice_of(NULL, 0));
    struct outgoing whole = {.key = slice_of("k\0y", 3),
                             .value = slice_of("v\0\xff", 3),
                             .headers = slice_of(headers.data, headers.size),
                             .timestamp_ms = 1700000000123,
                             .partition = 1};
    struct outgoing tombstone = {.key = slice_of_text(""), .partition = 1};
    struct outgoing empty = {.value = slice_of_text(""), .partition = 1};
    CU_ASSERT_TRUE(producer_send(producer, &whole, &fault));
    CU_ASSERT_TRUE(producer_send(producer, &tombstone, &fault));
    CU_ASSERT_TRUE(producer_send(producer, &empty, &fault));
    serve_all(producer, PATIENCE_MS);
    CU_ASSERT_EQUAL(heard.acknowledged, 3);
    CU_ASSERT_EQUAL(heard.offset, 2);
    producer_free(producer);
    buffer_done(&headers);

    topic_read(mock_address(mock), "parts", 2, &topic);
    CU_ASSERT_EQUAL_FATAL(topic.count, 3);
    CU_ASSERT_TRUE(slice_equals(topic_key(&topic, 0), slice_of("k\0y", 3)));
    CU_ASSERT_TRUE(slice_equals(topic_value(&topic, 0), slice_of("v\0\xff", 3)));
    CU_ASSERT_TRUE(slice_equals(topic_header(&topic, 0, "h"), slice_of("\0\1", 2)));
    CU_ASSERT_PTR_NULL(topic_header(&topic, 0, "none").data);
    CU_ASSERT_EQUAL(topic.messages[0].timestamp_ms, 1700000000123);
    CU_ASSERT_EQUAL(topic.messages[0].partition, 1);
    CU_ASSERT_FALSE(topic.messages[1].has_value);
    CU_ASSERT_TRUE(topic.messages[1].has_key);
    CU_ASSERT_TRUE(topic.messages[2].has_value);
    CU_ASSERT_FALSE(topic.messages[2].has_key);
    CU_ASSERT_TRUE(llabs(topic.messages[2].timestamp_ms - clock_wall_ms()) < 60000);
}

/* murmur2, as the Java clients have it: "21" goes to partition 1 of 2 and "foobar" to 0 (Kafka's UtilsTest:
 * murmur2("21") = -973932308, murmur2("foobar") = -790332482; the sign bit is masked off). */
static void test_key_chooses_partition_as_in_java(void)
{
    struct heard heard;
    struct producer *producer = open_producer("java", &heard);
    send_text(producer, "21", "a");
    send_text(producer, "foobar", "b");
    send_text(producer, "21", "c");
    serve_all(producer, PATIENCE_MS);
    producer_free(producer);
    topic_read(mock_address(mock), "java", 3, &topic);
    CU_ASSERT_EQUAL_FATAL(topic.count, 3);
    for (size_t i = 0; i < topic.count; i++) {
        bool is_21 = slice_equals(topic_key(&topic, i), slice_of_text("21"));
        int64_t hash = (is_21 ? -973932308 : -790332482) & 0x7fffffff;
        CU_ASSERT_EQUAL(topic.messages[i].partition, hash % 3);
    }
}

static void test_too_large_here(void)
{
    struct heard heard;
    struct fault fault;
    size_t size = (size_t)17 * 1024 * 1024;
    char *bytes = calloc(1, size);
    struct producer *producer = open_producer("big", &heard);
    struct outgoing message = {.value = slice_of(bytes, size), .partition = -1};
    CU_ASSERT_FALSE(producer_send(producer, &message, &fault));
    CU_ASSERT_EQUAL(fault.status, STATUS_REJECT);
    CU_ASSERT_EQUAL(producer_serve(producer, 0), 0);
    CU_ASSERT_EQUAL(heard.failed, 0);
    producer_free(producer);
    free(bytes);
}

static void test_too_large_there(void)
{
    struct heard heard;
    struct producer *producer = open_producer("big", &heard);
    mock_command(mock, "error produce MSG_SIZE_TOO_LARGE");
    send_text(producer, "k", "refused");
    serve_all(producer, PATIENCE_MS);
    CU_ASSERT_EQUAL(heard.failed, 1);
    CU_ASSERT_EQUAL(heard.status, STATUS_REJECT);
    CU_ASSERT_FALSE(producer_is_fatal(producer));
    send_text(producer, "k", "taken");
    serve_all(producer, PATIENCE_MS);
    CU_ASSERT_EQUAL(heard.acknowledged, 1);
    producer_free(producer);
}

static void test_transient_errors_are_retried(void)
{
    struct heard heard;
    struct producer *producer = open_producer("retry", &heard);
    mock_command(mock, "error produce NOT_ENOUGH_REPLICAS 3");
    for (int i = 0; i < 50; i++) send_text(producer, "k", "v");
    serve_all(producer, PATIENCE_MS);
    CU_ASSERT_EQUAL(heard.acknowledged, 50);
    producer_free(producer);
    topic_read(mock_address(mock), "retry", 1, &topic);
    CU_ASSERT_EQUAL(topic.count, 50);
}

static void test_brokers_come_back(void)
{
    struct heard heard;
    struct producer *producer = open_producer("back", &heard);
    int32_t partition_count;
    struct fault fault;
    CU_ASSERT_TRUE(producer_check_topic(producer, PATIENCE_MS, &partition_count, &fault));
    mock_command(mock, "down");
    for (int i = 0; i < 10; i++) send_text(producer, "k", "v");
    CU_ASSERT_EQUAL(producer_serve(producer, 300), 10);
    mock_command(mock, "up");
    serve_all(producer, PATIENCE_MS);
    CU_ASSERT_EQUAL(heard.acknowledged, 10);
    producer_free(producer);
}

static void test_free_reports_the_rest(void)
{
    struct heard heard;
    struct producer *producer = open_producer("rest", &heard);
    mock_command(mock, "down");
    for (int i = 0; i < 10; i++) send_text(producer, "k", "v");
    producer_free(producer);
    CU_ASSERT_EQUAL(heard.failed, 10);
    CU_ASSERT_EQUAL(heard.status, STATUS_RETRY);
    mock_command(mock, "up");
}

static void test_forbidden_topic(void)
{
    struct heard heard;
    struct producer *producer = open_producer("forbidden", &heard);
    mock_command(mock, "error produce TOPIC_AUTHORIZATION_FAILED");
    send_text(producer, "k", "v");
    serve_all(producer, PATIENCE_MS);
    CU_ASSERT_EQUAL(heard.failed, 1);
    CU_ASSERT_EQUAL(heard.status, STATUS_STOP);
    producer_free(producer);
}

static void test_topic_is_asked_for(void)
{
    struct heard heard;
    struct fault fault = {0};
    int32_t partition_count = 0;
    struct producer *producer = open_producer("parts", &heard);
    CU_ASSERT_TRUE(producer_check_topic(producer, PATIENCE_MS, &partition_count, &fault));
    CU_ASSERT_EQUAL(partition_count, 2);
    mock_command(mock, "topic-error parts UNKNOWN_TOPIC_OR_PART");
    CU_ASSERT_FALSE(producer_check_topic(producer, PATIENCE_MS, &partition_count, &fault));
    CU_ASSERT_EQUAL(fault.status, STATUS_STOP);
    CU_ASSERT_PTR_NOT_NULL(strstr(fault.text, "\"parts\" does not exist"));
    mock_command(mock, "topic-error parts TOPIC_AUTHORIZATION_FAILED");
    CU_ASSERT_FALSE(producer_check_topic(producer, PATIENCE_MS, &partition_count, &fault));
    CU_ASSERT_EQUAL(fault.status, STATUS_STOP);
    CU_ASSERT_PTR_NOT_NULL(strstr(fault.text, "ACL"));
    mock_command(mock, "topic-error parts LEADER_NOT_AVAILABLE");
    CU_ASSERT_FALSE(producer_check_topic(producer, 10000, &partition_count, &fault));
    CU_ASSERT_EQUAL(fault.status, STATUS_RETRY);
    mock_command(mock, "topic-error parts 0");
    producer_free(producer);
}

static void test_silence_is_explained(void)
{
    static char nobody[] = "127.0.0.1:1";
    struct settings elsewhere = {.brokers = nobody};
    struct heard heard = {0};
    struct producer *producer = NULL;
    struct fault fault = {0};
    int32_t partition_count;
    CU_ASSERT_TRUE_FATAL(producer_new(&elsewhere, "t", hear, &heard, &producer, &fault));
    int64_t begun_ms = clock_now_ms();
    CU_ASSERT_FALSE(producer_check_topic(producer, 700, &partition_count, &fault));
    CU_ASSERT_TRUE(clock_now_ms() - begun_ms < PATIENCE_MS / 3);
    CU_ASSERT_EQUAL(fault.status, STATUS_RETRY);
    CU_ASSERT_PTR_NOT_NULL(strstr(fault.text, "127.0.0.1:1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(fault.text, "refused"));
    producer_free(producer);
}

static void test_wrong_property(void)
{
    static char brokers[] = "127.0.0.1:1";
    static char name[] = "no.such.property";
    static char value[] = "1";
    struct kafka_property property = {name, value};
    struct settings wrong = {.brokers = brokers, .kafka = &property, .kafka_count = 1};
    struct producer *producer = NULL;
    struct fault fault = {0};
    CU_ASSERT_FALSE(producer_new(&wrong, "t", hear, NULL, &producer, &fault));
    CU_ASSERT_EQUAL(fault.status, STATUS_STOP);
    CU_ASSERT_PTR_NOT_NULL(strstr(fault.text, "no.such.property"));
    CU_ASSERT_PTR_NULL(producer);
}

static rd_kafka_t *make_client(void)
{
    rd_kafka_conf_t *conf = NULL;
    struct fault fault;
    char text[128];
    settings.brokers = strdup(mock_address(mock));
    CU_ASSERT_TRUE_FATAL(kafka_conf_new(&settings, KAFKA_CONSUMER, &conf, &fault));
    free(settings.brokers);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(client);
    return client;
}

static void test_watermarks(void)
{
    struct heard heard;
    struct producer *producer = open_producer("marks", &heard);
    for (int i = 0; i < 7; i++) send_text(producer, "k", "v");
    serve_all(producer, PATIENCE_MS);
    producer_free(producer);
    rd_kafka_t *client = make_client();
    struct fault fault = {0};
    int64_t low = -1;
    int64_t high = -1;
    CU_ASSERT_TRUE(kafka_watermarks(client, "marks", 0, PATIENCE_MS, &low, &high, &fault));
    CU_ASSERT_EQUAL(low, 0);
    CU_ASSERT_EQUAL(high, 7);
    CU_ASSERT_TRUE(kafka_watermarks(client, "java", 1, PATIENCE_MS, &low, &high, &fault));
    mock_command(mock, "rtt 3000");
    int64_t begun_ms = clock_now_ms();
    CU_ASSERT_FALSE(kafka_watermarks(client, "marks", 0, 500, &low, &high, &fault));
    CU_ASSERT_TRUE(clock_now_ms() - begun_ms < PATIENCE_MS / 3);
    CU_ASSERT_EQUAL(fault.status, STATUS_RETRY);
    mock_command(mock, "rtt 0");
    rd_kafka_destroy(client);
}

static void test_consumer_configuration(void)
{
    static const char *const wanted[][2] = {
        {"enable.auto.commit", "false"},        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},         {"partition.assignment.strategy", "range,roundrobin"},
        {"queued.max.messages.kbytes", "8192"}, {"allow.auto.create.topics", "false"},
        {"session.timeout.ms", "6500"},         {"group.id", "us"},
    };
    static char name[] = "session.timeout.ms";
    static char value[] = "6500";
    static char group[] = "us";
    static char brokers[] = "127.0.0.1:1";
    struct kafka_property property = {name, value};
    struct settings own = {.brokers = brokers, .group = group, .kafka = &property, .kafka_count = 1};
    rd_kafka_conf_t *conf = NULL;
    struct fault fault;
    CU_ASSERT_TRUE_FATAL(kafka_conf_new(&own, KAFKA_CONSUMER, &conf, &fault));
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++) {
        char found[256] = "";
        size_t size = sizeof found;
        CU_ASSERT_EQUAL(rd_kafka_conf_get(conf, wanted[i][0], found, &size), RD_KAFKA_CONF_OK);
        CU_ASSERT_STRING_EQUAL(found,
                               strcmp(wanted[i][0], "auto.offset.reset") == 0 ? "error" : wanted[i][1]);
    }
    rd_kafka_conf_destroy(conf);
}

static int start(void)
{
    static const char *const topics[] = {"parts:2", "java:3",  "big:1",       "retry:1", "back:1",
                                         "rest:1",  "marks:1", "forbidden:1", NULL};
    log_init(LOG_LEVEL_ERROR, "test");
    mock = mock_start(topics);
    return 0;
}

static int stop(void)
{
    topic_done(&topic);
    mock_stop(mock);
    return 0;
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("producer", start, stop);
    CU_add_test(suite, "acknowledged as sent", test_acknowledged_as_sent);
    CU_add_test(suite, "the key chooses the partition as in Java", test_key_chooses_partition_as_in_java);
    CU_add_test(suite, "too large here", test_too_large_here);
    CU_add_test(suite, "too large there", test_too_large_there);
    CU_add_test(suite, "transient errors are retried", test_transient_errors_are_retried);
    CU_add_test(suite, "brokers come back", test_brokers_come_back);
    CU_add_test(suite, "free reports the rest", test_free_reports_the_rest);
    CU_add_test(suite, "forbidden topic", test_forbidden_topic);
    CU_add_test(suite, "the topic is asked for", test_topic_is_asked_for);
    CU_add_test(suite, "silence is explained", test_silence_is_explained);
    CU_add_test(suite, "wrong property", test_wrong_property);
    CU_add_test(suite, "watermarks", test_watermarks);
    CU_add_test(suite, "consumer configuration", test_consumer_configuration);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
