/* An idempotent Kafka producer that tells of each message what became of it. */
#ifndef WINNOW_PRODUCER_H
#define WINNOW_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "settings.h"
#include "slice.h"
#include "status.h"

struct producer;

struct outgoing {
    struct slice key;     /* data NULL: no key */
    struct slice value;   /* data NULL: NULL value */
    struct slice headers; /* as headers.h encodes them; data NULL: none */
    int64_t timestamp_ms; /* 0 or less: now */
    int32_t partition;    /* -1: by the key */
    void *opaque;         /* given back in the report */
};

/* What became of a message. The fault's status is STATUS_OK when it was acknowledged by all in-sync replicas.
 */
struct delivery {
    void *opaque;
    int32_t partition;
    int64_t offset;
    int64_t appended_ms; /* the timestamp, where the topic gives messages its own; -1: they keep theirs */
    const struct fault *fault;
    bool in_doubt; /* not acknowledged, but it may have arrived */
    bool untimely; /* STATUS_REJECT for its timestamp: message.timestamp.after.max.ms is an hour by default */
};

typedef void (*producer_report)(void *context, const struct delivery *delivery);

/* `report` is called from producer_send(), producer_serve() and producer_free(), in the caller's thread. */
MUST_CHECK bool producer_new(const struct settings *settings, const char *topic, producer_report report,
                             void *context, struct producer **ret_producer, struct fault *ret_fault);

/* Asks the brokers whether the topic exists, and how many partitions it has. STATUS_RETRY when they do not
 * answer within timeout_ms, STATUS_STOP when there is no such topic or it is not ours to use. */
MUST_CHECK bool producer_check_topic(struct producer *producer, int timeout_ms, int32_t *ret_partition_count,
                                     struct fault *ret_fault);

/* Queues a copy of a message. When the queue is full it serves until there is room, or until 1 s passed,
 * which is a STATUS_RETRY. A message that can never be sent (too large) is STATUS_REJECT at once. */
MUST_CHECK bool producer_send(struct producer *producer, const struct outgoing *message,
                              struct fault *ret_fault);

/* Delivers reports, waiting up to timeout_ms for the first. Returns how many messages are still under way. */
size_t producer_serve(struct producer *producer, int timeout_ms);

/* True when the client reported a fatal error: free it and make another (librdkafka 2.0.2, issue 4438). */
bool producer_is_fatal(const struct producer *producer);

/* Takes NULL. Does not wait for messages under way, which are reported as failed though they may still have
 * arrived: serve until 0 before. */
void producer_free(struct producer *producer);

#endif
