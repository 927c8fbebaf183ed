/* How long a batch that collided makes the next writes careful. */
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "flight.h"
#include "identity.h"

static struct flight flight;
static struct identity *identity;
static struct partition partition;

/* Sends a batch of one row. True when the write is careful. */
static bool send(void)
{
    struct record record = {.offset = partition.committed, .value = slice_of_text("{}")};
    struct event event = {.client_id = slice_of_text("c"), .metric = slice_of_text("m")};
    batch_add_event(&flight.batch, &record, &event, false, 1);
    return flight_write(&flight, &partition, 1, identity).careful;
}

static void written(void)
{
    flight_written(&flight);
    flight_clear(&flight);
}

/* Sends careless batches, then one that collides, and counts how many are careful from then on. */
static unsigned careful_after(unsigned careless)
{
    unsigned careful = 0;
    for (; careless > 0; careless--) {
        CU_ASSERT_FALSE(send());
        written();
    }
    CU_ASSERT_FALSE(send());
    CU_ASSERT_TRUE(flight_collided(&flight));
    struct write again = flight_write(&flight, &partition, 1, identity);
    CU_ASSERT_TRUE(again.careful);
    CU_ASSERT_EQUAL(again.row_end - again.row_begin, 1);
    CU_ASSERT_FALSE(flight_collided(&flight)); /* its refusal would be for its data */
    for (written(), careful++; flight.careful_left > 0 && careful < 3000; careful++) {
        CU_ASSERT_TRUE(send());
        written();
    }
    return careful;
}

static void test_collisions_become_rare(void)
{
    static const unsigned expected[] = {16, 32, 64, 128, 256, 512, 1024, 1024};
    flight_init(&flight, &(struct batch_limits){.rows_max = 10, .bytes_max = 1 << 20});
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        CU_ASSERT_EQUAL(careful_after(i == 0 ? 0 : 15), expected[i]);
    CU_ASSERT_EQUAL(careful_after(1024), 16);
    CU_ASSERT_EQUAL(careful_after(16), 16);
    CU_ASSERT_EQUAL(careful_after(15), 32);
    flight_done(&flight);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    identity = identity_new();
    CU_pSuite suite = CU_add_suite("flight", NULL, NULL);
    CU_add_test(suite, "collisions become rare", test_collisions_become_rare);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    identity_free(identity);
    return failures != 0;
}
