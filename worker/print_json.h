/* Strings for the commands' --json output. */
#ifndef WINNOW_PRINT_JSON_H
#define WINNOW_PRINT_JSON_H

#include <stdio.h>

#include "buffer.h"
#include "slice.h"

/* Adds the text as a JSON string, quotes included (RFC 8259, section 7). The text must be UTF-8. U+2028 and
 * U+2029 are escaped as well: many a reader takes them for the end of a line. */
void json_add_string(struct buffer *out, struct slice text);

/* The same to a file. */
void print_json_string(FILE *file, struct slice text);

#endif
