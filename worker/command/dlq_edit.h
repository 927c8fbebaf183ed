/* A value in the hands of a person: in their editor, or out of a file. */
#ifndef WINNOW_DLQ_EDIT_H
#define WINNOW_DLQ_EDIT_H

#include <stdbool.h>

#include "attr.h"
#include "buffer.h"
#include "slice.h"

/* Opens the value in $VISUAL, $EDITOR or vi and reads what it is then. A line break that the editor added at
 * the end is taken off. False after one line on standard error, with the exit code. */
MUST_CHECK bool edit_value(const char *command, struct slice value, struct buffer *ret_value,
                           int *ret_exit_code);

/* Reads a file, or standard input for "-"; the line break at its end is taken off too. */
MUST_CHECK bool read_value(const char *command, const char *path, struct buffer *ret_value,
                           int *ret_exit_code);

#endif
