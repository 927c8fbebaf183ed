/* What the pool tells over HTTP, gathered when somebody may ask. */
#include <assert.h>
#include <poll.h>

#include "clock.h"
#include "monitor.h"
#include "supervisor_state.h"

static_assert(POOL_DEATH_KINDS == DEATH_FINAL + 1, "each kind is counted");

void supervisor_monitor_init(struct supervisor *supervisor)
{
    supervisor->state =
        (struct pool_state){.page = supervisor->page, .started_ms = clock_wall_ms(), .last_exit_code = -1};
}

void supervisor_monitor_death(struct supervisor *supervisor, const struct roster_death *death)
{
    supervisor->state.deaths[death->kind]++;
    if (death->kind != DEATH_DRAINED) supervisor->state.last_exit_code = death->exit_code;
}

void supervisor_monitor_serve(struct supervisor *supervisor)
{
    struct pool_state *state = &supervisor->state;
    if (supervisor->options.monitor == NULL) return;
    state->running = 0;
    for (unsigned slot = 0; slot < SLOT_COUNT_MAX; slot++)
        state->running += supervisor->pids[slot] > 0 ? 1 : 0;
    state->topic = supervisor->options.topic;
    state->wanted = roster_wanted_count(&supervisor->roster);
    state->joined = roster_joined_count(&supervisor->roster);
    state->stopping = supervisor->roster.stopping;
    state->quiet = supervisor->quiet;
    state->restarts = supervisor->restarts;
    monitor_serve(supervisor->options.monitor, state);
}

int64_t supervisor_monitor_wait(const struct supervisor *supervisor, int64_t until_ms,
                                struct pollfd *descriptors, unsigned *count)
{
    const struct monitor *monitor = supervisor->options.monitor;
    if (monitor == NULL) return until_ms;
    descriptors[(*count)++] = (struct pollfd){.fd = monitor_fd(monitor), .events = POLLIN};
    const int64_t wait_ms = monitor_wait_ms(monitor);
    const int64_t due_ms = wait_ms < 0 ? INT64_MAX : clock_now_ms() + wait_ms;
    return due_ms < until_ms ? due_ms : until_ms;
}
