/* Base64 (RFC 4648, section 4). */
#ifndef WINNOW_BASE64_H
#define WINNOW_BASE64_H

#include "buffer.h"
#include "slice.h"

/* Adds the text, padded, in one line. */
void base64_add(struct buffer *out, struct slice bytes);

#endif
