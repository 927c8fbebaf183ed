#include "producer.h"

#include <stdlib.h>

#include "attr.h"
#include "clock.h"
#include "headers.h"
#include "kafka_client.h"

#define FULL_WAIT_MS  INT64_C(1000)
#define PURGE_WAIT_MS INT64_C(3000)
/* September 2001: librdkafka's mock broker answers 1234, and keeps the message's own timestamp. */
#define APPENDED_MS_MIN INT64_C(1000000000000)

struct producer {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    producer_report report;
    void *context;
    size_t under_way; /* queued, and not reported yet */
};

/* librdkafka's delivery report: called from rd_kafka_poll(). */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    struct producer *producer = opaque;
    struct fault fault = {.status = STATUS_OK, .site = "produce"};
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) kafka_fault(&fault, "produce", message->err, NULL);
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    struct delivery delivery = {
        .appended_ms =
            type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME && timestamp_ms >= APPENDED_MS_MIN ? timestamp_ms : -1,
        .opaque = message->_private,
        .partition = message->partition,
        .offset = message->offset,
        .fault = &fault,
        .in_doubt = message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
                    rd_kafka_message_status(message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED,
        .untimely = message->err == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
    };
    producer->under_way--;
    producer->report(producer->context, &delivery);
}

bool producer_new(const struct settings *settings, const char *topic, producer_report report, void *context,
                  struct producer **ret_producer, struct fault *ret_fault)
{
    rd_kafka_conf_t *conf = NULL;
    if (!kafka_conf_new(settings, KAFKA_PRODUCER, &conf, ret_fault)) return false;
    struct producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL) abort();
    producer->report = report;
    producer->context = context;
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    char text[256];
    producer->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (producer->client == NULL) {
        fault_set(ret_fault, STATUS_STOP, "kafka configuration", "%s", text);
        rd_kafka_conf_destroy(conf);
        free(producer);
        return false;
    }
    producer->topic = rd_kafka_topic_new(producer->client, topic, NULL);
    if (producer->topic == NULL) {
        kafka_fault(ret_fault, "topic", rd_kafka_last_error(), topic);
        producer_free(producer);
        return false;
    }
    *ret_producer = producer;
    return true;
}

bool producer_check_topic(struct producer *producer, int timeout_ms, int32_t *ret_partition_count,
                          struct fault *ret_fault)
{
    return kafka_partition_count(producer->client, rd_kafka_topic_name(producer->topic), timeout_ms,
                                 ret_partition_count, ret_fault);
}

/* NULL when there are none. */
static rd_kafka_headers_t *decode_headers(struct slice encoded)
{
    if (encoded.size == 0) return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(16);
    struct slice name;
    struct slice value;
    while (headers_next(&encoded, &name, &value))
        (void)rd_kafka_header_add(headers, name.data, (ssize_t)name.size, value.data, (ssize_t)value.size);
    return headers;
}

/* rd_kafka_producev() and not the newer produceva(), which frees headers twice when the partition does not
 * exist (librdkafka issue 4627). When it fails the headers are still ours. */
static rd_kafka_resp_err_t enqueue(struct producer *producer, const struct outgoing *message,
                                   rd_kafka_headers_t *headers)
{
    int64_t timestamp_ms = message->timestamp_ms > 0 ? message->timestamp_ms : 0;
    /* the macros give the address away as void *, and the library copies */
    void *key = (void *)(uintptr_t)message->key.data;
    void *value = (void *)(uintptr_t)message->value.data;
    return rd_kafka_producev(producer->client, RD_KAFKA_V_RKT(producer->topic),
                             RD_KAFKA_V_PARTITION(message->partition),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, message->key.size),
                             RD_KAFKA_V_VALUE(value, message->value.size), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
                             RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(message->opaque), RD_KAFKA_V_END);
}

bool producer_send(struct producer *producer, const struct outgoing *message, struct fault *ret_fault)
{
    rd_kafka_headers_t *headers = decode_headers(message->headers);
    int64_t deadline_ms = clock_now_ms() + FULL_WAIT_MS;
    rd_kafka_resp_err_t err;
    while ((err = enqueue(producer, message, headers)) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
           clock_now_ms() < deadline_ms)
        (void)rd_kafka_poll(producer->client, 100);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        producer->under_way++;
        return true;
    }
    if (headers != NULL) rd_kafka_headers_destroy(headers);
    kafka_fault(ret_fault, "produce", err, NULL);
    return false;
}

size_t producer_serve(struct producer *producer, int timeout_ms)
{
    (void)rd_kafka_poll(producer->client, timeout_ms);
    return producer->under_way;
}

bool producer_is_fatal(const struct producer *producer)
{
    char text[64];
    return rd_kafka_fatal_error(producer->client, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Takes back what is under way, so that everything queued is reported. */
static void purge(struct producer *producer)
{
    int64_t deadline_ms = clock_now_ms() + PURGE_WAIT_MS;
    (void)rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (producer->under_way > 0 && clock_now_ms() < deadline_ms) (void)rd_kafka_poll(producer->client, 50);
}

void producer_free(struct producer *producer)
{
    if (producer == NULL) return;
    if (producer->under_way > 0) purge(producer);
    if (producer->topic != NULL) rd_kafka_topic_destroy(producer->topic);
    rd_kafka_destroy(producer->client);
    free(producer);
}
