/* What a worker tells of itself in its slot (metrics.h), between batches: counters of the machine, which
 * partitions it holds, how far their logs go. Looks once a second while anything happens, and once more when
 * it is over. */
#ifndef WINNOW_WATCH_H
#define WINNOW_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"
#include "metrics.h"
#include "source.h"

struct watch {
    struct metrics *metrics; /* borrowed */
    struct source *source;   /* likewise */
    const struct machine *machine;
    struct machine_counters told; /* what the slot has of them */
    int64_t looked_ms;            /* 0: never */
    bool due;                     /* something has happened since */
};

/* After each step but those that took a record. */
void watch_step(struct watch *watch, const struct input *input, int64_t now_ms);

/* How long a wait may last: up to timeout_ms, and less when a look is due before. */
int64_t watch_limit(const struct watch *watch, int64_t timeout_ms, int64_t now_ms);

#endif
