#include "terminal.h"

#include <stdio.h>
#include <unistd.h>

#include "terminal_size.h"
#include "utf8.h"
#include "wrap.h"

size_t terminal_columns(void)
{
    if (isatty(STDOUT_FILENO) == 0) return 0;
    const size_t columns = terminal_size_of(STDOUT_FILENO).columns;
    return columns > 1 ? columns - 1 : 1;
}

void terminal_print_cut(struct buffer *line)
{
    const size_t columns = terminal_columns();
    (void)buffer_add(line, "", 1);
    const size_t size = columns > 0 ? utf8_fitting(line->data, columns) : line->size - 1;
    if (size + 1 == line->size)
        (void)printf("%s\n", line->data);
    else
        (void)printf("%.*s…\n", (int)utf8_fitting(line->data, columns - 1), line->data);
    buffer_clear(line);
}

void terminal_print_wrapped(const char *text, size_t indent)
{
    struct buffer wrapped = {0};
    const size_t columns = terminal_columns();
    if (columns == 0) {
        (void)printf("%s\n", text);
        return;
    }
    wrap_text_to(&wrapped, columns, 0, indent, text);
    (void)printf("%.*s", (int)wrapped.size, wrapped.data);
    buffer_done(&wrapped);
}
