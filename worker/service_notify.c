#include "service_notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define MESSAGE_SIZE 1024

static struct sockaddr_un address; /* family 0: there is no service manager */
static socklen_t address_size;
static int descriptor = -1;
static int64_t watchdog_ms;

/* A path, or @ and a name in the abstract namespace; other families, which containers of virtual machines
 * use, are none of ours. */
static void read_address(const char *name)
{
    const size_t size = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || size < 2 || size >= sizeof(address.sun_path)) {
        log_line(LOG_LEVEL_WARNING, "notify_failed",
                 "found NOTIFY_SOCKET=%s, expected a path or @name of up to %zu bytes; the service manager "
                 "is told "
                 "nothing",
                 name, sizeof(address.sun_path) - 1);
        return;
    }
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name, size);
    if (name[0] == '@') address.sun_path[0] = '\0';
    address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

/* The time is for one process, unless no pid is given (sd_watchdog_enabled(3)). */
static void read_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid())) return;
    const long long value = strtoll(usec, NULL, 10);
    if (value > 0) watchdog_ms = value < 1000 ? 1 : value / 1000;
}

void service_notify_init(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (name != NULL && name[0] != '\0') read_address(name);
    if (address.sun_family != 0) {
        read_watchdog();
        descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (descriptor < 0) abort();
    }
    if (unsetenv("NOTIFY_SOCKET") != 0 || unsetenv("WATCHDOG_USEC") != 0 || unsetenv("WATCHDOG_PID") != 0)
        abort();
}

int64_t service_notify_watchdog_ms(void)
{
    return watchdog_ms;
}

void service_notify(const char *format, ...)
{
    static bool complained;
    char message[MESSAGE_SIZE];
    va_list values;
    if (descriptor < 0) return;
    va_start(values, format);
    int size = vsnprintf(message, sizeof(message), format, values);
    va_end(values);
    if (size < 0) abort();
    if (size >= MESSAGE_SIZE) size = MESSAGE_SIZE - 1;
    const ssize_t sent = sendto(descriptor, message, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT,
                                (const struct sockaddr *)&address, address_size);
    if (sent == size || complained) return;
    complained = true;
    log_line(LOG_LEVEL_WARNING, "notify_failed", "cannot tell the service manager how it goes: %s",
             strerror(errno));
}

void service_notify_reloading(void)
{
    service_notify("RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_now_us());
}
