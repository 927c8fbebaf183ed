#include "roster_steps.h"

#include <CUnit/Basic.h>

struct roster roster;
const struct roster_death drained = {.kind = DEATH_DRAINED};

void set_up(unsigned count)
{
    const struct roster_options options = {.count = count, .drain_ms = DRAIN_MS, .seed = 7};
    roster_init(&roster, &options);
}

void check_step(int64_t now_ms, enum roster_action_kind kind, unsigned slot)
{
    const struct roster_action action = roster_step(&roster, now_ms);
    CU_ASSERT_EQUAL(action.kind, kind);
    CU_ASSERT_EQUAL(action.slot, slot);
}

void check_rest(int64_t now_ms, int64_t until_ms)
{
    const struct roster_action action = roster_step(&roster, now_ms);
    CU_ASSERT_EQUAL(action.kind, ROSTER_WAIT);
    CU_ASSERT_EQUAL(action.wait_until_ms, until_ms);
}

void start_all(unsigned count, int64_t now_ms)
{
    for (unsigned slot = 0; slot < count; slot++) {
        check_step(now_ms, ROSTER_START, slot);
        roster_joined(&roster, slot);
    }
    check_rest(now_ms, INT64_MAX);
}
