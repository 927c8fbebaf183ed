/* The only place that knows json-c. It gets nothing but single string tokens whose grammar has been checked,
 * so none of its leniency can be reached; what is left is the unescaping. */
#include "json_string.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>

struct jsonstring {
    struct json_tokener *tokener;
};

struct jsonstring *jsonstring_new(void)
{
    struct jsonstring *jsonstring = malloc(sizeof *jsonstring);
    if (jsonstring == NULL) abort();
    jsonstring->tokener = json_tokener_new();
    if (jsonstring->tokener == NULL) abort();
    return jsonstring;
}

void jsonstring_free(struct jsonstring *jsonstring)
{
    if (jsonstring == NULL) return;
    json_tokener_free(jsonstring->tokener);
    free(jsonstring);
}

void jsonstring_decode(struct jsonstring *jsonstring, struct slice text, struct buffer *buffer)
{
    if (text.size > INT_MAX - 2) abort();
    json_tokener_reset(jsonstring->tokener);
    struct json_object *string =
        json_tokener_parse_ex(jsonstring->tokener, text.data - 1, (int)text.size + 2);
    /* Checked before, so this is memory running out. */
    if (!json_object_is_type(string, json_type_string)) abort();
    (void)buffer_add(buffer, json_object_get_string(string), (size_t)json_object_get_string_len(string));
    (void)json_object_put(string);
}
