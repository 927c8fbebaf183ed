/* One question to PostgreSQL: what became of these messages? */
#ifndef WINNOW_OUTCOME_ASK_H
#define WINNOW_OUTCOME_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "console/parcel.h"
#include "database.h"
#include "settings.h"

#define OUTCOME_ITEMS_MAX 2000 /* in one question */

/* Fills in the outcome of those that a worker has passed and sets them `known`; the others stay as they are.
 */
MUST_CHECK bool outcome_ask(struct database *database, const struct settings *settings,
                            struct parcel_item **items, size_t count, struct fault *ret_fault);

#endif
