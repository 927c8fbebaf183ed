/* What the supervisor knows of its pool, for those who ask over HTTP. */
#ifndef WINNOW_POOL_STATE_H
#define WINNOW_POOL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

#define POOL_DEATH_KINDS 5 /* enum death_kind (roster.h) */

struct pool_state {
    const struct slot_page *page;
    const char *topic;
    int64_t started_ms; /* of the wall clock */
    unsigned wanted;    /* workers */
    unsigned running;
    unsigned joined;
    bool stopping;
    bool quiet;         /* by an operator: workers take nothing new */
    int last_exit_code; /* of the worker that ended last by itself and not as it was asked to; -1: none */
    uint64_t restarts;  /* of workers that ended unasked */
    uint64_t deaths[POOL_DEATH_KINDS];
};

#endif
