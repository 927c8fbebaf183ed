/* What the service manager (systemd) that started this process is told: readiness, one line of status, signs
 * of life. The protocol of sd_notify(3): datagrams of NAME=value lines to the socket that NOTIFY_SOCKET
 * names. It is written out here because that is all of libsystemd that would be used. Without a service
 * manager nothing is sent. */
#ifndef WINNOW_SERVICE_NOTIFY_H
#define WINNOW_SERVICE_NOTIFY_H

#include <stdint.h>

#include "attr.h"

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment, so that no child
 * speaks for its parent. Call once, before there are threads. */
void service_notify_init(void);

/* How often the service manager expects a sign of life, in milliseconds (WatchdogSec=); 0: it expects none.
 */
int64_t service_notify_watchdog_ms(void);

/* Sends NAME=value lines, separated by newlines. What cannot be sent is told in the log once: the service
 * manager is gone, and what it is told changes nothing about the work. */
void service_notify(const char *format, ...) PRINTF_LIKE(1, 2);

/* Tells that a reload begins: RELOADING=1 with the time of the clock that systemd compares it with. */
void service_notify_reloading(void);

#endif
