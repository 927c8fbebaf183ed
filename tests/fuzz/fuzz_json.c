/* Any bytes as a JSON text. The scanner takes exactly what a second strict reader takes, and finds it as
 * deep; what it takes, json-c must take too, and see the same value of each key that is shown, the last one
 * of equal keys; every string it passes must decode. */
#include <json-c/json.h>

#include "json_string.h"
#include "json_text.h"
#include "require.h"
#include "strict_json.h"

#define DEPTH_OF_JSON_C 64

struct shown {
    struct slice text;
    struct jsonstring *decoder;
    struct buffer decoded;
    struct json_object *outer; /* of the members that were shown, each as json-c reads it alone */
    struct json_object *inner; /* the same of the object that is entered, else NULL */
    bool differs;              /* what json-c makes of an entered object is not its members */
};

static void check_token(struct shown *shown, const struct jsontext_token *token)
{
    const char *end = shown->text.data + shown->text.size;
    REQUIRE(token->text.data >= shown->text.data && token->text.data + token->text.size <= end);
    if (token->kind != JSONTEXT_STRING) return;
    REQUIRE(token->escaped ==
            (token->text.size > 0 && memchr(token->text.data, '\\', token->text.size) != NULL));
    buffer_clear(&shown->decoded);
    jsonstring_decode(shown->decoder, token->text, &shown->decoded);
    REQUIRE(shown->decoded.size <= token->text.size);
    REQUIRE(token->escaped || slice_equals(slice_of(shown->decoded.data, shown->decoded.size), token->text));
}

/* NULL for what json-c refuses, too. */
static struct json_object *read_with_json_c(struct slice text, enum json_tokener_error *ret_error)
{
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH_OF_JSON_C);
    char *copy = malloc(text.size + 1); /* json-c ends a bare number only at a NUL */
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    struct json_object *value = json_tokener_parse_ex(tokener, copy, (int)text.size + 1);
    *ret_error = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    free(copy);
    return value;
}

/* json-c merges equal keys, and cuts them at U+0000. */
static void add_member(struct shown *shown, struct json_object *to, const struct jsontext_token *key,
                       struct json_object *value)
{
    buffer_clear(&shown->decoded);
    jsonstring_decode(shown->decoder, key->text, &shown->decoded);
    (void)buffer_add(&shown->decoded, "", 1);
    (void)json_object_object_add(to, shown->decoded.data, value);
}

static bool on_enter(void *context, const struct jsontext_token *key)
{
    struct shown *shown = context;
    check_token(shown, key);
    if (key->text.size % 2 != 0) return false;
    REQUIRE(shown->inner == NULL);
    shown->inner = json_object_new_object();
    return true;
}

static void leave(struct shown *shown, struct json_object *value)
{
    shown->differs = shown->differs || !json_object_equal(value, shown->inner);
    (void)json_object_put(shown->inner);
    shown->inner = NULL;
}

static void on_member(void *context, bool inner, const struct jsontext_token *key,
                      const struct jsontext_token *value)
{
    struct shown *shown = context;
    check_token(shown, key);
    check_token(shown, value);
    size_t quote = value->kind == JSONTEXT_STRING ? 1 : 0;
    enum json_tokener_error error;
    struct json_object *read =
        read_with_json_c(slice_of(value->text.data - quote, value->text.size + 2 * quote), &error);
    if (!inner && shown->inner != NULL) leave(shown, read);
    add_member(shown, inner ? shown->inner : shown->outer, key, read);
}

static bool is_utf8(struct slice text)
{
    const char *end = text.data + text.size;
    for (const char *at = text.data; at < end; at += utf8_size(at, end))
        if (utf8_size(at, end) == 0) return false;
    return true;
}

static void compare_with_strict(struct slice text, enum jsontext_result result,
                                const struct jsontext_report *report)
{
    struct strict strict;
    bool good = strict_json(text, &strict);
    if (strict.deepest == STRICT_DEPTH_MAX) return;
    REQUIRE(good == (result != JSONTEXT_INVALID));
    if (!good) return;
    REQUIRE(strict.deepest == report->depth);
    REQUIRE((is_utf8(text) && !strict.lone) == (result == JSONTEXT_OK));
}

static enum jsontext_kind kind_of(struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        return JSONTEXT_NULL;
    case json_type_boolean:
        return JSONTEXT_BOOLEAN;
    case json_type_object:
        return JSONTEXT_OBJECT;
    case json_type_array:
        return JSONTEXT_ARRAY;
    case json_type_string:
        return JSONTEXT_STRING;
    default:
        return JSONTEXT_NUMBER;
    }
}

static void compare_with_json_c(struct slice text, const struct jsontext_report *report,
                                const struct shown *shown)
{
    enum json_tokener_error error;
    struct json_object *value = read_with_json_c(text, &error);
    REQUIRE(error == json_tokener_success);
    REQUIRE(kind_of(value) == report->kind);
    REQUIRE(report->kind != JSONTEXT_OBJECT || json_object_equal(value, shown->outer));
    REQUIRE(!shown->differs);
    (void)json_object_put(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jsontext scanner = {0};
    struct shown shown = {.text = slice_of((const char *)data, size),
                          .decoder = jsonstring_new(),
                          .outer = json_object_new_object()};
    struct jsontext_visitor visitor = {.enter = on_enter, .member = on_member, .context = &shown};
    struct jsontext_report report;
    enum jsontext_result result = jsontext_scan(&scanner, shown.text, &visitor, &report);
    REQUIRE(report.offset <= size);
    REQUIRE((report.expected != NULL) == (result == JSONTEXT_INVALID));
    compare_with_strict(shown.text, result, &report);
    if (result == JSONTEXT_OK && report.depth < DEPTH_OF_JSON_C)
        compare_with_json_c(shown.text, &report, &shown);
    (void)json_object_put(shown.outer);
    (void)json_object_put(shown.inner);
    jsontext_done(&scanner);
    jsonstring_free(shown.decoder);
    buffer_done(&shown.decoded);
    return 0;
}
