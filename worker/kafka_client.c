/* Configuration, faults and questions.
 *
 * librdkafka tells why a broker cannot be reached in its log alone: the calls that suffer from it return
 * "timed out" or "transport failure". So the log callback remembers the last trouble of this process, and
 * kafka_fault() adds it to such an answer. The log itself is thinned: each kind of error once a minute, the
 * rest at level debug. */
#include "kafka_client.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "clock.h"
#include "kafka_properties.h"
#include "kafka_trouble.h"
#include "log.h"
#include "nearest.h"

#define FETCH_BYTES_MAX     "2097152"
#define TROUBLE_SIZE        256
#define TROUBLE_FRESH_MS    INT64_C(60000)
#define SAME_KIND_PAUSE_MS  INT64_C(60000)
#define CONFIG_ERROR_SIZE   256
#define PRODUCED_BYTES_MAX  "16777216" /* above M-2's limit: too large messages become dead letters too */
#define PRODUCED_KBYTES_MAX "32768"

/* ---- the log ------------------------------------------------------------------------------------------ */

/* What librdkafka last complained about, for every client of the process. */
static struct {
    pthread_mutex_t mutex;
    char text[TROUBLE_SIZE];
    int64_t heard_ms;       /* 0: never */
    const rd_kafka_t *of;   /* who complained */
    const rd_kafka_t *heed; /* whose complaints are remembered; NULL: everybody's */
    int64_t printed_ms[16]; /* when a line of this kind, hashed, was last printed as a warning */
} trouble = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* The line without "[thrd:name]: " and the client's name in front. */
static const char *without_names(const rd_kafka_t *client, const char *line)
{
    const char *end = strncmp(line, "[thrd:", 6) == 0 ? strstr(line, "]: ") : NULL;
    if (end != NULL) line = end + 3;
    const char *name = rd_kafka_name(client);
    size_t size = strlen(name);
    return strncmp(line, name, size) == 0 && strncmp(line + size, ": ", 2) == 0 ? line + size + 2 : line;
}

/* Whether no line of this kind was printed for long enough; remembers that one is printed now. */
static bool is_due(const char *kind, int64_t now_ms)
{
    unsigned sum = 0;
    for (const char *c = kind; *c != '\0'; c++) sum += (unsigned char)*c;
    int64_t *printed_ms = &trouble.printed_ms[sum % ARRAY_COUNT(trouble.printed_ms)];
    if (*printed_ms != 0 && now_ms - *printed_ms < SAME_KIND_PAUSE_MS) return false;
    *printed_ms = now_ms;
    return true;
}

static _Atomic int64_t lost_ms; /* when a client last said that it reaches no broker; 0: never */

/* Called by librdkafka in any of its threads. */
static void on_log(const rd_kafka_t *client, int severity, const char *kind, const char *line)
{
    const char *text = without_names(client, line);
    bool loud = false;
    if (severity <= LOG_ERR) {
        int64_t now_ms = clock_now_ms();
        if (strstr(text, "brokers are down") != NULL) atomic_store(&lost_ms, now_ms);
        (void)pthread_mutex_lock(&trouble.mutex);
        /* "all brokers are down" says less than what came before it */
        bool is_news = strstr(text, "brokers are down") == NULL || trouble.heard_ms == 0;
        if (is_news && (trouble.heed == NULL || trouble.heed == client)) {
            (void)snprintf(trouble.text, sizeof trouble.text, "%.*s", (int)kafka_trouble_size(text), text);
            trouble.of = client;
            trouble.heard_ms = now_ms;
        }
        loud = is_due(kind, now_ms);
        (void)pthread_mutex_unlock(&trouble.mutex);
    }
    log_line(loud ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "kafka_client", "%s: %s", kind, text);
}

/* Copies the last trouble when it is fresh, else gives "". */
static void recall_trouble(char ret_text[TROUBLE_SIZE])
{
    (void)pthread_mutex_lock(&trouble.mutex);
    bool fresh = trouble.heard_ms != 0 && clock_now_ms() - trouble.heard_ms < TROUBLE_FRESH_MS;
    (void)snprintf(ret_text, TROUBLE_SIZE, "%s", fresh ? trouble.text : "");
    (void)pthread_mutex_unlock(&trouble.mutex);
}

void kafka_heed_trouble(const rd_kafka_t *client)
{
    (void)pthread_mutex_lock(&trouble.mutex);
    trouble.heed = client;
    if (client != NULL && trouble.of != client) trouble.heard_ms = 0;
    if (client == NULL) trouble.of = NULL; /* the next one may be at the same place */
    (void)pthread_mutex_unlock(&trouble.mutex);
}

bool kafka_has_trouble(void)
{
    char text[TROUBLE_SIZE];
    recall_trouble(text);
    return text[0] != '\0';
}

/* ---- configuration ------------------------------------------------------------------------------------ */

struct property {
    const char *name;
    const char *value;
};

/* For both roles. */
static const struct property common_properties[] = {
    {"client.id", "winnow"}, /* short: 2.0.2 crashes on some long ones */
    {"socket.keepalive.enable", "true"},
    {"socket.nagle.disable", "true"},
    {"reconnect.backoff.max.ms", "2000"},
    {"topic.metadata.refresh.interval.ms", "30000"}, /* new partitions are met within it */
    {"allow.auto.create.topics", "false"},
};

static const struct property consumer_properties[] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"enable.partition.eof", "true"},
    {"auto.offset.reset", "error"},
    {"partition.assignment.strategy", "range,roundrobin"},
    {"isolation.level", "read_committed"},
    {"check.crcs", "true"},
    {"session.timeout.ms", KAFKA_SESSION_TIMEOUT_MS_DEFAULT},
    {"heartbeat.interval.ms", "1000"},
    {"max.poll.interval.ms", "300000"},
    /* Bounds on memory: up to the first two, whichever is met, and one answer more. The source asks for more
     * when there is room again (wake_fetchers()). */
    {"queued.min.messages", "4000"},
    {"queued.max.messages.kbytes", "8192"},
    {"fetch.message.max.bytes", "1048576"},
};

static const struct property producer_properties[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"compression.type", "lz4"},
    {"linger.ms", "5"},
    {"partitioner", "murmur2_random"}, /* the Java clients' choice for a key */
    {"message.max.bytes", PRODUCED_BYTES_MAX},
    {"queue.buffering.max.kbytes", PRODUCED_KBYTES_MAX}, /* a bound on memory */
    {"topic.metadata.propagation.max.ms", "5000"},       /* until a missing topic is known to be missing */
};

/* The names of all properties stand in front of the first `|` of the lines of a table. */
static void offer_names(struct nearest *nearest, char *table)
{
    char *rest = table;
    for (char *line = strtok_r(table, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        size_t size = strcspn(line, " |");
        if (size == 0 || strchr(line, '|') == NULL) continue;
        line[size] = '\0';
        nearest_offer(nearest, line);
    }
}

static void complain_unknown(const char *name, const char *text, struct fault *ret_fault)
{
    char *table = NULL;
    size_t size = 0;
    struct nearest nearest = nearest_to(name);
    FILE *stream = open_memstream(&table, &size);
    if (stream == NULL) abort();
    rd_kafka_conf_properties_show(stream);
    if (fclose(stream) != 0) abort();
    offer_names(&nearest, table);
    fault_set(ret_fault, STATUS_STOP, "kafka configuration",
              "%s%s%s%s check [kafka] in the file, WINNOW_KAFKA_… and -X", text,
              nearest.name != NULL ? ", did you mean " : "", nearest.name != NULL ? nearest.name : "",
              nearest.name != NULL ? "?;" : ";");
    free(table);
}

bool kafka_set_property(rd_kafka_conf_t *conf, const char *name, const char *value, struct fault *ret_fault)
{
    char text[CONFIG_ERROR_SIZE];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, text, sizeof text);
    if (result == RD_KAFKA_CONF_OK) return true;
    if (result == RD_KAFKA_CONF_UNKNOWN)
        complain_unknown(name, text, ret_fault);
    else
        fault_set(ret_fault, STATUS_STOP, "kafka configuration",
                  "%s; check [kafka] in the file, WINNOW_KAFKA_… and -X", text);
    return false;
}

static bool set_properties(rd_kafka_conf_t *conf, const struct property *properties, size_t count,
                           struct fault *ret_fault)
{
    for (size_t i = 0; i < count; i++)
        if (!kafka_set_property(conf, properties[i].name, properties[i].value, ret_fault)) return false;
    return true;
}

/* Of an answer, over all partitions. One that is set must not be less than message.max.bytes. */
static bool bound_answers(rd_kafka_conf_t *conf, const struct settings *settings, struct fault *ret_fault)
{
    const char *bound = FETCH_BYTES_MAX;
    for (size_t i = 0; i < settings->kafka_count; i++) {
        const char *value = settings->kafka[i].value;
        bool longer = strtoll(value, NULL, 10) > strtoll(FETCH_BYTES_MAX, NULL, 10);
        if (longer && strcmp(settings->kafka[i].name, "message.max.bytes") == 0) bound = value;
    }
    return kafka_set_property(conf, "fetch.max.bytes", bound, ret_fault);
}

static bool set_role(rd_kafka_conf_t *conf, const struct settings *settings, enum kafka_role role,
                     struct fault *ret_fault)
{
    if (!set_properties(conf, common_properties, ARRAY_COUNT(common_properties), ret_fault)) return false;
    if (role == KAFKA_CONSUMER)
        return set_properties(conf, consumer_properties, ARRAY_COUNT(consumer_properties), ret_fault) &&
               bound_answers(conf, settings, ret_fault);
    return set_properties(conf, producer_properties, ARRAY_COUNT(producer_properties), ret_fault);
}

/* The user's own come last. Those that the guarantees depend on were refused when the settings were read. */
static bool set_user(rd_kafka_conf_t *conf, const struct settings *settings, struct fault *ret_fault)
{
    for (size_t i = 0; i < settings->kafka_count; i++)
        if (!kafka_set_property(conf, settings->kafka[i].name, settings->kafka[i].value, ret_fault))
            return false;
    return true;
}

bool kafka_conf_new(const struct settings *settings, enum kafka_role role, rd_kafka_conf_t **ret_conf,
                    struct fault *ret_fault)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool grouped = role == KAFKA_CONSUMER && settings->group != NULL;
    if (!set_role(conf, settings, role, ret_fault) ||
        !kafka_set_property(conf, "bootstrap.servers", settings->brokers, ret_fault) ||
        (grouped && !kafka_set_property(conf, "group.id", settings->group, ret_fault)) ||
        !set_user(conf, settings, ret_fault)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    *ret_conf = conf;
    return true;
}

static bool open_ungrouped(const struct settings *settings, const char *isolation, rd_kafka_t **ret_client,
                           struct fault *ret_fault)
{
    struct settings ungrouped = *settings;
    rd_kafka_conf_t *conf = NULL;
    char text[256];
    ungrouped.group = NULL;
    if (!kafka_conf_new(&ungrouped, KAFKA_CONSUMER, &conf, ret_fault)) return false;
    /* Who goes from one partition to the next would wait for a broker that still waits for more of the last.
     */
    if (!kafka_set_property(conf, "isolation.level", isolation, ret_fault) ||
        !kafka_set_property(conf, "fetch.wait.max.ms", "20", ret_fault)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (client == NULL) {
        fault_set(ret_fault, STATUS_STOP, "kafka configuration", "%s", text);
        rd_kafka_conf_destroy(conf);
        return false;
    }
    *ret_client = client;
    return true;
}

bool kafka_reader_client_new(const struct settings *settings, rd_kafka_t **ret_client,
                             struct fault *ret_fault)
{
    return open_ungrouped(settings, "read_committed", ret_client, ret_fault);
}

bool kafka_uncommitted_client_new(const struct settings *settings, rd_kafka_t **ret_client,
                                  struct fault *ret_fault)
{
    return open_ungrouped(settings, "read_uncommitted", ret_client, ret_fault);
}

/* ---- faults ------------------------------------------------------------------------------------------- */

static enum status code_status(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        return STATUS_REJECT;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
    case RD_KAFKA_RESP_ERR_SECURITY_DISABLED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
        return STATUS_STOP;
    default:
        return STATUS_RETRY;
    }
}

/* Codes that say only that nothing came back. */
static bool is_silence(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
           code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

bool kafka_check_properties(const struct settings *settings, struct fault *ret_fault)
{
    rd_kafka_conf_t *conf = NULL;
    if (!kafka_conf_new(settings, KAFKA_CONSUMER, &conf, ret_fault)) return false;
    rd_kafka_conf_destroy(conf);
    return true;
}

void kafka_fault(struct fault *fault, const char *site, rd_kafka_resp_err_t code, const char *detail)
{
    char heard[TROUBLE_SIZE] = "";
    enum status status = code_status(code);
    const char *advice = "";
    if (is_silence(code)) {
        recall_trouble(heard);
        const char *found = kafka_trouble_advice(heard);
        if (found != NULL) {
            status = STATUS_STOP;
            advice = found;
        }
    }
    bool told = detail != NULL && heard[0] != '\0'; /* better than librdkafka's name for silence */
    fault_set(fault, status, site, "%s%s%s%s%s%s", detail == NULL ? "" : detail,
              detail == NULL || told ? "" : ": ", told ? "" : rd_kafka_err2str(code),
              heard[0] == '\0' ? "" : "; last heard: ", heard, advice);
    fault->code = code;
}

bool kafka_is_away(rd_kafka_t *client, const char *topic, bool heard)
{
    static int64_t heard_ms;
    static int64_t asked_ms;
    int32_t count;
    struct fault fault;
    int64_t now_ms = clock_now_ms();
    if (heard) heard_ms = now_ms;
    if (atomic_load(&lost_ms) <= heard_ms) return false;
    if (now_ms - asked_ms < AWAY_PAUSE_MS) return true;
    asked_ms = now_ms;
    if (!kafka_partition_count(client, topic, AWAY_TIMEOUT_MS, &count, &fault)) return true;
    heard_ms = clock_now_ms();
    return false;
}
