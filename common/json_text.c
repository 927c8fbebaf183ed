/* A loop over four steps (a value, a key, what may follow a value, the end) in place of recursion: the open
 * containers are bits on a heap stack, so a megabyte of `[` costs 128 KiB and no C stack.
 *
 * Why not a library: json-c merges equal keys, cuts keys at U+0000, saturates integers and accepts NaN and
 * ill-formed UTF-8. Numbers and strings leave here as their own text. */
#include "json_text.h"

#include <stdint.h>
#include <string.h>

#include "utf8.h"

enum step { STEP_VALUE, STEP_KEY, STEP_FOLLOW, STEP_END, STEP_DONE, STEP_BROKEN };

#define SHOWN_DEPTH 2 /* members of containers this deep may be shown */

struct scan {
    const char *at;
    const char *end;
    const char *begin;
    const char *broken_utf8; /* the first place, or NULL */
    const char *expected;    /* set with STEP_BROKEN */
    const struct jsontext_visitor *visitor;
    struct buffer *levels;
    size_t depth;
    size_t depth_max;
    bool in_object;                              /* the innermost open container is an object */
    bool shown[SHOWN_DEPTH + 1];                 /* by depth: show the members of the container open there */
    const char *opened[SHOWN_DEPTH + 1];         /* by depth: where the container behind it began */
    struct jsontext_token keys[SHOWN_DEPTH + 1]; /* by depth: the key whose value is being read */
    enum jsontext_kind kind;
};

enum byte_class { PLAIN, QUOTE, BACKSLASH, CONTROL, HIGH };

#define FOUR(class)    class, class, class, class
#define SIXTEEN(class) FOUR(class), FOUR(class), FOUR(class), FOUR(class)
#define HALF(class) \
    SIXTEEN(class), SIXTEEN(class), SIXTEEN(class), SIXTEEN(class), SIXTEEN(class), SIXTEEN(class), \
        SIXTEEN(class), SIXTEEN(class)

/* What a byte means within a string: PLAIN, being 0, where nothing is said. */
static const uint8_t string_class[256] = {
    [0x00] = SIXTEEN(CONTROL), [0x10] = SIXTEEN(CONTROL), ['"'] = QUOTE,
    ['\\'] = BACKSLASH,        [0x80] = HALF(HIGH),
};

void jsontext_done(struct jsontext *scanner)
{
    buffer_done(&scanner->levels);
}

static enum step broken(struct scan *scan, const char *expected)
{
    scan->expected = expected;
    return STEP_BROKEN;
}

/* RFC 8259 section 2: space, tab, line feed, carriage return; no others. */
static inline void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

static inline bool is_digit_at(const struct scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* --- strings --- */

static void note_broken_utf8(struct scan *scan, const char *at)
{
    if (scan->broken_utf8 == NULL) scan->broken_utf8 = at;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int jsontext_code_unit(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return -1;
    int unit = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* At a backslash: steps over the escape, and over both halves of a surrogate pair. */
static bool scan_escape(struct scan *scan)
{
    const char *at = scan->at;
    if (scan->end - at >= 2 && at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL) {
        scan->at += 2;
        return true;
    }
    int unit = jsontext_code_unit(at, scan->end);
    if (unit < 0) return false;
    scan->at += 6;
    if (unit < 0xD800 || unit > 0xDFFF) return true;
    int second = unit < 0xDC00 ? jsontext_code_unit(scan->at, scan->end) : -1;
    if (second >= 0xDC00 && second <= 0xDFFF)
        scan->at += 6;
    else
        note_broken_utf8(scan, at);
    return true;
}

/* Ill-formed bytes are noted, and the scan goes on behind the first of them: M-3 goes before M-4. */
static void scan_high(struct scan *scan)
{
    size_t size = utf8_size(scan->at, scan->end);
    if (size == 0) {
        note_broken_utf8(scan, scan->at);
        size = 1;
    }
    scan->at += size;
}

/* Where the first byte stands that is not PLAIN, from `at` on. On its own, so that the place stays in a
 * register: most bytes of a message pass here. */
static inline const char *skip_plain(const char *at, const char *end)
{
    while (at < end && string_class[(unsigned char)*at] == PLAIN) at++;
    return at;
}

/* At the opening quote. */
static bool scan_string(struct scan *scan, struct jsontext_token *ret_token)
{
    const char *begin = ++scan->at;
    bool escaped = false;
    for (;;) {
        scan->at = skip_plain(scan->at, scan->end);
        if (scan->at == scan->end) break;
        uint8_t class = string_class[(unsigned char)*scan->at];
        if (class == QUOTE) {
            *ret_token = (struct jsontext_token){.text = slice_of(begin, (size_t)(scan->at++ - begin)),
                                                 .kind = JSONTEXT_STRING,
                                                 .escaped = escaped};
            return true;
        }
        if (class == CONTROL) break;
        if (class == HIGH) {
            scan_high(scan);
            continue;
        }
        escaped = true;
        if (!scan_escape(scan)) break;
    }
    return false;
}

static enum step broken_string(struct scan *scan)
{
    if (scan->at == scan->end) return broken(scan, "the closing quote of a string");
    if (*scan->at == '\\') return broken(scan, "one of the escapes of JSON");
    return broken(scan, "no raw control character within a string");
}

/* --- values --- */

static void skip_digits(struct scan *scan)
{
    while (is_digit_at(scan)) scan->at++;
}

/* RFC 8259 section 6, at the minus sign or the first digit. */
static bool scan_number(struct scan *scan, struct jsontext_token *ret_token)
{
    const char *begin = scan->at;
    bool integer = true;
    if (*scan->at == '-') scan->at++;
    if (!is_digit_at(scan)) return false;
    if (*scan->at == '0')
        scan->at++;
    else
        skip_digits(scan);
    if (scan->at < scan->end && *scan->at == '.') {
        integer = false;
        scan->at++;
        if (!is_digit_at(scan)) return false;
        skip_digits(scan);
    }
    if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        integer = false;
        scan->at++;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-')) scan->at++;
        if (!is_digit_at(scan)) return false;
        skip_digits(scan);
    }
    *ret_token = (struct jsontext_token){
        .text = slice_of(begin, (size_t)(scan->at - begin)), .kind = JSONTEXT_NUMBER, .integer = integer};
    return true;
}

static bool scan_word(struct scan *scan, struct jsontext_token *ret_token)
{
    const char *word = *scan->at == 't' ? "true" : *scan->at == 'f' ? "false" : "null";
    size_t size = strlen(word);
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0) return false;
    *ret_token = (struct jsontext_token){.text = slice_of(scan->at, size),
                                         .kind = *scan->at == 'n' ? JSONTEXT_NULL : JSONTEXT_BOOLEAN};
    scan->at += size;
    return true;
}

/* A value is complete: show it when it is a member that is asked for. */
static inline enum step value_done(struct scan *scan, const struct jsontext_token *value)
{
    if (scan->depth == 0) {
        scan->kind = value->kind;
        return STEP_END;
    }
    if (scan->depth <= SHOWN_DEPTH && scan->shown[scan->depth])
        scan->visitor->member(scan->visitor->context, scan->depth > 1, &scan->keys[scan->depth], value);
    return STEP_FOLLOW;
}

/* --- containers --- */

static void push(struct scan *scan, bool object)
{
    size_t byte = scan->depth / 8;
    unsigned char bit = (unsigned char)(1U << (scan->depth % 8));
    if (byte >= scan->levels->size) (void)buffer_add(scan->levels, "", 1);
    unsigned char bits = (unsigned char)scan->levels->data[byte];
    scan->levels->data[byte] = (char)(object ? bits | bit : bits & ~bit);
    scan->in_object = object;
    scan->depth++;
    if (scan->depth > scan->depth_max) scan->depth_max = scan->depth;
}

static void pop(struct scan *scan)
{
    scan->depth--;
    if (scan->depth == 0) return;
    size_t index = scan->depth - 1;
    scan->in_object = ((unsigned char)scan->levels->data[index / 8] >> (index % 8) & 1) != 0;
}

/* Whether the members of the object that begins here are shown. */
static bool is_shown(struct scan *scan)
{
    if (scan->depth == 0) return true;
    if (!scan->shown[scan->depth]) return false;
    return scan->visitor->enter(scan->visitor->context, &scan->keys[scan->depth]);
}

static enum step open_container(struct scan *scan)
{
    bool object = *scan->at == '{';
    size_t depth = scan->depth;
    if (depth <= SHOWN_DEPTH) scan->opened[depth] = scan->at;
    if (depth < SHOWN_DEPTH) scan->shown[depth + 1] = object && is_shown(scan);
    push(scan, object);
    scan->at++;
    skip_space(scan);
    bool empty = scan->at < scan->end && *scan->at == (object ? '}' : ']');
    return empty ? STEP_FOLLOW : object ? STEP_KEY : STEP_VALUE;
}

/* At the closing bracket of the innermost container. */
static enum step close_container(struct scan *scan)
{
    struct jsontext_token value = {.kind = scan->in_object ? JSONTEXT_OBJECT : JSONTEXT_ARRAY};
    scan->at++;
    pop(scan);
    if (scan->depth <= SHOWN_DEPTH) {
        const char *opened = scan->opened[scan->depth];
        value.text = slice_of(opened, (size_t)(scan->at - opened));
    }
    return value_done(scan, &value);
}

/* --- steps --- */

static enum step step_value(struct scan *scan)
{
    struct jsontext_token value;
    skip_space(scan);
    if (scan->at == scan->end) return broken(scan, "a value");
    switch (*scan->at) {
    case '"':
        return scan_string(scan, &value) ? value_done(scan, &value) : broken_string(scan);
    case '{':
    case '[':
        return open_container(scan);
    case 't':
    case 'f':
    case 'n':
        return scan_word(scan, &value) ? value_done(scan, &value) : broken(scan, "true, false or null");
    default:
        if (*scan->at != '-' && !is_digit_at(scan)) return broken(scan, "a value");
        return scan_number(scan, &value) ? value_done(scan, &value) : broken(scan, "a digit");
    }
}

static enum step step_key(struct scan *scan)
{
    struct jsontext_token unshown;
    struct jsontext_token *key = scan->depth <= SHOWN_DEPTH ? &scan->keys[scan->depth] : &unshown;
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != '"') return broken(scan, "a key in double quotes");
    if (!scan_string(scan, key)) return broken_string(scan);
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != ':') return broken(scan, "a colon behind the key");
    scan->at++;
    return STEP_VALUE;
}

static enum step step_follow(struct scan *scan)
{
    skip_space(scan);
    char c = scan->at < scan->end ? *scan->at : '\0';
    if (c == (scan->in_object ? '}' : ']')) return close_container(scan);
    if (c != ',') return broken(scan, scan->in_object ? "a comma or }" : "a comma or ]");
    scan->at++;
    return scan->in_object ? STEP_KEY : STEP_VALUE;
}

static enum step step_end(struct scan *scan)
{
    skip_space(scan);
    return scan->at == scan->end ? STEP_DONE : broken(scan, "nothing behind the JSON text");
}

static enum step run(struct scan *scan)
{
    enum step step = STEP_VALUE;
    for (;;) {
        switch (step) {
        case STEP_VALUE:
            step = step_value(scan);
            break;
        case STEP_KEY:
            step = step_key(scan);
            break;
        case STEP_FOLLOW:
            step = step_follow(scan);
            break;
        case STEP_END:
            step = step_end(scan);
            break;
        case STEP_DONE:
        case STEP_BROKEN:
            return step;
        }
    }
}

enum jsontext_result jsontext_scan(struct jsontext *scanner, struct slice text,
                                   const struct jsontext_visitor *visitor, struct jsontext_report *ret_report)
{
    struct scan scan;
    scan.begin = scan.at = text.data;
    scan.end = text.data + text.size;
    scan.broken_utf8 = scan.expected = NULL;
    scan.visitor = visitor;
    scan.levels = &scanner->levels;
    scan.depth = scan.depth_max = 0;
    scan.in_object = false;
    scan.kind = JSONTEXT_NULL;
    scan.shown[0] = false;
    buffer_clear(scan.levels);

    enum step step = run(&scan);
    const char *fault = step == STEP_BROKEN ? scan.at : scan.broken_utf8;
    *ret_report = (struct jsontext_report){.offset = fault == NULL ? 0 : (size_t)(fault - scan.begin),
                                           .expected = scan.expected,
                                           .depth = scan.depth_max,
                                           .kind = scan.kind};
    if (step == STEP_BROKEN) return JSONTEXT_INVALID;
    return scan.broken_utf8 == NULL ? JSONTEXT_OK : JSONTEXT_NOT_UTF8;
}
