/* The only place that knows json-c. It gets nothing but single string tokens whose grammar has been checked,
 * so none of its leniency can be reached; what is left is the unescaping. */
#include "json_string.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"

struct jsonstring {
    struct json_tokener *tokener;
    struct buffer unpaired;
};

struct jsonstring *jsonstring_new(void)
{
    struct jsonstring *jsonstring = calloc(1, sizeof *jsonstring);
    if (jsonstring == NULL) abort();
    jsonstring->tokener = json_tokener_new();
    if (jsonstring->tokener == NULL) abort();
    return jsonstring;
}

void jsonstring_free(struct jsonstring *jsonstring)
{
    if (jsonstring == NULL) return;
    json_tokener_free(jsonstring->tokener);
    buffer_done(&jsonstring->unpaired);
    free(jsonstring);
}

/* The character that two code units stand for; 0 when they are no pair. */
static uint32_t join_surrogates(int high, int low)
{
    if (high < 0xD800 || high > 0xDBFF || low < 0xDC00 || low > 0xDFFF) return 0;
    return 0x10000 + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
}

static void add_character(struct buffer *buffer, uint32_t character)
{
    const unsigned char bytes[] = {
        (unsigned char)(0xF0 | character >> 18), (unsigned char)(0x80 | (character >> 12 & 0x3F)),
        (unsigned char)(0x80 | (character >> 6 & 0x3F)), (unsigned char)(0x80 | (character & 0x3F))};
    (void)buffer_add(buffer, bytes, sizeof bytes);
}

/* The token with each pair of surrogate escapes as the character itself. json-c 0.16 takes what such a pair
 * stands for to be a surrogate again when its last 16 bits look like one, as those of U+1DE00 do, and makes
 * U+FFFD of it: two names would become one. */
static struct slice join_pairs(struct buffer *unpaired, struct slice token)
{
    const char *const end = token.data + token.size;
    unpaired->size = 0;
    for (const char *at = token.data; at < end;) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        if (escape == NULL) escape = end;
        (void)buffer_add(unpaired, at, (size_t)(escape - at));
        at = escape;
        if (at == end) break;
        const int high = jsontext_code_unit(at, end);
        const uint32_t character = high < 0 ? 0 : join_surrogates(high, jsontext_code_unit(at + 6, end));
        if (character == 0)
            (void)buffer_add(unpaired, at, 2);
        else
            add_character(unpaired, character);
        at += character == 0 ? 2 : 12;
    }
    return slice_of(unpaired->data, unpaired->size);
}

void jsonstring_decode(struct jsonstring *jsonstring, struct slice text, struct buffer *buffer)
{
    if (text.size > INT_MAX - 2) abort();
    json_tokener_reset(jsonstring->tokener);
    const struct slice token = join_pairs(&jsonstring->unpaired, slice_of(text.data - 1, text.size + 2));
    struct json_object *string = json_tokener_parse_ex(jsonstring->tokener, token.data, (int)token.size);
    /* Checked before, so this is memory running out. */
    if (!json_object_is_type(string, json_type_string)) abort();
    (void)buffer_add(buffer, json_object_get_string(string), (size_t)json_object_get_string_len(string));
    (void)json_object_put(string);
}
