/* The source that is a Kafka consumer group (source.h).
 *
 * Built on the parts of librdkafka 2.0.2 that are known to be sound: subscribe with an eager assignor,
 * polling message by message, explicit assign and seek with the database's offsets. Kafka's own committed
 * offsets are written as a hint and never read. */
#ifndef WINNOW_SOURCE_KAFKA_H
#define WINNOW_SOURCE_KAFKA_H

#include "settings.h"
#include "source.h"

/* Makes the consumer, checks that the topic is there and has partitions, subscribes. The settings are
 * borrowed. On failure STATUS_RETRY when no broker answers in time, STATUS_STOP when the configuration or the
 * topic is wrong. */
MUST_CHECK bool source_open(const struct settings *settings, struct source **ret_source,
                            struct fault *ret_fault);

/* The cluster's id, by which the database tells clusters apart; "" when the brokers do not tell. */
const char *source_cluster_id(const struct source *source);

/* Leaves the group, within 1.5 s or not at all, and frees the consumer. Takes NULL. False when the group did
 * not let go: the consumer's threads are still there, so leave by _exit(2). The library may hang: arm a
 * deadline before. */
MUST_CHECK bool source_close(struct source *source);

#endif
