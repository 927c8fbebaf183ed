/* A stop signal is looked at and left pending, since any reader of the signal descriptor
 * would take HUP, CHLD and the like away from the loop that acts on them. */
#include "socket_wait.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "clock.h"
#include "signals.h"

/* Milliseconds for one poll(2): -1 for no limit. Short while some other signal waits for its reader, since
 * then the signal descriptor no longer wakes us. */
static int poll_time_ms(int64_t deadline_ms, bool watch_signals)
{
    int64_t left_ms = deadline_ms == WAIT_NO_DEADLINE ? INT32_MAX : deadline_ms - clock_now_ms();
    if (left_ms < 0) left_ms = 0;
    if (!watch_signals && left_ms > 100) left_ms = 100;
    return left_ms >= INT32_MAX ? -1 : (int)left_ms;
}

enum wait_result socket_wait(int socket, short events, int64_t deadline_ms, bool stoppable)
{
    bool watch_signals = stoppable;
    for (;;) {
        if (stoppable && signals_stop_arrived()) return WAIT_STOPPED;
        struct pollfd descriptors[2] = {{.fd = socket, .events = events},
                                        {.fd = watch_signals ? signals_fd() : -1, .events = POLLIN}};
        const int count = poll(descriptors, 2, poll_time_ms(deadline_ms, watch_signals || !stoppable));
        if (count < 0 && errno != EINTR) abort();
        if (count > 0 && descriptors[0].revents != 0) return WAIT_READY;
        if (count > 0) watch_signals = false;
        if (deadline_ms != WAIT_NO_DEADLINE && clock_now_ms() >= deadline_ms) return WAIT_TIMEOUT;
    }
}
