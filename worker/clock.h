/* The shell's clocks. The core gets times as arguments. */
#ifndef WINNOW_CLOCK_H
#define WINNOW_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds of a clock that only goes forward (CLOCK_MONOTONIC): for deadlines. */
int64_t clock_now_ms(void);

/* The same in microseconds: for durations that may be short. */
int64_t clock_now_us(void);

/* Milliseconds since 1970 (CLOCK_REALTIME): for people, and for message timestamps. */
int64_t clock_wall_ms(void);

/* A time of clock_now_ms() as system calls take it, with CLOCK_MONOTONIC. */
struct timespec clock_timespec(int64_t at_ms);

/* With the mutex held. Waits as pthread_cond_wait() does, until that time of clock_now_ms() at the latest;
 * false: it has come. */
bool clock_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ms);

#endif
