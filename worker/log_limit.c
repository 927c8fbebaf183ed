#include "log_limit.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#define EVENTS_MAX 128 /* more are not limited */

/* Credit is time: a line costs its share of a minute, and a minute's worth can be saved up. */
struct meter {
    const char *event;
    enum log_level level;
    int64_t credit_ms;
    int64_t looked_ms;
    int64_t left_out_ms; /* when the last one was */
    uint64_t suppressed;
};

/* A thread that finds it taken (or a child that was forked meanwhile) is not held up: its line passes. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct meter meters[EVENTS_MAX];
static size_t meter_count;

static int64_t cost_ms(enum log_level level)
{
    return level == LOG_LEVEL_ERROR ? LOG_LIMIT_MINUTE_MS / 100 : LOG_LIMIT_MINUTE_MS / 20;
}

static struct meter *meter_of(const char *event, int64_t now_ms)
{
    for (size_t i = 0; i < meter_count; i++) {
        if (strcmp(meters[i].event, event) == 0) return &meters[i];
    }
    if (meter_count == EVENTS_MAX) return NULL;
    meters[meter_count] =
        (struct meter){.event = event, .credit_ms = LOG_LIMIT_MINUTE_MS, .looked_ms = now_ms};
    return &meters[meter_count++];
}

static bool pass(struct meter *meter, enum log_level level, int64_t now_ms, uint64_t *ret_suppressed)
{
    meter->credit_ms += now_ms - meter->looked_ms;
    meter->looked_ms = now_ms;
    meter->level = level;
    if (meter->credit_ms > LOG_LIMIT_MINUTE_MS) meter->credit_ms = LOG_LIMIT_MINUTE_MS;
    if (meter->credit_ms < cost_ms(level)) {
        meter->suppressed++;
        meter->left_out_ms = now_ms;
        return false;
    }
    meter->credit_ms -= cost_ms(level);
    *ret_suppressed = meter->suppressed;
    meter->suppressed = 0;
    return true;
}

bool log_limit_pass(const char *event, enum log_level level, int64_t now_ms, uint64_t *ret_suppressed)
{
    *ret_suppressed = 0;
    if (level > LOG_LEVEL_WARNING || pthread_mutex_trylock(&mutex) != 0) return true;
    struct meter *meter = meter_of(event, now_ms);
    bool passes = meter == NULL || pass(meter, level, now_ms, ret_suppressed);
    (void)pthread_mutex_unlock(&mutex);
    return passes;
}

const char *log_limit_overdue(int64_t now_ms, enum log_level *ret_level, uint64_t *ret_suppressed)
{
    const char *event = NULL;
    if (pthread_mutex_trylock(&mutex) != 0) return NULL;
    for (size_t i = 0; i < meter_count && event == NULL; i++) {
        struct meter *meter = &meters[i];
        if (meter->suppressed == 0 || now_ms - meter->left_out_ms < LOG_LIMIT_MINUTE_MS) continue;
        event = meter->event;
        *ret_level = meter->level;
        *ret_suppressed = meter->suppressed;
        meter->suppressed = 0;
    }
    (void)pthread_mutex_unlock(&mutex);
    return event;
}
