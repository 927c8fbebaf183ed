/* The members of a small JSON object in a request's body. */
#ifndef WINNOW_BODY_H
#define WINNOW_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "slice.h"

struct call;

enum body_type { BODY_TEXT, BODY_INTEGER };

struct body_member {
    const char *name;
    enum body_type type;
    bool required;
    bool nullable;
    int64_t min; /* of the number, or of the text's length in characters */
    int64_t max;
    /* filled in: */
    bool given;
    bool is_null;
    int64_t number;
    size_t offset; /* of the decoded text in the buffer, which is NUL-terminated there */
    size_t size;
};

/* Reads the body, which must be one JSON object with these members and no others. False when the call is
 * answered. Decoded texts go to *texts, which the caller frees. */
MUST_CHECK bool body_read(struct call *call, struct body_member *members, size_t count, struct buffer *texts);

/* The text of a member that was given and is not null; else NULL. */
static inline const char *body_text(const struct body_member *member, const struct buffer *texts)
{
    return member->given && !member->is_null ? texts->data + member->offset : NULL;
}

#endif
