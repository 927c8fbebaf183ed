/* What a silence of a partition means. */
#include <CUnit/Basic.h>

#include "partition.h"

static struct partition running_at(int64_t offset)
{
    static const struct machine_options options = {0};
    struct claim claim = {.next_offset = offset, .tail_offset = -1};
    struct partition partition;
    partition_init(&partition, 0, &options);
    partition_claimed(&partition, &claim);
    partition.start_due = false;
    partition_started(&partition, 1000);
    return partition;
}

static void is_silent_since_the_last_news(void)
{
    struct partition partition = running_at(5);
    CU_ASSERT_FALSE(partition_is_silent(&partition, 1059, 60));
    CU_ASSERT_TRUE(partition_is_silent(&partition, 1060, 60));
    partition_heard(&partition, 1500);
    CU_ASSERT_FALSE(partition_is_silent(&partition, 1559, 60));
    partition.start_due = true;
    CU_ASSERT_FALSE(partition_is_silent(&partition, 9999, 60));
}

/* What came into the log since the last look is still on its way. */
static void a_message_of_this_instant_is_no_stall(void)
{
    struct partition partition = running_at(5);
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 5), SILENCE_FINE);
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 6), SILENCE_FINE);
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 6), SILENCE_STALLED);
    CU_ASSERT_TRUE(partition.start_due);
    CU_ASSERT_EQUAL(partition.start_at, 5);
}

static void news_between_two_looks_end_the_silence(void)
{
    struct partition partition = running_at(5);
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 6), SILENCE_FINE);
    partition_heard(&partition, 2000);
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 7), SILENCE_FINE);
}

static enum silence_verdict judge_twice(struct partition *partition, int64_t log_end)
{
    partition->start_due = false;
    partition_started(partition, 1000);
    enum silence_verdict first = partition_judge_silence(partition, log_end);
    CU_ASSERT_EQUAL(first, SILENCE_FINE);
    return partition_judge_silence(partition, log_end);
}

static void gives_up_the_third_time_unless_something_came(void)
{
    struct partition partition = running_at(5);
    CU_ASSERT_EQUAL(judge_twice(&partition, 6), SILENCE_STALLED);
    CU_ASSERT_FALSE(partition_is_silent(&partition, 1119, 60)); /* the patience has doubled */
    partition.start_due = false;
    CU_ASSERT_FALSE(partition_is_silent(&partition, 1119, 60));
    CU_ASSERT_TRUE(partition_is_silent(&partition, 1120, 60));
    CU_ASSERT_EQUAL(judge_twice(&partition, 6), SILENCE_STALLED);
    CU_ASSERT_EQUAL(judge_twice(&partition, 6), SILENCE_HOPELESS);
    partition_heard(&partition, 2000);
    CU_ASSERT_EQUAL(judge_twice(&partition, 6), SILENCE_STALLED);
}

/* Only the source's word after the second reading makes a gap at the end believed. */
static void a_gap_at_the_end_is_read_again_once(void)
{
    struct partition partition = running_at(5);
    partition.silence.end = 6;
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 6), SILENCE_FINE);
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 6), SILENCE_REREAD);
    CU_ASSERT_EQUAL(judge_twice(&partition, 6), SILENCE_STALLED);
    partition.start_due = false;
    partition_started(&partition, 1000);
    partition.silence.end = 6;
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 6), SILENCE_FINE);
    CU_ASSERT_EQUAL(partition_judge_silence(&partition, 6), SILENCE_FINE);
}

/* Fetches are answered with news: of aborted transactions, or they are lost in the client. */
static void who_still_fetches_is_not_given_up(void)
{
    struct partition partition = running_at(5);
    partition_note_fetched(&partition, 6);
    for (int64_t fetched = 7; fetched < 20; fetched++) {
        partition_note_fetched(&partition, -1);
        partition.start_due = false;
        partition_started(&partition, 1000);
        partition_note_fetched(&partition, fetched);
        CU_ASSERT_EQUAL(partition_judge_silence(&partition, fetched), SILENCE_FINE);
        partition_note_fetched(&partition, fetched);
        CU_ASSERT_EQUAL(partition_judge_silence(&partition, fetched), SILENCE_STALLED);
    }
    partition.start_due = false;
    CU_ASSERT_FALSE(partition_is_silent(&partition, 1000 + 16 * 60 - 1, 60));
    CU_ASSERT_TRUE(partition_is_silent(&partition, 1000 + 16 * 60, 60));
    partition_note_fetched(&partition, 19);
    CU_ASSERT_EQUAL(judge_twice(&partition, 20), SILENCE_HOPELESS);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return 70;
    CU_pSuite suite = CU_add_suite("partition silence", NULL, NULL);
    CU_ADD_TEST(suite, is_silent_since_the_last_news);
    CU_ADD_TEST(suite, a_message_of_this_instant_is_no_stall);
    CU_ADD_TEST(suite, news_between_two_looks_end_the_silence);
    CU_ADD_TEST(suite, gives_up_the_third_time_unless_something_came);
    CU_ADD_TEST(suite, a_gap_at_the_end_is_read_again_once);
    CU_ADD_TEST(suite, who_still_fetches_is_not_given_up);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
