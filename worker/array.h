/* Arrays as PostgreSQL receives them in binary (src/backend/utils/adt/arrayfuncs.c, array_recv): one
 * dimension, lower bound 1. The memory is kept from one statement to the next. */
#ifndef WINNOW_ARRAY_H
#define WINNOW_ARRAY_H

#include <stdint.h>

#include "buffer.h"
#include "decimal.h"
#include "slice.h"

struct array {
    struct buffer bytes;
    uint32_t count;
    uint32_t has_null;
};

/* Begins anew with elements of that type (a type OID). */
void array_begin(struct array *array, uint32_t element_type);

/* Adds one element. data NULL adds an SQL NULL. */
void array_add(struct array *array, struct slice element);
void array_add_i32(struct array *array, int32_t value);
void array_add_i64(struct array *array, int64_t value);

/* A timestamptz from microseconds since 1970. */
void array_add_instant(struct array *array, int64_t instant_us);

/* A numeric (src/backend/utils/adt/numeric.c, numeric_recv). */
void array_add_decimal(struct array *array, const struct decimal *decimal);

/* Writes the head; then bytes is the parameter. */
struct slice array_finish(struct array *array);

void array_done(struct array *array);

#endif
