/* Text for people, broken between words to the width of a terminal. */
#ifndef WINNOW_WRAP_H
#define WINNOW_WRAP_H

#include <stddef.h>

#include "buffer.h"

#define WRAP_WIDTH 79 /* columns; the eightieth stays empty, since some terminals break behind it */

/* Adds the text, of which the first line has `column` columns in front of it already. Further lines, also
 * those that \n begins, are indented by `indent`. Ends with a newline. A word that is too long is not broken;
 * each character counts as one column. */
void wrap_text(struct buffer *to, size_t column, size_t indent, const char *text);

/* The same to another width, of which the last column is used too. */
void wrap_text_to(struct buffer *to, size_t width, size_t column, size_t indent, const char *text);

#endif
