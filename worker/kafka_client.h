/* What consumer and producers of Kafka share: configuration, faults, questions about a topic. */
#ifndef WINNOW_KAFKA_CLIENT_H
#define WINNOW_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "machine.h"
#include "settings.h"
#include "status.h"

/* A configuration from the settings with the given role's fixed properties on top; the caller owns it. Client
 * logs go to log_line(), errors once a minute of a kind as warnings, the rest at level debug; librdkafka's
 * own words for a wrong property reach the fault (STATUS_STOP). The user's properties were judged when the
 * settings were read (kafka_properties.h). A consumer gets its group unless settings->group is NULL. */
enum kafka_role { KAFKA_CONSUMER, KAFKA_PRODUCER };
MUST_CHECK bool kafka_conf_new(const struct settings *settings, enum kafka_role role,
                               rd_kafka_conf_t **ret_conf, struct fault *ret_fault);

/* Sets one property on top. STATUS_STOP, with librdkafka's own words, when it takes it not. */
MUST_CHECK bool kafka_set_property(rd_kafka_conf_t *conf, const char *name, const char *value,
                                   struct fault *ret_fault);

/* A consumer of no group, to ask brokers and read single messages with; the caller destroys it. It sees what
 * is committed; an uncommitted one sees all, and ends where the log ends. */
MUST_CHECK bool kafka_reader_client_new(const struct settings *settings, rd_kafka_t **ret_client,
                                        struct fault *ret_fault);
MUST_CHECK bool kafka_uncommitted_client_new(const struct settings *settings, rd_kafka_t **ret_client,
                                             struct fault *ret_fault);

/* A fault from librdkafka's code, classified: RETRY for network and broker trouble, STOP for authorization,
 * unknown topic and configuration, REJECT for a message that the brokers will never take, FATAL never. When
 * nothing came back, the last trouble that librdkafka logged is added. `detail` comes in front; may be NULL.
 */
void kafka_fault(struct fault *fault, const char *site, rd_kafka_resp_err_t code, const char *detail);

/* Remembers the troubles of one client alone, and tells whether any was heard: for who asks one broker after
 * the other. NULL, when that client is gone: everybody's. */
void kafka_heed_trouble(const rd_kafka_t *client);
MUST_CHECK bool kafka_has_trouble(void);

/* Questions, each with a deadline of timeout_ms. */
MUST_CHECK bool kafka_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms,
                                      int32_t *ret_count, struct fault *ret_fault);
MUST_CHECK bool kafka_watermarks(rd_kafka_t *client, const char *topic, int32_t partition, int timeout_ms,
                                 int64_t *ret_low, int64_t *ret_high, struct fault *ret_fault);

/* As rd_kafka_offsets_for_times(), with the error of the first partition that has one. A partition that is
 * between two leaders is asked for again until the time is over. */
MUST_CHECK rd_kafka_resp_err_t kafka_ask_offsets(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                                 int timeout_ms);

/* The headers of a message, encoded (headers.h), in the buffer; data NULL when it has none. */
struct slice kafka_headers(const rd_kafka_message_t *message, struct buffer *headers);

/* Where the partition's log ended by the latest fetch that was answered, from the client's memory; -1: not
 * known. */
int64_t kafka_fetched_end(rd_kafka_t *client, const char *topic, int32_t partition);

/* Whether this process reaches no broker: a client of it said so, and nothing was `heard` since the last
 * call. Only then the topic is asked for, every AWAY_PAUSE_MS, for AWAY_TIMEOUT_MS at most. For one thread.
 */
#define AWAY_PAUSE_MS   5000
#define AWAY_TIMEOUT_MS 300
bool kafka_is_away(rd_kafka_t *client, const char *topic, bool heard);

/* Fills in the ends of the partitions that are named in them. False when no leader told any. */
MUST_CHECK bool kafka_log_ends(rd_kafka_t *client, const char *topic, struct log_end *ends, size_t count,
                               int timeout_ms);

#endif
