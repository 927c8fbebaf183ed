/* The shell's clocks. The core gets times as arguments. */
#ifndef WINNOW_CLOCK_H
#define WINNOW_CLOCK_H

#include <stdint.h>

/* Milliseconds of a clock that only goes forward (CLOCK_MONOTONIC): for deadlines. */
int64_t clock_now_ms(void);

/* The same in microseconds: for durations that may be short. */
int64_t clock_now_us(void);

/* Milliseconds since 1970 (CLOCK_REALTIME): for people, and for message timestamps. */
int64_t clock_wall_ms(void);

#endif
