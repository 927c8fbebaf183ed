/* What workers count, and how the pool tells it. */
// link: worker/metrics.c worker/metrics_text.c worker/metrics_process.c worker/readiness.c
// link: worker/slot.c worker/clock.c
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "exit_code.h"
#include "metrics_text.h"
#include "readiness.h"

static struct slot_page *page;
static struct pool_state state;
static struct buffer text;

static int begin(void)
{
    int fd;
    page = slot_page_new(&fd);
    page->used = 3;
    state = (struct pool_state){
        .page = page, .topic = "events", .wanted = 3, .running = 3, .joined = 3, .last_exit_code = -1};
    return 0;
}

static int end(void)
{
    buffer_done(&text);
    slot_page_free(page);
    return 0;
}

static void claim(unsigned slot, int32_t partition, int64_t epoch, int64_t next, int64_t stored,
                  const char *reasons)
{
    const struct claim of = {.partition = partition, .epoch = epoch, .next_offset = next};
    const int64_t outcomes[OUTCOME_COUNT] = {[OUTCOME_STORED] = stored};
    metrics_claimed(&page->metrics[slot], &of, outcomes, reasons);
}

static bool tells(const char *line)
{
    buffer_clear(&text);
    metrics_print(&text, &state);
    (void)buffer_add(&text, "", 1);
    return strstr(text.data, line) != NULL;
}

static bool is_ready_but_for(const char *reason)
{
    buffer_clear(&text);
    bool ready = readiness_print(&text, &state);
    (void)buffer_add(&text, "", 1);
    return !ready && strstr(text.data, reason) != NULL;
}

/* Slot 0 was replaced by slot 1 and slot 2 in turn; slot 0 wakes up late. */
static void test_highest_epoch_counts(void)
{
    claim(2, 7, 12, 130, 110, "empty=2 invalid_json=3");
    claim(0, 7, 10, 110, 100, "");
    claim(1, 7, 11, 120, 105, "empty=1");
    CU_ASSERT_TRUE(tells("winnow_events_total{topic=\"events\",partition=\"7\",outcome=\"stored\"} 110\n"));
    CU_ASSERT_FALSE(tells("outcome=\"stored\"} 105\n"));
    CU_ASSERT_TRUE(tells("winnow_dead_letters_total{topic=\"events\",partition=\"7\",reason=\"empty\"} 2\n"));
    CU_ASSERT_TRUE(tells("reason=\"invalid_json\"} 3\n"));
    CU_ASSERT_FALSE(tells("reason=\"too_deep\""));
}

static void test_batch_of_an_older_epoch_is_not_counted(void)
{
    const int64_t more[OUTCOME_COUNT] = {[OUTCOME_STORED] = 999};
    const struct write_part old = {.partition = 7, .epoch = 11, .next_offset = 140};
    const struct write_part ours = {.partition = 7, .epoch = 12, .next_offset = 140};
    metrics_counted(&page->metrics[2], &old, more);
    CU_ASSERT_FALSE(tells("} 999\n"));
    metrics_counted(&page->metrics[2], &ours, more);
    CU_ASSERT_TRUE(tells("outcome=\"stored\"} 999\n"));
}

static struct batch_row row(int32_t partition, int64_t timestamp_ms, bool dead)
{
    return (struct batch_row){
        .partition = partition, .timestamp_ms = timestamp_ms, .dead = dead, .reason = REJECT_TOO_DEEP};
}

static void test_batch_in_the_histograms(void)
{
    struct batch_row rows[] = {row(7, 995, false), row(7, 994, false), row(7, -1, true), row(7, 0, true),
                               row(7, 2000, false)};
    const struct batch batch = {.rows = rows, .row_count = ARRAY_COUNT(rows)};
    const struct write write = {.batch = &batch, .row_end = ARRAY_COUNT(rows)};
    metrics_committed(&page->metrics[2], &write, 1000, 1000);
    CU_ASSERT_TRUE(tells("winnow_batch_rows_bucket{le=\"1\"} 0\nwinnow_batch_rows_bucket{le=\"10\"} 1\n"));
    CU_ASSERT_TRUE(tells("winnow_batch_rows_sum 5\nwinnow_batch_rows_count 1\n"));
    CU_ASSERT_TRUE(tells("winnow_batch_duration_seconds_bucket{le=\"0.001\"} 1\n"));
    CU_ASSERT_TRUE(
        tells("winnow_event_latency_seconds_bucket{le=\"0.005\"} 2\n")); /* 5 ms, and one of the future */
    CU_ASSERT_TRUE(tells("winnow_event_latency_seconds_bucket{le=\"0.01\"} 3\n"));
    CU_ASSERT_TRUE(tells("winnow_event_latency_seconds_sum 1.011\nwinnow_event_latency_seconds_count 4\n"));
    CU_ASSERT_TRUE(tells("reason=\"too_deep\"} 2\n"));
    CU_ASSERT_EQUAL(page->metrics[2].partitions[0].tail_ms, 2000);
}

static void test_lag(void)
{
    struct metrics_partition *entry = metrics_partition(&page->metrics[2], 7);
    CU_ASSERT_FALSE(tells("winnow_lag_records{")); /* nobody holds it */
    entry->held = 1;
    CU_ASSERT_FALSE(tells("winnow_lag_records{")); /* the end is not known */
    metrics_set(&entry->end_offset, 150);
    CU_ASSERT_TRUE(tells("winnow_lag_records{topic=\"events\",partition=\"7\"} 10\n"));
    CU_ASSERT_FALSE(tells("winnow_lag_seconds{topic=\"events\",partition=\"7\"} 0\n"));
    entry->caught_up = 1; /* what is left are markers of transactions */
    CU_ASSERT_TRUE(tells("winnow_lag_records{topic=\"events\",partition=\"7\"} 0\n"));
    CU_ASSERT_TRUE(tells("winnow_lag_seconds{topic=\"events\",partition=\"7\"} 0\n"));
}

static void test_readiness(void)
{
    const struct fault fault = {.status = STATUS_RETRY, .sqlstate = "57P01"};
    CU_ASSERT_FALSE(is_ready_but_for("reason"));
    metrics_database_up(&page->metrics[0]);
    metrics_database_fault(&page->metrics[1], &fault, false);
    CU_ASSERT_TRUE(is_ready_but_for("database_away"));
    CU_ASSERT_TRUE(tells("winnow_database_up 0\n"));
    CU_ASSERT_TRUE(tells("winnow_database_errors_total{class=\"57\"} 1\n"));
    metrics_release(&page->metrics[1]);
    CU_ASSERT_TRUE(tells("winnow_database_up 1\n"));
    metrics_partition(&page->metrics[2], 7)->halted = 1;
    CU_ASSERT_TRUE(is_ready_but_for("\"partition_halted\",\"partitions\":[7]"));
    metrics_release(&page->metrics[2]);
    CU_ASSERT_TRUE(is_ready_but_for("no_partitions"));
    state.joined = 0;
    state.last_exit_code = EXIT_UNREACHABLE;
    CU_ASSERT_TRUE(is_ready_but_for("a server does not answer"));
    state.wanted = 0;
    CU_ASSERT_TRUE(is_ready_but_for("drained"));
    state.stopping = true;
    CU_ASSERT_TRUE(is_ready_but_for("draining"));
}

static void test_more_partitions_than_fit(void)
{
    for (int32_t i = 0; i < METRICS_PARTITIONS_MAX; i++) claim(0, i, 20, 1, 1, "");
    CU_ASSERT_PTR_NULL(metrics_partition(&page->metrics[0], METRICS_PARTITIONS_MAX));
    claim(0, METRICS_PARTITIONS_MAX, 20, 1, 1, "");
    CU_ASSERT_TRUE(tells("partition=\"1023\",outcome=\"stored\"} 1\n"));
    CU_ASSERT_FALSE(tells("partition=\"1024\""));
    CU_ASSERT_TRUE(tells("winnow_partitions_not_shown 0\n"));
    metrics_set(&page->metrics[0].not_shown, 2); /* as the worker that holds them does */
    metrics_set(&page->metrics[2].not_shown, 1);
    CU_ASSERT_TRUE(tells("winnow_partitions_not_shown 3\n"));
    metrics_release(&page->metrics[0]);
    CU_ASSERT_TRUE(tells("winnow_partitions_not_shown 1\n"));
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("metrics", begin, end);
    CU_add_test(suite, "the highest epoch counts", test_highest_epoch_counts);
    CU_add_test(suite, "a batch of an older epoch is not counted",
                test_batch_of_an_older_epoch_is_not_counted);
    CU_add_test(suite, "a batch in the histograms", test_batch_in_the_histograms);
    CU_add_test(suite, "lag", test_lag);
    CU_add_test(suite, "readiness", test_readiness);
    CU_add_test(suite, "more partitions than fit", test_more_partitions_than_fit);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
