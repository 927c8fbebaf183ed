// link: tests/bench/workload.c
/* Offers a load:   bench_pace BROKERS TOPIC WORKLOAD RATE SECONDS SEED PARTITIONS APPENDS [BEGIN]
 *
 * Begins with the workload's message number BEGIN (0), a multiple of PARTITIONS, and ends with as many sent
 * to each partition as to the others, so that the next load can go on behind it.
 *
 * Sends RATE messages a second by the clock, whatever the broker answers. A partition is sent what is due in
 * a millisecond, then the next one is: producers that batch do so too, and a request for each partition and
 * millisecond would measure Kafka's requests. The topic must have LogAppendTime. The file APPENDS gets a line
 * for all messages that were appended together: partition, first and last offset, milliseconds since 1970 by
 * the broker's clock, with tabs. Prints what was sent as one line of JSON. Ends with 1 when the broker did
 * not acknowledge all of it. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "workload.h"

#define FLUSH_MS       60000
#define SLOT_NS        INT64_C(1000000)
#define PARTITIONS_MAX 64

/* Messages of a partition that follow one another and carry one time. */
struct append {
    int64_t first;
    int64_t last;
    int64_t time_ms; /* 0: nothing yet */
};

struct load {
    struct workload workload;
    uint64_t rate;
    uint64_t total;
    uint64_t counts[3]; /* by enum message_kind */
    uint64_t refused;
    int64_t late_ns; /* the most that a message was sent after it was due */
    uint64_t sent[PARTITIONS_MAX];
    struct append appends[PARTITIONS_MAX];
    FILE *file;
};

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void sleep_until(int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) continue;
}

static void write_append(struct load *load, int32_t partition)
{
    const struct append *append = &load->appends[partition];
    if (append->time_ms == 0) return;
    (void)fprintf(load->file, "%" PRId32 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\n", partition,
                  append->first, append->last, append->time_ms);
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    (void)client;
    struct load *load = context;
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    int64_t time_ms = rd_kafka_message_timestamp(message, &type);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR || type != RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME) {
        load->refused++;
        return;
    }
    struct append *append = &load->appends[message->partition];
    if (append->time_ms == time_ms && append->last + 1 == message->offset) {
        append->last = message->offset;
        return;
    }
    write_append(load, message->partition);
    *append = (struct append){.first = message->offset, .last = message->offset, .time_ms = time_ms};
}

static rd_kafka_t *open_producer(const char *brokers, struct load *load)
{
    static const char *const properties[][2] = {
        {"enable.idempotence", "true"},
        {"compression.type", "lz4"},
        {"linger.ms", "1"},
        {"batch.size", "262144"},
        {"log_level", "3"},
        {"queue.buffering.max.kbytes", "1048576"},
        {"queue.buffering.max.messages", "2000000"},
    };
    char error[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool set = rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof error) == RD_KAFKA_CONF_OK;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        set = set && rd_kafka_conf_set(conf, properties[i][0], properties[i][1], error, sizeof error) ==
                         RD_KAFKA_CONF_OK;
    rd_kafka_conf_set_opaque(conf, load);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *producer = set ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error) : NULL;
    if (producer == NULL) {
        (void)fprintf(stderr, "bench_pace: %s\n", error);
        exit(1);
    }
    return producer;
}

/* The next message of the partition that the workload gives it to; a scattered one gives it to any. */
static uint64_t next_number(struct load *load, uint64_t ordinal, int32_t partition)
{
    uint64_t number = load->sent[partition]++ * load->workload.partitions + (uint64_t)partition;
    return load->workload.scattered ? ordinal : number;
}

static void send_message(struct load *load, rd_kafka_t *producer, rd_kafka_topic_t *topic, uint64_t number,
                         int32_t partition)
{
    char message[WORKLOAD_MESSAGE_SIZE];
    size_t size = workload_write(&load->workload, number, message);
    load->counts[workload_kind_of(&load->workload, number)]++;
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, message, size, NULL, 0, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            (void)fprintf(stderr, "bench_pace: %s\n", rd_kafka_err2str(rd_kafka_last_error()));
            exit(1);
        }
        (void)rd_kafka_poll(producer, 10);
    }
}

static int64_t due_ns(const struct load *load, int64_t begin_ns, uint64_t ordinal)
{
    return begin_ns + (int64_t)((double)ordinal * 1e9 / (double)load->rate);
}

/* The partition that was sent the least (or the most). */
static int32_t extreme(const struct load *load, bool most)
{
    int32_t found = 0;
    for (int32_t i = 1; i < (int32_t)load->workload.partitions; i++)
        if (most ? load->sent[i] > load->sent[found] : load->sent[i] < load->sent[found]) found = i;
    return found;
}

/* What the clock left uneven. A scattered workload's numbers belong to no partition. */
static void level(struct load *load, rd_kafka_t *producer, rd_kafka_topic_t *topic)
{
    const uint64_t most = load->sent[extreme(load, true)];
    for (int32_t i = 0; i < (int32_t)load->workload.partitions && !load->workload.scattered; i++)
        while (load->sent[i] < most) send_message(load, producer, topic, next_number(load, 0, i), i);
}

/* Returns the seconds that it took. */
static double offer(struct load *load, rd_kafka_t *producer, rd_kafka_topic_t *topic)
{
    int64_t begin_ns = now_ns();
    uint64_t ordinal = 0;
    while (ordinal < load->total) {
        int64_t slot_ns = now_ns();
        int64_t late_ns = slot_ns - due_ns(load, begin_ns, ordinal);
        if (late_ns > load->late_ns) load->late_ns = late_ns;
        int32_t partition = extreme(load, false);
        for (; ordinal < load->total && due_ns(load, begin_ns, ordinal) <= slot_ns; ordinal++)
            send_message(load, producer, topic, next_number(load, ordinal, partition), partition);
        (void)rd_kafka_poll(producer, 0);
        int64_t next_ns = due_ns(load, begin_ns, ordinal);
        sleep_until(next_ns > slot_ns + SLOT_NS ? next_ns : slot_ns + SLOT_NS);
    }
    return (double)(now_ns() - begin_ns) / 1e9;
}

static void print_account(const struct load *load, double seconds)
{
    const uint64_t *counts = load->counts;
    (void)printf("{\"new\": %" PRIu64 ", \"repeated\": %" PRIu64 ", \"poison\": %" PRIu64
                 ", \"seconds\": %.3f, \"late_ms\": %.1f}\n",
                 counts[MESSAGE_NEW], counts[MESSAGE_REPEATED], counts[MESSAGE_POISON], seconds,
                 (double)load->late_ns / 1e6);
}

int main(int argc, char **argv)
{
    static struct load load;
    bool parsed = (argc == 9 || argc == 10) && workload_parse(argv[3], &load.workload);
    if (parsed) {
        load.rate = strtoull(argv[4], NULL, 10);
        load.total = load.rate * strtoull(argv[5], NULL, 10);
        load.workload.seed = strtoull(argv[6], NULL, 10);
        load.workload.partitions = strtoull(argv[7], NULL, 10);
    }
    const uint64_t begin = argc == 10 ? strtoull(argv[9], NULL, 10) : 0;
    if (load.rate == 0 || load.workload.partitions == 0 || load.workload.partitions > PARTITIONS_MAX) {
        (void)fprintf(
            stderr,
            "usage: bench_pace BROKERS TOPIC WORKLOAD RATE SECONDS SEED PARTITIONS APPENDS [BEGIN]\n");
        return 64;
    }
    load.file = fopen(argv[8], "w");
    if (load.file == NULL) {
        perror(argv[8]);
        return 1;
    }
    rd_kafka_t *producer = open_producer(argv[1], &load);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, argv[2], NULL);
    for (size_t i = 0; i < load.workload.partitions; i++) load.sent[i] = begin / load.workload.partitions;
    double seconds = offer(&load, producer, topic);
    level(&load, producer, topic);
    bool flushed = rd_kafka_flush(producer, FLUSH_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int32_t i = 0; i < (int32_t)load.workload.partitions; i++) write_append(&load, i);
    bool written = fclose(load.file) == 0;
    print_account(&load, seconds);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
    return flushed && written && load.refused == 0 ? 0 : 1;
}
