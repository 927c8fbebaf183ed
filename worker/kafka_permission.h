/* Whether the brokers let this login write to a topic, found out without writing to it. */
#ifndef WINNOW_KAFKA_PERMISSION_H
#define WINNOW_KAFKA_PERMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "settings.h"
#include "status.h"

/* Largest max.message.bytes of a topic that we go beyond. */
#define KAFKA_OVERSIZE_MAX (INT64_C(16) << 20)

/* Sends one message that is larger than `limit`, the topic's max.message.bytes: a broker looks first whether
 * we may write, then at the size, so that it is refused either way, and how tells whether we may. True when
 * only its size was in the way. Nothing is written; should the limit have been raised since it was told, so
 * that the brokers take the message, that is a fault which says so (STATUS_REJECT).
 *
 * With a limit below 0 (not known) or above KAFKA_OVERSIZE_MAX no message is sent. True then when the brokers
 * give us the id that an idempotent producer needs: they do to whoever may write to any topic at all. */
MUST_CHECK bool kafka_may_write(const struct settings *settings, const char *topic, int64_t limit,
                                int timeout_ms, struct fault *ret_fault);

#endif
