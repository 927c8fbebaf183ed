/* What the property tests share: a seeded generator, a text to write into, a check that shows its input. SEED
 * chooses the inputs; it is printed, so that a failure can be run again. ROUNDS is the count for each
 * property. */
#ifndef WINNOW_TESTS_PROPERTY_H
#define WINNOW_TESTS_PROPERTY_H

#include <CUnit/Basic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "attr.h"
#include "slice.h"

#define TEXT_SIZE 8192

static uint64_t state;
static int rounds = 20000;

static inline uint64_t random_bits(void) /* splitmix64 */
{
    uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline size_t below(size_t count)
{
    return (size_t)(random_bits() % count);
}

struct text {
    size_t size;
    char data[TEXT_SIZE];
};

static inline void add(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

static inline void add(struct text *text, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int size = vsnprintf(text->data + text->size, sizeof text->data - text->size, format, values);
    va_end(values);
    if (size < 0 || (size_t)size >= sizeof text->data - text->size) abort();
    text->size += (size_t)size;
}

static inline struct slice slice_of_whole(const struct text *text)
{
    return slice_of(text->data, text->size);
}

/* Fails with the message in view. */
static inline void require(bool condition, const char *what, struct slice text)
{
    if (!condition) printf("\n  %s: %.*s\n", what, (int)text.size, text.data);
    CU_ASSERT_FATAL(condition);
}

static inline void property_begin(void)
{
    const char *seed = getenv("SEED");
    const char *count = getenv("ROUNDS");
    state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    if (count != NULL) rounds = atoi(count);
    printf("SEED=%llu ROUNDS=%d\n", (unsigned long long)state, rounds);
}

#endif
