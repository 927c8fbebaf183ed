#include "kafka_trouble.h"

#include <string.h>

#include "attr.h"

/* Words of librdkafka, of OpenSSL and of brokers, in any case; the first that is found counts. */
static const struct trouble {
    const char *words;
    const char *advice;
} troubles[] = {
    {"invalid credentials with SASL mechanism SCRAM", "; check sasl.username and sasl.password; with Kafka 4 "
                                                      "use PLAIN over TLS or client certificates, since this "
                                                      "librdkafka's SCRAM is refused there"},
    {"authentication error", "; check security.protocol and the sasl.* properties"},
    {"authentication failed", "; check security.protocol and the sasl.* properties"},
    {"unsupported sasl mechanism", "; check security.protocol and the sasl.* properties"},
    {"certificate verify failed",
     "; check ssl.ca.location, and that the brokers' certificate is in date and names the host that "
     "-b/--brokers does"},
    {"alert bad certificate",
     "; the broker wants a certificate of ours that it knows: check ssl.certificate.location "
     "and ssl.key.location"},
    {"alert certificate required",
     "; the broker wants a certificate of ours: check ssl.certificate.location and "
     "ssl.key.location"},
    {"alert unknown ca",
     "; the broker does not know who signed our certificate: check ssl.certificate.location"},
};

/* librdkafka suspects authentication at every lost connection ("broker might require SASL authentication"),
 * and calls a connection lost in the middle of it an error of it too ("Local: …"). */
const char *kafka_trouble_advice(const char *text)
{
    if (strstr(text, "Local:") != NULL) return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(troubles); i++) {
        if (strcasestr(text, troubles[i].words) != NULL) return troubles[i].advice;
    }
    return NULL;
}

size_t kafka_trouble_size(const char *text)
{
    const char *after = strstr(text, " (after ");
    return after != NULL && strstr(after, "ms in state ") != NULL ? (size_t)(after - text) : strlen(text);
}
