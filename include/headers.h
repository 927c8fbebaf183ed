/* The headers of a message as one run of bytes, so that they can travel through batch and table.
 *
 * For each header in order: the name's length as four bytes big-endian, the name, the value's length as
 * four bytes big-endian (0xffffffff for a NULL value), the value. */
#ifndef WINNOW_HEADERS_H
#define WINNOW_HEADERS_H

#include <stdbool.h>

#include "attr.h"
#include "buffer.h"
#include "slice.h"

/* Adds one header; value.data NULL stands for a NULL value. Sizes above INT32_MAX abort. */
void headers_add(struct buffer *buffer, struct slice name, struct slice value);

/* Takes the first header off *rest. False at the end, and also when the bytes are damaged; then *rest
 * still holds what could not be read. The outputs borrow from *rest's bytes. */
MUST_CHECK bool headers_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value);

#endif
