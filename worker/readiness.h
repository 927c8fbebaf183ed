/* Whether a pool does its work, and if not, why. */
#ifndef WINNOW_READINESS_H
#define WINNOW_READINESS_H

#include <stdbool.h>

#include "buffer.h"
#include "pool_state.h"

/* Adds one object of JSON: {"ready":false,"workers":{"wanted":4,"running":4,"joined":0},"partitions":0,
 * "reasons":[{"reason":"database_away","since_seconds":12,"detail":"…"}]}. True when it is ready. Reasons:
 * draining, quiet, drained, no_worker_joined, database_away, broker_away, no_partitions, partition_halted. */
bool readiness_print(struct buffer *text, const struct pool_state *state);

#endif
