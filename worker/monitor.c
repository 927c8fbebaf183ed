#include "monitor.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "descriptors.h"
#include "log.h"
#include "metrics_text.h"
#include "readiness.h"

#define BACKLOG          16
#define GUESTS_MAX       64
#define GUEST_MS         INT64_C(10000) /* from the first byte to the last one */
#define SILENCE_S        5U
#define CONNECTION_BYTES ((size_t)8 * 1024)

struct guest {
    int fd;
    int64_t deadline_ms; /* 0: the place is free */
};

struct monitor {
    struct MHD_Daemon *daemon;
    const struct pool_state *state; /* while it serves */
    int64_t pause_end_ms; /* until then nobody is served, for want of descriptors; 0: there are some */
    struct guest guests[GUESTS_MAX];
};

static bool has_room(const struct monitor *monitor)
{
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        if (monitor->guests[i].deadline_ms == 0) return true;
    }
    return false;
}

/* Sent away at once. libmicrohttpd 0.9.75 itself lets them wait at its limit, and those who are in as well.
 */
static enum MHD_Result on_arrival(void *context, const struct sockaddr *address, socklen_t address_size)
{
    (void)address, (void)address_size;
    return has_room(context) ? MHD_YES : MHD_NO;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **place,
                          enum MHD_ConnectionNotificationCode code)
{
    struct monitor *monitor = context;
    struct guest *guest = *place;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (guest != NULL) guest->deadline_ms = 0;
        return;
    }
    for (size_t i = 0; i < GUESTS_MAX && guest == NULL; i++) {
        if (monitor->guests[i].deadline_ms == 0) guest = &monitor->guests[i];
    }
    if (guest == NULL) return; /* none is let in for whom there is no place */
    guest->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    guest->deadline_ms = clock_now_ms() + GUEST_MS;
    *place = guest;
}

static bool has_guests(const struct monitor *monitor)
{
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        if (monitor->guests[i].deadline_ms != 0) return true;
    }
    return false;
}

/* libmicrohttpd stops listening by itself, but not before its first guest: then it would be called again at
 * once, for nothing. A guest that is there gives a descriptor back. */
static bool must_pause(struct monitor *monitor)
{
    const int64_t now_ms = clock_now_ms();
    if (now_ms < monitor->pause_end_ms) return true;
    monitor->pause_end_ms = 0;
    if (has_guests(monitor) || descriptors_are_left()) return false;
    monitor->pause_end_ms = now_ms + DESCRIPTORS_PAUSE_MS;
    descriptors_tell("the metrics endpoint");
    return true;
}

static void end_late_guests(struct monitor *monitor)
{
    int64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        const struct guest *guest = &monitor->guests[i];
        if (guest->deadline_ms != 0 && now_ms > guest->deadline_ms) (void)shutdown(guest->fd, SHUT_RDWR);
    }
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type,
                              const struct buffer *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text->size, text->data, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return queued;
}

/* Chooses by path, prints, and tells the code and the type. */
static unsigned print_page(const struct monitor *monitor, const char *path, struct buffer *text,
                           const char **ret_type)
{
    *ret_type = "application/json";
    if (strcmp(path, "/metrics") == 0) {
        *ret_type = METRICS_CONTENT_TYPE;
        metrics_print(text, monitor->state);
        return MHD_HTTP_OK;
    }
    if (strcmp(path, "/livez") == 0) {
        metrics_line(text, "{\"alive\":true}\n");
        return MHD_HTTP_OK;
    }
    if (strcmp(path, "/readyz") == 0)
        return readiness_print(text, monitor->state) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    *ret_type = "text/plain; charset=utf-8";
    metrics_line(text, "Found here: /metrics, /livez, /readyz\n");
    return MHD_HTTP_NOT_FOUND;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_size, void **request)
{
    static int begun;
    const struct monitor *monitor = context;
    (void)version;
    (void)body;
    if (*request == NULL) { /* the head is here, the body is not */
        *request = &begun;
        return MHD_YES;
    }
    if (*body_size > 0) {
        *body_size = 0;
        return MHD_YES;
    }
    struct buffer text = {0};
    const char *type = "text/plain; charset=utf-8";
    unsigned code = MHD_HTTP_METHOD_NOT_ALLOWED;
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0) {
        code = print_page(monitor, path, &text, &type);
    } else {
        metrics_line(&text, "Here one only reads: GET or HEAD\n");
    }
    enum MHD_Result queued = answer(connection, code, type, &text);
    buffer_done(&text);
    return queued;
}

static void on_log(void *context, const char *format, va_list values) __attribute__((format(printf, 2, 0)));
static void on_log(void *context, const char *format, va_list values)
{
    char line[256];
    (void)context;
    (void)vsnprintf(line, sizeof line, format, values);
    line[strcspn(line, "\n")] = '\0';
    log_line(LOG_LEVEL_DEBUG, "metrics_http", "%s", line);
}

static struct MHD_Daemon *start(struct monitor *monitor, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, on_arrival, monitor, on_request, monitor,
                            MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, monitor, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)GUESTS_MAX + 1, MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_END);
}

bool monitor_open(const struct listen_address *address, struct monitor **ret_monitor, struct fault *ret_fault)
{
    int fd = listen_address_open(address, BACKLOG);
    if (fd < 0) {
        int error = errno;
        fault_set(ret_fault, STATUS_STOP, "metrics", "cannot listen on %s port %u: %s", address->host,
                  (unsigned)address->port, strerror(error));
        ret_fault->code = error;
        return false;
    }
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL) abort();
    monitor->daemon = start(monitor, fd);
    if (monitor->daemon == NULL) {
        fault_set(ret_fault, STATUS_STOP, "metrics", "cannot serve on %s port %u", address->host,
                  (unsigned)address->port);
        (void)close(fd);
        free(monitor);
        return false;
    }
    *ret_monitor = monitor;
    return true;
}

void monitor_close(struct monitor *monitor)
{
    if (monitor == NULL) return;
    MHD_stop_daemon(monitor->daemon);
    free(monitor);
}

uint16_t monitor_port(const struct monitor *monitor)
{
    return MHD_get_daemon_info(monitor->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

int monitor_fd(const struct monitor *monitor)
{
    if (monitor->pause_end_ms != 0) return -1;
    return MHD_get_daemon_info(monitor->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int64_t monitor_wait_ms(const struct monitor *monitor)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (monitor->pause_end_ms != 0) return DESCRIPTORS_PAUSE_MS;
    return MHD_get_timeout(monitor->daemon, &wait_ms) == MHD_YES ? (int64_t)wait_ms : -1;
}

void monitor_serve(struct monitor *monitor, const struct pool_state *state)
{
    if (must_pause(monitor)) return;
    monitor->state = state;
    end_late_guests(monitor);
    (void)MHD_run(monitor->daemon);
    monitor->state = NULL;
}
