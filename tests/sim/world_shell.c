/* The shell of the simulated world: clock, signals, log, and the run of a worker. */
#include <poll.h>
#include <stdlib.h>

#include "clock.h"
#include "dead_letter_publisher.h"
#include "log.h"
#include "settings.h"
#include "signals.h"
#include "slot.h"
#include "worker.h"
#include "world_state.h"

static bool all_done(void)
{
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        const struct row *row = &world->rows[i];
        if (row->there && row->halted) continue;
        int64_t last = world->logs[i].high;
        while (last > 0 && !world->logs[i].messages[last - 1].there) last--;
        if (!row->there || row->next < last) return false;
    }
    return !world->writing;
}

int64_t clock_now_ms(void)
{
    return world->now_ms;
}

int64_t clock_wall_ms(void)
{
    return world->now_ms;
}

bool signals_wait(struct pollfd *descriptors, unsigned count, int64_t timeout_ms)
{
    (void)descriptors;
    (void)count;
    int64_t until_ms = world->now_ms + (timeout_ms < 1 ? 1 : timeout_ms);
    if (world->writing && world->answer_ms < until_ms) until_ms = world->answer_ms;
    if (until_ms > world->now_ms) world->now_ms = until_ms;
    if ((all_done() && !world->linger) || world->now_ms > world->limit_ms) world->stop = true;
    return true;
}

bool signals_look_for_stop(void)
{
    return world->stop;
}

void signals_arm_deadline(int64_t timeout_ms)
{
    world->deadline_ms = timeout_ms;
}

void publisher_poke(struct publisher *publisher)
{
    (void)publisher;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    (void)level;
    (void)event;
    (void)format;
}

static void start_reading(void)
{
    world->assigned_due = true;
    for (int i = 0; i < WORLD_PARTITIONS; i++) world->logs[i].reading = -1;
}

int world_run(int64_t limit_ms)
{
    char topic[] = "events";
    char group[] = "winnow";
    struct settings settings = {
        .topic = topic,
        .group = group,
        .batch_rows = (int64_t)world->batch_rows,
        .batch_bytes = 1 << 20,
        .batch_age_ms = 20,
        .event_bytes_max = 1 << 20,
        .breaker_window = world->seed > 0 ? 0 : 20, /* in chaos, chance may cluster poison */
        .breaker_percent = 50,
        .drain_timeout_ms = 1000,
        .stall_timeout_ms = 60000,
    };
    struct worker_options options = {
        .settings = &settings, .slot = slot_attach(-1, 0), .seed = world->seed + 7};
    start_reading();
    world->writing = false;
    world->stop = false;
    world->limit_ms = world->now_ms + limit_ms;
    int code = worker_run(&options);
    world_note("exit %d\n", code);
    return code;
}
