/* From the libraries' own change logs. A version that is newer than the newest line here is taken for good.
 */
#include "library_versions.h"

#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "attr.h"
#include "kafka_client.h"

#define RDKAFKA(major, minor, patch) (((major) << 24) | ((minor) << 16) | ((patch) << 8) | 0xffU)
#define JSON_C(major, minor)         (((major) << 16) | ((minor) << 8))
#define PQ(major, minor)             ((major)*10000U + (minor))
#define LIBRDKAFKA                   offsetof(struct library_versions, librdkafka)
#define LIBJSON_C                    offsetof(struct library_versions, json_c)
#define LIBPQ                        offsetof(struct library_versions, libpq)

/* Whether the settings run into the fault; NULL stands for always. */
typedef bool (*uses)(const struct settings *settings);

static const char *property(const struct settings *settings, const char *name, const char *alias)
{
    for (size_t i = settings->kafka_count; i > 0; i--) {
        const struct kafka_property *given = &settings->kafka[i - 1];
        if (strcmp(given->name, name) == 0 || strcmp(given->name, alias) == 0) return given->value;
    }
    return "";
}

static bool uses_scram(const struct settings *settings)
{
    return strncasecmp(property(settings, "sasl.mechanisms", "sasl.mechanism"), "SCRAM", 5) == 0;
}

static bool uses_kerberos(const struct settings *settings)
{
    const char *protocol = property(settings, "security.protocol", "");
    const char *mechanism = property(settings, "sasl.mechanisms", "sasl.mechanism");
    return strncasecmp(protocol, "sasl", 4) == 0 &&
           (mechanism[0] == '\0' || strcasecmp(mechanism, "GSSAPI") == 0);
}

static bool uses_certificate(const struct settings *settings)
{
    return property(settings, "ssl.certificate.location", "ssl.certificate.pem")[0] != '\0';
}

/* Versions of one of the libraries from `first`, inclusive, to `fixed`, exclusive. */
static const struct known_fault {
    size_t library; /* where its version stands in struct library_versions */
    uint32_t first;
    uint32_t fixed;
    uses uses;
    struct library_fault fault;
} known_faults[] = {
    {LIBRDKAFKA,
     0,
     RDKAFKA(2U, 0U, 2U),
     NULL,
     {"librdkafka1", "librdkafka before 2.0.2 was never tried with winnow; use 2.0.2 or later", NULL}},
    {LIBRDKAFKA,
     0,
     RDKAFKA(2U, 6U, 1U),
     uses_scram,
     {NULL,
      "Kafka 4 refuses this librdkafka's SCRAM login, whose nonce is sent twice: mended in 2.6.1; until then "
      "use SASL/PLAIN over TLS, or client certificates",
      "PLAIN"}},
    {LIBRDKAFKA,
     0,
     RDKAFKA(2U, 8U, 0U),
     uses_certificate,
     {NULL,
      "this librdkafka sends the client's certificate without the chain above it, so brokers must trust the "
      "intermediate one itself: mended in 2.8.0",
      NULL}},
    {LIBRDKAFKA,
     RDKAFKA(2U, 10U, 0U),
     RDKAFKA(2U, 10U, 1U),
     NULL,
     {"librdkafka1", "librdkafka 2.10.0 is warned of by its makers (issue 5088): use 2.10.1 or later", NULL}},
    {LIBRDKAFKA,
     0,
     RDKAFKA(2U, 11U, 0U),
     uses_kerberos,
     {NULL,
      "this librdkafka's Kerberos login fails with Kafka 4.0.0: use Kafka 4.0.1 or later, or librdkafka "
      "2.11.0",
      NULL}},
    {LIBJSON_C,
     0,
     JSON_C(0U, 15U),
     NULL,
     {"libjson-c5", "json-c before 0.15 writes out of bounds (CVE-2020-12762)", NULL}},
    {LIBPQ,
     0,
     PQ(12U, 0U),
     NULL,
     {"libpq5", "libpq before 12 has no tcp_user_timeout: a server that is gone is noticed late", NULL}},
    /* Issues 4208 (messages left out), 4312 (abort), 4636 (messages read again), 4908 (group lost). */
    {LIBRDKAFKA,
     0,
     RDKAFKA(2U, 10U, 0U),
     NULL,
     {NULL, "winnow keeps off what goes wrong in it: reading in batches, cooperative assignment, pausing",
      NULL}},
};

struct library_versions library_versions_read(void)
{
    return (struct library_versions){
        .librdkafka = (uint32_t)rd_kafka_version(),
        .json_c = (uint32_t)json_c_version_num(),
        .libpq = (uint32_t)PQlibVersion(),
    };
}

void library_versions_print(const struct library_versions *versions, char *ret_text, size_t size)
{
    (void)snprintf(ret_text, size, "librdkafka %u.%u.%u, json-c %u.%u, libpq %u.%u",
                   versions->librdkafka >> 24, versions->librdkafka >> 16 & 0xffU,
                   versions->librdkafka >> 8 & 0xffU, versions->json_c >> 16 & 0xffU,
                   versions->json_c >> 8 & 0xffU, versions->libpq / 10000, versions->libpq % 10000);
}

static uint32_t version_of(const struct library_versions *versions, size_t library)
{
    uint32_t version;
    memcpy(&version, (const char *)versions + library, sizeof version);
    return version;
}

const struct library_fault *library_fault_find(const struct library_versions *versions,
                                               const struct settings *settings)
{
    for (size_t i = 0; i < ARRAY_COUNT(known_faults); i++) {
        const struct known_fault *known = &known_faults[i];
        uint32_t version = version_of(versions, known->library);
        bool has_it = version >= known->first && version < known->fixed;
        if (has_it && (known->uses == NULL || known->uses(settings))) return &known->fault;
    }
    return NULL;
}
