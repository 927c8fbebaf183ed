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

/* For the action "retry", "discard" or "undo". False when the call is answered. The group borrows from the
 * texts, which the caller frees. */
MUST_CHECK bool failed_group_read(struct call *call, const char *action, struct buffer *texts,
                                  struct failed_group *ret_group);

/* The text of a note; NULL when there is none. */
const char *failed_note(const struct body_member *member, const struct buffer *texts);

#endif
