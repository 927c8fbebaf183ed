/* The decisions of a pool: which workers should be there, when a dead one is started again, who is asked to
 * leave, when patience ends, and which message killed too many of them. Pure: no processes, no clock; the
 * caller tells what happened and performs what roster_step() says.
 *
 * Owns nothing; a plain structure of some 20 KiB. Times are milliseconds of one clock that only goes forward.
 */
#ifndef WINNOW_ROSTER_H
#define WINNOW_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "backoff.h"

#define ROSTER_MEMBER_COUNT_MAX 256
#define ROSTER_TALLY_COUNT      256 /* messages remembered; the one that killed longest ago makes room */
#define ROSTER_DEATHS_MAX       3   /* by the same message: then it is quarantined (design: point 12) */

#define ROSTER_RESTART_FLOOR_MS   100
#define ROSTER_RESTART_CEILING_MS 5000
#define ROSTER_STEADY_MS          10000 /* a worker that lived so long starts again without extra delay */
#define ROSTER_REFUSED_MS         30000
#define ROSTER_SETTLE_MS          30000 /* in a rolling restart: longest wait for a new worker to join */

enum member_state {
    MEMBER_ABSENT,   /* no worker here, none wanted */
    MEMBER_WAITING,  /* no worker here, one is to be started */
    MEMBER_RUNNING,  /* and it shall stay */
    MEMBER_LEAVING,  /* asked to end, and not to come back */
    MEMBER_RENEWING, /* asked to end, and to be replaced */
    MEMBER_STATE_COUNT
};

struct member {
    enum member_state state;
    bool wanted;           /* should there be a worker? */
    bool renewal_due;      /* of a rolling restart: its turn is still to come */
    bool killed;           /* patience ended, KILL was sent */
    bool ready;            /* it has joined its group */
    int64_t started_ms;    /* of the last start */
    int64_t due_ms;        /* WAITING: of the start; LEAVING, RENEWING: of KILL */
    int64_t settle_end_ms; /* after a renewal: until then the others wait for it to join */
    struct backoff backoff;
};

struct roster_tally {
    int32_t partition;
    int64_t offset;
    unsigned deaths; /* 0: free */
    int64_t last_ms;
};

struct roster_options {
    unsigned count;   /* of workers wanted, 1 .. ROSTER_MEMBER_COUNT_MAX */
    int64_t drain_ms; /* from the request to end until KILL */

    /* The group's session timeout, 0: none. A worker that died without leaving its group is started again
     * only when the group has let go of it: one that joins before makes all others stop and wait for the dead
     * one. */
    int64_t rejoin_ms;

    /* How long the first worker may take to check configuration, topic and schema for all, 0: the others do
     * not wait for it. So a mistake is told once, and not by every worker. */
    int64_t hold_ms;
    uint64_t seed; /* spreads restarts; anything but 0 */
};

struct roster {
    struct roster_options options;
    bool checked;          /* a worker has found nothing wrong with what all share */
    int64_t hold_until_ms; /* 0: nothing was started yet */
    bool stopping;
    bool stop_asked; /* by the operator */
    bool kill_all;
    bool drained;           /* by roster_drain(): no worker is wanted for now */
    unsigned drained_count; /* how many were wanted before */
    bool undrained;         /* while stopping, a worker did not end by itself in time */
    int exit_code;          /* of the worker that stopped the pool; 0 when the operator did */
    struct member members[ROSTER_MEMBER_COUNT_MAX];
    struct roster_tally tallies[ROSTER_TALLY_COUNT];
};

enum roster_action_kind {
    ROSTER_WAIT,      /* nothing to do until wait_until_ms or until something happens */
    ROSTER_START,     /* start a worker in the slot; on failure report a death of kind DEATH_ENDED */
    ROSTER_TERMINATE, /* ask the slot's worker to end */
    ROSTER_KILL,      /* end it */
    ROSTER_FINISH,    /* all workers are gone after a stop: end the pool */
};

struct roster_action {
    enum roster_action_kind kind;
    unsigned slot;
    int64_t wait_until_ms; /* of ROSTER_WAIT; INT64_MAX: no limit */
};

enum death_kind {
    DEATH_DRAINED, /* ended as asked */
    DEATH_ENDED,   /* ended by itself, for a reason that may pass */
    DEATH_REFUSED, /* it found configuration, topic or schema wrong: final while no worker has found them
                      right, else ROSTER_REFUSED_MS later it looks again, and the others go on */
    DEATH_CRASHED, /* by a signal, or by an exit code that winnow does not use */
    DEATH_FINAL,   /* starting it again would not help: the whole pool ends with its exit code */
};

struct roster_death {
    enum death_kind kind;
    int exit_code; /* of DEATH_FINAL and DEATH_REFUSED */
    bool in_hand;  /* partition and offset tell the message that the worker was looking into */
    int32_t partition;
    int64_t offset;
};

/* What follows from a death, for the log and the quarantine. */
struct roster_verdict {
    int64_t lived_ms;
    int64_t restart_in_ms; /* -1: it is not started again */
    unsigned deaths;       /* by the message in hand so far; 0 when it is not under suspicion */
    bool quarantine;       /* it has killed often enough: no worker may look into it again */
    bool stops_pool;       /* this death began the end of the pool */
    bool stops_renewal;    /* what new workers find wrong would end the old ones in vain: they stay */
};

void roster_init(struct roster *roster, const struct roster_options *options);

/* A worker has found nothing wrong: the others need not wait any longer. */
void roster_checked(struct roster *roster);

/* The next thing to do. Counts it as done; call again until it says ROSTER_WAIT or ROSTER_FINISH. */
MUST_CHECK struct roster_action roster_step(struct roster *roster, int64_t now_ms);

/* The slot's worker is gone. The slot must have one. */
struct roster_verdict roster_died(struct roster *roster, unsigned slot, const struct roster_death *told,
                                  int64_t now_ms);

/* The slot's worker has joined its group. */
void roster_joined(struct roster *roster, unsigned slot);

/* The operator's stop: every worker is asked to end. Once more: they are killed. */
void roster_stop(struct roster *roster);

/* One worker more, or one fewer: the one that was started last, as it has the least to lose. False at the
 * limits (1 .. ROSTER_MEMBER_COUNT_MAX), while drained and while stopping. */
MUST_CHECK bool roster_grow(struct roster *roster);
MUST_CHECK bool roster_shrink(struct roster *roster);

/* So many workers, by growing or shrinking. False, and nothing changed, at another count than 1 ..
 * ROSTER_MEMBER_COUNT_MAX, while drained and while stopping. */
MUST_CHECK bool roster_resize(struct roster *roster, unsigned count);

/* Other options from now on. Another count than before resizes the pool, at once or when it is resumed. */
void roster_set_options(struct roster *roster, unsigned count, int64_t drain_ms, int64_t rejoin_ms);

/* Every worker is asked to end, and none is started until roster_resume() wants as many again. False when it
 * is so already, and while stopping. */
MUST_CHECK bool roster_drain(struct roster *roster);
MUST_CHECK bool roster_resume(struct roster *roster);

/* Replace every worker that is there now, one after the other. Nothing while stopping. */
void roster_renew(struct roster *roster);

/* A rolling restart is under way. */
bool roster_is_renewing(const struct roster *roster);

/* How many workers are wanted, and how many of those have joined. */
unsigned roster_wanted_count(const struct roster *roster);
unsigned roster_joined_count(const struct roster *roster);

/* After ROSTER_FINISH: 0 when all drained, -1 when some did not, else the exit code that stopped the pool. */
int roster_result(const struct roster *roster);

#endif
