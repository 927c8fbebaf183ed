/* What winnow knows about the properties of librdkafka that a user may pass through. Needs no librdkafka. */
#ifndef WINNOW_KAFKA_PROPERTIES_H
#define WINNOW_KAFKA_PROPERTIES_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "settings.h"
#include "status.h"

#define KAFKA_SESSION_TIMEOUT_MS_DEFAULT "10000" /* session.timeout.ms, unless the user sets it */

/* Whether librdkafka takes all properties of the settings, without connecting; STATUS_STOP when not. */
MUST_CHECK bool kafka_check_properties(const struct settings *settings, struct fault *ret_fault);

/* Of the settings; NULL when it is not given. Borrowed. */
const char *kafka_property_value(const struct settings *settings, const char *name);

/* How long the group waits for a member that died: session.timeout.ms of the settings, in ms. */
int64_t kafka_session_timeout_ms(const struct settings *settings);

/* Why a property may not have this value, as one static sentence, and NULL when it may: because the
 * guarantees depend on it (enable.auto.commit, auto.offset.reset, acks, …) or because it has a setting of its
 * own (bootstrap.servers, group.id). Unknown names are not judged: librdkafka does that. */
const char *kafka_property_refusal(const char *name, const char *value);

/* Whether the value must never be printed: what librdkafka's CONFIGURATION.md calls sensitive, the user name
 * aside, and every name with password, passphrase, secret, token, pem, jaas or oauthbearer.config in it. */
bool kafka_property_is_secret(const char *name);

#endif
