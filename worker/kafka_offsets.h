/* Where the partitions of a topic begin and end, for those who only look. Joins no group and reads no
 * message. */
#ifndef WINNOW_KAFKA_OFFSETS_H
#define WINNOW_KAFKA_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "settings.h"
#include "status.h"

struct kafka_offsets;

struct partition_range {
    int64_t low;  /* of the first message that is still there */
    int64_t high; /* of the next message that will be written and committed */
};

/* Settings are borrowed. The brokers are not asked yet. */
MUST_CHECK bool kafka_offsets_open(const struct settings *settings, struct kafka_offsets **ret_offsets,
                                   struct fault *ret_fault);

/* Fills one range a partition; the caller frees them with free(). STATUS_RETRY when the brokers did not
 * answer within timeout_ms, STATUS_STOP when the topic is unknown or not ours to see. */
MUST_CHECK bool kafka_offsets_read(struct kafka_offsets *offsets, int timeout_ms,
                                   struct partition_range **ret_ranges, int32_t *ret_count,
                                   struct fault *ret_fault);

/* Replaces the low end of each range by the offset of the first message that is as young as time_ms (since
 * 1970), or by the high end when none is. Returns as kafka_offsets_read(). */
MUST_CHECK bool kafka_offsets_at_time(struct kafka_offsets *offsets, int64_t time_ms, int timeout_ms,
                                      struct partition_range *ranges, int32_t count, struct fault *ret_fault);

/* The id of the cluster; the caller frees it. NULL, with STATUS_RETRY, when no broker tells. */
char *kafka_offsets_cluster(struct kafka_offsets *offsets, int timeout_ms, struct fault *ret_fault);

void kafka_offsets_free(struct kafka_offsets *offsets); /* takes NULL */

#endif
