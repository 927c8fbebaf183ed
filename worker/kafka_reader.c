#include "kafka_reader.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "kafka_client.h"

struct kafka_reader {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    struct buffer headers; /* of the message at hand */
};

/* Takes the client over. */
static bool open_on(rd_kafka_t *client, const struct settings *settings, struct kafka_reader **ret_reader,
                    struct fault *ret_fault)
{
    struct kafka_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) abort();
    reader->client = client;
    reader->topic = rd_kafka_topic_new(client, settings->topic, NULL);
    if (reader->topic == NULL) {
        kafka_fault(ret_fault, "topic", rd_kafka_last_error(), settings->topic);
        kafka_reader_free(reader);
        return false;
    }
    *ret_reader = reader;
    return true;
}

bool kafka_reader_open(const struct settings *settings, struct kafka_reader **ret_reader,
                       struct fault *ret_fault)
{
    rd_kafka_t *client = NULL;
    return kafka_reader_client_new(settings, &client, ret_fault) &&
           open_on(client, settings, ret_reader, ret_fault);
}

bool kafka_searcher_open(const struct settings *settings, struct kafka_reader **ret_reader,
                         struct fault *ret_fault)
{
    rd_kafka_t *client = NULL;
    return kafka_uncommitted_client_new(settings, &client, ret_fault) &&
           open_on(client, settings, ret_reader, ret_fault);
}

static struct record record_of(struct kafka_reader *reader, const rd_kafka_message_t *message)
{
    return (struct record){
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
        .key = slice_of(message->key, message->key_len),
        .value = slice_of(message->payload, message->len),
        .headers = kafka_headers(message, &reader->headers),
    };
}

/* What a run of messages came to. */
struct reading {
    size_t taken;
    rd_kafka_resp_err_t error; /* RD_KAFKA_RESP_ERR__PARTITION_EOF: the log ends there */
    int64_t first;             /* offset of the first message; -1: none */
};

static void read_run(struct kafka_reader *reader, int32_t partition, size_t count, int64_t deadline_ms,
                     kafka_reader_take take, void *context, struct reading *reading)
{
    int64_t left_ms;
    while (reading->taken < count && reading->error == RD_KAFKA_RESP_ERR_NO_ERROR &&
           (left_ms = deadline_ms - clock_now_ms()) > 0) {
        rd_kafka_message_t *message = rd_kafka_consume(reader->topic, partition, (int)left_ms);
        if (message == NULL) continue; /* the time is over */
        reading->error = message->err;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            struct record record = record_of(reader, message);
            if (reading->taken++ == 0) reading->first = record.offset;
            take(context, &record);
        }
        rd_kafka_message_destroy(message);
    }
}

static bool judge(const struct reading *reading, int64_t offset, struct fault *ret_fault)
{
    if (reading->taken > 0 && reading->first == offset) return true;
    if (reading->taken > 0 || reading->error == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
        reading->error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE ||
        reading->error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        fault_set(ret_fault, STATUS_REJECT, "read", "the log holds no message at offset %lld",
                  (long long)offset);
    } else if (reading->error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        fault_set(ret_fault, STATUS_RETRY, "read", "the brokers did not answer in time");
    } else {
        kafka_fault(ret_fault, "read", reading->error, NULL);
    }
    return false;
}

bool kafka_reader_read(struct kafka_reader *reader, int32_t partition, int64_t offset, size_t count,
                       int timeout_ms, kafka_reader_take take, void *context, struct fault *ret_fault)
{
    struct reading reading = {.error = RD_KAFKA_RESP_ERR_NO_ERROR, .first = -1};
    if (rd_kafka_consume_start(reader->topic, partition, offset) != 0) {
        kafka_fault(ret_fault, "read", rd_kafka_last_error(), NULL);
        return false;
    }
    read_run(reader, partition, count, clock_now_ms() + timeout_ms, take, context, &reading);
    (void)rd_kafka_consume_stop(reader->topic, partition);
    return judge(&reading, offset, ret_fault);
}

bool kafka_reader_range(struct kafka_reader *reader, int32_t partition, int timeout_ms, int64_t *ret_low,
                        int64_t *ret_high, struct fault *ret_fault)
{
    return kafka_watermarks(reader->client, rd_kafka_topic_name(reader->topic), partition, timeout_ms,
                            ret_low, ret_high, ret_fault);
}

/* Until the message in front of `end`, or the end that the client tells: a transaction's marker may stand
 * last. */
static bool look_up_to(struct kafka_reader *searcher, int32_t partition, int64_t end, int timeout_ms,
                       kafka_reader_look look, void *context, struct fault *ret_fault)
{
    bool goes_on = true;
    while (goes_on) {
        rd_kafka_message_t *message = rd_kafka_consume(searcher->topic, partition, timeout_ms);
        if (message == NULL) {
            fault_set(ret_fault, STATUS_RETRY, "search", "the brokers did not answer in time");
            return false;
        }
        rd_kafka_resp_err_t error = message->err;
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            struct record record = record_of(searcher, message);
            goes_on = record.offset < end && look(context, &record) && record.offset + 1 < end;
        }
        rd_kafka_message_destroy(message);
        if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) return true;
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
            kafka_fault(ret_fault, "search", error, NULL);
            return false;
        }
    }
    return true;
}

bool kafka_searcher_look(struct kafka_reader *searcher, int32_t partition, int64_t offset, int timeout_ms,
                         kafka_reader_look look, void *context, struct fault *ret_fault)
{
    int64_t low = 0;
    int64_t high = 0;
    if (!kafka_reader_range(searcher, partition, timeout_ms, &low, &high, ret_fault)) return false;
    if (offset < low) offset = low;
    if (offset >= high) return true;
    if (rd_kafka_consume_start(searcher->topic, partition, offset) != 0) {
        kafka_fault(ret_fault, "search", rd_kafka_last_error(), NULL);
        return false;
    }
    bool done = look_up_to(searcher, partition, high, timeout_ms, look, context, ret_fault);
    (void)rd_kafka_consume_stop(searcher->topic, partition);
    return done;
}

void kafka_reader_free(struct kafka_reader *reader)
{
    if (reader == NULL) return;
    if (reader->topic != NULL) rd_kafka_topic_destroy(reader->topic);
    rd_kafka_destroy(reader->client);
    buffer_done(&reader->headers);
    free(reader);
}
