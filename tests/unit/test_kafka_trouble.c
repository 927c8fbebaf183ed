/* The words are those that librdkafka 2.0.2 and Apache Kafka 4.1 were heard to say. */
// link: worker/kafka_trouble.c
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "kafka_trouble.h"

static const struct trouble {
    const char *heard;
    const char *advised; /* a part of it; NULL: it may pass */
} troubles[] = {
    {"ssl://localhost:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify "
     "failed: broker "
     "certificate could not be verified",
     "ssl.ca.location"},
    {"ssl://localhost:1/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: "
     "SSL alert "
     "number 42",
     "ssl.certificate.location"},
    {"error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116",
     "ssl.certificate.location"},
    {"error:0A000418:SSL routines::tlsv1 alert unknown ca", "who signed our certificate"},
    {"sasl_ssl://localhost:1/bootstrap: SASL authentication error: Authentication failed: Invalid username "
     "or password",
     "sasl.* properties"},
    {"SASL authentication error: Authentication failed during authentication due to invalid credentials with "
     "SASL "
     "mechanism SCRAM-SHA-512",
     "SCRAM is refused"},
    {"Client SASL mechanism 'X' not enabled: Unsupported SASL mechanism", "sasl.* properties"},
    {"SASL authentication error: Local: Broker transport failure", NULL},
    {"Connection closed while receiving (broker might require SASL authentication)", NULL},
    {"1/1 brokers are down", NULL},
    {"", NULL},
};

static void test_advice(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(troubles); i++) {
        const char *advice = kafka_trouble_advice(troubles[i].heard);
        CU_ASSERT_EQUAL(advice == NULL, troubles[i].advised == NULL);
        if (advice == NULL || troubles[i].advised == NULL) continue;
        CU_ASSERT_PTR_NOT_NULL(strstr(advice, troubles[i].advised));
        CU_ASSERT_EQUAL(strncmp(advice, "; ", 2), 0);
    }
}

static void test_what_is_for_people(void)
{
    const struct {
        const char *line;
        size_t size;
    } lines[] = {
        {"b:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
         69},
        {"Disconnected (after 12ms in state UP, 30 identical error(s) suppressed)", 12},
        {"Failed to resolve 'kafka (after hours)'", 39},
        {"2/2 brokers are down", 20},
        {"", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++)
        CU_ASSERT_EQUAL(kafka_trouble_size(lines[i].line), lines[i].size);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("kafka_trouble", NULL, NULL);
    CU_add_test(suite, "what to check", test_advice);
    CU_add_test(suite, "what is for people", test_what_is_for_people);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
