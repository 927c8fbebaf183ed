#include <CUnit/Basic.h>
#include <stdlib.h>

#include "backoff.h"

#define FLOOR_MS   50
#define CEILING_MS 5000
#define SEEDS      200

static void expect_between(int64_t wait_ms, int64_t limit_ms)
{
    CU_ASSERT_TRUE(wait_ms >= limit_ms / 2);
    CU_ASSERT_TRUE(wait_ms <= limit_ms);
}

/* Also after more attempts than a doubling has bits. */
static void test_it_doubles_up_to_the_ceiling(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct backoff backoff;
        backoff_init(&backoff, FLOOR_MS, CEILING_MS, seed);
        int64_t limit_ms = FLOOR_MS;
        for (int attempt = 0; attempt < 100; attempt++) {
            expect_between(backoff_next_ms(&backoff), limit_ms);
            limit_ms = limit_ms * 2 > CEILING_MS ? CEILING_MS : limit_ms * 2;
        }
    }
}

/* Workers that lost the same database do not come back together. */
static void test_seeds_spread(void)
{
    int64_t lowest_ms = INT64_MAX;
    int64_t highest_ms = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct backoff backoff;
        backoff_init(&backoff, CEILING_MS, CEILING_MS, seed * 1000003);
        (void)backoff_next_ms(&backoff);
        int64_t wait_ms = backoff_next_ms(&backoff);
        if (wait_ms < lowest_ms) lowest_ms = wait_ms;
        if (wait_ms > highest_ms) highest_ms = wait_ms;
    }
    CU_ASSERT_TRUE(lowest_ms < CEILING_MS * 6 / 10);
    CU_ASSERT_TRUE(highest_ms > CEILING_MS * 9 / 10);
}

static void test_a_success_resets(void)
{
    struct backoff backoff;
    backoff_init(&backoff, FLOOR_MS, CEILING_MS, 0);
    for (int attempt = 0; attempt < 20; attempt++) (void)backoff_next_ms(&backoff);
    backoff_reset(&backoff);
    expect_between(backoff_next_ms(&backoff), FLOOR_MS);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("backoff", NULL, NULL);
    CU_add_test(suite, "it doubles up to the ceiling", test_it_doubles_up_to_the_ceiling);
    CU_add_test(suite, "seeds spread", test_seeds_spread);
    CU_add_test(suite, "a success resets", test_a_success_resets);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
