#include "clock.h"

#include <errno.h>
#include <stdlib.h>

static int64_t now_ms(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) abort();
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_now_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) abort();
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

struct timespec clock_timespec(int64_t at_ms)
{
    return (struct timespec){.tv_sec = at_ms / 1000, .tv_nsec = (at_ms % 1000) * 1000000};
}

bool clock_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ms)
{
    const struct timespec until = clock_timespec(until_ms);
    return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &until) != ETIMEDOUT;
}
