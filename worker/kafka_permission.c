#include "kafka_permission.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "kafka_client.h"

#define SLICE_MS      100
#define STATISTICS_MS "100"
#define QUEUE_KBYTES  "32768" /* more than KAFKA_OVERSIZE_MAX */

struct attempt {
    bool id_given;
    bool reported; /* what became of the message */
    rd_kafka_resp_err_t outcome;
    rd_kafka_resp_err_t refusal; /* of the id */
    char text[256];
};

/* librdkafka tells in its statistics alone that it has the id. */
static bool is_assigned(const char *json)
{
    static const char name[] = "\"idemp_state\":";
    const char *at = strstr(json, name);
    if (at == NULL) return false;
    at += strlen(name);
    at += strspn(at, " ");
    return strncmp(at, "\"Assigned\"", 10) == 0;
}

static int on_statistics(rd_kafka_t *client, char *json, size_t size, void *opaque)
{
    struct attempt *attempt = opaque;
    (void)client;
    (void)size;
    attempt->id_given |= is_assigned(json);
    return 0;
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct attempt *attempt = opaque;
    char text[256];
    rd_kafka_resp_err_t err = (rd_kafka_resp_err_t)code;
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        err = rd_kafka_fatal_error(client, text, sizeof text);
        reason = text;
    }
    bool decisive = err == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
                    err == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION ||
                    err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
    if (!decisive) return;
    attempt->refusal = err;
    (void)snprintf(attempt->text, sizeof attempt->text, "%s", reason);
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct attempt *attempt = opaque;
    (void)client;
    attempt->reported = true;
    attempt->outcome = message->err;
}

/* Compression could make the message fit. What the user has set for many messages does not suit this one. */
static bool prepare(rd_kafka_conf_t *conf, int64_t limit, int timeout_ms, struct fault *ret_fault)
{
    char size[32];
    char timeout[32];
    (void)snprintf(size, sizeof size, "%" PRId64, (limit < 0 ? 0 : limit) + INT64_C(1048576));
    (void)snprintf(timeout, sizeof timeout, "%d", timeout_ms);
    const char *const properties[][2] = {{"compression.type", "none"},
                                         {"message.max.bytes", size},
                                         {"queue.buffering.max.kbytes", QUEUE_KBYTES},
                                         {"linger.ms", "0"},
                                         {"message.timeout.ms", timeout},
                                         {"statistics.interval.ms", STATISTICS_MS}};
    for (size_t i = 0; i < ARRAY_COUNT(properties); i++) {
        if (!kafka_set_property(conf, properties[i][0], properties[i][1], ret_fault)) return false;
    }
    rd_kafka_conf_set_stats_cb(conf, on_statistics);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return true;
}

static rd_kafka_t *new_producer(const struct settings *settings, int64_t limit, int timeout_ms,
                                struct attempt *attempt, struct fault *ret_fault)
{
    char text[256];
    rd_kafka_conf_t *conf = NULL;
    if (!kafka_conf_new(settings, KAFKA_PRODUCER, &conf, ret_fault)) return NULL;
    rd_kafka_conf_set_opaque(conf, attempt);
    if (!prepare(conf, limit, timeout_ms, ret_fault)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (client == NULL) {
        fault_set(ret_fault, STATUS_STOP, "kafka configuration", "%s", text);
        rd_kafka_conf_destroy(conf);
    }
    return client;
}

/* Bytes that no broker makes smaller by compressing them anew. */
static char *make_oversize(size_t size)
{
    uint64_t state = UINT64_C(88172645463325252);
    char *bytes = malloc(size);
    if (bytes == NULL) abort();
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (char)(state >> 32);
    }
    return bytes;
}

static bool send_oversize(rd_kafka_t *client, const char *topic, size_t size, struct fault *ret_fault)
{
    char *bytes = make_oversize(size);
    rd_kafka_resp_err_t err = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                                RD_KAFKA_V_VALUE(bytes, size), RD_KAFKA_V_END);
    free(bytes);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    kafka_fault(ret_fault, "producer", err, NULL);
    return false;
}

static bool judge(const struct attempt *attempt, bool sent, const char *topic, struct fault *ret_fault)
{
    rd_kafka_resp_err_t err = attempt->refusal;
    if (sent && attempt->reported && attempt->outcome == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) return true;
    if (!sent && attempt->id_given) return true;
    if (attempt->reported && attempt->outcome == RD_KAFKA_RESP_ERR_NO_ERROR) {
        fault_set(ret_fault, STATUS_REJECT, "producer",
                  "the brokers took a message above the limit of topic %s: it stands there now", topic);
        return false;
    }
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) err = attempt->outcome;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    kafka_fault(ret_fault, "producer", err, attempt->text[0] != '\0' ? attempt->text : NULL);
    ret_fault->code = err;
    return false;
}

bool kafka_may_write(const struct settings *settings, const char *topic, int64_t limit, int timeout_ms,
                     struct fault *ret_fault)
{
    struct attempt attempt = {0};
    bool sends = limit >= 0 && limit <= KAFKA_OVERSIZE_MAX;
    rd_kafka_t *client = new_producer(settings, limit, timeout_ms, &attempt, ret_fault);
    if (client == NULL) return false;
    if (sends && !send_oversize(client, topic, (size_t)limit + 1, ret_fault)) {
        rd_kafka_destroy(client);
        return false;
    }
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    while (attempt.refusal == RD_KAFKA_RESP_ERR_NO_ERROR && clock_now_ms() < deadline_ms &&
           !(sends ? attempt.reported : attempt.id_given))
        (void)rd_kafka_poll(client, SLICE_MS);
    rd_kafka_destroy(client);
    return judge(&attempt, sends, topic, ret_fault);
}
