/* One question to PostgreSQL: what became of these messages? */
#ifndef WINNOW_OUTCOME_ASK_H
#define WINNOW_OUTCOME_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "buffer.h"
#include "console/parcel.h"
#include "database.h"
#include "settings.h"

#define OUTCOME_ITEMS_MAX 2000 /* in one question */

/* Copies what is asked of the items: they may be gone before there is an answer. */
struct outcome_question {
    struct buffer partitions;
    struct buffer offsets;
    struct buffer hashes;
    struct buffer times;
};
void outcome_question_make(struct outcome_question *question, struct parcel_item *const *items, size_t count);
void outcome_question_done(struct outcome_question *question);

/* Waits for the answer. The caller frees the rows. */
MUST_CHECK bool outcome_question_run(struct database *database, const struct settings *settings,
                                     struct outcome_question *question, struct rows **ret_rows,
                                     struct fault *ret_fault);

/* Fills in the outcome of those that a worker has passed and sets them `known`; the others stay as they are.
 * The items are those of the question; NULL where one is gone. */
void outcome_keep(const struct rows *rows, struct parcel_item *const *items);

/* All of it, for items that stay. */
MUST_CHECK bool outcome_ask(struct database *database, const struct settings *settings,
                            struct parcel_item *const *items, size_t count, struct fault *ret_fault);

#endif
