/* What the files of the supervisor share: supervisor.c, which runs the pool, and supervisor_control.c, which
 * steers it, and supervisor_monitor.c, which shows it. Private to them. */
#ifndef WINNOW_SUPERVISOR_STATE_H
#define WINNOW_SUPERVISOR_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "buffer.h"
#include "control.h"
#include "pool_report.h"
#include "pool_state.h"
#include "roster.h"
#include "slot.h"
#include "supervisor.h"

struct supervisor {
    struct supervisor_options options;
    struct slot_page *page;
    int page_fd;
    struct roster roster;
    struct pool_report report;
    pid_t pids[SLOT_COUNT_MAX]; /* 0: no process */
    pid_t housekeeper;          /* likewise */
    int64_t housekeep_due_ms;
    int64_t begun_ms;
    unsigned restarts;        /* of workers that ended unasked */
    unsigned announced_count; /* of workers, when "all joined" was logged last */
    bool quiet;
    struct pool_state state; /* for the monitor */
};

/* One to end by itself in, one to be killed and buried in. */
int64_t supervisor_reserve_ms(int64_t drain_timeout_ms);

/* All workers are asked to drain, or, once more, killed. `why` is for the log. */
void supervisor_stop(struct supervisor *supervisor, const char *why);

/* Tells the service manager what has changed. */
void supervisor_report(struct supervisor *supervisor);

/* HUP: the configuration is read again, and the workers are replaced one after the other. False when it is
 * wrong. Adds what came of it for a person. The service manager knows of it before whoever asked does: it
 * waits for the end of a reload that had begun when the command for it ended. */
bool supervisor_reload(struct supervisor *supervisor, struct buffer *ret_told);

/* A control_answer; the context is the supervisor. */
void supervisor_answer(void *context, const struct control_request *request, struct buffer *ret_answer);

/* The monitor (supervisor_monitor.c): what it shows begins, hears of a death, is shown to those who ask. */
void supervisor_monitor_init(struct supervisor *supervisor);
void supervisor_monitor_death(struct supervisor *supervisor, const struct roster_death *death);
void supervisor_monitor_serve(struct supervisor *supervisor);

/* Adds its descriptor to those that are waited on, and returns until when to wait at the latest. */
struct pollfd;
int64_t supervisor_monitor_wait(const struct supervisor *supervisor, int64_t until_ms,
                                struct pollfd *descriptors, unsigned *count);

#endif
