// link: tests/bench/workload.c
/* Fills a topic:   bench_produce BROKERS TOPIC WORKLOAD EVENTS SEED PARTITIONS [FIRST]
 *
 * FIRST is the number in the stream of the first message, a multiple of PARTITIONS: where an earlier call
 * ended. Prints what it sent as one line of JSON. Ends with 1 when the broker did not acknowledge all of it.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "workload.h"

#define FLUSH_MS 60000

static uint64_t refused;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    (void)client;
    (void)context;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) refused++;
}

static rd_kafka_t *open_producer(const char *brokers)
{
    static const char *const properties[][2] = {
        {"enable.idempotence", "true"},
        {"compression.type", "lz4"},
        {"linger.ms", "50"},
        {"batch.size", "262144"},
        {"queue.buffering.max.kbytes", "131072"},
        {"log_level", "3"},
    };
    char error[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool set = rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof error) == RD_KAFKA_CONF_OK;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        set = set && rd_kafka_conf_set(conf, properties[i][0], properties[i][1], error, sizeof error) ==
                         RD_KAFKA_CONF_OK;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *producer = set ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error) : NULL;
    if (producer == NULL) {
        (void)fprintf(stderr, "bench_produce: %s\n", error);
        exit(1);
    }
    return producer;
}

static void send_message(rd_kafka_t *producer, rd_kafka_topic_t *topic, int32_t partition, void *value,
                         size_t size)
{
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, size, NULL, 0, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            (void)fprintf(stderr, "bench_produce: %s\n", rd_kafka_err2str(rd_kafka_last_error()));
            exit(1);
        }
        (void)rd_kafka_poll(producer, 100);
    }
}

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct workload workload;
    if ((argc != 7 && argc != 8) || !workload_parse(argv[3], &workload)) {
        (void)fprintf(stderr, "usage: bench_produce BROKERS TOPIC WORKLOAD EVENTS SEED PARTITIONS [FIRST]\n");
        return 64;
    }
    uint64_t events = strtoull(argv[4], NULL, 10);
    workload.seed = strtoull(argv[5], NULL, 10);
    workload.partitions = strtoull(argv[6], NULL, 10);
    uint64_t first = argc == 8 ? strtoull(argv[7], NULL, 10) : 0;
    rd_kafka_t *producer = open_producer(argv[1]);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, argv[2], NULL);
    uint64_t counts[3] = {0};
    uint64_t bytes = 0;
    double begin_s = now_s();
    for (uint64_t number = first; number < first + events; number++) {
        char message[WORKLOAD_MESSAGE_SIZE];
        size_t size = workload_write(&workload, number, message);
        counts[workload_kind_of(&workload, number)]++;
        bytes += size;
        send_message(producer, topic, (int32_t)(number % workload.partitions), message, size);
        if (number % 1024 == 0) (void)rd_kafka_poll(producer, 0);
    }
    bool flushed = rd_kafka_flush(producer, FLUSH_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    (void)printf("{\"new\": %" PRIu64 ", \"repeated\": %" PRIu64 ", \"poison\": %" PRIu64
                 ", \"bytes\": %" PRIu64 ", \"seconds\": %.3f}\n",
                 counts[MESSAGE_NEW], counts[MESSAGE_REPEATED], counts[MESSAGE_POISON], bytes,
                 now_s() - begin_s);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
    return flushed && refused == 0 ? 0 : 1;
}
