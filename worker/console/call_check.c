#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/call.h"
#include "decimal.h"
#include "instant.h"
#include "utf8.h"
#include "words.h"

#define WAIT_MS_MAX          INT64_C(30000)
#define DECIMAL_WHOLE_MAX    30
#define DECIMAL_FRACTION_MAX 18

static bool refuse(struct call *call, const char *in, const char *name, const char *found,
                   const char *expected)
{
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                        .parameter = name,
                                        .in = in,
                                        .found = slice_of_text(found),
                                        .expected = expected});
    return false;
}

static bool read_integer(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool whole = (*text >= '0' && *text <= '9') && *end == '\0' && errno == 0;
    if (!whole || value < min || value > max) return false;
    *ret_value = value;
    return true;
}

static bool check_integer(struct call *call, const char *in, const char *name, const char *text, int64_t min,
                          int64_t max, int64_t *ret_value)
{
    char expected[100];
    if (read_integer(text, min, max, ret_value)) return true;
    (void)snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, min, max);
    return refuse(call, in, name, text, expected);
}

bool call_query_integer(struct call *call, const char *name, int64_t min, int64_t max, int64_t *ret_value)
{
    const char *text = call_query(call, name);
    return text == NULL || check_integer(call, "query", name, text, min, max, ret_value);
}

bool call_path_integer(struct call *call, size_t index, const char *name, int64_t min, int64_t max,
                       int64_t *ret_value)
{
    return check_integer(call, "path", name, call_path(call, index), min, max, ret_value);
}

bool call_query_text(struct call *call, const char *name, size_t min_size, size_t max_size,
                     const char **ret_text)
{
    char expected[100];
    const char *text = call_query(call, name);
    if (text == NULL) return true;
    size_t size = utf8_count(text, strlen(text));
    *ret_text = text;
    if (size >= min_size && size <= max_size) return true;
    (void)snprintf(expected, sizeof expected, "%zu to %zu characters", min_size, max_size);
    return refuse(call, "query", name, text, expected);
}

bool call_query_choice(struct call *call, const char *name, const char *words, const char **ret_word)
{
    char expected[300];
    const char *text = call_query(call, name);
    if (text == NULL) return true;
    *ret_word = text;
    if (words_have_text(words, text)) return true;
    return refuse(call, "query", name, text, words_list(words, expected, sizeof expected));
}

/* A day, or a day with a time and a zone: the forms that openapi.json tells, of the many that events may use.
 */
static bool has_time_form(const char *text)
{
    size_t size = strlen(text);
    if (size == 10) return text[4] == '-' && text[7] == '-';
    const char *zone = text + size - 1;
    bool zoned =
        size > 16 && (*zone == 'Z' || (size > 21 && zone[-2] == ':' && (zone[-5] == '+' || zone[-5] == '-')));
    return zoned && text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':';
}

bool call_query_time(struct call *call, const char *name, int64_t *ret_us)
{
    static const struct client_rules rules;
    const char *text = call_query(call, name);
    if (text == NULL) return true;
    return (has_time_form(text) && instant_parse_text(slice_of_text(text), &rules, ret_us) == INSTANT_OK) ||
           refuse(call, "query", name, text,
                  "a day such as 2024-01-31 or a time such as 2024-01-31T12:00:00Z, from 1970 to 2199");
}

bool call_query_period(struct call *call, int64_t *ret_from_us, int64_t *ret_to_us)
{
    char expected[100];
    const char *to = call_query(call, "to");
    if (!call_query_time(call, "from", ret_from_us) || !call_query_time(call, "to", ret_to_us)) return false;
    if (call_query(call, "from") == NULL || to == NULL || *ret_from_us <= *ret_to_us) return true;
    (void)snprintf(expected, sizeof expected, "a time that is not behind `to`, which is %s", to);
    return refuse(call, "query", "from", call_query(call, "from"), expected);
}

bool call_query_wait(struct call *call, const char *name, int64_t *ret_ms)
{
    char *unit;
    const char *text = call_query(call, name);
    if (text == NULL) return true;
    long value = strtol(text, &unit, 10);
    bool counted = *text >= '0' && *text <= '9' && unit - text <= 5;
    if (counted && strcmp(unit, "s") == 0) value *= 1000;
    if (counted && (strcmp(unit, "s") == 0 || strcmp(unit, "ms") == 0) && value <= WAIT_MS_MAX) {
        *ret_ms = value;
        return true;
    }
    return refuse(call, "query", name, text, "a time from 0ms to 30s, such as 250ms or 5s");
}

bool call_query_decimal(struct call *call, const char *name, const char **ret_text)
{
    struct decimal_parts parts;
    const char *text = call_query(call, name);
    if (text == NULL) return true;
    *ret_text = text;
    bool plain = *text != '\0' && strspn(text, "-.0123456789") == strlen(text) &&
                 decimal_split(slice_of_text(text), &parts);
    if (plain && parts.whole.size <= DECIMAL_WHOLE_MAX && parts.fraction.size <= DECIMAL_FRACTION_MAX)
        return true;
    return refuse(call, "query", name, text,
                  "a decimal number such as 1200.50: at most 30 digits before the point and 18 behind it");
}

static bool is_uuid(const char *text)
{
    if (strlen(text) != 36 || strspn(text, "0123456789abcdefABCDEF-") != 36) return false;
    for (size_t i = 0; i < 36; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if ((text[i] == '-') != hyphen) return false;
    }
    return true;
}

static bool check_uuid(struct call *call, const char *in, const char *name, const char *text,
                       const char **ret_text)
{
    *ret_text = text;
    return is_uuid(text) ||
           refuse(call, in, name, text, "a UUID such as f30e1009-fd53-83a8-b737-f74f8de1a698");
}

bool call_query_uuid(struct call *call, const char *name, const char **ret_text)
{
    const char *text = call_query(call, name);
    return text == NULL || check_uuid(call, "query", name, text, ret_text);
}

bool call_path_uuid(struct call *call, size_t index, const char *name, const char **ret_text)
{
    return check_uuid(call, "path", name, call_path(call, index), ret_text);
}
