#include "clock.h"

#include <stdlib.h>
#include <time.h>

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
