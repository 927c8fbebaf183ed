/* Points in time: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted (rules D-2 .. D-7). */
#ifndef WINNOW_INSTANT_H
#define WINNOW_INSTANT_H

#include <stdint.h>

#include "attr.h"
#include "client_rules.h"
#include "slice.h"

#define INSTANT_TEXT_SIZE 32                        /* bytes, with the terminating NUL */
#define INSTANT_MAX       INT64_C(7258118399999999) /* 2199-12-31T23:59:59.999999Z (D-7) */

enum instant_result {
    INSTANT_OK,
    INSTANT_INVALID,      /* D-6 */
    INSTANT_OUT_OF_RANGE, /* D-7: before 1970 or after 2199 */
};

/* A JSON string, already trimmed: D-2, D-3 (digits), D-4. The rules give zone and date order. */
MUST_CHECK enum instant_result instant_parse_text(struct slice text, const struct client_rules *rules,
                                                  int64_t *ret_instant_us);

/* A JSON number, by its own text: D-3. */
MUST_CHECK enum instant_result instant_parse_number(struct slice text, int64_t *ret_instant_us);

/* The broker's timestamp in milliseconds: D-1, D-7. -1 (none) is out of range. */
MUST_CHECK enum instant_result instant_from_ms(int64_t timestamp_ms, int64_t *ret_instant_us);

/* The start of the day, hour, minute or second that holds the instant (H-2); itself for EXACT. */
int64_t instant_cut(int64_t instant_us, enum granularity granularity);

/* Writes `YYYY-MM-DDThh:mm:ss[.f…]Z`, up to six digits of fraction without trailing zeros. Returns the
 * length without the terminating NUL. The instant must lie within 0 .. INSTANT_MAX. */
size_t instant_print(int64_t instant_us, char ret_text[INSTANT_TEXT_SIZE]);

/* Months since January 1970 (0 .. 2759). */
int32_t instant_month(int64_t instant_us);

#endif
