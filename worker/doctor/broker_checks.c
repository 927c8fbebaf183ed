/* Whether the brokers answer, and where they send clients on to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "counted.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "kafka_properties.h"
#include "library_versions.h"

#define ADDRESS_SIZE  300
#define PROBE_MS      1500
#define NOBODY        "winnow-doctor" /* user and password of a login that no listener knows */
#define PROTOCOL      "security.protocol"
#define SASL_PASSWORD "sasl.password"

/* librdkafka's own words, without the times in them. */
static void clean(const char *text, char *ret_text, size_t size)
{
    const char *end = strstr(text, " (after ");
    (void)snprintf(ret_text, size, "%.*s", (int)(end == NULL ? strlen(text) : (size_t)(end - text)), text);
}

static void tell_broker(struct finding *finding, enum verdict verdict, const char *address,
                        const struct fault *fault)
{
    char text[FAULT_TEXT_SIZE];
    clean(fault->text, text, sizeof text);
    finding_add(finding, verdict, "%s: %s", address, text);
}

/* Of the list of settings: cuts out the address at the given place. */
static bool next_address(const char **at, char ret_address[ADDRESS_SIZE])
{
    *at += strspn(*at, ", ");
    size_t size = strcspn(*at, ", ");
    (void)snprintf(ret_address, ADDRESS_SIZE, "%.*s", (int)size, *at);
    *at += size;
    return size > 0;
}

/* ---- what stands in the way of a broker that is there -------------------------------------------------- */

static bool is_refused_login(const struct fault *fault)
{
    return strcasestr(fault->text, "authentication failed") != NULL ||
           strcasestr(fault->text, "unsupported sasl mechanism") != NULL;
}

static bool is_distrusted(const struct fault *fault)
{
    return strstr(fault->text, "certificate verify failed") != NULL;
}

/* Whether somebody took the connection and then ended it, as who does not speak our protocol does. Of that
 * librdkafka says least. */
static bool is_misunderstood(const struct fault *fault)
{
    static const char *const others[] = {"Connect to", "resolve", "imed out"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (strstr(fault->text, others[i]) != NULL) return false;
    }
    return true;
}

/* Asks it with these properties in the place of ours; of ours only those that do not begin with `without`. */
static bool answers_with(const struct settings *settings, const char *address, const char *without,
                         const struct kafka_property *own, size_t count, struct fault *ret_fault)
{
    struct settings probe = *settings;
    probe.kafka = calloc(settings->kafka_count + count, sizeof *probe.kafka);
    if (probe.kafka == NULL) abort();
    probe.kafka_count = 0;
    for (size_t i = 0; i < settings->kafka_count; i++) {
        if (strncmp(settings->kafka[i].name, without, strlen(without)) != 0)
            probe.kafka[probe.kafka_count++] = settings->kafka[i];
    }
    for (size_t i = 0; i < count; i++) probe.kafka[probe.kafka_count++] = own[i];
    bool answers = kafka_broker_answers(&probe, address, PROBE_MS, ret_fault);
    free(probe.kafka);
    return answers;
}

/* Tries the protocol with the login of nobody: ours is shown to no listener that it is not meant for. */
static bool speaks(const struct settings *settings, const char *address, const char *protocol)
{
    struct fault fault;
    const struct kafka_property own[] = {{PROTOCOL, (char *)(uintptr_t)protocol},
                                         {"sasl.mechanism", "PLAIN"},
                                         {"sasl.username", NOBODY},
                                         {SASL_PASSWORD, NOBODY}};
    return answers_with(settings, address, "sasl.", own, ARRAY_COUNT(own), &fault) ||
           is_refused_login(&fault) || is_distrusted(&fault);
}

/* Whether we know who has signed its certificate, which is for another name. */
static bool is_misnamed(const struct settings *settings, const char *address)
{
    struct fault fault;
    const struct kafka_property own[] = {{"ssl.endpoint.identification.algorithm", "none"},
                                         {"sasl.mechanism", "PLAIN"},
                                         {"sasl.username", NOBODY},
                                         {SASL_PASSWORD, NOBODY}};
    return answers_with(settings, address, "sasl.", own, ARRAY_COUNT(own), &fault) ||
           is_refused_login(&fault);
}

/* The protocol that the listener speaks instead of ours; NULL: not found. */
static const char *find_protocol(const struct settings *settings, const char *address)
{
    static const char *const protocols[] = {"PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL"};
    const char *ours = kafka_property_value(settings, PROTOCOL);
    for (size_t i = 0; i < ARRAY_COUNT(protocols); i++) {
        if (strcasecmp(protocols[i], ours != NULL ? ours : "PLAINTEXT") != 0 &&
            speaks(settings, address, protocols[i]))
            return protocols[i];
    }
    return NULL;
}

static void mend_protocol(const struct settings *settings, struct finding *finding, const char *protocol)
{
    finding_add(finding, CHECK_OK, "what listens there speaks %s", protocol);
    mend_run(finding, "export WINNOW_KAFKA_SECURITY_PROTOCOL=%s   # a %s=… in -X would win", protocol,
             PROTOCOL);
    if (strncmp(protocol, "SASL", 4) != 0 || kafka_property_value(settings, "sasl.username") != NULL) return;
    mend_run(finding, "export WINNOW_KAFKA_SASL_MECHANISM=PLAIN   # or what the brokers ask for");
    mend_run(finding, "read -r WINNOW_KAFKA_SASL_USERNAME && export WINNOW_KAFKA_SASL_USERNAME   # type it");
    mend_run(finding, "read -rs WINNOW_KAFKA_SASL_PASSWORD && export WINNOW_KAFKA_SASL_PASSWORD   # type it");
}

/* Of "host:port", "[::1]:port" or "host". */
static size_t host_size(const char *address)
{
    const char *port = strrchr(address, ':');
    return port == NULL || strchr(port, ']') != NULL ? strlen(address) : (size_t)(port - address);
}

/* False: nothing of ours can be wrong with it. */
static bool mend_login(const struct settings *settings, struct finding *finding)
{
    const char *user = kafka_property_value(settings, "sasl.username");
    bool aliased = kafka_property_value(settings, "sasl.mechanisms") != NULL;
    const struct library_versions versions = library_versions_read();
    const struct library_fault *known = library_fault_find(&versions, settings);
    if (known != NULL && known->mechanism != NULL) {
        finding_add(finding, CHECK_OK, "%s", known->text);
        mend_run(
            finding,
            "export WINNOW_KAFKA_SASL_MECHANISM%s=%s   # over TLS, since it shows brokers the password; a "
            "sasl.mechanism=… in -X would win",
            aliased ? "S" : "", known->mechanism);
    } else if (user != NULL) {
        mend_run(finding,
                 "read -rs WINNOW_KAFKA_SASL_PASSWORD && export WINNOW_KAFKA_SASL_PASSWORD   # type the "
                 "password of %s; a %s=… in -X would win",
                 user, SASL_PASSWORD);
    }
    return user != NULL || (known != NULL && known->mechanism != NULL);
}

static void mend_broker(const struct examination *examination, struct finding *finding,
                        const struct fault *fault, const char *address)
{
    const struct settings *settings = examination->settings;
    if (is_refused_login(fault) && mend_login(settings, finding)) return;
    if (is_distrusted(fault)) {
        if (is_misnamed(settings, address))
            mend_broker_name(examination, finding, address);
        else
            mend_broker_certificate(settings, finding, address);
        return;
    }
    const char *protocol = is_misunderstood(fault) ? find_protocol(settings, address) : NULL;
    if (protocol != NULL)
        mend_protocol(settings, finding, protocol);
    else if (fault->status == STATUS_STOP)
        mend_run(finding,
                 "winnow config print   # security.protocol, sasl.* and ssl.* as the brokers ask for them");
    else
        mend_run(finding, "sudo systemctl start kafka   # on %.*s", (int)host_size(address), address);
}

/* ---- the checks --------------------------------------------------------------------------------------- */

void examine_brokers(struct examination *examination, struct finding *ret_finding)
{
    int asked = 0;
    int answering = 0;
    char address[ADDRESS_SIZE];
    struct fault fault;
    struct finding bad = {.verdict = CHECK_OK};
    int share_ms = examination->timeout_ms / 2;
    for (const char *at = examination->settings->brokers; next_address(&at, address); asked++) {
        if (kafka_broker_answers(examination->settings, address, share_ms, &fault)) {
            answering++;
            continue;
        }
        tell_broker(&bad, CHECK_WARN, address, &fault);
        mend_broker(examination, &bad, &fault, address);
    }
    if (answering > 0 &&
        !kafka_admin_cluster(examination->kafka, examination->timeout_ms, &examination->cluster, &fault)) {
        tell_broker(&bad, CHECK_FAIL, examination->settings->brokers, &fault);
    }
    *ret_finding = bad;
    if (answering == 0) ret_finding->verdict = CHECK_FAIL;
    if (answering > 0)
        finding_add(ret_finding, CHECK_OK, "%d of %d %s, cluster %s", answering, asked,
                    counted(answering, "answers", "answer"), examination->cluster.id);
}

/* Clients are sent on to the addresses that brokers tell of themselves. */
void examine_advertised(struct examination *examination, struct finding *ret_finding)
{
    const struct kafka_cluster *cluster = &examination->cluster;
    struct fault fault;
    for (size_t i = 0; i < cluster->broker_count; i++) {
        const char *address = cluster->address[i];
        if (kafka_broker_answers(examination->settings, address, examination->timeout_ms / 2, &fault))
            continue;
        tell_broker(ret_finding, CHECK_FAIL, address, &fault);
        mend_run(ret_finding,
                 "sudoedit /etc/kafka/server.properties && sudo systemctl restart kafka   # "
                 "advertised.listeners of "
                 "%s: an address that can be reached from here",
                 address);
    }
    if (ret_finding->verdict == CHECK_OK)
        finding_add(ret_finding, CHECK_OK, "each broker answers where it says it is: %s%s",
                    cluster->address[0], cluster->broker_count > 1 ? ", …" : "");
    else
        finding_add(ret_finding, CHECK_FAIL, "that is where clients are sent to");
}
