/* Well-formed UTF-8 as the Unicode standard's table 3-7 has it: no overlong forms, no surrogates, nothing
 * above U+10FFFF (M-4). */
#ifndef WINNOW_UTF8_H
#define WINNOW_UTF8_H

#include <stdbool.h>
#include <stddef.h>

static inline int utf8_is_tail(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The bytes (1..4) of the well-formed character at `at`, which lies before `end`; 0 when it is none. */
static inline size_t utf8_size(const char *at, const char *end)
{
    const unsigned char *s = (const unsigned char *)at;
    size_t left = (size_t)(end - at);
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4 || left < 2) return 0;
    if (s[0] < 0xE0) return utf8_is_tail(s[1]) ? 2 : 0;
    /* The second byte rules out overlong forms, surrogates and what lies above U+10FFFF. */
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high || left < 3 || !utf8_is_tail(s[2])) return 0;
    if (s[0] < 0xF0) return 3;
    return left >= 4 && utf8_is_tail(s[3]) ? 4 : 0;
}

static inline bool utf8_is_valid(const char *text, size_t size)
{
    const char *end = text + size;
    for (size_t step; text < end; text += step) {
        step = utf8_size(text, end);
        if (step == 0) return false;
    }
    return true;
}

/* Characters of well-formed text. */
static inline size_t utf8_count(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += !utf8_is_tail((unsigned char)text[i]);
    return count;
}

/* Bytes of the text, which ends with NUL, that fit into the columns of a terminal, a character being as wide
 * as any other. */
static inline size_t utf8_fitting(const char *text, size_t columns)
{
    size_t at = 0;
    for (size_t column = 0; text[at] != '\0' && column < columns; column++) {
        at++;
        while (utf8_is_tail((unsigned char)text[at])) at++;
    }
    return at;
}

/* Takes away a last character that was cut. The text ends by NUL. */
static inline void utf8_mend_end(char *text)
{
    size_t size = 0;
    while (text[size] != '\0') size++;
    size_t begin = size;
    while (begin > 0 && size - begin < 3 && utf8_is_tail((unsigned char)text[begin - 1])) begin--;
    if (begin > 0) begin--;
    if (begin < size && utf8_size(text + begin, text + size) != size - begin &&
        (unsigned char)text[begin] >= 0xC0)
        text[begin] = '\0';
}

/* A control character (Unicode's Cc) begins at `at`: U+0000..1F, U+007F..9F. */
static inline int utf8_is_control(const char *at, const char *end)
{
    const unsigned char *s = (const unsigned char *)at;
    if (s[0] < 0x20 || s[0] == 0x7F) return 1;
    return s[0] == 0xC2 && end - at >= 2 && s[1] >= 0x80 && s[1] < 0xA0;
}

/* The number of the well-formed character of `size` bytes, up to three, at `at`. */
static inline unsigned utf8_code_point(const char *at, size_t size)
{
    const unsigned char *s = (const unsigned char *)at;
    if (size == 1) return s[0];
    if (size == 2) return (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
    return (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
}

/* A terminal would obey the well-formed character of `size` bytes at `at`, or show what stands behind it in
 * front: a control character, or one that turns the direction of reading (Unicode's Bidi_Control). */
static inline int utf8_steers(const char *at, size_t size)
{
    if (utf8_is_control(at, at + size)) return 1;
    if (size != 2 && size != 3) return 0;
    const unsigned code = utf8_code_point(at, size);
    return code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

#endif
