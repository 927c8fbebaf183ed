/* The machine alone, input by input, where the simulated world (tests/sim) would hide a fault behind the next
 * shield. */
#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define PARTITION 2
#define EPOCH     INT64_C(5)

static struct machine *machine;
static int64_t now_ms;

static struct action step(struct input input)
{
    return machine_step(machine, &input, ++now_ms);
}

static void claimed(int64_t next_offset)
{
    struct claim claim = {
        .partition = PARTITION, .epoch = EPOCH, .next_offset = next_offset, .tail_offset = -1};
    struct action action = step((struct input){.kind = INPUT_CLAIMED, .claims = &claim, .count = 1});
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_START);
    CU_ASSERT_EQUAL(action.positions[0].offset, next_offset);
    CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_NONE}).kind, ACTION_POLL);
}

/* A machine that reads one partition from offset 10. */
static void begin(void)
{
    static const int32_t numbers[] = {PARTITION};
    struct machine_options options = {.limits = {.rows_max = 100, .bytes_max = 1 << 20, .age_max_ms = 20},
                                      .event_bytes_max = 1000,
                                      .breaker_window = 100,
                                      .breaker_percent = 50,
                                      .seed = 1};
    machine = machine_new(&options);
    now_ms = 100000;
    struct action action =
        step((struct input){.kind = INPUT_ASSIGNED, .partitions = numbers, .count = ARRAY_COUNT(numbers)});
    CU_ASSERT_EQUAL(action.kind, ACTION_CLAIM);
    claimed(10);
}

static void end(void)
{
    machine_free(machine);
}

static struct input record(int64_t offset)
{
    return (struct input){
        .kind = INPUT_RECORD,
        .record = {.partition = PARTITION,
                   .offset = offset,
                   .timestamp_ms = 1700000000000,
                   .value = slice_of_text(
                       "{\"client\":\"c\",\"metric\":\"m\",\"amount\":1,\"time\":\"2024-01-01\"}")}};
}

/* Steps over what goes before it, such as an acknowledgement; the world has nothing to tell meanwhile. */
static struct action settle(struct input input)
{
    struct action action = step(input);
    while (action.kind == ACTION_ACK) action = step((struct input){.kind = INPUT_NONE});
    return action;
}

static struct action write_of(int64_t from, int64_t to)
{
    for (int64_t offset = from; offset < to; offset++)
        CU_ASSERT_EQUAL(step(record(offset)).kind, ACTION_POLL);
    struct action action = settle((struct input){.kind = INPUT_IDLE});
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_WRITE);
    return action;
}

static struct input failure(struct fault *fault, bool of_write)
{
    return (struct input){.kind = INPUT_FAILED, .fault = fault, .of_write = of_write};
}

static void test_a_write_moves_from_the_databases_offset_behind_the_last_row(void)
{
    begin();
    struct write write = write_of(10, 13).write;
    CU_ASSERT_EQUAL(write.row_end - write.row_begin, 3);
    CU_ASSERT_EQUAL_FATAL(write.part_count, 1);
    CU_ASSERT_EQUAL(write.parts[0].epoch, EPOCH);
    CU_ASSERT_EQUAL(write.parts[0].expected_offset, 10);
    CU_ASSERT_EQUAL(write.parts[0].next_offset, 13);
    CU_ASSERT_EQUAL(write.parts[0].received, 3);
    end();
}

/* Whatever the last row is: nothing waits for a better one. */
static void test_a_batch_that_ends_with_a_dead_letter_is_written(void)
{
    begin();
    CU_ASSERT_EQUAL(step(record(10)).kind, ACTION_POLL);
    struct input input = record(11);
    input.record.value = slice_of_text("no JSON");
    CU_ASSERT_EQUAL(step(input).kind, ACTION_POLL);
    struct action action = step((struct input){.kind = INPUT_IDLE});
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_WRITE);
    CU_ASSERT_EQUAL(action.write.parts[0].next_offset, 12);
    CU_ASSERT_EQUAL(action.write.parts[0].received, 2);
    CU_ASSERT_EQUAL(action.write.parts[0].dead, 1);
    end();
}

static void test_what_the_database_refuses_is_taken_apart(void)
{
    struct fault fault;
    fault_set(&fault, STATUS_REJECT, "apply", "out of range");
    begin();
    (void)write_of(10, 14);
    struct action action = step(failure(&fault, true));
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_WRITE);
    CU_ASSERT_EQUAL(action.write.row_end, 2);
    CU_ASSERT_EQUAL(action.write.parts[0].next_offset, 12);
    action = settle((struct input){.kind = INPUT_WRITTEN});
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_WRITE);
    CU_ASSERT_EQUAL(action.write.row_begin, 2);
    CU_ASSERT_EQUAL(action.write.parts[0].expected_offset, 12);
    end();
}

/* Then nothing here is the data's fault: no row is buried twice, and nothing is sent again at once. */
static void test_a_refused_dead_letter_waits_for_an_operator(void)
{
    struct fault fault;
    fault_set(&fault, STATUS_REJECT, "apply", "out of range");
    begin();
    (void)write_of(10, 11);
    struct action action = step(failure(&fault, true));
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_WRITE);
    CU_ASSERT_EQUAL(action.write.parts[0].dead, 1);
    action = step(failure(&fault, true));
    CU_ASSERT_EQUAL(action.kind, ACTION_POLL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(action.note);
    CU_ASSERT_STRING_EQUAL(action.note->name, "operator_needed");
    end();
}

static void test_nothing_is_acknowledged_before_it_is_written(void)
{
    begin();
    (void)write_of(10, 12);
    CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_IDLE}).kind, ACTION_POLL);
    struct receipt *receipt = (struct receipt *)(uintptr_t)1; /* the machine only hands it on */
    struct action action = step((struct input){.kind = INPUT_WRITTEN, .receipt = receipt});
    CU_ASSERT_EQUAL(action.kind, ACTION_ACK);
    CU_ASSERT_PTR_EQUAL(action.receipt, receipt);
    CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_NONE}).kind, ACTION_POLL);
    end();
}

/* Whoever has the partition now reads them again. */
static void test_rows_of_a_revoked_partition_are_never_written(void)
{
    begin();
    CU_ASSERT_EQUAL(step(record(10)).kind, ACTION_POLL);
    CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_REVOKED}).kind, ACTION_POLL);
    for (int i = 0; i < 10; i++) {
        now_ms += 1000;
        CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_IDLE}).kind, ACTION_POLL);
    }
    end();
}

/* Assigned anew without a word of revoking: the old claim's rows are gone as well. */
static void test_a_new_assignment_begins_with_nothing(void)
{
    static const int32_t numbers[] = {PARTITION};
    begin();
    CU_ASSERT_EQUAL(step(record(10)).kind, ACTION_POLL);
    struct action action =
        step((struct input){.kind = INPUT_ASSIGNED, .partitions = numbers, .count = ARRAY_COUNT(numbers)});
    CU_ASSERT_EQUAL(action.kind, ACTION_CLAIM);
    claimed(10);
    struct write write = write_of(10, 11).write;
    CU_ASSERT_EQUAL(write.row_end - write.row_begin, 1);
    end();
}

/* Rows that were read under a claim that is lost, in flight or waiting, are read again and not kept. */
static void test_a_fault_drops_what_is_buffered(void)
{
    struct fault fault;
    fault_set(&fault, STATUS_RETRY, "apply", "connection lost");
    begin();
    (void)write_of(10, 12);
    CU_ASSERT_EQUAL(step(record(12)).kind, ACTION_POLL);
    CU_ASSERT_EQUAL(step(failure(&fault, true)).kind, ACTION_POLL);
    now_ms += 1000;
    CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_IDLE}).kind, ACTION_CLAIM);
    claimed(12); /* it had been applied */
    struct write write = write_of(12, 13).write;
    CU_ASSERT_EQUAL(write.row_end - write.row_begin, 1);
    CU_ASSERT_EQUAL(write.parts[0].expected_offset, 12);
    end();
}

/* One that was away: its write must not be mended with the new owner's claim. */
static void test_the_outcome_of_an_orphaned_write_is_no_news(void)
{
    static const int32_t numbers[] = {PARTITION};
    begin();
    (void)write_of(10, 12);
    (void)step((struct input){.kind = INPUT_REVOKED});
    (void)step((struct input){.kind = INPUT_ASSIGNED, .partitions = numbers, .count = ARRAY_COUNT(numbers)});
    struct fault fault;
    fault_set(&fault, STATUS_REJECT, "apply", "out of range");
    CU_ASSERT_EQUAL(step(failure(&fault, true)).kind, ACTION_CLAIM);
    claimed(12);
    CU_ASSERT_EQUAL(machine_counters(machine)->bisected, 0);
    end();
}

static void test_a_quarantined_message_is_not_looked_into(void)
{
    begin();
    struct input input = record(10);
    input.quarantined = true;
    (void)step(input);
    struct action action = settle((struct input){.kind = INPUT_IDLE});
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_WRITE);
    CU_ASSERT_TRUE(action.write.batch->rows[0].dead);
    CU_ASSERT_EQUAL(action.write.batch->rows[0].reason, REJECT_CRASHED_WORKER);
    CU_ASSERT_EQUAL(action.write.parts[0].dead, 1);
    end();
}

/* One partition's halt positions all of them anew, while another one still waits for its last applied
 * message: it has to wait for that message at the new position, too. */
static void test_a_halt_leads_no_other_past_its_tail(void)
{
    static const int32_t numbers[] = {1, 2};
    const struct claim claims[] = {
        {.partition = 1, .epoch = EPOCH, .next_offset = 20, .tail_offset = 19},
        {.partition = 2, .epoch = EPOCH, .next_offset = 10, .tail_offset = 9},
    };
    begin();
    (void)step((struct input){.kind = INPUT_ASSIGNED, .partitions = numbers, .count = ARRAY_COUNT(numbers)});
    struct action action = step((struct input){.kind = INPUT_CLAIMED, .claims = claims, .count = 2});
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_START);
    struct input changed = record(19); /* the claim tells another fingerprint */
    changed.record.partition = 1;
    CU_ASSERT_EQUAL(step(changed).kind, ACTION_HALT);
    now_ms += 10000;
    action = step((struct input){.kind = INPUT_NONE});
    CU_ASSERT_EQUAL_FATAL(action.kind, ACTION_START);
    CU_ASSERT_TRUE(action.whole);
    CU_ASSERT_EQUAL_FATAL(action.count, 1);
    CU_ASSERT_EQUAL(action.positions[0].partition, 2);
    CU_ASSERT_EQUAL(action.positions[0].offset, 9);
    end();
}

static void test_a_statement_that_timed_out_is_tried_with_fewer_rows(void)
{
    struct fault fault;
    fault_set(&fault, STATUS_RETRY, "apply", "statement timeout");
    (void)snprintf(fault.sqlstate, sizeof fault.sqlstate, "57014");
    begin();
    for (int i = 0; i < 5; i++) { /* of 100 rows 3 are left */
        (void)write_of(10, 11);
        (void)step(failure(&fault, true));
        now_ms += 10000;
        CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_IDLE}).kind, ACTION_CLAIM);
        claimed(10);
    }
    CU_ASSERT_EQUAL(step(record(10)).kind, ACTION_POLL);
    CU_ASSERT_EQUAL(step(record(11)).kind, ACTION_POLL);
    CU_ASSERT_EQUAL(step(record(12)).kind, ACTION_WRITE);
    end();
}

/* What is buffered is dropped, nothing is claimed, and a message now and then is asked for: the group waits
 * behind it. */
static void test_quiet_takes_nothing_new(void)
{
    static const int32_t numbers[] = {PARTITION};
    begin();
    (void)write_of(10, 12);
    CU_ASSERT_EQUAL(step(record(12)).kind, ACTION_POLL);
    struct action action = step((struct input){.kind = INPUT_QUIET});
    CU_ASSERT_FALSE(action.resting); /* the write is under way */
    action = step((struct input){.kind = INPUT_WRITTEN});
    CU_ASSERT_TRUE(action.resting);
    CU_ASSERT_EQUAL(step(record(13)).kind, ACTION_POLL);
    action = step((struct input){.kind = INPUT_ASSIGNED, .partitions = numbers, .count = 1});
    CU_ASSERT_EQUAL(action.kind, ACTION_POLL);
    now_ms += 1000;
    action = step((struct input){.kind = INPUT_IDLE});
    CU_ASSERT_TRUE(action.kind == ACTION_POLL && action.read && action.resting);
    CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_RESUMED}).kind, ACTION_CLAIM);
    claimed(12);
    action = write_of(12, 14);
    CU_ASSERT_EQUAL(action.write.parts[0].expected_offset, 12);
    end();
}

static void test_who_is_steered_claims_again(void)
{
    begin();
    CU_ASSERT_EQUAL(step(record(10)).kind, ACTION_POLL);
    CU_ASSERT_EQUAL(step((struct input){.kind = INPUT_STEERED}).kind, ACTION_CLAIM);
    claimed(4);
    struct action action = write_of(4, 6);
    CU_ASSERT_EQUAL(action.write.parts[0].expected_offset, 4);
    CU_ASSERT_EQUAL(action.write.parts[0].received, 2);
    end();
}

static void test_damage_ends_the_worker(void)
{
    struct fault fault;
    fault_set(&fault, STATUS_FATAL, "apply", "damage");
    begin();
    (void)write_of(10, 11);
    struct action action = step(failure(&fault, true));
    CU_ASSERT_EQUAL(action.kind, ACTION_EXIT);
    CU_ASSERT_FALSE(action.drained);
    end();
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("machine", NULL, NULL);
    CU_ADD_TEST(suite, test_a_write_moves_from_the_databases_offset_behind_the_last_row);
    CU_ADD_TEST(suite, test_a_batch_that_ends_with_a_dead_letter_is_written);
    CU_ADD_TEST(suite, test_what_the_database_refuses_is_taken_apart);
    CU_ADD_TEST(suite, test_a_refused_dead_letter_waits_for_an_operator);
    CU_ADD_TEST(suite, test_nothing_is_acknowledged_before_it_is_written);
    CU_ADD_TEST(suite, test_rows_of_a_revoked_partition_are_never_written);
    CU_ADD_TEST(suite, test_a_new_assignment_begins_with_nothing);
    CU_ADD_TEST(suite, test_a_fault_drops_what_is_buffered);
    CU_ADD_TEST(suite, test_the_outcome_of_an_orphaned_write_is_no_news);
    CU_ADD_TEST(suite, test_a_quarantined_message_is_not_looked_into);
    CU_ADD_TEST(suite, test_a_halt_leads_no_other_past_its_tail);
    CU_ADD_TEST(suite, test_a_statement_that_timed_out_is_tried_with_fewer_rows);
    CU_ADD_TEST(suite, test_quiet_takes_nothing_new);
    CU_ADD_TEST(suite, test_who_is_steered_claims_again);
    CU_ADD_TEST(suite, test_damage_ends_the_worker);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
