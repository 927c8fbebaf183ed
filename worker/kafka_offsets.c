#include "kafka_offsets.h"

#include <stdlib.h>

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

void kafka_offsets_free(struct kafka_offsets *offsets)
{
    if (offsets == NULL) return;
    rd_kafka_destroy(offsets->client);
    free(offsets);
}
