/* Waiting for one socket up to a deadline, optionally ended by a stop signal. */
#ifndef WINNOW_SOCKET_WAIT_H
#define WINNOW_SOCKET_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"

#define WAIT_NO_DEADLINE INT64_C(-1)

enum wait_result { WAIT_READY, WAIT_TIMEOUT, WAIT_STOPPED };

/* Waits for events (as in poll(2)) of the socket until clock_now_ms() reaches the deadline. `stoppable`: a
 * stop signal (TERM, INT, QUIT), past or pending, ends the wait. Reads no signal: that is left to whoever
 * calls signals_next(). Safe in several threads. */
MUST_CHECK enum wait_result socket_wait(int socket, short events, int64_t deadline_ms, bool stoppable);

#endif
