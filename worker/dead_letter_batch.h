/* Many dead letters at a time, whole: in pages that take bounded memory however many there are, and what is
 * done about all of a page at once. Beside dead_letter_work.h, whose filters and states these are.
 *
 * Functions fill *ret_fault and return false when the database does not do it. Rows are the caller's to free.
 */
#ifndef WINNOW_DEAD_LETTER_BATCH_H
#define WINNOW_DEAD_LETTER_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "dead_letter_work.h"

enum whole_column {
    WHOLE_PARTITION,
    WHOLE_OFFSET,
    WHOLE_FAILED_AT_US,
    WHOLE_STATE,
    WHOLE_ATTEMPTS, /* how often it was sent again, and those that it comes from */
    WHOLE_IN_DOUBT, /* "t": a run took it to send it, and it is not known whether it did */
    WHOLE_KEY,      /* bytea */
    WHOLE_VALUE,    /* bytea */
    WHOLE_HEADERS,  /* bytea, headers.h */
    WHOLE_TIMESTAMP_MS,
    WHOLE_REASON,
    WHOLE_DETAIL,
    WHOLE_SQLSTATE,
    WHOLE_CLIENT,
    WHOLE_FAILED_AT,
    WHOLE_MESSAGE_TIME,
};

#define LETTERS_PAGE_BYTES_MAX INT64_C(2097152) /* of messages, unless the first one alone is longer */

/* The oldest letters behind a place (NULL: from the oldest on), `limit` at most and no more than that many
 * bytes: no row when there are no more. */
MUST_CHECK bool letters_page(struct database *database, const struct letter_scope *scope,
                             const struct letter_filter *filter, const struct letter_place *after,
                             size_t limit, struct rows **ret_rows, struct fault *ret_fault);

/* The place of a letter of a page. */
struct letter_place letters_place(const struct rows *rows, size_t row);

/* How many there are. */
MUST_CHECK bool letters_count(struct database *database, const struct letter_scope *scope,
                              const struct letter_filter *filter, int64_t *ret_count,
                              struct fault *ret_fault);

enum done_column {
    DONE_PARTITION,
    DONE_OFFSET,
    DONE_ACTION_ID,
};

/* Writes down the deed about the letters at these places whose state is among `states` ("{open,retried}"),
 * and which are in nobody's hands: one row for each of which it was written. `replay_id` 0: by no run. */
MUST_CHECK bool letters_do(struct database *database, const struct letter_scope *scope,
                           const struct letter_places *places, const char *states,
                           const struct letter_deed *deed, int64_t replay_id, struct rows **ret_rows,
                           struct fault *ret_fault);

#endif
