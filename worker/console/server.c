#include "console/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "console/admission.h"
#include "console/call_state.h"
#include "console/cors.h"
#include "console/work.h"
#include "log.h"

#define CONNECTIONS_MAX    2048
#define CONNECTION_BYTES   ((size_t)24 * 1024) /* request line, headers, and what a read or write takes */
#define SILENCE_S          30U
#define REQUEST_TIMEOUT_MS INT64_C(30000) /* of a request, from its first byte or the last answer */
#define BACKLOG            512
#define BODIES_BYTES_MAX   ((size_t)24 * 1024 * 1024)
#define SHORT_BODY_BYTES \
    ((size_t)16 * 1024) /* always taken: those who send long ones slowly keep out no others */
#define PASSED_OVER_MAX (64ULL * 1024 * 1024) /* bytes of a body that nobody looks at */

/* A connection, so that a request that never ends can be cut. */
struct guest {
    struct guest *next;
    struct guest **link; /* what points here */
    int fd;
    atomic_int_fast64_t deadline_ms; /* 0: an answer is being made */
};

struct server {
    struct MHD_Daemon *daemon;
    struct console *console;
    pthread_mutex_t mutex; /* guards the guests */
    struct guest *guests;
    size_t body_bytes; /* of all requests that are not over; for the thread of all connections alone */
    pthread_mutex_t answering; /* held while a request is given to its handler; guards: */
    bool ending;               /* what answers requests is going away, or gone */
};

/* ---- guests -------------------------------------------------------------------------------------------- */

static void on_connection(void *context, struct MHD_Connection *connection, void **guest_place,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    struct guest *guest = *guest_place;
    (void)pthread_mutex_lock(&server->mutex);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        guest = calloc(1, sizeof *guest);
        if (guest == NULL) abort();
        guest->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        guest->deadline_ms = clock_now_ms() + REQUEST_TIMEOUT_MS;
        guest->next = server->guests;
        guest->link = &server->guests;
        if (guest->next != NULL) guest->next->link = &guest->next;
        server->guests = guest;
        *guest_place = guest;
    } else if (guest != NULL) {
        *guest->link = guest->next;
        if (guest->next != NULL) guest->next->link = guest->link;
        free(guest);
        *guest_place = NULL;
    }
    (void)pthread_mutex_unlock(&server->mutex);
}

static struct guest *guest_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* 0: none. Any thread. */
static void set_deadline(void *connection, int64_t deadline_ms)
{
    struct guest *guest = guest_of(connection);
    if (guest != NULL) guest->deadline_ms = deadline_ms;
}

void server_tidy(struct server *server)
{
    int64_t now_ms = clock_now_ms();
    (void)pthread_mutex_lock(&server->mutex);
    for (struct guest *guest = server->guests; guest != NULL; guest = guest->next) {
        int64_t deadline_ms = guest->deadline_ms;
        if (deadline_ms != 0 && now_ms > deadline_ms) (void)shutdown(guest->fd, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&server->mutex);
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

static void suspend(void *connection)
{
    MHD_suspend_connection(connection);
}

static void resume(void *connection)
{
    MHD_resume_connection(connection);
}

/* Gives back the bytes that were taken, so that a stream stays small. With the mutex held. */
static void forget_taken(struct call *call)
{
    size_t left = call->bytes.size - call->read_at;
    if (call->read_at < CALL_CHUNK / 2 && left > 0) return;
    if (left > 0) memmove(call->bytes.data, call->bytes.data + call->read_at, left);
    call->bytes.size = left;
    call->read_at = 0;
}

/* libmicrohttpd asks for more of a streaming answer. */
static ssize_t read_stream(void *context, uint64_t position, char *to, size_t size)
{
    (void)position;
    struct call *call = context;
    ssize_t result = 0;
    (void)pthread_mutex_lock(&call->mutex);
    size_t left = call->bytes.size - call->read_at;
    if (left > 0) {
        size_t taken = left < size ? left : size;
        memcpy(to, call->bytes.data + call->read_at, taken);
        call->read_at += taken;
        forget_taken(call);
        (void)pthread_cond_signal(&call->taken);
        result = (ssize_t)taken;
    } else if (call->cut) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (call->finished) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        call_sleep(call);
    }
    (void)pthread_mutex_unlock(&call->mutex);
    return result;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        log_line(LOG_LEVEL_ERROR, "header_refused", "the response header %s was not taken", name);
}

/* What every answer says: nothing of it is to run or to be shown elsewhere, and nothing from elsewhere here.
 */
static void add_headers(const struct call *call, struct MHD_Response *response)
{
    static const char *const always[][2] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
         "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
    };
    bool cached = false;
    const char *origin = cors_origin(call);
    for (size_t i = 0; i < ARRAY_COUNT(always); i++) add_header(response, always[i][0], always[i][1]);
    add_header(response, "Cross-Origin-Resource-Policy", origin != NULL ? "cross-origin" : "same-origin");
    if (cors_is_on(call)) add_header(response, "Vary", "Origin");
    if (origin != NULL) {
        add_header(response, "Access-Control-Allow-Origin", origin);
        add_header(response, "Access-Control-Expose-Headers", CORS_EXPOSED);
    }
    if (call->media_type != NULL) add_header(response, "Content-Type", call->media_type);
    for (size_t i = 0; i < call->header_count; i++) {
        cached |= strcmp(call->header_names[i], "Cache-Control") == 0;
        add_header(response, call->header_names[i], call->header_values[i]);
    }
    if (!cached) add_header(response, "Cache-Control", "no-store");
}

/* The answer, finished or streaming. With the mutex held. libmicrohttpd 0.9.75 sends the end of a chunked
 * body after the header of one that has none, as the beginning of the next answer: there the connection is
 * closed. */
static struct MHD_Response *make_response(struct call *call)
{
    struct MHD_Response *response;
    if (call->finished && !call->cut) {
        call_limit(call);
        response =
            MHD_create_response_from_buffer(call->bytes.size, call->bytes.data, MHD_RESPMEM_PERSISTENT);
    } else {
        response =
            MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CALL_CHUNK / 8, read_stream, call, NULL);
    }
    if (response == NULL) abort(); /* out of memory */
    if (strcmp(call->method, "HEAD") == 0)
        (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}

/* The call outlives the response: it is released in on_completed(). */
static enum MHD_Result respond(struct MHD_Connection *connection, struct call *call)
{
    (void)pthread_mutex_lock(&call->mutex);
    struct MHD_Response *response = make_response(call);
    (void)pthread_mutex_unlock(&call->mutex);
    add_headers(call, response);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)call->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the request --------------------------------------------------------------------------------------- */

/* libmicrohttpd has read the request line. What this returns is the context of the request from here on. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct server *server = context;
    struct call *call = call_new(server->console, target);
    call->carrier = (struct call_carrier){connection, suspend, resume, set_deadline};
    return call;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **call_place,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct server *server = context;
    struct call *call = *call_place;
    if (call == NULL) return;
    *call_place = NULL;
    server->body_bytes -= call->body_counted;
    log_line(LOG_LEVEL_DEBUG, "request", "%s %.*s: %d in %lld ms", call->method != NULL ? call->method : "?",
             (int)call->uri.path.size, call->uri.path.data, call->status,
             (long long)(clock_now_ms() - call->begun_ms));
    set_deadline(connection, clock_now_ms() + REQUEST_TIMEOUT_MS);
    call_abandon(call);
    call_release(call);
}

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    struct call *call = context;
    call->hosts += strcasecmp(name, "Host") == 0;
    call->lengths += strcasecmp(name, "Content-Length") == 0;
    const bool is_coding = strcasecmp(name, "Transfer-Encoding") == 0;
    call->codings += is_coding;
    call->unknown_codings += is_coding && (value == NULL || strcasecmp(value, "chunked") != 0);
    call->spaced_names += name[strcspn(name, " \t")] != '\0';
    return MHD_YES;
}

static void keep_headers(struct call *call, struct MHD_Connection *connection)
{
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, call);
    for (size_t i = 0; i < CALL_HEADER_COUNT; i++) {
        const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, call_header_names[i]);
        if (value == NULL) continue;
        call->headers[i] = strdup(value);
        if (call->headers[i] == NULL) abort();
    }
}

static void refuse_bodies(struct server *server, struct call *call)
{
    server->body_bytes -= call->body_counted;
    call->body_counted = 0;
    call->refused = true;
    buffer_done(&call->body);
    call_answer_header(call, "Retry-After", "1");
    call_refuse(call, &(struct refusal){.problem = PROBLEM_TOO_MANY,
                                        .detail = "the bodies of other requests take 24 MiB"});
}

static void take_body(struct server *server, struct call *call, const char *data, size_t size)
{
    if (call->refused || call->body_too_large) return;
    call->body_too_large = call->body.size + size > call->route->body_bytes_max;
    if (call->body_too_large) return;
    const bool is_short = call->body.size + size <= SHORT_BODY_BYTES;
    if (!is_short && server->body_bytes + size > BODIES_BYTES_MAX) {
        refuse_bodies(server, call);
        return;
    }
    server->body_bytes += size;
    call->body_counted += size;
    (void)buffer_add(&call->body, data, size);
}

/* An answer while the client still sends makes the kernel reset the connection, and the client may never see
 * it. So the body of a refused request is read to its end and forgotten, unless it is very long. */
static bool is_worth_reading(const struct call *call)
{
    const char *length = call_header(call, "Content-Length");
    if (call->unknown_codings > 0) return false; /* nobody knows where it ends */
    return length == NULL || strtoull(length, NULL, 10) <= PASSED_OVER_MAX;
}

static enum MHD_Result answer_now(struct MHD_Connection *connection, struct call *call)
{
    call->dispatched = true;
    call->finished = true;
    return respond(connection, call);
}

/* Gives the call to a thread; the connection sleeps meanwhile. */
static enum MHD_Result hand_over(struct MHD_Connection *connection, struct call *call)
{
    (void)pthread_mutex_lock(&call->mutex);
    call->dispatched = true;
    call_sleep(call);
    (void)pthread_mutex_unlock(&call->mutex);
    if (call->route->kind != ROUTE_WORK) {
        call->route->handle(call);
    } else if (!work_submit(call->console->work, call)) {
        call_answer_header(call, "Retry-After", "1");
        call_refuse(call, &(struct refusal){.problem = PROBLEM_TOO_MANY, .detail = "too many requests wait"});
        call_done(call);
    }
    (void)connection;
    return MHD_YES;
}

static enum MHD_Result dispatch(struct MHD_Connection *connection, struct call *call)
{
    if (call->body_too_large) {
        admission_refuse_size(call);
        return answer_now(connection, call);
    }
    if (call->route->kind != ROUTE_INLINE) return hand_over(connection, call);
    call->route->handle(call);
    return answer_now(connection, call);
}

/* Connections outlive what answers their requests: from server_quiesce() on no handler sees one. */
static enum MHD_Result dispatch_or_refuse(struct server *server, struct MHD_Connection *connection,
                                          struct call *call)
{
    enum MHD_Result result;
    (void)pthread_mutex_lock(&server->answering);
    if (server->ending) {
        call_answer_header(call, "Connection", "close");
        call_answer_header(call, "Retry-After", "1");
        call_refuse(call,
                    &(struct refusal){.problem = PROBLEM_STOPPING, .detail = "try again when it is back"});
        result = answer_now(connection, call);
    } else {
        result = dispatch(connection, call);
    }
    (void)pthread_mutex_unlock(&server->answering);
    return result;
}

/* Called when the headers are there, for each part of the body, at its end, and when a sleeping connection
 * wakes up. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **call_place)
{
    (void)url;
    struct server *server = context;
    struct call *call = *call_place;
    if (call->method == NULL) {
        call->method = admission_method(method);
        call->needs_host = strcmp(version, "HTTP/1.0") != 0;
        keep_headers(call, connection);
        call->refused = !admission_check(call);
        return call->refused && !is_worth_reading(call) ? answer_now(connection, call) : MHD_YES;
    }
    if (*upload_size > 0) {
        take_body(server, call, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (call->dispatched) return respond(connection, call);
    set_deadline(connection, 0);
    if (call->refused) return answer_now(connection, call);
    return dispatch_or_refuse(server, connection, call);
}

/* ---- the daemon ---------------------------------------------------------------------------------------- */

static void on_log(void *context, const char *format, va_list values) __attribute__((format(printf, 2, 0)));

static void on_log(void *context, const char *format, va_list values)
{
    (void)context;
    char text[300];
    (void)vsnprintf(text, sizeof text, format, values);
    text[strcspn(text, "\n")] = '\0';
    log_line(LOG_LEVEL_DEBUG, "http", "%s", text);
}

/* Leaves escapes alone: they are decoded once, in uri.c. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static struct MHD_Daemon *start(struct server *server, int fd)
{
    const struct console *console = server->console; /* on a loopback address all come from one */
    int64_t per_address = console->loopback_only ? 0 : console->settings->connections_per_address;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, server, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        server, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)per_address, MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_BYTES, MHD_OPTION_END);
}

bool server_open(struct console *console, const struct listen_address *address, struct server **ret_server,
                 struct fault *ret_fault)
{
    int fd = listen_address_open(address, BACKLOG);
    if (fd < 0) {
        fault_set(ret_fault, STATUS_STOP, "listen",
                  "cannot listen on %s port %u: %s; choose another with --listen, or port 0 for any free one",
                  address->host, (unsigned)address->port, strerror(errno));
        return false;
    }
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL || pthread_mutex_init(&server->mutex, NULL) != 0 ||
        pthread_mutex_init(&server->answering, NULL) != 0)
        abort();
    server->console = console;
    server->daemon = start(server, fd);
    if (server->daemon == NULL) {
        fault_set(ret_fault, STATUS_STOP, "listen", "cannot serve on %s port %u", address->host,
                  (unsigned)address->port);
        (void)close(fd);
        server_close(server);
        return false;
    }
    *ret_server = server;
    return true;
}

uint16_t server_port(const struct server *server)
{
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void server_quiesce(struct server *server)
{
    int fd = MHD_quiesce_daemon(server->daemon);
    if (fd >= 0) (void)close(fd);
    (void)pthread_mutex_lock(&server->answering);
    server->ending = true;
    (void)pthread_mutex_unlock(&server->answering);
}

void server_close(struct server *server)
{
    if (server == NULL) return;
    if (server->daemon != NULL) MHD_stop_daemon(server->daemon);
    (void)pthread_mutex_destroy(&server->mutex);
    (void)pthread_mutex_destroy(&server->answering);
    free(server);
}
