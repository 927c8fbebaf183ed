// link: worker/kafka_properties.c
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "attr.h"
#include "kafka_properties.h"

static void test_refused_properties(void)
{
    static const char *const refused[][2] = {
        {"bootstrap.servers", "a:1"},
        {"metadata.broker.list", "a:1"},
        {"group.id", "g"},
        {"enable.auto.commit", "true"},
        {"enable.auto.commit", "false"},
        {"auto.commit.interval.ms", "5"},
        {"auto.commit.enable", "true"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"partition.assignment.strategy", "cooperative-sticky"},
        {"partition.assignment.strategy", "range,cooperative-sticky"},
        {"partition.assignment.strategy", "range,,roundrobin"},
        {"partition.assignment.strategy", ""},
        {"group.instance.id", "a"},
        {"group.protocol", "consumer"},
        {"isolation.level", "read_uncommitted"},
        {"enable.idempotence", "false"},
        {"enable.idempotence", "f"},
        {"acks", "1"},
        {"request.required.acks", "0"},
        {"rebalance_cb", "x"},
        {"enable.partition.eof", "true"},
        {"client.rack", "a"},
        {"transactional.id", "a"},
    };
    static const char *const allowed[][2] = {
        {"partition.assignment.strategy", "range"},
        {"partition.assignment.strategy", "roundrobin, range"},
        {"isolation.level", "read_committed"},
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"request.required.acks", "-1"},
        {"security.protocol", "SSL"},
        {"fetch.wait.max.ms", "5"},
        {"client.id", "x"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        CU_ASSERT_PTR_NOT_NULL(kafka_property_refusal(refused[i][0], refused[i][1]));
    for (size_t i = 0; i < ARRAY_COUNT(allowed); i++)
        CU_ASSERT_PTR_NULL(kafka_property_refusal(allowed[i][0], allowed[i][1]));
}

static void test_secret_properties(void)
{
    static const char *const secret[] = {"sasl.password",
                                         "ssl.key.password",
                                         "ssl.key.pem",
                                         "ssl.keystore.password",
                                         "sasl.oauthbearer.config",
                                         "sasl.oauthbearer.client.secret",
                                         "sasl.jaas.config",
                                         "SASL.PASSWORD"};
    static const char *const open[] = {"sasl.username", "ssl.key.location", "security.protocol", "client.id"};
    for (size_t i = 0; i < ARRAY_COUNT(secret); i++) CU_ASSERT_TRUE(kafka_property_is_secret(secret[i]));
    for (size_t i = 0; i < ARRAY_COUNT(open); i++) CU_ASSERT_FALSE(kafka_property_is_secret(open[i]));
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("kafka_properties", NULL, NULL);
    CU_add_test(suite, "refused properties", test_refused_properties);
    CU_add_test(suite, "secret properties", test_secret_properties);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
