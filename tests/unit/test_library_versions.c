// link: worker/library_versions.c
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "library_versions.h"

#define GOOD_JSON_C 0x001000
#define GOOD_LIBPQ  150018

/* A version of librdkafka with one property, a word of the fault (NULL: none), and whether Debian has a newer
 * one. */
static void test_faults_of_librdkafka(void)
{
    static const struct {
        uint32_t version;
        const char *name;
        const char *value;
        const char *word;
        bool newer;
    } rows[] = {
        {0x020002ff, "client.id", "winnow", "keeps off", false},
        {0x020900ff, "client.id", "winnow", "keeps off", false},
        {0x010900ff, "client.id", "winnow", "never tried", true},
        {0x020002ff, "sasl.mechanism", "SCRAM-SHA-512", "SCRAM", false},
        {0x020002ff, "sasl.mechanisms", "scram-sha-256", "SCRAM", false},
        {0x020601ff, "sasl.mechanisms", "SCRAM-SHA-256", "keeps off", false},
        {0x020002ff, "sasl.mechanisms", "PLAIN", "keeps off", false},
        {0x020002ff, "ssl.certificate.location", "/c.pem", "chain", false},
        {0x020800ff, "ssl.certificate.location", "/c.pem", "keeps off", false},
        {0x020a00ff, "client.id", "winnow", "5088", true},
        {0x020a01ff, "client.id", "winnow", NULL, false},
        {0x020002ff, "security.protocol", "SASL_SSL", "Kerberos", false},
        {0x020b00ff, "security.protocol", "sasl_ssl", NULL, false},
        {0x020002ff, "security.protocol", "ssl", "keeps off", false},
        {0x030000ff, "sasl.mechanism", "SCRAM-SHA-512", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char name[64];
        char value[64];
        (void)snprintf(name, sizeof name, "%s", rows[i].name);
        (void)snprintf(value, sizeof value, "%s", rows[i].value);
        struct kafka_property property = {name, value};
        const struct settings settings = {.kafka = &property, .kafka_count = 1};
        const struct library_versions versions = {rows[i].version, GOOD_JSON_C, GOOD_LIBPQ};
        const struct library_fault *fault = library_fault_find(&versions, &settings);
        CU_ASSERT_EQUAL(fault == NULL, rows[i].word == NULL);
        if (fault == NULL || rows[i].word == NULL) continue;
        CU_ASSERT_PTR_NOT_NULL(strstr(fault->text, rows[i].word));
        CU_ASSERT_EQUAL(fault->package != NULL, rows[i].newer);
        CU_ASSERT_EQUAL(fault->mechanism != NULL, strcmp(rows[i].word, "SCRAM") == 0);
    }
}

static void test_faults_of_the_others(void)
{
    const struct settings settings = {0};
    const struct library_versions json_c = {0x020002ff, 0x000e00, GOOD_LIBPQ};
    const struct library_versions libpq = {0x020002ff, GOOD_JSON_C, 110022};
    const struct library_fault *fault = library_fault_find(&json_c, &settings);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fault);
    CU_ASSERT_STRING_EQUAL(fault->package, "libjson-c5");
    fault = library_fault_find(&libpq, &settings);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fault);
    CU_ASSERT_STRING_EQUAL(fault->package, "libpq5");
}

static void test_print(void)
{
    char text[128];
    const struct library_versions versions = {0x020b01ff, 0x001200, 170002};
    library_versions_print(&versions, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "librdkafka 2.11.1, json-c 0.18, libpq 17.2");
}

/* Those that this very process has loaded. */
static void test_read(void)
{
    struct library_versions versions = library_versions_read();
    CU_ASSERT_TRUE(versions.librdkafka >= 0x020002ff);
    CU_ASSERT_TRUE(versions.json_c >= 0x001000);
    CU_ASSERT_TRUE(versions.libpq >= 150000);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("library_versions", NULL, NULL);
    CU_add_test(suite, "faults of librdkafka", test_faults_of_librdkafka);
    CU_add_test(suite, "faults of the others", test_faults_of_the_others);
    CU_add_test(suite, "print", test_print);
    CU_add_test(suite, "read", test_read);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
