#include "kafka_offsets.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "kafka_client.h"

struct kafka_offsets {
    rd_kafka_t *client;
    const char *topic;
};

bool kafka_offsets_open(const struct settings *settings, struct kafka_offsets **ret_offsets,
                        struct fault *ret_fault)
{
    rd_kafka_t *client = NULL;
    if (!kafka_reader_client_new(settings, &client, ret_fault)) return false;
    struct kafka_offsets *offsets = calloc(1, sizeof *offsets);
    if (offsets == NULL) abort();
    offsets->client = client;
    offsets->topic = settings->topic;
    *ret_offsets = offsets;
    return true;
}

/* Milliseconds up to the deadline, at least one. */
static int left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_now_ms();
    return left < 1 ? 1 : (int)left;
}

bool kafka_offsets_read(struct kafka_offsets *offsets, int timeout_ms, struct partition_range **ret_ranges,
                        int32_t *ret_count, struct fault *ret_fault)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    int32_t count = 0;
    if (!kafka_partition_count(offsets->client, offsets->topic, timeout_ms, &count, ret_fault)) return false;
    struct partition_range *ranges = calloc((size_t)count, sizeof *ranges);
    if (ranges == NULL) abort();
    for (int32_t i = 0; i < count; i++) {
        if (kafka_watermarks(offsets->client, offsets->topic, i, left_ms(deadline_ms), &ranges[i].low,
                             &ranges[i].high, ret_fault))
            continue;
        free(ranges);
        return false;
    }
    *ret_ranges = ranges;
    *ret_count = count;
    return true;
}

bool kafka_offsets_at_time(struct kafka_offsets *offsets, int64_t time_ms, int timeout_ms,
                           struct partition_range *ranges, int32_t count, struct fault *ret_fault)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, offsets->topic, i)->offset = time_ms;
    rd_kafka_resp_err_t code = kafka_ask_offsets(offsets->client, list, timeout_ms);
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *found = &list->elems[i];
        struct partition_range *range = &ranges[found->partition];
        range->low = found->offset < 0 ? range->high : found->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    kafka_fault(ret_fault, "offsets", code, "offsets for a time");
    return false;
}

char *kafka_offsets_cluster(struct kafka_offsets *offsets, int timeout_ms, struct fault *ret_fault)
{
    char *told = rd_kafka_clusterid(offsets->client, timeout_ms);
    char *copy = told == NULL ? NULL : strdup(told);
    if (told != NULL) rd_kafka_mem_free(offsets->client, told);
    if (copy == NULL)
        fault_set(ret_fault, STATUS_RETRY, "cluster", "the brokers do not tell the id of their cluster");
    return copy;
}

void kafka_offsets_free(struct kafka_offsets *offsets)
{
    if (offsets == NULL) return;
    rd_kafka_destroy(offsets->client);
    free(offsets);
}
