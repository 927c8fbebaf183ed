/* Waiting times between attempts: doubling from a floor to a ceiling, with jitter. Pure: the randomness is
 * a seed, time is the caller's. */
#ifndef WINNOW_BACKOFF_H
#define WINNOW_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t floor_ms;
    int64_t ceiling_ms;
    uint32_t attempts; /* since the last reset */
    uint64_t seed;     /* state of the generator; anything but 0 */
};

void backoff_init(struct backoff *backoff, int64_t floor_ms, int64_t ceiling_ms, uint64_t seed);

/* The time to wait before the next attempt: between half and all of min(ceiling, floor * 2^attempts). */
int64_t backoff_next_ms(struct backoff *backoff);

/* After a success. */
void backoff_reset(struct backoff *backoff);

#endif
