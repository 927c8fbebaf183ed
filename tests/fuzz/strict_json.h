/* RFC 8259 once more, as plain as its grammar: one function a rule, and recursion. Says whether a text is
 * JSON, how deep it is nested, and whether a surrogate escape stands alone. */
#ifndef WINNOW_TESTS_STRICT_JSON_H
#define WINNOW_TESTS_STRICT_JSON_H

#include <stdbool.h>
#include <string.h>

#include "slice.h"

#define STRICT_DEPTH_MAX 500 /* of recursion */

struct strict {
    const unsigned char *at;
    const unsigned char *end;
    unsigned depth;
    unsigned deepest;
    bool lone; /* a surrogate without the other half */
};

static bool strict_value(struct strict *s);

static inline int strict_peek(const struct strict *s)
{
    return s->at < s->end ? *s->at : -1;
}

static inline bool strict_take(struct strict *s, int c)
{
    if (strict_peek(s) != c) return false;
    s->at++;
    return true;
}

static inline void strict_space(struct strict *s)
{
    while (strict_take(s, ' ') || strict_take(s, '\t') || strict_take(s, '\n') || strict_take(s, '\r')) {
    }
}

static inline bool strict_digits(struct strict *s)
{
    const unsigned char *begin = s->at;
    while (strict_peek(s) >= '0' && strict_peek(s) <= '9') s->at++;
    return s->at > begin;
}

/* number = [ minus ] int [ frac ] [ exp ] */
static inline bool strict_number(struct strict *s)
{
    (void)strict_take(s, '-');
    if (!strict_take(s, '0') && !strict_digits(s)) return false;
    if (strict_take(s, '.') && !strict_digits(s)) return false;
    if (!strict_take(s, 'e') && !strict_take(s, 'E')) return true;
    if (!strict_take(s, '+')) (void)strict_take(s, '-');
    return strict_digits(s);
}

static inline int strict_hex(struct strict *s)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        int c = strict_peek(s);
        const char *digit = c > 0 ? strchr(digits, c) : NULL;
        if (digit == NULL) return -1;
        unit = unit * 16 + (int)(digit - digits) % 16;
        s->at++;
    }
    return unit;
}

/* Behind the backslash. *high: the last character was the first half of a pair. */
static inline bool strict_escape(struct strict *s, bool *high)
{
    int unit = 'x';
    int c = strict_peek(s);
    if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL) return false;
    s->at++;
    if (c == 'u') {
        unit = strict_hex(s);
        if (unit < 0) return false;
    }
    bool low = unit >= 0xDC00 && unit <= 0xDFFF;
    if (low != *high) s->lone = true;
    *high = unit >= 0xD800 && unit <= 0xDBFF;
    return true;
}

static inline bool strict_string(struct strict *s)
{
    bool high = false;
    if (!strict_take(s, '"')) return false;
    while (true) {
        int c = strict_peek(s);
        if (c < 0x20) return false;
        s->at++;
        if (c == '\\') {
            if (!strict_escape(s, &high)) return false;
            continue;
        }
        if (high) s->lone = true;
        high = false;
        if (c == '"') return true;
    }
}

static inline bool strict_word(struct strict *s, const char *word)
{
    for (; *word != '\0'; word++)
        if (!strict_take(s, *word)) return false;
    return true;
}

/* Behind the opening bracket: [ value *( , value ) ], or the same with keys. */
static inline bool strict_container(struct strict *s, bool object)
{
    int close = object ? '}' : ']';
    strict_space(s);
    if (strict_take(s, close)) return true;
    do {
        strict_space(s);
        if (object && !strict_string(s)) return false;
        strict_space(s);
        if (object && !strict_take(s, ':')) return false;
        if (!strict_value(s)) return false;
        strict_space(s);
    } while (strict_take(s, ','));
    return strict_take(s, close);
}

static bool strict_value(struct strict *s)
{
    strict_space(s);
    int c = strict_peek(s);
    if (c == '"') return strict_string(s);
    if (c == 't') return strict_word(s, "true");
    if (c == 'f') return strict_word(s, "false");
    if (c == 'n') return strict_word(s, "null");
    if (c != '{' && c != '[') return strict_number(s);
    if (s->depth == STRICT_DEPTH_MAX) return false;
    s->at++;
    s->depth++;
    if (s->depth > s->deepest) s->deepest = s->depth;
    if (!strict_container(s, c == '{')) return false;
    s->depth--;
    return true;
}

static inline bool strict_json(struct slice text, struct strict *ret_strict)
{
    const unsigned char *begin = (const unsigned char *)text.data;
    *ret_strict = (struct strict){.at = begin, .end = begin + text.size};
    if (!strict_value(ret_strict)) return false;
    strict_space(ret_strict);
    return ret_strict->at == ret_strict->end;
}

#endif
