/* Whether a write waits for room belongs to the open file, which is shared with whoever started us and with
 * the other workers: setting O_NONBLOCK on it would surprise them. So a pipe or a terminal is opened once
 * more, through /proc, for an open file of our own; a socket, as journald gives, is asked with each message.
 */
#include "log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 100

static int own_fd = -1; /* of our own open file; -1: there is none, standard error itself is written to */
static bool is_socket;
static bool may_block; /* look for room before writing */
static atomic_bool is_full;
static atomic_bool is_torn; /* the last line was written in part */
static atomic_uint_fast64_t lost;

void log_output_init(void)
{
    struct stat status;
    if (own_fd >= 0) (void)close(own_fd);
    own_fd = -1;
    is_full = false;
    is_torn = false;
    if (fstat(STDERR_FILENO, &status) != 0) status.st_mode = 0;
    is_socket = S_ISSOCK(status.st_mode);
    may_block = S_ISFIFO(status.st_mode) || isatty(STDERR_FILENO) != 0;
    if (!may_block || (fcntl(STDERR_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY) return;
    own_fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own_fd >= 0) may_block = false;
}

static bool has_room(int wait_ms)
{
    struct pollfd out = {.fd = own_fd >= 0 ? own_fd : STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, wait_ms) > 0;
}

static ssize_t put_once(const char *bytes, size_t size)
{
    if (is_socket) return send(STDERR_FILENO, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (may_block && !has_room(0)) {
        errno = EAGAIN;
        return -1;
    }
    return write(own_fd >= 0 ? own_fd : STDERR_FILENO, bytes, size);
}

static ssize_t put(const char *bytes, size_t size)
{
    for (bool waited = is_full;;) {
        ssize_t written = put_once(bytes, size);
        if (written >= 0 || (errno != EINTR && errno != EAGAIN)) return written;
        if (errno == EINTR) continue;
        if (waited) return -1;
        waited = true;
        (void)has_room(PATIENCE_MS);
    }
}

uint64_t log_output_lost(void)
{
    return lost;
}

void log_output_write(const char *line, size_t size, uint64_t told)
{
    if (is_torn && put("\n", 1) == 1) is_torn = false;
    ssize_t written = put(line, size);
    is_full = written < 0 && errno == EAGAIN;
    if (written == (ssize_t)size) {
        lost -= told;
        return;
    }
    if (written > 0) is_torn = true;
    lost++;
}
