#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "print_json.h"

/* A comma, unless this is the first behind a bracket, a name or a line. */
static void separate(struct buffer *out)
{
    if (out->size == 0 || strchr("{[:,\n", out->data[out->size - 1]) != NULL) return;
    (void)buffer_add(out, ",", 1);
}

void json_open(struct buffer *out, char bracket)
{
    separate(out);
    (void)buffer_add(out, &bracket, 1);
}

void json_close(struct buffer *out, char bracket)
{
    (void)buffer_add(out, &bracket, 1);
}

void json_name(struct buffer *out, const char *name)
{
    separate(out);
    if (name == NULL) return;
    json_add_string(out, slice_of_text(name));
    (void)buffer_add(out, ":", 1);
}

void json_raw(struct buffer *out, const char *name, const char *text)
{
    json_name(out, name);
    (void)buffer_add(out, text, strlen(text));
}

void json_slice(struct buffer *out, const char *name, struct slice text)
{
    if (text.data == NULL) {
        json_null(out, name);
        return;
    }
    json_name(out, name);
    json_add_string(out, text);
}

void json_text(struct buffer *out, const char *name, const char *text)
{
    json_slice(out, name, text == NULL ? slice_of(NULL, 0) : slice_of_text(text));
}

void json_int(struct buffer *out, const char *name, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    json_raw(out, name, text);
}

void json_bool(struct buffer *out, const char *name, bool value)
{
    json_raw(out, name, value ? "true" : "false");
}

void json_null(struct buffer *out, const char *name)
{
    json_raw(out, name, "null");
}
