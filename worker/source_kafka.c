/* Rebalances are answered in two steps. Inside the library's callback the consumer is given an empty
 * assignment at once, so that the group never waits for our database; the machine hears of the partitions
 * from source_next(), claims them, and source_start() assigns them at the database's offsets. Later moves are
 * seeks: assigning again while a fetcher is still being stopped can abort the process in 2.0.2 (librdkafka
 * issue 5573). */
#include "source_kafka.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "kafka_client.h"
#include "log.h"
#include "signals.h"

#define TOPIC_TIMEOUT_MS     10000
#define TOPIC_ATTEMPT_MS     500 /* between looks for a signal */
#define WATERMARK_TIMEOUT_MS 10000
#define CLUSTER_TIMEOUT_MS   10000
#define WAKE_AFTER_COUNT     4000 /* as many as a full queue may hold, at the least */
#define WAKE_TIMEOUT_MS      100
#define ENDS_TIMEOUT_MS      1000
#define COMMIT_PAUSE_MS      1000
/* 2.0.2 takes the seek's timeout for microseconds (librdkafka issue 4230): this is 10 s. */
#define SEEK_TIMEOUT_MS 10000000
/* Leaving the group is a courtesy to it. A member that is just joining cannot leave before the group lets it
 * in. */
#define LEAVE_TIMEOUT_MS (1500 + STOP_MS)
/* How long fetchers may take to stop. */
#define STOP_MS INT64_C(1000)

struct source {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    char *topic;
    char *cluster_id;
    rd_kafka_message_t *message; /* in hand, behind the last INPUT_RECORD */
    struct buffer headers;
    rd_kafka_topic_partition_list_t *reading; /* as assigned last */
    int64_t stopped_ms;                       /* when fetchers were told to stop last, 0: never */
    int32_t *assigned;                        /* by the group, to be told */
    size_t assigned_count;
    struct log_end *ends;
    rd_kafka_topic_partition_list_t *durable; /* not committed to Kafka yet */
    int64_t committed_ms;                     /* when that was done last, 0: never */
    size_t unbroken_count;                    /* messages since the client had none at hand */
    int event_fd;
    bool heard; /* something came of a broker since source_is_away() */
    bool assigned_due;
    bool revoked_due;
    bool drain_due; /* event_fd may be readable though its news are known */
    bool stalled;   /* a fetcher ran out of the log: only a new assignment revives it */
    struct fault fault;
};

static void on_assigned(struct source *source, const rd_kafka_topic_partition_list_t *list)
{
    free(source->assigned);
    source->assigned = calloc((size_t)list->cnt + 1, sizeof(*source->assigned));
    if (source->assigned == NULL) abort();
    source->assigned_count = (size_t)list->cnt;
    for (int i = 0; i < list->cnt; i++) source->assigned[i] = list->elems[i].partition;
    source->assigned_due = true;
}

/* The partitions last given to rd_kafka_assign(), without their offsets. */
static void remember_reading(struct source *source, rd_kafka_topic_partition_list_t *list)
{
    if (source->reading != NULL) rd_kafka_topic_partition_list_destroy(source->reading);
    source->reading = list;
}

/* To be called before rd_kafka_assign(): it stops the fetchers that run, and 2.0.2 aborts the process when
 * one is told to stop a second time before it has (librdkafka issue 5573). The machine leaves a second
 * between its own starts, but the group may take partitions back just after one. Nothing tells when a fetcher
 * has stopped. */
static void let_fetchers_stop(struct source *source)
{
    if (source->reading->cnt == 0) return;
    int64_t until_ms = source->stopped_ms > 0 ? source->stopped_ms + STOP_MS : 0;
    for (int64_t left_ms; (left_ms = until_ms - clock_now_ms()) > 0;) (void)poll(NULL, 0, (int)left_ms);
    source->stopped_ms = clock_now_ms();
}

static void commit_durable(struct source *source)
{
    if (source->durable->cnt > 0)
        (void)rd_kafka_commit(source->client, source->durable, 1 /* asynchronous */);
    rd_kafka_topic_partition_list_destroy(source->durable);
    source->durable = rd_kafka_topic_partition_list_new(0);
    source->committed_ms = clock_now_ms();
}

/* Small batches follow each other a thousand times a second, and a coordinator that has to write down each of
 * them may end up not answering its group: Kafka 4.1's stood still for half a minute. */
static void commit_when_due(struct source *source)
{
    bool due = source->durable->cnt > 0 && clock_now_ms() - source->committed_ms >= COMMIT_PAUSE_MS;
    if (due) commit_durable(source);
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                         void *opaque)
{
    struct source *source = opaque;
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    commit_durable(source);
    let_fetchers_stop(source);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assigned(source, list);
        (void)rd_kafka_assign(client, none);
    } else {
        source->assigned_due = false;
        source->revoked_due = true;
        (void)rd_kafka_assign(client, NULL);
    }
    source->stalled = false;
    remember_reading(source, none);
    rd_kafka_yield(client);
}

static bool subscribe(struct source *source, struct fault *ret_fault)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(list, source->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(source->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    kafka_fault(ret_fault, "subscribe", code, source->topic);
    return false;
}

/* Wakes source_fd() when the queue is no longer empty. */
static void watch_queue(struct source *source)
{
    static const uint64_t one = 1;
    source->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (source->event_fd < 0) abort();
    source->queue = rd_kafka_queue_get_consumer(source->client);
    rd_kafka_queue_io_event_enable(source->queue, source->event_fd, &one, sizeof(one));
}

static bool make_client(struct source *source, const struct settings *settings, struct fault *ret_fault)
{
    rd_kafka_conf_t *conf = NULL;
    if (!kafka_conf_new(settings, KAFKA_CONSUMER, &conf, ret_fault)) return false;
    rd_kafka_conf_set_opaque(conf, source);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    char text[FAULT_TEXT_SIZE];
    source->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (source->client == NULL) {
        rd_kafka_conf_destroy(conf);
        fault_set(ret_fault, STATUS_STOP, "kafka", "%s", text);
        return false;
    }
    (void)rd_kafka_poll_set_consumer(source->client);
    watch_queue(source);
    return true;
}

/* Asks until a broker answers, the time is over, or the process is asked to stop. */
static bool check_topic(const struct source *source, struct fault *ret_fault)
{
    int64_t deadline_ms = clock_now_ms() + TOPIC_TIMEOUT_MS;
    for (;;) {
        int32_t count = 0;
        if (kafka_partition_count(source->client, source->topic, TOPIC_ATTEMPT_MS, &count, ret_fault))
            return true;
        bool over = clock_now_ms() >= deadline_ms || signals_look_for_stop();
        if (ret_fault->status != STATUS_RETRY || over) return false;
    }
}

/* Without it, another cluster's offsets could be taken for ours. */
static bool learn_cluster(struct source *source, struct fault *ret_fault)
{
    source->cluster_id = rd_kafka_clusterid(source->client, CLUSTER_TIMEOUT_MS);
    if (source->cluster_id == NULL)
        fault_set(ret_fault, STATUS_RETRY, "cluster", "the brokers do not tell the id of their cluster");
    return source->cluster_id != NULL;
}

bool source_open(const struct settings *settings, struct source **ret_source, struct fault *ret_fault)
{
    struct source *source = calloc(1, sizeof(*source));
    if (source == NULL) abort();
    source->event_fd = -1;
    source->topic = strdup(settings->topic);
    remember_reading(source, rd_kafka_topic_partition_list_new(0));
    source->durable = rd_kafka_topic_partition_list_new(0);
    if (source->topic == NULL) abort();
    if (!make_client(source, settings, ret_fault) || !check_topic(source, ret_fault) ||
        !learn_cluster(source, ret_fault) || !subscribe(source, ret_fault)) {
        (void)!source_close(source); /* one that never joined has nothing to leave */
        return false;
    }
    *ret_source = source;
    return true;
}

const char *source_cluster_id(const struct source *source)
{
    return source->cluster_id;
}

static void drop_message(struct source *source)
{
    if (source->message != NULL) rd_kafka_message_destroy(source->message);
    source->message = NULL;
}

/* True when the group let us go in time. What was fetched meanwhile comes out of the same queue: it is not
 * ours any more. (rd_kafka_queue_poll_callback() would abort the process on a message.) */
static bool leave_group(struct source *source)
{
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(source->client, source->queue);
    if (error != NULL) {
        rd_kafka_error_destroy(error);
        return false;
    }
    int64_t deadline_ms = clock_now_ms() + LEAVE_TIMEOUT_MS;
    while (rd_kafka_consumer_closed(source->client) == 0) {
        int64_t left_ms = deadline_ms - clock_now_ms();
        if (left_ms <= 0) return false;
        rd_kafka_message_t *message =
            rd_kafka_consumer_poll(source->client, left_ms > 50 ? 50 : (int)left_ms);
        if (message != NULL) rd_kafka_message_destroy(message);
    }
    return true;
}

bool source_close(struct source *source)
{
    if (source == NULL) return true;
    drop_message(source);
    if (source->client != NULL) commit_durable(source);
    /* What has not left in time would hang in rd_kafka_destroy() too, and its threads still call us. */
    if (source->client != NULL && !leave_group(source)) return false;
    if (source->queue != NULL) rd_kafka_queue_destroy(source->queue);
    if (source->client != NULL) {
        if (source->cluster_id != NULL) rd_kafka_mem_free(source->client, source->cluster_id);
        rd_kafka_destroy_flags(source->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    if (source->event_fd >= 0) (void)close(source->event_fd);
    rd_kafka_topic_partition_list_destroy(source->reading);
    rd_kafka_topic_partition_list_destroy(source->durable);
    buffer_done(&source->headers);
    free(source->assigned);
    free(source->ends);
    free(source->topic);
    free(source);
    return true;
}

int source_fd(const struct source *source)
{
    return source->event_fd;
}

static void give_record(struct source *source, struct input *ret_input)
{
    const rd_kafka_message_t *message = source->message;
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    ret_input->kind = INPUT_RECORD;
    ret_input->record = (struct record){
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp_ms,
        .key = slice_of(message->key, message->key_len),
        .value = slice_of(message->payload, message->len),
        .headers = kafka_headers(message, &source->headers),
    };
}

/* Where we wanted to read is outside the log: the machine has to know what there is. */
static void give_out_of_range(struct source *source, struct input *ret_input)
{
    source->stalled = true;
    ret_input->partition = source->message->partition;
    if (kafka_watermarks(source->client, source->topic, ret_input->partition, WATERMARK_TIMEOUT_MS,
                         &ret_input->low_offset, &ret_input->high_offset, &source->fault)) {
        ret_input->kind = INPUT_OUT_OF_RANGE;
        return;
    }
    ret_input->kind = INPUT_FAILED;
    ret_input->fault = &source->fault;
}

/* What the library reports in place of a message. It goes on by itself after all but these. */
static void give_error(struct source *source, struct input *ret_input)
{
    rd_kafka_resp_err_t code = source->message->err;
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        give_out_of_range(source, ret_input);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        source->heard = true;
        ret_input->kind = INPUT_END;
        ret_input->partition = source->message->partition;
        ret_input->high_offset = source->message->offset;
        return;
    }
    kafka_fault(&source->fault, "kafka", code, rd_kafka_message_errstr(source->message));
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        source->fault.status = STATUS_FATAL;
        ret_input->kind = INPUT_FAILED;
        ret_input->fault = &source->fault;
        return;
    }
    log_line(LOG_LEVEL_WARNING, "kafka_trouble", "%s", source->fault.text);
}

static void drain_events(struct source *source)
{
    uint64_t count = 0;
    if (!source->drain_due) return;
    ssize_t size = read(source->event_fd, &count, sizeof(count)); /* EAGAIN: nothing had come */
    (void)size;
    source->drain_due = false;
}

static bool give_rebalance(struct source *source, struct input *ret_input)
{
    if (source->revoked_due) {
        source->revoked_due = false;
        ret_input->kind = INPUT_REVOKED;
        return true;
    }
    if (!source->assigned_due) return false;
    source->assigned_due = false;
    ret_input->kind = INPUT_ASSIGNED;
    ret_input->partitions = source->assigned;
    ret_input->count = source->assigned_count;
    return true;
}

/* 2.0.2 looks for room in its queues when an answer of the broker has come, and then only once a second: a
 * worker that empties them sooner would wait for that. A question to the leaders wakes the threads that
 * fetch. */
static void wake_fetchers(struct source *source)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(source->reading);
    for (int i = 0; i < list->cnt; i++) list->elems[i].offset = RD_KAFKA_OFFSET_END;
    (void)rd_kafka_offsets_for_times(source->client, list, WAKE_TIMEOUT_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

static void found_nothing(struct source *source)
{
    if (source->unbroken_count >= WAKE_AFTER_COUNT) wake_fetchers(source);
    source->unbroken_count = 0;
    commit_when_due(source);
    source->drain_due = true;
}

void source_next(struct source *source, struct input *ret_input)
{
    *ret_input = (struct input){.kind = INPUT_IDLE};
    drop_message(source);
    drain_events(source);
    source->message = rd_kafka_consumer_poll(source->client, 0);
    /* A message that came with a rebalance is of the old assignment: the machine would only drop it. */
    if (give_rebalance(source, ret_input)) return;
    if (source->message == NULL) {
        found_nothing(source);
    } else if (source->message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        give_error(source, ret_input);
    } else {
        source->unbroken_count++;
        source->heard = true;
        give_record(source, ret_input);
    }
}

static rd_kafka_topic_partition_list_t *make_list(const struct source *source,
                                                  const struct position *positions, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(list, source->topic, positions[i].partition)->offset =
            positions[i].offset;
    }
    return list;
}

static bool reads_all_of(const struct source *source, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        if (rd_kafka_topic_partition_list_find(source->reading, source->topic, list->elems[i].partition) ==
            NULL) {
            return false;
        }
    }
    return true;
}

static bool assign(struct source *source, rd_kafka_topic_partition_list_t *list, struct fault *ret_fault)
{
    let_fetchers_stop(source);
    rd_kafka_resp_err_t code = rd_kafka_assign(source->client, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_fault(ret_fault, "assign", code, source->topic);
        return false;
    }
    source->stalled = false;
    remember_reading(source, rd_kafka_topic_partition_list_copy(list));
    return true;
}

static bool seek(struct source *source, rd_kafka_topic_partition_list_t *list, struct fault *ret_fault)
{
    rd_kafka_error_t *error = rd_kafka_seek_partitions(source->client, list, SEEK_TIMEOUT_MS);
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    if (error != NULL) rd_kafka_error_destroy(error);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) code = list->elems[i].err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    /* The fetcher is not running; the next attempt assigns instead. */
    if (code == RD_KAFKA_RESP_ERR__STATE) source->stalled = true;
    kafka_fault(ret_fault, "seek", code, source->topic);
    ret_fault->status = STATUS_RETRY;
    return false;
}

bool source_start(struct source *source, const struct position *positions, size_t count, bool whole,
                  struct fault *ret_fault)
{
    rd_kafka_topic_partition_list_t *list = make_list(source, positions, count);
    bool same = reads_all_of(source, list) && (!whole || list->cnt == source->reading->cnt);
    bool done = true;
    if (same && !(whole && source->stalled)) {
        if (count > 0) done = seek(source, list, ret_fault);
    } else {
        done = assign(source, list, ret_fault);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return done;
}

bool source_first_offset(struct source *source, int32_t partition, int64_t *ret_offset,
                         struct fault *ret_fault)
{
    int64_t low = 0;
    int64_t high = 0;
    if (!kafka_watermarks(source->client, source->topic, partition, WATERMARK_TIMEOUT_MS, &low, &high,
                          ret_fault)) {
        return false;
    }
    *ret_offset = low;
    return true;
}

bool source_ends(struct source *source, const int32_t *partitions, size_t count,
                 const struct log_end **ret_ends)
{
    free(source->ends);
    source->ends = calloc(count + 1, sizeof(*source->ends));
    if (source->ends == NULL) abort();
    for (size_t i = 0; i < count; i++) source->ends[i].partition = partitions[i];
    *ret_ends = source->ends;
    return kafka_log_ends(source->client, source->topic, source->ends, count, ENDS_TIMEOUT_MS);
}

int64_t source_known_end(const struct source *source, int32_t partition)
{
    return kafka_fetched_end(source->client, source->topic, partition);
}

bool source_is_away(struct source *source)
{
    bool heard = source->heard;
    source->heard = false;
    return kafka_is_away(source->client, source->topic, heard);
}

void source_ack(struct source *source, const struct receipt *receipt)
{
    size_t count = 0;
    const struct position *positions = receipt_positions(receipt, &count);
    for (size_t i = 0; i < count; i++) {
        int32_t partition = positions[i].partition;
        rd_kafka_topic_partition_t *found =
            rd_kafka_topic_partition_list_find(source->durable, source->topic, partition);
        if (found == NULL)
            found = rd_kafka_topic_partition_list_add(source->durable, source->topic, partition);
        found->offset = positions[i].offset;
    }
    commit_when_due(source);
}
