/* Runs of a replay, as the database knows them: begun, alive, and what became of what each has sent.
 *
 * Functions fill *ret_fault and return false when the database does not do it. Rows are the caller's to free.
 */
#ifndef WINNOW_DEAD_LETTER_RUN_H
#define WINNOW_DEAD_LETTER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "dead_letter_work.h"

#define RUN_TOKEN_SIZE 37 /* of a UUID as text, with the terminating NUL */

struct letter_run {
    int64_t replay_id;
    char token[RUN_TOKEN_SIZE];
};

/* Writes down a run. `ends`: where each of the topic's partitions ends now. */
MUST_CHECK bool letter_run_begin(struct database *database, const struct letter_scope *scope,
                                 const char *actor, const char *selection, const int64_t *ends, size_t count,
                                 struct letter_run *ret_run, struct fault *ret_fault);

/* Lets this session stand for the run, so that others see it alive: also on a connection that replaces a lost
 * one. *ret_held false: some other session does so. */
MUST_CHECK bool letter_run_hold(struct database *database, int64_t replay_id, bool *ret_held,
                                struct fault *ret_fault);

enum doubt_column {
    DOUBT_ACTION_ID,
    DOUBT_TOKEN,
    DOUBT_PARTITION, /* of the letter, to which it was sent, if at all */
    DOUBT_OFFSET,
    DOUBT_FROM,   /* where to begin to look for it */
    DOUBT_AGE_MS, /* since it was taken to be sent */
};

/* Letters of the filter (its places, reason, client, partition and times) that a run took, of which it is not
 * known whether they were sent, and whose run does not live any more. By partition. */
MUST_CHECK bool letters_in_doubt(struct database *database, const struct letter_scope *scope,
                                 const struct letter_filter *filter, struct rows **ret_rows,
                                 struct fault *ret_fault);

/* How many of a run's messages no worker has come to yet. */
MUST_CHECK bool letter_run_waiting(struct database *database, int64_t replay_id, int64_t *ret_count,
                                   struct fault *ret_fault);

/* What became of what a run has sent; `refused` and `in_doubt` were not, or perhaps not. */
struct letter_outcomes {
    int64_t stored;
    int64_t duplicate;
    int64_t failed;
    int64_t waiting;
    int64_t unknown; /* processed, and no event is stored */
    int64_t refused;
    int64_t in_doubt;
};

MUST_CHECK bool letter_run_outcomes(struct database *database, int64_t replay_id,
                                    struct letter_outcomes *ret_outcomes, struct fault *ret_fault);

#endif
