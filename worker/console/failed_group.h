/* What a request to do something about a group of dead letters says in its body. */
#ifndef WINNOW_FAILED_GROUP_H
#define WINNOW_FAILED_GROUP_H

#include "attr.h"
#include "buffer.h"
#include "console/body.h"
#include "dead_letter_work.h"

#define FAILED_NOTE_LENGTH_MAX 500 /* characters */

struct failed_group {
    struct letter_filter filter;
    struct letter_deed deed;
    int64_t limit;
    struct letter_range range; /* of an undo */
};

/* Reads what the body says for the action "retry", "discard" or "undo", and has `act` do it, unless the call
 * is answered then. The group is borrowed. */
void failed_group_do(struct call *call, const char *action,
                     void (*act)(struct call *call, const struct failed_group *group));

/* How many of the group are open; false when the call is answered. */
MUST_CHECK bool failed_group_count(struct call *call, const struct failed_group *group, int64_t *ret_count);

/* The text of a note; NULL when there is none. */
const char *failed_note(const struct body_member *member, const struct buffer *texts);

#endif
