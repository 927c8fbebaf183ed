#include "base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Up to three bytes become four characters. */
static void add_group(struct buffer *out, const unsigned char *bytes, size_t size)
{
    uint32_t group = (uint32_t)bytes[0] << 16;
    if (size > 1) group |= (uint32_t)bytes[1] << 8;
    if (size > 2) group |= bytes[2];
    char text[4];
    for (size_t i = 0; i < 4; i++) text[i] = i <= size ? digits[(group >> (18 - 6 * i)) & 63] : '=';
    (void)buffer_add(out, text, sizeof text);
}

void base64_add(struct buffer *out, struct slice bytes)
{
    const unsigned char *data = (const unsigned char *)bytes.data;
    for (size_t at = 0; at < bytes.size; at += 3)
        add_group(out, data + at, bytes.size - at < 3 ? bytes.size - at : 3);
}
