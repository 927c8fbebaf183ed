#include "array.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define HEAD_SIZE         20
#define POSTGRES_EPOCH_US INT64_C(946684800000000) /* 2000-01-01 */
#define NUMERIC_NEGATIVE  0x4000

void array_begin(struct array *array, uint32_t element_type)
{
    array->count = 0;
    array->has_null = 0;
    buffer_clear(&array->bytes);
    buffer_add_u32(&array->bytes, 1); /* dimensions */
    buffer_add_u32(&array->bytes, 0); /* has nulls: array_finish() */
    buffer_add_u32(&array->bytes, element_type);
    buffer_add_u32(&array->bytes, 0); /* elements: array_finish() */
    buffer_add_u32(&array->bytes, 1); /* lower bound */
    assert(array->bytes.size == HEAD_SIZE);
}

static char *put_u16(char *to, uint16_t value)
{
    uint16_t bytes = htobe16(value);
    memcpy(to, &bytes, sizeof(bytes));
    return to + sizeof(bytes);
}

static char *put_u32(char *to, uint32_t value)
{
    uint32_t bytes = htobe32(value);
    memcpy(to, &bytes, sizeof(bytes));
    return to + sizeof(bytes);
}

/* One more element of that size; returns where its bytes go. */
static char *add_element(struct array *array, uint32_t size)
{
    char *to = buffer_reserve(&array->bytes, sizeof(size) + size);
    array->bytes.size += sizeof(size) + size;
    array->count++;
    return put_u32(to, size);
}

void array_add(struct array *array, struct slice element)
{
    if (element.data == NULL) {
        array->count++;
        array->has_null = 1;
        buffer_add_u32(&array->bytes, UINT32_MAX);
        return;
    }
    assert(element.size <= INT32_MAX);
    char *to = add_element(array, (uint32_t)element.size);
    memcpy(to, element.data, element.size);
}

void array_add_i32(struct array *array, int32_t value)
{
    (void)put_u32(add_element(array, sizeof(value)), (uint32_t)value);
}

void array_add_i64(struct array *array, int64_t value)
{
    uint64_t bytes = htobe64((uint64_t)value);
    memcpy(add_element(array, sizeof(bytes)), &bytes, sizeof(bytes));
}

void array_add_instant(struct array *array, int64_t instant_us)
{
    array_add_i64(array, instant_us - POSTGRES_EPOCH_US);
}

static int floor_quarter(int power)
{
    return power >= 0 ? power / 4 : -((3 - power) / 4);
}

/* The decimal's digits in groups of four, aligned to the decimal point. */
static void put_groups(char *to, const struct decimal *decimal, int first_size, unsigned groups)
{
    unsigned at = 0;
    int size = first_size;
    for (unsigned group = 0; group < groups; group++) {
        uint16_t value = 0;
        for (int i = 0; i < size; i++) {
            unsigned digit = at < decimal->digit_count ? (unsigned)(decimal->digits[at] - '0') : 0;
            value = (uint16_t)(value * 10u + digit);
            at++;
        }
        to = put_u16(to, value);
        size = 4;
    }
}

void array_add_decimal(struct array *array, const struct decimal *decimal)
{
    int weight = 0;
    int first_size = 0;
    unsigned groups = 0;
    if (decimal->digit_count > 0) {
        int top_power = decimal->exponent + decimal->digit_count - 1;
        weight = floor_quarter(top_power);
        first_size = top_power - 4 * weight + 1;
        groups = (unsigned)(4 - first_size + decimal->digit_count + 3) / 4;
    }
    char *to = add_element(array, 8 + 2 * groups);
    to = put_u16(to, (uint16_t)groups);
    to = put_u16(to, (uint16_t)weight);
    to = put_u16(to, decimal->negative ? NUMERIC_NEGATIVE : 0);
    to = put_u16(to, (uint16_t)(decimal->exponent < 0 ? -decimal->exponent : 0));
    put_groups(to, decimal, first_size, groups);
}

struct slice array_finish(struct array *array)
{
    buffer_set_u32(&array->bytes, 4, array->has_null);
    buffer_set_u32(&array->bytes, 12, array->count);
    return slice_of(array->bytes.data, array->bytes.size);
}

void array_done(struct array *array)
{
    buffer_done(&array->bytes);
}
