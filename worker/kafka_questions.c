/* Questions about a topic (kafka_client.h). One that the broker refuses because another leads the partition
 * now is asked again, as long as its time lasts. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "headers.h"
#include "kafka_client.h"

#define LEADER_AGAIN_MS 50

/* Refusals that end by themselves: the partition has a new leader, or will have one. */
static bool is_between_leaders(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH;
}

static rd_kafka_resp_err_t ask_offsets_once(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                            const rd_kafka_topic_partition_list_t *asked, int timeout_ms)
{
    for (int i = 0; i < list->cnt; i++) list->elems[i].offset = asked->elems[i].offset;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client, list, timeout_ms);
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) code = list->elems[i].err;
    return code;
}

static bool judge_topic(const char *topic, const rd_kafka_metadata_topic_t *found, int32_t *ret_count,
                        struct fault *ret_fault)
{
    rd_kafka_resp_err_t err = found->err;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && found->partition_cnt > 0) {
        *ret_count = found->partition_cnt;
        return true;
    }
    if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        fault_set(ret_fault, STATUS_STOP, "topic",
                  "topic \"%s\" does not exist on these brokers: check the name, or create it", topic);
    else if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        fault_set(ret_fault, STATUS_STOP, "topic",
                  "the brokers do not let us use topic \"%s\": check the name and the ACLs", topic);
    else if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        fault_set(ret_fault, STATUS_STOP, "topic",
                  "topic \"%s\" has no partitions: add some, or create it again", topic);
    else
        kafka_fault(ret_fault, "topic", err, topic);
    ret_fault->code = err;
    return false;
}

bool kafka_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms, int32_t *ret_count,
                           struct fault *ret_fault)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    if (handle == NULL) {
        kafka_fault(ret_fault, "topic", rd_kafka_last_error(), topic);
        return false;
    }
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(client, 0, handle, &metadata, timeout_ms);
    bool known = false;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_fault(ret_fault, "topic", err, "the brokers do not answer");
    else if (metadata->topic_cnt != 1)
        fault_set(ret_fault, STATUS_RETRY, "topic",
                  "the brokers answered about %d topics, not about \"%s\" alone", metadata->topic_cnt, topic);
    else
        known = judge_topic(topic, &metadata->topics[0], ret_count, ret_fault);
    if (metadata != NULL) rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return known;
}

/* librdkafka 2.0.2 goes on asking the leader that it remembers, until someone asks for the topic. */
static void look_for_leaders(rd_kafka_t *client, const char *topic, int timeout_ms)
{
    struct fault unused;
    int32_t count;
    (void)!kafka_partition_count(client, topic, timeout_ms, &count, &unused);
}

rd_kafka_resp_err_t kafka_ask_offsets(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                      int timeout_ms)
{
    const int64_t deadline_ms = clock_now_ms() + timeout_ms;
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t code = ask_offsets_once(client, list, asked, timeout_ms);
    for (int64_t left_ms = 0; is_between_leaders(code);) {
        (void)poll(NULL, 0, LEADER_AGAIN_MS);
        if ((left_ms = deadline_ms - clock_now_ms()) <= 0) break;
        look_for_leaders(client, list->elems[0].topic, (int)left_ms);
        if ((left_ms = deadline_ms - clock_now_ms()) <= 0) break;
        code = ask_offsets_once(client, list, asked, (int)left_ms);
    }
    rd_kafka_topic_partition_list_destroy(asked);
    return code;
}

/* Where the partition begins or ends. rd_kafka_query_watermark_offsets() of 2.0.2 ignores its timeout
 * (librdkafka issue 4460); rd_kafka_offsets_for_times() keeps it, and hands the two special times through to
 * the broker. */
static bool find_offset(rd_kafka_t *client, const char *topic, int32_t partition, int64_t time,
                        int timeout_ms, int64_t *ret_offset, struct fault *ret_fault)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *asked = rd_kafka_topic_partition_list_add(list, topic, partition);
    asked->offset = time;
    rd_kafka_resp_err_t err = kafka_ask_offsets(client, list, timeout_ms);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && asked->offset < 0) err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        *ret_offset = asked->offset;
    else
        kafka_fault(ret_fault, "watermarks", err, topic);
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool kafka_watermarks(rd_kafka_t *client, const char *topic, int32_t partition, int timeout_ms,
                      int64_t *ret_low, int64_t *ret_high, struct fault *ret_fault)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    int64_t low = 0;
    int64_t high = 0;
    if (!find_offset(client, topic, partition, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, &low, ret_fault))
        return false;
    int64_t left_ms = deadline_ms - clock_now_ms();
    if (left_ms < 1) left_ms = 1;
    if (!find_offset(client, topic, partition, RD_KAFKA_OFFSET_END, (int)left_ms, &high, ret_fault))
        return false;
    *ret_low = low;
    *ret_high = high;
    return true;
}

/* Fills in the ends that were told. False when none was: 2.0.2 keeps all it has heard to itself when one
 * leader is silent, or refuses one partition. */
static bool ask_ends(rd_kafka_t *client, const char *topic, struct log_end *ends, size_t count,
                     int64_t timeout_ms)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(list, topic, ends[i].partition)->offset = RD_KAFKA_OFFSET_END;
    }
    bool known = rd_kafka_offsets_for_times(client, list, (int)timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t i = 0; i < count && known; i++) {
        const rd_kafka_topic_partition_t *found =
            rd_kafka_topic_partition_list_find(list, topic, ends[i].partition);
        bool told = found != NULL && found->err == RD_KAFKA_RESP_ERR_NO_ERROR && found->offset >= 0;
        if (told) ends[i].offset = found->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return known;
}

/* Each has its share of the time that is left. */
static bool ask_ends_one_by_one(rd_kafka_t *client, const char *topic, struct log_end *ends, size_t count,
                                int64_t deadline_ms)
{
    bool known = false;
    for (size_t i = 0; i < count; i++) {
        int64_t left_ms = deadline_ms - clock_now_ms();
        if (left_ms <= 0) break;
        int64_t share_ms = left_ms / (int64_t)(count - i);
        known = ask_ends(client, topic, &ends[i], 1, share_ms < 1 ? 1 : share_ms) || known;
    }
    return known;
}

struct slice kafka_headers(const rd_kafka_message_t *message, struct buffer *headers)
{
    rd_kafka_headers_t *found = NULL;
    if (rd_kafka_message_headers(message, &found) != RD_KAFKA_RESP_ERR_NO_ERROR) return slice_of(NULL, 0);
    buffer_clear(headers);
    const char *name = NULL;
    const void *value = NULL;
    size_t size = 0;
    for (size_t i = 0; rd_kafka_header_get_all(found, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        headers_add(headers, slice_of_text(name), slice_of(value, size));
    return slice_of(headers->data, headers->size);
}

/* From the client's memory: nothing but the answer to a fetch changes it. */
int64_t kafka_fetched_end(rd_kafka_t *client, const char *topic, int32_t partition)
{
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_resp_err_t code = rd_kafka_get_watermark_offsets(client, topic, partition, &low, &high);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : -1;
}

bool kafka_log_ends(rd_kafka_t *client, const char *topic, struct log_end *ends, size_t count, int timeout_ms)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    for (size_t i = 0; i < count; i++) {
        ends[i].offset = -1;
        ends[i].fetched = kafka_fetched_end(client, topic, ends[i].partition);
    }
    return ask_ends(client, topic, ends, count, timeout_ms / 2) ||
           ask_ends_one_by_one(client, topic, ends, count, deadline_ms);
}
