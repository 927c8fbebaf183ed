/* JSON as it is written: members one after the other, commas put where they belong.
 *
 *     json_open(&out, '{'); json_text(&out, "name", "value"); json_int(&out, "count", 3); json_close(&out,
 * '}');
 *
 * Texts must be UTF-8. A name that is NULL stands for an element of an array, or the whole document. */
#ifndef WINNOW_JSON_H
#define WINNOW_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "slice.h"

void json_open(struct buffer *out, char bracket);  /* '{' or '[' */
void json_close(struct buffer *out, char bracket); /* '}' or ']' */
/* "name": and nothing else; what is added next is its value. */
void json_name(struct buffer *out, const char *name);
void json_text(struct buffer *out, const char *name, const char *text);   /* NULL: null */
void json_slice(struct buffer *out, const char *name, struct slice text); /* data NULL: null */
void json_int(struct buffer *out, const char *name, int64_t value);
void json_bool(struct buffer *out, const char *name, bool value);
void json_null(struct buffer *out, const char *name);
void json_raw(struct buffer *out, const char *name, const char *text); /* JSON already */

#endif
