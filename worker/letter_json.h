/* Dead letters as JSON: what the HTTP API answers and `winnow dlq … --json` prints. Each function adds
 * members to an object that is open, or an object where it says so. */
#ifndef WINNOW_LETTER_JSON_H
#define WINNOW_LETTER_JSON_H

#include <stddef.h>

#include "buffer.h"
#include "database.h"

/* Of a row that begins with the columns of lists (enum letter_column). */
void letter_json_summary(struct buffer *out, const struct rows *rows, size_t row);

/* Of the row of letter_read(): everything, and its history. */
void letter_json_whole(struct buffer *out, struct rows *rows, const struct rows *history);

/* An object of its own for what was done (enum letter_action_column). */
void letter_json_action(struct buffer *out, const char *name, const struct rows *rows, size_t row);

#endif
