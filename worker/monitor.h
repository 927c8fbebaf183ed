/* The pool's HTTP endpoint: GET or HEAD /metrics (metrics_text.h), /livez, /readyz (readiness.h). It has no
 * thread: the supervisor serves it between its other duties, and never waits for a client. Each answer ends
 * its connection. */
#ifndef WINNOW_MONITOR_H
#define WINNOW_MONITOR_H

#include <stdint.h>

#include "attr.h"
#include "listen_address.h"
#include "pool_state.h"
#include "status.h"

struct monitor;

/* STATUS_STOP when the address cannot be listened on; code is errno. */
MUST_CHECK bool monitor_open(const struct listen_address *address, struct monitor **ret_monitor,
                             struct fault *ret_fault);
void monitor_close(struct monitor *monitor); /* takes NULL */

uint16_t monitor_port(const struct monitor *monitor);

/* Readable when there is something to serve; -1 while it waits for a descriptor that is free. */
int monitor_fd(const struct monitor *monitor);

/* After how many milliseconds to serve at the latest; -1: when monitor_fd() says so. */
int64_t monitor_wait_ms(const struct monitor *monitor);

/* Serves what is there, from the state, without waiting. */
void monitor_serve(struct monitor *monitor, const struct pool_state *state);

#endif
