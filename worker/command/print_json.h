/* Strings for the commands' --json output. */
#ifndef WINNOW_PRINT_JSON_H
#define WINNOW_PRINT_JSON_H

#include <stdio.h>

#include "slice.h"

/* Prints the text as a JSON string, quotes included (RFC 8259, section 7). The text must be UTF-8. */
void print_json_string(FILE *file, struct slice text);

#endif
