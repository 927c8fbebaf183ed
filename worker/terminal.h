/* How wide the terminal is that someone reads on. */
#ifndef WINNOW_TERMINAL_H
#define WINNOW_TERMINAL_H

#include <stddef.h>

#include "buffer.h"

/* The columns for text on standard output: the last stays empty, since some terminals break behind it. 0: it
 * is no terminal, and lines may be as long as they are. */
size_t terminal_columns(void);

/* Prints the text as one line on standard output, cut with "…" to the terminal's width. Empties the buffer.
 */
void terminal_print_cut(struct buffer *line);

/* Prints the text on standard output, on a terminal broken between words; further lines are indented. */
void terminal_print_wrapped(const char *text, size_t indent);

#endif
