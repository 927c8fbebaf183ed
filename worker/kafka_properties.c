#include "kafka_properties.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "attr.h"
#include "words.h"

/* A rule holds for one name, or for all that begin with it (`.`) or end with it (`_cb`). The values that keep
 * the guarantees are named one by one, so that a spelling we do not know is refused and not let through. */
static const struct rule {
    const char *name;
    const char *allowed; /* values, space-separated; NULL: none */
    const char *reason;
} rules[] = {
    {"bootstrap.servers", NULL, "it has a setting of its own: use -b, WINNOW_BROKERS or brokers"},
    {"metadata.broker.list", NULL, "it has a setting of its own: use -b, WINNOW_BROKERS or brokers"},
    {"group.id", NULL, "it has a setting of its own: use -g, WINNOW_GROUP or group"},
    {"enable.auto.commit", NULL,
     "progress is kept in the database; winnow commits offsets itself, after they are stored"},
    {"auto.commit.", NULL,
     "progress is kept in the database; winnow commits offsets itself, after they are stored"},
    {"enable.auto.offset.store", NULL,
     "progress is kept in the database; offsets are never stored by the client"},
    {"offset.store.", NULL, "progress is kept in the database; offsets are never stored by the client"},
    {"auto.offset.reset", NULL,
     "an offset that is gone must stop the partition and not be skipped; a new group begins at the earliest "
     "one"},
    {"partition.assignment.strategy", "range roundrobin",
     "only range and roundrobin are safe: a partition must be given up whole before another worker claims "
     "it"},
    {"group.instance.id", NULL,
     "a second member with the same id is fatal to the first, and workers come and go"},
    {"group.protocol", NULL, "winnow claims partitions by the classic protocol, which hands them over whole"},
    {"group.protocol.type", NULL, "winnow joins its group as a consumer"},
    {"group.remote.assignor", NULL,
     "winnow claims partitions by the classic protocol, which hands them over whole"},
    {"isolation.level", "read_committed",
     "messages of aborted transactions would be counted; only read_committed is right"},
    {"enable.partition.eof", NULL, "winnow looks for the end of a partition by itself"},
    {"client.rack", NULL, "a follower may lag behind, and the offsets that winnow checks are the leader's"},
    {"enable.idempotence", "true t 1",
     "without it a dead letter or a submitted event could be written twice, or out of order"},
    {"acks", "all -1", "only acks=all makes an acknowledged message survive the loss of a broker"},
    {"request.required.acks", "all -1",
     "only acks=all makes an acknowledged message survive the loss of a broker"},
    {"transactional.id", NULL, "winnow's producer is idempotent and takes part in no transaction"},
    {"_cb", NULL, "a callback cannot be given as text"},
    {"opaque", NULL, "a pointer cannot be given as text"},
    {"default_topic_conf", NULL, "a pointer cannot be given as text"},
    {"interceptors", NULL, "an interceptor cannot be given as text"},
    {"plugin.library.paths", NULL, "a plugin could change the messages between Kafka and the checks"},
};

static bool rule_holds(const struct rule *rule, const char *name)
{
    size_t size = strlen(rule->name);
    if (rule->name[size - 1] == '.') return strncmp(name, rule->name, size) == 0;
    if (rule->name[0] != '_') return strcmp(name, rule->name) == 0;
    size_t name_size = strlen(name);
    return name_size > size && strcmp(name + name_size - size, rule->name) == 0;
}

/* Whether every element of the value, a list with commas or a single one, is allowed. */
static bool value_is_allowed(const char *value, const char *allowed)
{
    if (allowed == NULL) return false;
    const char *at = value;
    while (true) {
        at += strspn(at, " \t");
        size_t size = strcspn(at, ", \t");
        if (!words_have(allowed, at, size)) return false;
        at += size;
        at += strspn(at, " \t");
        if (*at == '\0') return true;
        if (*at++ != ',') return false;
    }
}

const char *kafka_property_refusal(const char *name, const char *value)
{
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if (!rule_holds(&rules[i], name)) continue;
        return value_is_allowed(value, rules[i].allowed) ? NULL : rules[i].reason;
    }
    return NULL;
}

bool kafka_property_is_secret(const char *name)
{
    static const char *const marks[] = {"password", "passphrase",         "secret",  "token",  "pem",
                                        "jaas",     "oauthbearer.config", "ssl_key", "ssl.key"};
    if (strcasecmp(name, "ssl.key.location") == 0) return false; /* a path */
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        if (strcasestr(name, marks[i]) != NULL) return true;
    }
    return false;
}

const char *kafka_property_value(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->kafka_count; i++) {
        if (strcmp(settings->kafka[i].name, name) == 0) return settings->kafka[i].value;
    }
    return NULL;
}

int64_t kafka_session_timeout_ms(const struct settings *settings)
{
    const char *value = kafka_property_value(settings, "session.timeout.ms");
    /* what is no number is refused when a worker starts */
    return strtoll(value != NULL ? value : KAFKA_SESSION_TIMEOUT_MS_DEFAULT, NULL, 10);
}
