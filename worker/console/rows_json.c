#include "console/rows_json.h"

#include <stdio.h>
#include <string.h>

#include "json.h"

/* NULL for NULL. */
static const char *text_of(struct cell cell)
{
    if (rows_is_null(cell.rows, cell.row, cell.column)) return NULL;
    return rows_text(cell.rows, cell.row, cell.column);
}

void json_cell_text(struct buffer *out, const char *name, struct cell cell)
{
    json_text(out, name, text_of(cell));
}

void json_cell_raw(struct buffer *out, const char *name, struct cell cell)
{
    const char *text = text_of(cell);
    json_raw(out, name, text != NULL ? text : "null");
}

void json_cell_bool(struct buffer *out, const char *name, struct cell cell)
{
    const char *text = text_of(cell);
    if (text == NULL)
        json_null(out, name);
    else
        json_bool(out, name, text[0] == 't');
}

void json_cell_time(struct buffer *out, const char *name, struct cell cell)
{
    char time[ROWS_TIME_SIZE];
    const char *text = text_of(cell);
    if (text != NULL) rows_time_text(text, time);
    json_text(out, name, text != NULL ? time : NULL);
}

void json_cell_origin(struct buffer *out, const char *name, struct cell cell)
{
    if (text_of(cell) == NULL) {
        json_null(out, name);
        return;
    }
    json_name(out, name);
    json_open(out, '{');
    json_cell_text(out, "topic", cell);
    cell.column++;
    json_cell_raw(out, "partition", cell);
    cell.column++;
    json_cell_raw(out, "offset", cell);
    json_close(out, '}');
}

void rows_time_text(const char *text, char ret_text[ROWS_TIME_SIZE])
{
    static const char zone[] = "+00";
    size_t size = strlen(text);
    size_t zone_size = sizeof zone - 1;
    bool utc = size > zone_size && strcmp(text + size - zone_size, zone) == 0;
    (void)snprintf(ret_text, ROWS_TIME_SIZE, "%.*s%s", (int)(utc ? size - zone_size : size), text,
                   utc ? "Z" : "");
    char *space = strchr(ret_text, ' ');
    if (space != NULL) *space = 'T';
}

void csv_add_text(struct buffer *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        buffer_add_text(out, text);
        return;
    }
    buffer_add_text(out, "\"");
    for (const char *quote; (quote = strchr(text, '"')) != NULL; text = quote + 1) {
        (void)buffer_add(out, text, (size_t)(quote - text) + 1);
        buffer_add_text(out, "\"");
    }
    buffer_add_text(out, text);
    buffer_add_text(out, "\"");
}
