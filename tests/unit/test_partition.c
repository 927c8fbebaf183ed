/* One partition, record by record: what is taken, dropped, read again, or reason to halt. */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "partition.h"

static struct identity *identity;
static struct partition partition;

/* The offsets are in the value and in the time, so that each message has a fingerprint of its own. */
static struct record message(int64_t offset)
{
    return (struct record){.partition = 3,
                           .offset = offset,
                           .timestamp_ms = 1700000000000 + offset,
                           .value = slice_of_text("{}")};
}

static enum verdict judge(int64_t offset, int64_t *ret_gap)
{
    struct record record = message(offset);
    return partition_judge(&partition, &record, identity, ret_gap);
}

static void expect(int64_t offset, enum verdict verdict, int64_t gap)
{
    int64_t found_gap = -1;
    CU_ASSERT_EQUAL(judge(offset, &found_gap), verdict);
    CU_ASSERT_EQUAL(found_gap, gap);
}

/* Ours, to be read from `next`, with the message before it as the tail. */
static void claim(int64_t next, bool tail)
{
    struct machine_options options = {.breaker_window = 10, .breaker_percent = 50};
    struct claim claim = {.partition = 3, .epoch = 7, .next_offset = next, .tail_offset = -1};
    struct record last = message(next - 1);
    if (tail) claim.tail_offset = next - 1;
    identity_fingerprint(identity, last.timestamp_ms, last.key, last.value, claim.tail_fingerprint);
    partition_done(&partition);
    partition_init(&partition, 3, &options);
    partition_claimed(&partition, &claim);
    partition.start_due = false;
}

static void test_in_order(void)
{
    claim(5, false);
    expect(5, VERDICT_TAKE, 0);
    expect(6, VERDICT_TAKE, 0);
    CU_ASSERT_EQUAL(partition.cursor, 7);
    CU_ASSERT_EQUAL(partition.committed, 5);
}

static void test_what_is_behind_the_cursor_is_dropped(void)
{
    claim(5, false);
    expect(4, VERDICT_DROP, 0);
    expect(5, VERDICT_TAKE, 0);
    expect(5, VERDICT_DROP, 0);
    expect(0, VERDICT_DROP, 0);
    CU_ASSERT_EQUAL(partition.cursor, 6);
    claim(5, true);
    expect(3, VERDICT_DROP, 0);
    CU_ASSERT_EQUAL(partition.state, PARTITION_TAIL);
}

/* Read before the seek that is about to come. */
static void test_nothing_counts_before_the_start(void)
{
    claim(5, false);
    partition.start_due = true;
    expect(5, VERDICT_DROP, 0);
    partition_reset(&partition);
    expect(5, VERDICT_DROP, 0);
    CU_ASSERT_EQUAL(partition.cursor, 5);
}

static void test_a_jump_is_read_again(void)
{
    claim(5, false);
    expect(8, VERDICT_REREAD, 0);
    CU_ASSERT_TRUE(partition.start_due && partition.start_at == 5);
    partition.start_due = false;
    expect(6, VERDICT_REREAD, 0); /* another jump than before: no second sight of the same */
    partition.start_due = false;
    expect(6, VERDICT_TAKE, 1);
    CU_ASSERT_EQUAL(partition.cursor, 7);
}

static void test_the_tail_is_compared(void)
{
    claim(5, true);
    CU_ASSERT_EQUAL(partition.start_at, 4);
    expect(4, VERDICT_DROP, 0);
    CU_ASSERT_EQUAL(partition.state, PARTITION_RUNNING);
    expect(5, VERDICT_TAKE, 0);
    claim(5, true);
    partition.tail_fingerprint[FINGERPRINT_SIZE - 1] ^= 1;
    expect(4, VERDICT_HALT, 0);
    CU_ASSERT_EQUAL(partition.state, PARTITION_HALTED);
    CU_ASSERT_TRUE(partition.halt_due);
    CU_ASSERT_STRING_EQUAL(partition.halt_reason, "topic_changed");
}

/* Compaction may have taken it: seen twice without it, there is nothing to compare. */
static void test_a_missing_tail_is_looked_for_again(void)
{
    claim(5, true);
    expect(5, VERDICT_REREAD, 0);
    CU_ASSERT_EQUAL(partition.start_at, 4);
    partition.start_due = false;
    (void)judge(5, &(int64_t){0});
    CU_ASSERT_EQUAL(partition.state, PARTITION_RUNNING);
    CU_ASSERT_EQUAL(partition.cursor, 6);
}

static void test_a_log_that_ends_before_us_halts(void)
{
    claim(5, true);
    CU_ASSERT_EQUAL(partition_out_of_range(&partition, 0, 4), 0);
    CU_ASSERT_TRUE(partition.state == PARTITION_HALTED && partition.halt_due);
    CU_ASSERT_STRING_EQUAL(partition.halt_reason, "offset_out_of_range");
    CU_ASSERT_EQUAL(partition.cursor, 5);
}

static void test_what_retention_took_is_counted(void)
{
    claim(5, true);
    CU_ASSERT_EQUAL(partition_out_of_range(&partition, 9, 20), 4);
    CU_ASSERT_EQUAL(partition.lost, 4);
    CU_ASSERT_EQUAL(partition.cursor, 9);
    CU_ASSERT_TRUE(partition.start_due && partition.start_at == 9);
    claim(5, true);
    CU_ASSERT_EQUAL(partition_out_of_range(&partition, 5, 20), 0);
    CU_ASSERT_EQUAL(partition.lost, 0);
}

static bool count(unsigned dead, unsigned good)
{
    bool tripped = false;
    for (unsigned i = 0; i < dead; i++) tripped = partition_count(&partition, true);
    for (unsigned i = 0; i < good; i++) tripped = partition_count(&partition, false);
    return tripped;
}

static void test_the_breaker_looks_at_its_window_only(void)
{
    claim(5, false);
    for (int round = 0; round < 50; round++) CU_ASSERT_FALSE(count(5, 5));
    CU_ASSERT_FALSE(count(5, 0));
    CU_ASSERT_TRUE(count(6, 0));
    CU_ASSERT_TRUE(partition.state == PARTITION_HALTED && partition.halt_due);
    CU_ASSERT_STRING_EQUAL(partition.halt_reason, "circuit_breaker");
}

static void test_the_breaker_forgets_what_is_read_again(void)
{
    struct claim again = {.partition = 3, .epoch = 8, .next_offset = 5, .tail_offset = -1};
    claim(5, false);
    CU_ASSERT_FALSE(count(4, 0));
    partition_reset(&partition);
    partition_claimed(&partition, &again);
    CU_ASSERT_FALSE(count(4, 0));
    CU_ASSERT_EQUAL(partition.state, PARTITION_RUNNING);
}

static void test_a_halted_one_takes_nothing(void)
{
    claim(5, false);
    struct claim halted = {.partition = 3, .epoch = 8, .next_offset = 5, .tail_offset = 4, .halted = true};
    partition_claimed(&partition, &halted);
    CU_ASSERT_FALSE(partition.start_due);
    expect(5, VERDICT_DROP, 0);
}

static int begin(void)
{
    identity = identity_new();
    return 0;
}

static int end(void)
{
    partition_done(&partition);
    identity_free(identity);
    return 0;
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("partition", begin, end);
    CU_add_test(suite, "in order", test_in_order);
    CU_add_test(suite, "what is behind the cursor is dropped", test_what_is_behind_the_cursor_is_dropped);
    CU_add_test(suite, "nothing counts before the start", test_nothing_counts_before_the_start);
    CU_add_test(suite, "a jump is read again", test_a_jump_is_read_again);
    CU_add_test(suite, "the tail is compared", test_the_tail_is_compared);
    CU_add_test(suite, "a missing tail is looked for again", test_a_missing_tail_is_looked_for_again);
    CU_add_test(suite, "a log that ends before us halts", test_a_log_that_ends_before_us_halts);
    CU_add_test(suite, "what retention took is counted", test_what_retention_took_is_counted);
    CU_add_test(suite, "the breaker looks at its window only", test_the_breaker_looks_at_its_window_only);
    CU_add_test(suite, "the breaker forgets what is read again", test_the_breaker_forgets_what_is_read_again);
    CU_add_test(suite, "a halted one takes nothing", test_a_halted_one_takes_nothing);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
