#include "wrap.h"

#include <stdbool.h>
#include <string.h>

#include "utf8.h"

static size_t columns_of(const char *text, size_t size)
{
    size_t columns = 0;
    for (size_t i = 0; i < size; i++) columns += utf8_is_tail((unsigned char)text[i]) ? 0 : 1;
    return columns;
}

static void begin_line(struct buffer *to, size_t indent)
{
    (void)buffer_add(to, "\n", 1);
    for (size_t i = 0; i < indent; i++) (void)buffer_add(to, " ", 1);
}

void wrap_text_to(struct buffer *to, size_t width, size_t column, size_t indent, const char *text)
{
    bool first = true; /* word of its line */
    while (*text != '\0') {
        size_t size = strcspn(text, " \n");
        size_t columns = columns_of(text, size);
        if (!first && column + 1 + columns > width) {
            begin_line(to, indent);
            column = indent;
            first = true;
        }
        if (!first) (void)buffer_add(to, " ", 1);
        (void)buffer_add(to, text, size);
        column += columns + (first ? 0 : 1);
        first = false;
        text += size;
        if (*text == '\n') {
            begin_line(to, indent);
            column = indent;
            first = true;
        }
        if (*text != '\0') text++;
    }
    (void)buffer_add(to, "\n", 1);
}

void wrap_text(struct buffer *to, size_t column, size_t indent, const char *text)
{
    wrap_text_to(to, WRAP_WIDTH, column, indent, text);
}
