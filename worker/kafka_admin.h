/* What brokers tell an operator: who they are, how topics are set, who is in a group. Joins no group, and
 * changes nothing but a group's offsets (kafka_admin_commit(), kafka_admin_forget_group()). */
#ifndef WINNOW_KAFKA_ADMIN_H
#define WINNOW_KAFKA_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "settings.h"
#include "status.h"

struct kafka_admin;

/* Settings are borrowed. The brokers are not asked yet. STATUS_STOP when librdkafka takes a property not. */
MUST_CHECK bool kafka_admin_open(const struct settings *settings, struct kafka_admin **ret_admin,
                                 struct fault *ret_fault);
void kafka_admin_free(struct kafka_admin *admin); /* takes NULL */

/* Whether the broker at that address, host:port, answers. Gives up early once librdkafka has told why not.
 * STATUS_STOP when it refuses us. */
MUST_CHECK bool kafka_broker_answers(const struct settings *settings, const char *address, int timeout_ms,
                                     struct fault *ret_fault);

#define KAFKA_BROKERS_MAX 64

struct kafka_cluster {
    char id[64];                          /* "" when the brokers tell none */
    size_t broker_count;                  /* at most KAFKA_BROKERS_MAX are told */
    char address[KAFKA_BROKERS_MAX][300]; /* as they advertise themselves: host:port */
};

MUST_CHECK bool kafka_admin_cluster(struct kafka_admin *admin, int timeout_ms,
                                    struct kafka_cluster *ret_cluster, struct fault *ret_fault);

/* Whether a fault of these says that an ACL is missing. */
bool kafka_fault_is_denial(const struct fault *fault);

/* Where a partition's log begins, and where it ends. */
MUST_CHECK bool kafka_admin_range(struct kafka_admin *admin, const char *topic, int32_t partition,
                                  int timeout_ms, int64_t *ret_low, int64_t *ret_high,
                                  struct fault *ret_fault);

struct kafka_topic_view {
    int32_t partitions;
    int32_t leaderless;       /* partitions without a leader */
    int32_t first_leaderless; /* the first of them */
    int32_t under_replicated; /* partitions of which a replica is not in sync */
    int32_t replicas;         /* of the partition that has the fewest */
};

/* STATUS_STOP when there is no such topic or it is not ours to see. */
MUST_CHECK bool kafka_admin_topic(struct kafka_admin *admin, const char *topic, int timeout_ms,
                                  struct kafka_topic_view *ret_view, struct fault *ret_fault);

/* A topic's configuration, defaults included. */
struct kafka_config;
MUST_CHECK bool kafka_admin_topic_config(struct kafka_admin *admin, const char *topic, int timeout_ms,
                                         struct kafka_config **ret_config, struct fault *ret_fault);
const char *kafka_config_text(const struct kafka_config *config, const char *name); /* "" when not told */
int64_t kafka_config_number(const struct kafka_config *config, const char *name);   /* -1 when not told */
void kafka_config_free(struct kafka_config *config);                                /* takes NULL */

struct kafka_group_view {
    char state[32];    /* "Stable", "Empty", "Dead" (no such group), … */
    char assignor[64]; /* "" while there is none */
    size_t member_count;
    size_t foreign_count; /* members that do not call themselves winnow */
    char foreign[300];    /* the first of them: "consumer-1 at 10.0.0.7" */
};

MUST_CHECK bool kafka_admin_group(struct kafka_admin *admin, const char *group, int timeout_ms,
                                  struct kafka_group_view *ret_view, struct fault *ret_fault);

/* How many members of the group are workers of winnow, for who asks often: gives up at once where brokers do
 * not tell. A group that is not ours to see looks like one that nobody is in. */
MUST_CHECK bool kafka_admin_members(struct kafka_admin *admin, const char *group, int timeout_ms,
                                    int64_t *ret_ours);

/* Commits an offset for a group that nobody is in. STATUS_STOP when it is not ours to do. */
MUST_CHECK bool kafka_admin_commit(struct kafka_admin *admin, const char *group, const char *topic,
                                   int32_t partition, int64_t offset, int timeout_ms,
                                   struct fault *ret_fault);

/* Deletes a group that nobody is in, with its offsets. One that is not there is no fault. */
MUST_CHECK bool kafka_admin_forget_group(struct kafka_admin *admin, const char *group, int timeout_ms,
                                         struct fault *ret_fault);

#endif
