#include "backoff.h"

#include <assert.h>

/* xorshift64* (Vigna 2016): enough to spread retries of several workers. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

void backoff_init(struct backoff *backoff, int64_t floor_ms, int64_t ceiling_ms, uint64_t seed)
{
    assert(floor_ms > 0 && ceiling_ms >= floor_ms);
    *backoff = (struct backoff){
        .floor_ms = floor_ms,
        .ceiling_ms = ceiling_ms,
        .seed = seed == 0 ? 1 : seed,
    };
}

int64_t backoff_next_ms(struct backoff *backoff)
{
    int64_t limit = backoff->floor_ms;
    for (uint32_t i = 0; i < backoff->attempts && limit < backoff->ceiling_ms; i++) limit *= 2;
    if (limit > backoff->ceiling_ms) limit = backoff->ceiling_ms;
    backoff->attempts++;
    int64_t half = limit / 2;
    return half + (int64_t)(next_random(&backoff->seed) % (uint64_t)(limit - half + 1));
}

void backoff_reset(struct backoff *backoff)
{
    backoff->attempts = 0;
}
