/* What runs that ended in the middle left in doubt: whether it is in the topic. Private to replay.c. */
#ifndef WINNOW_REPLAY_SETTLE_H
#define WINNOW_REPLAY_SETTLE_H

#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "database.h"
#include "dead_letter_work.h"
#include "normalize.h"
#include "replay.h"
#include "settings.h"

/* Places as they stand in a filter (letter_places), while they are put together: "{0,3" and "{17,1042". */
struct place_list {
    struct buffer partitions;
    struct buffer offsets;
};

void place_list_add(struct place_list *list, int64_t partition, int64_t offset);
/* Ends the arrays; the list must hold something. */
struct letter_places place_list_end(struct place_list *list);
void place_list_done(struct place_list *list);

/* Looks for each letter of the filter that is in doubt, behind where its run began, and writes down where it
 * is, or that it was not sent: those are added to
 * `lost`. `partition_count`: of the topic. */
MUST_CHECK bool replay_settle_doubts(struct database *database, const struct settings *settings,
                                     const struct letter_scope *scope, const struct letter_filter *filter,
                                     int32_t partition_count, struct normalizer *normalizer,
                                     struct replay_settled *ret_settled, struct place_list *lost,
                                     struct fault *ret_fault);

#endif
