#include "headers.h"

#include <stdint.h>
#include <stdlib.h>

#define SIZE_OF_NULL UINT32_C(0xffffffff)

static void add_text(struct buffer *buffer, struct slice text)
{
    if (text.size > INT32_MAX) abort();
    buffer_add_u32(buffer, (uint32_t)text.size);
    (void)buffer_add(buffer, text.data, text.size);
}

void headers_add(struct buffer *buffer, struct slice name, struct slice value)
{
    add_text(buffer, name);
    if (value.data == NULL)
        buffer_add_u32(buffer, SIZE_OF_NULL);
    else
        add_text(buffer, value);
}

/* Takes a length and as many bytes off *rest; NULL only where that is allowed. */
static bool take_text(struct slice *rest, bool may_be_null, struct slice *ret_text)
{
    if (rest->size < 4) return false;
    const unsigned char *s = (const unsigned char *)rest->data;
    uint32_t size = (uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 | (uint32_t)s[2] << 8 | s[3];
    struct slice after = slice_of(rest->data + 4, rest->size - 4);
    bool null = size == SIZE_OF_NULL;
    if (null ? !may_be_null : size > INT32_MAX || size > after.size) return false;
    *ret_text = null ? slice_of(NULL, 0) : slice_of(after.data, size);
    *rest = slice_of(after.data + ret_text->size, after.size - ret_text->size);
    return true;
}

bool headers_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
    struct slice after = *rest;
    struct slice name;
    struct slice value;
    if (!take_text(&after, false, &name) || !take_text(&after, true, &value)) return false;
    *rest = after;
    *ret_name = name;
    *ret_value = value;
    return true;
}
