/* A promise of the code under test: broken, it ends the process, and libFuzzer keeps the input. */
#ifndef WINNOW_TESTS_REQUIRE_H
#define WINNOW_TESTS_REQUIRE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

/* Well-formed UTF-8 without control characters: fit for a terminal and for one line of a log. */
static inline int is_printable(const char *at, const char *end)
{
    for (; at < end; at += utf8_size(at, end))
        if (utf8_size(at, end) == 0 || utf8_is_control(at, end)) return 0;
    return 1;
}

#endif
