/* Borrowed bytes. A slice owns nothing and ends with its owner. */
#ifndef WINNOW_SLICE_H
#define WINNOW_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* NULL means absent (a Kafka NULL), which is not the same as empty */
    size_t size;      /* bytes */
};

static inline struct slice slice_of(const char *data, size_t size)
{
    return (struct slice){.data = data, .size = size};
}

static inline struct slice slice_of_text(const char *text)
{
    return (struct slice){.data = text, .size = strlen(text)};
}

static inline bool slice_equals(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* White space as normalization sees it: space, \t, \n, \r, \f and \v. */
static inline bool slice_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The slice without white space at either end; empty when there is nothing else. */
static inline struct slice slice_trim(struct slice s)
{
    while (s.size > 0 && slice_is_space(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && slice_is_space(s.data[s.size - 1])) s.size--;
    return s;
}

#endif
