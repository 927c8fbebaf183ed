/* Members of JSON (json.h) and fields of CSV from rows of PostgreSQL, which come as text. NULL becomes null
 * in JSON and nothing in CSV. */
#ifndef WINNOW_ROWS_JSON_H
#define WINNOW_ROWS_JSON_H

#include <stddef.h>

#include "buffer.h"
#include "database.h"

#define ROWS_TIME_SIZE 40 /* bytes, with the terminating NUL */

/* Where a value stands. */
struct cell {
    const struct rows *rows;
    size_t row;
    unsigned column;
};

void json_cell_text(struct buffer *out, const char *name, struct cell cell);
void json_cell_raw(struct buffer *out, const char *name, struct cell cell); /* a number, or JSON */
void json_cell_bool(struct buffer *out, const char *name, struct cell cell);
void json_cell_time(struct buffer *out, const char *name, struct cell cell); /* timestamptz as RFC 3339 */

/* {"topic":…,"partition":…,"offset":…} from three columns that begin here; null when the first one is. */
void json_cell_origin(struct buffer *out, const char *name, struct cell cell);

/* "2024-01-15 10:00:00.5+00" (DateStyle ISO, time zone UTC) as "2024-01-15T10:00:00.5Z"; "" stays "". */
void rows_time_text(const char *text, char ret_text[ROWS_TIME_SIZE]);

/* RFC 4180: quoted when need be. */
void csv_add_text(struct buffer *out, const char *text);

#endif
