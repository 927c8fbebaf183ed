/* The hint which events were read not long ago. */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "seen.h"

static bool add(struct seen *seen, uint32_t number)
{
    uint8_t hash[EVENT_HASH_SIZE];
    uint64_t mixed = (number + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
    memset(hash, 0x80, sizeof(hash));
    memcpy(hash + 8, &mixed, sizeof(mixed));
    return seen_add(seen, hash);
}

static void test_what_came_not_long_ago_is_known(void)
{
    struct seen *seen = seen_new();
    unsigned wrong = 0;
    for (uint32_t number = 0; number < 10 * SEEN_COUNT; number++) {
        wrong += add(seen, number);
        if (number >= SEEN_COUNT - 1) wrong += !add(seen, number - SEEN_COUNT / 2);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    seen_free(seen);
}

static void test_what_came_long_ago_is_forgotten(void)
{
    struct seen *seen = seen_new();
    for (uint32_t number = 0; number < 4 * SEEN_COUNT; number++) (void)add(seen, number);
    CU_ASSERT_FALSE(add(seen, 5));
    CU_ASSERT_TRUE(add(seen, 5));
    CU_ASSERT_TRUE(add(seen, 3 * SEEN_COUNT));
    seen_free(seen);
}

/* Marks that begin their search at one slot, and the mark of a hash of zeros. */
static void test_crowded_slots(void)
{
    struct seen *seen = seen_new();
    uint8_t hash[EVENT_HASH_SIZE] = {0};
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 100; i++) {
            hash[8] = (uint8_t)(2 * i);
            CU_ASSERT_EQUAL(seen_add(seen, hash), round == 1);
        }
    }
    seen_free(seen);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("seen", NULL, NULL);
    CU_add_test(suite, "what came not long ago is known", test_what_came_not_long_ago_is_known);
    CU_add_test(suite, "what came long ago is forgotten", test_what_came_long_ago_is_forgotten);
    CU_add_test(suite, "crowded slots", test_crowded_slots);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
