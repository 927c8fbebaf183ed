// link: worker/event_order.c
#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "event_order.h"

#define KEYS       20000
#define DAY_US     INT64_C(86400000000)
#define ROW_OFFSET 7 /* rows need not begin at 0 */

static struct event_order order;
static uint64_t state;

static uint64_t random_bits(void) /* splitmix64 */
{
    uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static bool is_before(const struct sort_key *left, const struct sort_key *right)
{
    if (left->bucket_us != right->bucket_us) return left->bucket_us < right->bucket_us;
    if (left->hash_high != right->hash_high) return left->hash_high < right->hash_high;
    if (left->hash_low != right->hash_low) return left->hash_low < right->hash_low;
    return left->row < right->row;
}

/* Keys whose buckets, and parts of the hash, are so many different ones. */
static void sort(size_t count, uint64_t buckets, uint64_t highs, uint64_t lows)
{
    static struct sort_key given[KEYS];
    static bool found[KEYS];
    state = count + buckets + highs + lows;
    struct sort_key *keys = event_order_reserve(&order, count);
    for (size_t i = 0; i < count; i++) {
        keys[i] = (struct sort_key){.bucket_us = (int64_t)(random_bits() % buckets) * DAY_US,
                                    .hash_high = random_bits() % highs,
                                    .hash_low = random_bits() % lows,
                                    .row = ROW_OFFSET + i};
    }
    for (size_t i = 0; i < count; i++) given[i] = keys[i];
    const struct sort_key *sorted = event_order_sort(&order, count);
    memset(found, 0, sizeof found);
    bool ascending = true;
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        ascending = ascending && (i == 0 || is_before(&sorted[i - 1], &sorted[i]));
        size_t index = sorted[i].row - ROW_OFFSET;
        whole =
            whole && index < count && !found[index] && memcmp(&sorted[i], &given[index], sizeof *given) == 0;
        if (index < count) found[index] = true;
    }
    CU_ASSERT_TRUE(ascending);
    CU_ASSERT_TRUE(whole);
}

static void test_none_one_and_few(void)
{
    for (size_t count = 0; count < 300; count++) sort(count, 3, UINT64_MAX, UINT64_MAX);
}

static void test_a_day(void)
{
    sort(KEYS, 1, UINT64_MAX, UINT64_MAX);
}

static void test_many_days(void)
{
    sort(KEYS, 365, UINT64_MAX, UINT64_MAX);
    sort(KEYS, 80000, UINT64_MAX, UINT64_MAX); /* up to the year 2189 */
}

static void test_of_copies_the_first_one_read_comes_first(void)
{
    sort(KEYS, 2, 10, 10);
    sort(KEYS, 1, 1, 1);
}

static void test_hashes_that_begin_alike(void)
{
    sort(KEYS, 2, UINT64_C(1) << 40, UINT64_MAX);
    sort(KEYS, 1, 1, UINT64_MAX);
}

static int done(void)
{
    event_order_done(&order);
    return 0;
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("event order", NULL, done);
    CU_add_test(suite, "none, one and few", test_none_one_and_few);
    CU_add_test(suite, "a day", test_a_day);
    CU_add_test(suite, "many days", test_many_days);
    CU_add_test(suite, "of copies the first one read comes first",
                test_of_copies_the_first_one_read_comes_first);
    CU_add_test(suite, "hashes that begin alike", test_hashes_that_begin_alike);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
