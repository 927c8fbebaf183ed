/* Exact decimal numbers (rules ). Never through a double. */
#ifndef WINNOW_DECIMAL_H
#define WINNOW_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "slice.h"

#define DECIMAL_DIGITS_MAX 38
#define DECIMAL_TEXT_SIZE  80 /* bytes, with the terminating NUL; no canonical text is longer */

/* (-1)^negative * digits * 10^exponent. The digits have no zero at either end; zero has none at all,
 * exponent 0 and no sign, so equal numbers are equal structures. */
struct decimal {
    bool negative;
    uint8_t digit_count;
    int16_t exponent;
    char digits[DECIMAL_DIGITS_MAX]; /* '0'..'9', not terminated, the rest zero bytes */
};

enum decimal_result {
    DECIMAL_OK,
    DECIMAL_INVALID,      /* not a number in an accepted form */
    DECIMAL_OUT_OF_RANGE, /* over 38 significant digits, or outside 1e-18 .. 1e30 */
};

/* A number cut into its parts, not yet judged. Borrows from the text. */
struct decimal_parts {
    bool negative;
    struct slice whole;    /* at least one digit; may hold commas */
    struct slice fraction; /* the digits behind the point; may be empty */
    int64_t exponent;      /* as written; saturates at +-1e12 and beyond */
};

/* False when the text has not the grammar that decimal_parse() tells. */
MUST_CHECK bool decimal_split(struct slice text, struct decimal_parts *ret_parts);

/* Reads `[+-]digits[.digits][e[+-]digits]`, thousands optionally set off by commas in groups of exactly
 * three. No white space. Accepts every JSON number. *ret_decimal is untouched on failure. */
MUST_CHECK enum decimal_result decimal_parse(struct slice text, struct decimal *ret_decimal);

/* Writes the one canonical text: plain notation, no exponent, no needless zero, no "+", "0" for
 * zero. Returns its length without the terminating NUL. */
size_t decimal_print(const struct decimal *decimal, char ret_text[DECIMAL_TEXT_SIZE]);

#endif
