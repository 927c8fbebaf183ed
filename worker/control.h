/* The control socket of a pool: a Unix socket in the file system, one request a connection. A client sends
 * one line of JSON, `{"command":"scale","count":4}`, gets one line of JSON back, and the connection is
 * closed.
 *
 * The socket has mode 0600, and who connects must be the pool's user or root by the word of the kernel
 * (SO_PEERCRED, unix(7)). Nothing here waits: a client that is slow, silent or talks nonsense costs a place
 * until its time is over and holds up nobody. One thread. */
#ifndef WINNOW_CONTROL_H
#define WINNOW_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "status.h"

#define CONTROL_CLIENTS_MAX     6
#define CONTROL_DESCRIPTORS_MAX (CONTROL_CLIENTS_MAX + 1)
#define CONTROL_CLIENT_MS       INT64_C(5000) /* from connecting until the answer is taken */
#define CONTROL_REQUEST_SIZE    512           /* bytes of a request with its line feed */

struct control;

struct control_request {
    char command[32];
    bool has_count;
    int64_t count;
};

/* Adds one JSON object to *ret_answer. Must not wait. */
typedef void (*control_answer)(void *context, const struct control_request *request,
                               struct buffer *ret_answer);

/* Makes the socket. What a pool that is dead left there is removed; a lock beside it, PATH.lock, tells. On
 * failure *ret_in_use tells whether another pool has it, and *ret_fault (STATUS_STOP) why. The path is
 * copied.
 */
MUST_CHECK bool control_open(const char *path, struct control **ret_control, bool *ret_in_use,
                             struct fault *ret_fault);

/* Removes the socket. Takes NULL. */
void control_close(struct control *control);

/* Fills in what to wait for, at most CONTROL_DESCRIPTORS_MAX; returns how many. 0 for NULL. */
unsigned control_descriptors(const struct control *control, struct pollfd *ret_descriptors);

/* When control_serve() has something to do though no descriptor is ready; INT64_MAX: never. */
int64_t control_deadline_ms(const struct control *control);

/* Accepts, reads, answers and writes whatever can be without waiting. Without a free file descriptor nobody
 * is let in for a while. Takes NULL. */
void control_serve(struct control *control, int64_t now_ms, control_answer answer, void *context);

#endif
