// link: worker/apply_parameters.c worker/array.c worker/event_order.c
/* The order in which a batch's events reach the table: that of its key, or two workers with the same events
 * could wait for each other. */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "apply_parameters.h"

#define EVENT_BUCKETS    9 /* the statement's parameters $10, $11 and $17, counted from 0 */
#define EVENT_HASHES     10
#define EVENT_OFFSETS    16
#define SEEN_OFFSETS     24
#define DEAD_OFFSETS     26
#define ARRAY_HEAD_SIZE  20
#define ROWS             200
#define HASH_BYTES_GIVEN 2 /* so that equal ones come up */

static struct batch batch;
static struct apply_parameters apply;
static struct sql_parameter parameters[APPLY_PARAMETER_COUNT];

static unsigned next_random(void)
{
    static uint64_t state = 20240101;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 40);
}

static void add_event(int64_t offset)
{
    struct record record = {.partition = 1, .offset = offset, .value = slice_of_text("{}")};
    struct event event = {.client_id = slice_of_text("c"), .metric = slice_of_text("m")};
    event.bucket_us = INT64_C(86400000000) * (next_random() % 4);
    for (int i = 0; i < HASH_BYTES_GIVEN; i++)
        event.hash[i * 15] = (uint8_t)(next_random() % 5 * 60); /* the first and the last one */
    batch_add_event(&batch, &record, &event, false, 1);
}

static bool careful;

static void encode(void)
{
    struct write_part part = {.partition = 1, .next_offset = ROWS, .received = ROWS};
    struct write write = {
        .batch = &batch, .row_end = batch.row_count, .parts = &part, .part_count = 1, .careful = careful};
    apply_encode(&apply, 1, &write, parameters);
}

/* Element `index` of an array of `size` bytes each. */
static const char *element(int parameter, size_t index, size_t size)
{
    return (const char *)parameters[parameter].data + ARRAY_HEAD_SIZE + index * (4 + size) + 4;
}

/* By bucket, then by hash, as the table's key compares them; of equal ones the first read comes first. */
static int compare(size_t left, size_t right)
{
    int order = memcmp(element(EVENT_BUCKETS, left, 8), element(EVENT_BUCKETS, right, 8), 8);
    if (order != 0) /* big-endian and before 2000: negative, all of one sign */
        return order;
    order = memcmp(element(EVENT_HASHES, left, 16), element(EVENT_HASHES, right, 16), 16);
    if (order != 0) return order;
    return memcmp(element(EVENT_OFFSETS, left, 8), element(EVENT_OFFSETS, right, 8), 8);
}

static int begin(void)
{
    batch_init(&batch, &(struct batch_limits){.rows_max = ROWS, .bytes_max = 1 << 20});
    for (int64_t offset = 0; offset < ROWS; offset++) add_event(offset);
    return 0;
}

static int end(void)
{
    apply_done(&apply);
    batch_done(&batch);
    return 0;
}

static void test_events_are_sorted_by_key(void)
{
    encode();
    for (size_t i = 1; i < ROWS; i++) CU_ASSERT_TRUE(compare(i - 1, i) < 0);
    CU_ASSERT_EQUAL(parameters[EVENT_HASHES].size, ARRAY_HEAD_SIZE + ROWS * (4 + 16));
}

static void test_dead_rows_go_apart_in_the_order_read(void)
{
    for (size_t row = 3; row < ROWS; row += 10) batch_mark_dead(&batch, row, "22003", "refused");
    encode();
    CU_ASSERT_EQUAL(parameters[EVENT_OFFSETS].size, ARRAY_HEAD_SIZE + (ROWS - 20) * (4 + 8));
    CU_ASSERT_EQUAL(parameters[DEAD_OFFSETS].size, ARRAY_HEAD_SIZE + 20 * (4 + 8));
    for (size_t i = 0; i < 20; i++) CU_ASSERT_EQUAL(element(DEAD_OFFSETS, i, 8)[7], (char)(10 * i + 3));
}

static size_t count_of(int parameter, size_t size)
{
    return (parameters[parameter].size - ARRAY_HEAD_SIZE) / (4 + size);
}

/* Those that were seen are inserted with a look at the key, the others without; each group in its order. */
static void test_seen_rows_go_apart(void)
{
    for (size_t row = 0; row < ROWS; row += 4) batch.rows[row].seen = true;
    encode();
    size_t seen = count_of(SEEN_OFFSETS, 8);
    CU_ASSERT_TRUE(seen > 30 && seen <= ROWS / 4);
    CU_ASSERT_EQUAL(seen + count_of(EVENT_OFFSETS, 8) + count_of(DEAD_OFFSETS, 8), ROWS);
    for (size_t i = 0; i < seen; i++) CU_ASSERT_EQUAL(element(SEEN_OFFSETS, i, 8)[7] % 4, 0);
    for (size_t i = 1; i < count_of(EVENT_OFFSETS, 8); i++) CU_ASSERT_TRUE(compare(i - 1, i) < 0);
}

static void test_every_row_of_a_careful_write_counts_as_seen(void)
{
    careful = true;
    encode();
    CU_ASSERT_EQUAL(count_of(EVENT_OFFSETS, 8), 0);
    CU_ASSERT_EQUAL(count_of(SEEN_OFFSETS, 8) + count_of(DEAD_OFFSETS, 8), ROWS);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("apply parameters", begin, end);
    CU_add_test(suite, "events are sorted by key", test_events_are_sorted_by_key);
    CU_add_test(suite, "dead rows go apart in the order read", test_dead_rows_go_apart_in_the_order_read);
    CU_add_test(suite, "seen rows go apart", test_seen_rows_go_apart);
    CU_add_test(suite, "every row of a careful write counts as seen",
                test_every_row_of_a_careful_write_counts_as_seen);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
