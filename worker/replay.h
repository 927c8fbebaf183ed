/* Dead letters on their way back to the topic. Each is written down as taken before it is sent, and where it
 * went when Kafka has it. It goes to the partition that it came from, with its key, value, headers and
 * timestamp, and three headers more:
 *
 *     winnow-replay          token of the run / number of the action
 *     winnow-replay-of       topic/partition/offset of the dead letter
 *     winnow-replay-attempt  how often it has been sent now
 *
 * By the first, a later run finds in the topic what one that was killed sent and did not write down. So each
 * is sent once, unless Kafka got it long after the sender had given up; the event is stored once in any case.
 *
 * Runs may work beside each other: what one has taken the others leave alone. Faults as in database.h and
 * producer.h. For one thread. */
#ifndef WINNOW_REPLAY_H
#define WINNOW_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "dead_letter_run.h"
#include "dead_letter_work.h"
#include "reject.h"
#include "settings.h"
#include "slice.h"
#include "status.h"

#define REPLAY_ATTEMPTS_MAX_DEFAULT 3

/* What is to be sent. Borrowed. */
struct replay_plan {
    struct letter_filter filter;
    const char *selection; /* the same in words */
    const char *actor;
    const char *note;          /* NULL: none */
    int64_t attempts_max;      /* those that were sent so often are left out */
    int64_t count_max;         /* 0: all */
    int64_t per_second;        /* 0: as fast as it goes */
    bool even_rejected;        /* also what today's rules refuse */
    const char *states;        /* "{open}", or "{open,retried}" */
    const struct slice *value; /* in the place of each value; NULL: as it is */
};

/* What became of the letters that were looked at: adds up to `looked`, but for `retimed`. */
struct replay_tally {
    int64_t looked;
    int64_t sent;
    int64_t refused;  /* by Kafka; they are as they were before */
    int64_t in_doubt; /* Kafka did not answer; the next run finds out */
    int64_t guarded;  /* left out: sent often enough */
    int64_t rejected; /* left out: today's rules refuse them again */
    int64_t retimed;  /* of those sent: another timestamp than before, by the topic or as there was none */
    int64_t busy;     /* left out: in the hands of another run, or somebody did something about them */
};

/* What became of those that earlier runs had left in doubt. */
struct replay_settled {
    int64_t found;     /* they were in the topic */
    int64_t lost;      /* they never came there: they are as they were before */
    int64_t too_young; /* not found, but may still arrive: ask again later */
};

struct replay;

/* Connects to the database and to Kafka, and looks for the topic. STATUS_RETRY when one of them does not
 * answer. The settings and the plan are borrowed. */
MUST_CHECK bool replay_open(const struct settings *settings, const struct replay_plan *plan,
                            struct replay **ret_replay, struct fault *ret_fault);

/* Finds out about what earlier runs left in doubt of these letters. What was not sent is sent by the steps
 * that follow, or has to be asked about again. */
MUST_CHECK bool replay_settle(struct replay *replay, struct replay_settled *ret_settled,
                              struct fault *ret_fault);

/* Takes and sends the next letters, waits for Kafka, writes down. *ret_more false: there are no more.
 * *ret_pause_ms: how long to wait before the next step, by the rate that was asked for. */
MUST_CHECK bool replay_step(struct replay *replay, bool *ret_more, int64_t *ret_pause_ms,
                            struct fault *ret_fault);

const struct replay_tally *replay_tally(const struct replay *replay);

/* Why the first one was refused, by Kafka or by today's rules; "" while none was. */
const char *replay_first_refusal(const struct replay *replay);

/* How many of those sent no worker has come to yet; and what became of them. */
MUST_CHECK bool replay_waiting(struct replay *replay, int64_t *ret_count, struct fault *ret_fault);
MUST_CHECK bool replay_outcomes(struct replay *replay, struct letter_outcomes *ret_outcomes,
                                struct fault *ret_fault);

void replay_free(struct replay *replay); /* takes NULL */

#endif
