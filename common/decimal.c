/* A number is first split by its grammar, then read digit by digit into at most 38 significant ones
 * . The exponent saturates far outside everything that could be in range, so no text, however long,
 * overflows an integer. */
#include "decimal.h"

#include <stddef.h>

#define EXPONENT_LIMIT INT64_C(1000000000000) /* where a written exponent saturates */
#define MAGNITUDE_MIN  (-18)                  /* 1e-18 .. 1e30 */
#define MAGNITUDE_MAX  30
#define GROUP_DIGITS   3

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_at(struct slice text, size_t at)
{
    size_t count = 0;
    while (at + count < text.size && is_digit(text.data[at + count])) count++;
    return count;
}

/* The length of `digits` or `ddd(,ddd)+` at the start; 0 when there is neither. */
static size_t whole_size(struct slice text)
{
    size_t size = digits_at(text, 0);
    if (size == 0 || size > GROUP_DIGITS) return size;
    while (size < text.size && text.data[size] == ',') {
        if (digits_at(text, size + 1) != GROUP_DIGITS) return 0;
        size += 1 + GROUP_DIGITS;
    }
    return size;
}

static void skip(struct slice *text, size_t size)
{
    text->data += size;
    text->size -= size;
}

static bool take_sign(struct slice *text, bool *ret_negative)
{
    bool present = text->size > 0 && (text->data[0] == '+' || text->data[0] == '-');
    *ret_negative = present && text->data[0] == '-';
    if (present) skip(text, 1);
    return present;
}

/* `(e|E)[+-]digits`, or nothing at all. */
static bool take_exponent(struct slice *text, int64_t *ret_exponent)
{
    *ret_exponent = 0;
    if (text->size == 0) return true;
    if (text->data[0] != 'e' && text->data[0] != 'E') return false;
    skip(text, 1);
    bool negative;
    (void)take_sign(text, &negative);
    size_t size = digits_at(*text, 0);
    if (size == 0) return false;
    int64_t exponent = 0;
    for (size_t i = 0; i < size && exponent < EXPONENT_LIMIT; i++)
        exponent = exponent * 10 + (text->data[i] - '0');
    *ret_exponent = negative ? -exponent : exponent;
    skip(text, size);
    return true;
}

bool decimal_split(struct slice text, struct decimal_parts *ret_parts)
{
    struct decimal_parts parts = {0};
    (void)take_sign(&text, &parts.negative);
    parts.whole = slice_of(text.data, whole_size(text));
    if (parts.whole.size == 0) return false;
    skip(&text, parts.whole.size);
    if (text.size > 0 && text.data[0] == '.') {
        parts.fraction = slice_of(text.data + 1, digits_at(text, 1));
        if (parts.fraction.size == 0) return false;
        skip(&text, 1 + parts.fraction.size);
    }
    if (!take_exponent(&text, &parts.exponent) || text.size > 0) return false;
    *ret_parts = parts;
    return true;
}

/* The significant digits met so far. */
struct reading {
    size_t whole;       /* digits before the point, leading zeros too */
    size_t leading;     /* zeros before the first significant digit */
    size_t seen;        /* digits from the first significant one on */
    size_t significant; /* up to the last that is not 0 */
    char digits[DECIMAL_DIGITS_MAX];
};

static void read_digits(struct slice text, struct reading *reading)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == ',') continue;
        if (c == '0' && reading->seen == 0) {
            reading->leading++;
            continue;
        }
        if (reading->seen < DECIMAL_DIGITS_MAX) reading->digits[reading->seen] = c;
        reading->seen++;
        if (c != '0') reading->significant = reading->seen;
    }
}

enum decimal_result decimal_parse(struct slice text, struct decimal *ret_decimal)
{
    struct decimal_parts parts;
    if (!decimal_split(text, &parts)) return DECIMAL_INVALID;
    struct reading reading = {0};
    read_digits(parts.whole, &reading);
    reading.whole = reading.leading + reading.seen;
    read_digits(parts.fraction, &reading);

    struct decimal decimal = {0};
    if (reading.significant > 0) {
        if (reading.significant > DECIMAL_DIGITS_MAX) return DECIMAL_OUT_OF_RANGE;
        /* The power of ten of the first significant digit. */
        int64_t magnitude = (int64_t)reading.whole - 1 - (int64_t)reading.leading + parts.exponent;
        bool power_of_ten = reading.significant == 1 && reading.digits[0] == '1';
        if (magnitude < MAGNITUDE_MIN || magnitude > MAGNITUDE_MAX) return DECIMAL_OUT_OF_RANGE;
        if (magnitude == MAGNITUDE_MAX && !power_of_ten) return DECIMAL_OUT_OF_RANGE;
        decimal.negative = parts.negative;
        decimal.digit_count = (uint8_t)reading.significant;
        decimal.exponent = (int16_t)(magnitude - (int64_t)reading.significant + 1);
        memcpy(decimal.digits, reading.digits, reading.significant);
    }
    *ret_decimal = decimal;
    return DECIMAL_OK;
}

static char *put(char *to, const char *data, size_t size)
{
    memcpy(to, data, size);
    return to + size;
}

static char *put_zeros(char *to, size_t count)
{
    memset(to, '0', count);
    return to + count;
}

size_t decimal_print(const struct decimal *decimal, char ret_text[DECIMAL_TEXT_SIZE])
{
    char *to = ret_text;
    size_t count = decimal->digit_count;
    int point = decimal->digit_count + decimal->exponent; /* digits before the point; may be negative */
    if (decimal->negative) *to++ = '-';
    if (count == 0) {
        *to++ = '0';
    } else if (decimal->exponent >= 0) {
        to = put(to, decimal->digits, count);
        to = put_zeros(to, (size_t)decimal->exponent);
    } else if (point > 0) {
        to = put(to, decimal->digits, (size_t)point);
        *to++ = '.';
        to = put(to, decimal->digits + point, count - (size_t)point);
    } else {
        to = put(to, "0.", 2);
        to = put_zeros(to, (size_t)-point);
        to = put(to, decimal->digits, count);
    }
    *to = '\0';
    return (size_t)(to - ret_text);
}
