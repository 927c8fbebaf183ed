#include "array.h"

#include <assert.h>
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

void array_add(struct array *array, struct slice element)
{
    array->count++;
    if (element.data == NULL) {
        array->has_null = 1;
        buffer_add_u32(&array->bytes, UINT32_MAX);
        return;
    }
    assert(element.size <= INT32_MAX);
    buffer_add_u32(&array->bytes, (uint32_t)element.size);
    (void)buffer_add(&array->bytes, element.data, element.size);
}

void array_add_i32(struct array *array, int32_t value)
{
    array->count++;
    buffer_add_u32(&array->bytes, sizeof(value));
    buffer_add_u32(&array->bytes, (uint32_t)value);
}

void array_add_i64(struct array *array, int64_t value)
{
    array->count++;
    buffer_add_u32(&array->bytes, sizeof(value));
    buffer_add_u64(&array->bytes, (uint64_t)value);
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
static void add_groups(struct buffer *bytes, const struct decimal *decimal, int first_size, unsigned groups)
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
        buffer_add_u16(bytes, value);
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
    array->count++;
    buffer_add_u32(&array->bytes, 8 + 2 * groups);
    buffer_add_u16(&array->bytes, (uint16_t)groups);
    buffer_add_u16(&array->bytes, (uint16_t)weight);
    buffer_add_u16(&array->bytes, decimal->negative ? NUMERIC_NEGATIVE : 0);
    buffer_add_u16(&array->bytes, (uint16_t)(decimal->exponent < 0 ? -decimal->exponent : 0));
    add_groups(&array->bytes, decimal, first_size, groups);
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
