/* Runs a pool: starts worker processes, starts dead ones again, passes signals on, and ends when all have
 * ended. It has one thread and touches neither Kafka nor PostgreSQL. What to do is decided in roster.h. */
#ifndef WINNOW_SUPERVISOR_H
#define WINNOW_SUPERVISOR_H

#include <stdint.h>

#include "attr.h"
#include "buffer.h"

struct control;

struct monitor;

struct supervisor_options {
    const char *program;           /* what is executed: "/proc/self/exe" */
    const char *const *options;    /* passed on to every process, ends with NULL */
    char *const *environment;      /* of every process, ends with NULL; NULL: the pool's own */
    unsigned worker_count;         /* 1 .. SLOT_COUNT_MAX */
    int64_t drain_timeout_ms;      /* from TERM until the last process is gone */
    int64_t rejoin_ms;             /* the group's session timeout: see roster.h; 0: none */
    int64_t hold_ms;               /* how long the others wait for the first one's checks: see roster.h */
    int64_t housekeep_interval_ms; /* 0: no housekeeping */
    struct monitor *monitor;       /* served meanwhile; NULL: none. Borrowed */
    const char *topic;             /* for it */
    int64_t stuck_ms;              /* a worker that has not gone on for so long is stuck: see pool_report.h */
    struct control *control;       /* where commands come from; NULL: nowhere */
    const char *needs_restart;     /* settings whose change waits for that, for a person; NULL: none */

    /* Reads the configuration again and changes these options; adds a sentence for a person. False, and
     * nothing changed, when the configuration is wrong. NULL: there is nothing to be read. */
    bool (*reload)(void *context, struct supervisor_options *options, struct buffer *ret_told);
    void *context;
};

/* How much of the pool's drain_timeout_ms a worker may take before it ends by itself. A little later it is
 * killed, and then there still is time to bury it. */
int64_t supervisor_worker_drain_ms(int64_t drain_timeout_ms);

/* Runs `program worker --slot-fd FD --slot INDEX OPTIONS…` worker_count times, and `program housekeep
 * OPTIONS…` at once and then every interval. Every one is in a process group of its own, so that Ctrl-C
 * reaches the pool alone, and gets TERM when the pool dies in whatever way.
 *
 * TERM, INT, QUIT: all are asked to end by TERM; again: they are killed. HUP: the workers are replaced one
 * after the other. TTIN, TTOU: one more, one fewer.
 *
 * Call signals_init(true) before. Returns the exit code of the pool: EXIT_DRAINED; EXIT_TEMPORARY when a
 * worker had to be killed or failed to drain; EXIT_BAD_USAGE, EXIT_BAD_CONFIG or EXIT_BROKEN when a worker
 * ended so. */
MUST_CHECK int supervisor_run(const struct supervisor_options *options);

#endif
