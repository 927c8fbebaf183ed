/* Waiting times between attempts: doubling from a floor to a ceiling, with jitter. Pure: the randomness is
 * a seed, time is the caller's. */
#ifndef WINNOW_BACKOFF_H
#define WINNOW_BACKOFF_H

#include <stdint.h>

/* Between attempts at a server. The ceiling is low, so that one that is back is in use again within two
 * seconds, however long it was away. */
#define BACKOFF_SERVER_FLOOR_MS   50
#define BACKOFF_SERVER_CEILING_MS 1000

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
