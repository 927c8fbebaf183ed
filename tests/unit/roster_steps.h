/* The words in which traces of a roster are written. */
#ifndef WINNOW_TESTS_ROSTER_STEPS_H
#define WINNOW_TESTS_ROSTER_STEPS_H

#include <stdint.h>

#include "roster.h"

#define DRAIN_MS 11000

extern struct roster roster;
extern const struct roster_death drained;

void set_up(unsigned count);
void check_step(int64_t now_ms, enum roster_action_kind kind, unsigned slot);

/* Nothing to do now; time alone changes that at `until_ms`. */
void check_rest(int64_t now_ms, int64_t until_ms);

/* Each is started and joins. */
void start_all(unsigned count, int64_t now_ms);

#endif
