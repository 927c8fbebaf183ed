#include "print_json.h"

#include <stdio.h>
#include <string.h>

/* The escape of the character at the start of the text, "" when it needs none. Returns its size. U+2028 and
 * U+2029 need none in JSON, but many a reader takes them for the end of a line. */
static size_t escape(struct slice text, char ret_escape[8])
{
    unsigned char byte = (unsigned char)text.data[0];
    ret_escape[0] = '\0';
    if (byte == '"' || byte == '\\')
        (void)snprintf(ret_escape, 8, "\\%c", byte);
    else if (byte < 0x20)
        (void)snprintf(ret_escape, 8, "\\u%04x", byte);
    else if (text.size >= 3 &&
             (memcmp(text.data, "\xE2\x80\xA8", 3) == 0 || memcmp(text.data, "\xE2\x80\xA9", 3) == 0))
        (void)snprintf(ret_escape, 8, "\\u%04x", 0x2028 + (text.data[2] == '\xA9'));
    return byte == 0xE2 && ret_escape[0] != '\0' ? 3 : 1;
}

void json_add_string(struct buffer *out, struct slice text)
{
    (void)buffer_add(out, "\"", 1);
    size_t begin = 0; /* of what needs no escape */
    for (size_t at = 0; at < text.size;) {
        char escaped[8];
        size_t size = escape(slice_of(text.data + at, text.size - at), escaped);
        if (escaped[0] != '\0') {
            (void)buffer_add(out, text.data + begin, at - begin);
            (void)buffer_add(out, escaped, strlen(escaped));
            begin = at + size;
        }
        at += size;
    }
    (void)buffer_add(out, text.data + begin, text.size - begin);
    (void)buffer_add(out, "\"", 1);
}

void print_json_string(FILE *file, struct slice text)
{
    struct buffer out = {0};
    json_add_string(&out, text);
    (void)fwrite(out.data, 1, out.size, file);
    buffer_done(&out);
}
