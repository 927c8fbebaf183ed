// link: worker/worker.c worker/slot.c worker/watch.c worker/metrics.c worker/shell_quote.c
// link: tests/sim/world.c tests/sim/world_source.c tests/sim/world_sink.c tests/sim/world_shell.c
/* Events that look new to a worker and are stored already. */
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "exit_code.h"
#include "world.h"

/* A new worker has seen nothing: what an earlier one stored looks new to it, and is a duplicate all the same.
 */
static void sends_again_what_collides(void)
{
    world_begin(100);
    world_produce(0, 7);
    world_produce(0, 7);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_EQUAL(world_collisions(), 0);
    world_trace_clear();
    world_produce(0, 7);
    world_produce(0, 8);
    CU_ASSERT_EQUAL(world_run(60000), EXIT_DRAINED);
    CU_ASSERT_STRING_EQUAL(world_trace(), "assigned\n"
                                          "claim 0@2e2 1@0e2 2@0e2\n"
                                          "start whole 0@1 1@0 2@0\n"
                                          "write 2 rows: 0@2..4e2 -> failed 23505\n"
                                          "write 2 rows: 0@2..4e2 -> written \n"
                                          "ack 0@4\n"
                                          "exit 0\n");
    CU_ASSERT_EQUAL(world_stored(), 2);
    CU_ASSERT_EQUAL(world_duplicate(), 2);
    CU_ASSERT_EQUAL(world_dead(), 0);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

/* Many in each batch, from the first message to the last: all are duplicates, and few writes collide. */
static void gets_careful(void)
{
    const int events = 2000;
    world_begin(100);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < events; i++) world_produce(i % 3, 1 + i);
        CU_ASSERT_EQUAL(world_run(600000), EXIT_DRAINED);
    }
    CU_ASSERT_EQUAL(world_stored(), events);
    CU_ASSERT_EQUAL(world_duplicate(), events);
    CU_ASSERT_EQUAL(world_dead(), 0);
    CU_ASSERT_TRUE(world_collisions() >= 1 && world_collisions() <= 10);
    CU_ASSERT_TRUE(world_is_exact());
    world_end();
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return 70;
    CU_pSuite suite = CU_add_suite("collision", NULL, NULL);
    CU_ADD_TEST(suite, sends_again_what_collides);
    CU_ADD_TEST(suite, gets_careful);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
