/* A replay and what it does in which order; the world around it is replay_world.h. */
// link: worker/replay.c worker/replay_letter.c worker/replay_settle.c tests/unit/replay_world.c
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "headers.h"
#include "replay.h"
#include "replay_world.h"

static struct replay *replay;
static struct replay_plan plan;
static struct fault fault;

static void begin(int letters)
{
    static char topic[] = "events";
    static char group[] = "winnow";
    static const struct settings settings = {.topic = topic, .group = group, .event_bytes_max = 1 << 20};
    buffer_done(&world.sent_headers);
    memset(&world, 0, sizeof world);
    world.letters = letters;
    world.held = true;
    plan = (struct replay_plan){.selection = "all", .actor = "us", .states = "{open}", .attempts_max = 3};
    CU_ASSERT_TRUE_FATAL(replay_open(&settings, &plan, &replay, &fault));
    CU_ASSERT_STRING_EQUAL(world.journal, "begin at 40;hold 7;");
    world.journal[0] = '\0';
}

static bool step(void)
{
    bool more;
    int64_t pause_ms;
    return replay_step(replay, &more, &pause_ms, &fault);
}

static void end(void)
{
    replay_free(replay);
    buffer_done(&world.sent_headers);
}

static void test_written_down_before_it_is_sent(void)
{
    begin(2);
    CU_ASSERT_TRUE(step());
    CU_ASSERT_STRING_EQUAL(world.journal, "take {10,11} for 7;send 110;send 111;110 is at 40;111 is at 41;");
    CU_ASSERT_EQUAL(replay_tally(replay)->sent, 2);
    end();
}

static void test_what_others_took_is_left_alone(void)
{
    begin(3);
    world.taken_by_others[1] = true;
    CU_ASSERT_TRUE(step());
    CU_ASSERT_STRING_EQUAL(world.journal,
                           "take {10,11,12} for 7;send 110;send 112;110 is at 40;112 is at 41;");
    CU_ASSERT_EQUAL(replay_tally(replay)->busy, 1);
    end();
}

static void test_what_is_in_doubt_is_left_alone(void)
{
    begin(2);
    world.in_doubt[0] = "t";
    CU_ASSERT_TRUE(step());
    CU_ASSERT_STRING_EQUAL(world.journal, "take {11} for 7;send 111;111 is at 40;");
    CU_ASSERT_EQUAL(replay_tally(replay)->busy, 1);
    end();
}

static void test_sent_three_times_is_enough(void)
{
    begin(3);
    world.attempts[0] = "2";
    world.attempts[1] = "3";
    world.attempts[2] = "4";
    CU_ASSERT_TRUE(step());
    CU_ASSERT_STRING_EQUAL(world.journal, "take {10} for 7;send 110;110 is at 40;");
    CU_ASSERT_EQUAL(replay_tally(replay)->guarded, 2);
    end();
}

/* Nobody knows whether it arrived: written down as not sent, it would be sent again. */
static void test_nothing_is_told_of_what_kafka_did_not_answer(void)
{
    begin(3);
    world.fate[0] = FATE_REFUSED;
    world.fate[1] = FATE_IN_DOUBT;
    CU_ASSERT_FALSE(step());
    CU_ASSERT_EQUAL(fault.status, STATUS_RETRY);
    CU_ASSERT_STRING_EQUAL(world.journal, "take {10,11,12} for 7;send 110;send 111;send 112;"
                                          "110 was not sent;112 is at 42;");
    CU_ASSERT_EQUAL(replay_tally(replay)->in_doubt, 1);
    CU_ASSERT_EQUAL(replay_tally(replay)->refused, 1);
    end();
}

static void test_headers_of_an_earlier_replay_stay_behind(void)
{
    struct slice name;
    struct slice value;
    char names[256] = "";
    begin(1);
    world.attempts[0] = "1";
    CU_ASSERT_TRUE(step());
    struct slice rest = slice_of(world.sent_headers.data, world.sent_headers.size);
    while (headers_next(&rest, &name, &value)) {
        const size_t size = strlen(names);
        (void)snprintf(names + size, sizeof names - size, "%.*s=%.*s;", (int)name.size, name.data,
                       (int)value.size, value.data);
    }
    CU_ASSERT_STRING_EQUAL(names, "trace=1;winnow-replay=" TOKEN "/110;winnow-replay-of=events/0/10;"
                                  "winnow-replay-attempt=2;");
    end();
}

/* Without the lock of its run it would be taken for dead, and what it sends for lost. */
static void test_a_new_connection_stands_for_the_run(void)
{
    begin(1);
    world.alive = false;
    CU_ASSERT_TRUE(step());
    CU_ASSERT_EQUAL(strncmp(world.journal, "hold 7;take", 11), 0);
    world.alive = false;
    world.held = false;
    CU_ASSERT_FALSE(step());
    CU_ASSERT_EQUAL(fault.status, STATUS_RETRY);
    end();
}

static void settle(struct replay_settled *ret_settled)
{
    CU_ASSERT_TRUE_FATAL(replay_settle(replay, ret_settled, &fault));
}

static void test_what_a_killed_run_sent_is_found(void)
{
    struct replay_settled settled;
    begin(0);
    world.doubt_age_ms = "1";
    world.doubt_is_sent = true;
    settle(&settled);
    CU_ASSERT_STRING_EQUAL(world.journal, "search 0 from 29;50 is at 32;");
    CU_ASSERT_EQUAL(settled.found, 1);
    CU_ASSERT_EQUAL(settled.too_young, 1);
    end();
}

static void test_several_of_a_killed_run_are_found(void)
{
    struct replay_settled settled;
    begin(0);
    world.doubt_age_ms = "1";
    world.doubt_is_sent = world.both_are_sent = true;
    settle(&settled);
    CU_ASSERT_STRING_EQUAL(world.journal, "search 0 from 29;50 is at 32;51 is at 33;");
    CU_ASSERT_EQUAL(settled.found, 2);
    end();
}

static void test_what_may_still_arrive_is_not_lost(void)
{
    struct replay_settled settled;
    begin(0);
    world.doubt_age_ms = "14999";
    settle(&settled);
    CU_ASSERT_EQUAL(settled.too_young, 2);
    CU_ASSERT_STRING_EQUAL(world.journal, "search 0 from 29;");
    world.doubt_age_ms = "15000";
    settle(&settled);
    CU_ASSERT_EQUAL(settled.lost, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(world.journal, "50 was not sent;51 was not sent;"));
    end();
}

/* It lies behind the place where the run is. */
static void test_what_was_lost_is_sent_in_the_end(void)
{
    struct replay_settled settled;
    begin(2);
    CU_ASSERT_TRUE(step());
    world.doubt_age_ms = "20000";
    settle(&settled);
    world.journal[0] = '\0';
    CU_ASSERT_TRUE(step()); /* nothing more; begins again */
    CU_ASSERT_TRUE(step());
    CU_ASSERT_EQUAL(strncmp(world.journal, "page of {10,11};take {10,11} for 7;send 110;", 44), 0);
    end();
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("replay", NULL, NULL);
    CU_add_test(suite, "written down before it is sent", test_written_down_before_it_is_sent);
    CU_add_test(suite, "what others took is left alone", test_what_others_took_is_left_alone);
    CU_add_test(suite, "what is in doubt is left alone", test_what_is_in_doubt_is_left_alone);
    CU_add_test(suite, "sent three times is enough", test_sent_three_times_is_enough);
    CU_add_test(suite, "nothing is told of what Kafka did not answer",
                test_nothing_is_told_of_what_kafka_did_not_answer);
    CU_add_test(suite, "headers of an earlier replay stay behind",
                test_headers_of_an_earlier_replay_stay_behind);
    CU_add_test(suite, "a new connection stands for the run", test_a_new_connection_stands_for_the_run);
    CU_add_test(suite, "what a killed run sent is found", test_what_a_killed_run_sent_is_found);
    CU_add_test(suite, "several of a killed run are found", test_several_of_a_killed_run_are_found);
    CU_add_test(suite, "what may still arrive is not lost", test_what_may_still_arrive_is_not_lost);
    CU_add_test(suite, "what was lost is sent in the end", test_what_was_lost_is_sent_in_the_end);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
