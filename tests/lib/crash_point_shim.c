/* Preloaded into one worker: names the points that it passes, and ends it at one of them.
 *
 * A point is NAME:NUMBER:SIDE, for instance "socket:3:after": the third socket call of the database
 * connection since the batch was handed over, when it has returned. Names: claim, open, halt, write (the
 * statements, as they are handed to libpq), socket, assign, seek, message, commit, leave (Kafka), exit (the
 * connection is closed), and of the publisher's thread lease, produce, deliver, mark, again.
 *
 * CRASH_POINT_TRACE: a file to which each point passed is appended, a line each, and "visited POINT" at the
 * end of the way. CRASH_POINTS: what to do, "POINT=WAY,POINT=WAY"; WAY is kill, stop, or reset (the database
 * connection, by RST). CRASH_POINT_HOLD: as many messages are gathered before the first is given to the
 * worker, so that they are one batch.
 *
 * So that the calls have the same numbers in every run, the connection behaves like a slow one while the
 * batch is in flight: it takes SEND_MAX bytes a call and gives RECEIVE_MAX, each only after poll(2) has said
 * that it would, and that poll watches nothing else. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_MAX    8192
#define RECEIVE_MAX 32
#define ANSWER_MS   60000
#define HELD_MAX    4096

/* What the real function is; NAME is a function with this file's prototype. */
#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, #name); \
    if (real == NULL) abort()

/* libpq's and librdkafka's functions, on opaque structs. */
int PQsocket(const void *connection);
int PQsendQueryPrepared(void *connection, const char *name, int count, const char *const *values,
                        const int *sizes, const int *formats, int format);
int PQsendQueryParams(void *connection, const char *sql, int count, const unsigned *types,
                      const char *const *values, const int *sizes, const int *formats, int format);
void PQfinish(void *connection);
int rd_kafka_assign(void *client, const void *list);
void *rd_kafka_seek_partitions(void *client, void *list, int timeout_ms);
int rd_kafka_commit(void *client, const void *list, int asynchronous);
void *rd_kafka_consumer_poll(void *client, int timeout_ms);
void *rd_kafka_consumer_close_queue(void *client, void *queue);
void rd_kafka_message_destroy(void *message);
void *rd_kafka_headers_new(size_t count);
int rd_kafka_poll(void *client, int timeout_ms);

/* Of the main thread alone. */
static struct {
    int socket;    /* of the main thread's latest statement, -1: none */
    int window;    /* the same, while the first batch is in flight */
    int dead;      /* was reset */
    bool may_send; /* poll(2) has said so since the socket was full */
    bool may_receive;
    bool looked; /* in vain, and nothing has happened since */
    unsigned claim, open, halt, write, socket_call, assign, seek, message, commit, leave, exit;
    void *held[HELD_MAX];
    size_t held_count;
    size_t given;
    bool gives; /* all that were to be held are here, or no longer wanted */
} worker = {.socket = -1, .window = -1, .dead = -1, .may_send = true};

/* Of the publisher's thread alone. */
static struct {
    unsigned lease, produce, mark;
    bool waited, delivered, again;
} publisher;

static bool in_main_thread(void)
{
    static _Thread_local int known; /* 0: not asked yet */
    if (known == 0) known = gettid() == getpid() ? 1 : 2;
    return known == 1;
}

/* ---- points ------------------------------------------------------------------------------------------- */

static void trace(const char *what, const char *point)
{
    static int file = -1;
    char line[128];
    const char *path = getenv("CRASH_POINT_TRACE");
    if (path == NULL) return;
    if (file < 0) file = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
    int size = snprintf(line, sizeof(line), "%s%s\n", what, point);
    if (write(file, line, (size_t)size) != size) abort();
}

/* The other side gets a RST, and every later call on the descriptor fails. */
static void reset_connection(void)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (worker.socket < 0) return;
    (void)setsockopt(worker.socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    int unconnected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (unconnected < 0 || dup2(unconnected, worker.socket) < 0) abort();
    REAL(close);
    (void)real(unconnected);
    worker.dead = worker.socket;
}

static void act(const char *way)
{
    if (strncmp(way, "kill", 4) == 0) (void)raise(SIGKILL);
    if (strncmp(way, "stop", 4) == 0) (void)raise(SIGSTOP);
    if (strncmp(way, "reset", 5) == 0) reset_connection();
}

static void pass(const char *name, unsigned number, const char *side)
{
    char point[64];
    (void)snprintf(point, sizeof(point), "%s:%u:%s", name, number, side);
    trace("", point);
    const char *orders = getenv("CRASH_POINTS");
    for (const char *order = orders; order != NULL && *order != '\0';) {
        size_t size = strlen(point);
        if (strncmp(order, point, size) == 0 && order[size] == '=') {
            trace("visited ", point);
            act(order + size + 1);
        }
        order = strchr(order, ',');
        if (order != NULL) order++;
    }
}

/* ---- statements --------------------------------------------------------------------------------------- */

/* The statements of the ring that have no name of their own in libpq, and a part of each that no other has.
 */
static unsigned *find_statement(const char *sql, const char **ret_name)
{
    static const struct {
        const char *part;
        const char *name;
        unsigned *number;
        bool of_worker;
    } statements[] = {
        {"SET epoch = l.epoch + 1", "claim", &worker.claim, true},
        {"INSERT INTO winnow.processing_log", "open", &worker.open, true},
        {"SET state = 'halted'", "halt", &worker.halt, true},
        {"SET publish_lease_until = now()", "lease", &publisher.lease, false},
        {"published_at = CASE", "mark", &publisher.mark, false},
    };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (statements[i].of_worker != in_main_thread() || strstr(sql, statements[i].part) == NULL) continue;
        *ret_name = statements[i].name;
        return statements[i].number;
    }
    return NULL;
}

/* The publisher looks for more letters: it knows by now that the last ones are marked. */
static void look_again(const char *sql)
{
    if (in_main_thread() || publisher.mark == 0 || publisher.again) return;
    if (strstr(sql, "SELECT EXISTS") == NULL) return;
    publisher.again = true;
    pass("again", 1, "before");
}

int PQsendQueryParams(void *connection, const char *sql, int count, const unsigned *types,
                      const char *const *values, const int *sizes, const int *formats, int format)
{
    const char *name = NULL;
    unsigned *number = find_statement(sql, &name);
    REAL(PQsendQueryParams);
    if (in_main_thread()) worker.socket = PQsocket(connection);
    look_again(sql);
    if (number != NULL) pass(name, ++*number, "before");
    int sent = real(connection, sql, count, types, values, sizes, formats, format);
    if (number != NULL) pass(name, *number, "after");
    return sent;
}

int PQsendQueryPrepared(void *connection, const char *name, int count, const char *const *values,
                        const int *sizes, const int *formats, int format)
{
    REAL(PQsendQueryPrepared);
    worker.socket = PQsocket(connection);
    worker.write++;
    pass("write", worker.write, "before");
    worker.window = worker.write == 1 ? worker.socket : -1;
    int sent = real(connection, name, count, values, sizes, formats, format);
    pass("write", worker.write, "after");
    return sent;
}

void PQfinish(void *connection)
{
    REAL(PQfinish);
    bool ours =
        in_main_thread() && worker.write > 0 && connection != NULL && PQsocket(connection) == worker.socket;
    if (ours) pass("exit", ++worker.exit, "before");
    real(connection);
    if (ours) pass("exit", worker.exit, "after");
}

/* ---- the socket --------------------------------------------------------------------------------------- */

static bool in_window(int descriptor)
{
    return descriptor >= 0 && in_main_thread() && descriptor == worker.window;
}

static bool is_dead(int descriptor)
{
    return descriptor >= 0 && in_main_thread() && descriptor == worker.dead;
}

static void begin_call(void)
{
    pass("socket", ++worker.socket_call, "before");
}

/* Keeps errno. */
static void end_call(void)
{
    int kept = errno;
    pass("socket", worker.socket_call, "after");
    errno = kept;
}

static ssize_t fail(int number)
{
    errno = number;
    return -1;
}

static ssize_t send_some(int descriptor, const void *data, size_t size, int flags)
{
    REAL(send);
    if (is_dead(descriptor)) return fail(ECONNRESET);
    if (!in_window(descriptor) || size <= SEND_MAX) return real(descriptor, data, size, flags);
    worker.may_send = false;
    return real(descriptor, data, SEND_MAX, flags);
}

ssize_t send(int descriptor, const void *data, size_t size, int flags)
{
    bool counts = in_window(descriptor);
    if (counts && !is_dead(descriptor) && !worker.may_send) return fail(EAGAIN);
    worker.looked = counts ? false : worker.looked;
    if (counts) begin_call();
    ssize_t sent = send_some(descriptor, data, size, flags);
    if (counts) end_call();
    return sent;
}

static ssize_t receive_some(int descriptor, void *data, size_t size, int flags)
{
    REAL(recv);
    if (is_dead(descriptor)) return fail(ECONNRESET);
    if (!in_window(descriptor)) return real(descriptor, data, size, flags);
    if (!worker.may_receive) return fail(EAGAIN);
    worker.may_receive = false;
    return real(descriptor, data, size < RECEIVE_MAX ? size : RECEIVE_MAX, flags);
}

/* PostgreSQL says ReadyForQuery behind everything else: the batch is no longer in flight, and what the worker
 * looks for on the idle connection is no point. */
static bool ends_answer(const void *data, ssize_t size)
{
    static const char ready[] = {'Z', 0, 0, 0, 5, 'I'};
    static char tail[sizeof(ready)];
    for (ssize_t i = 0; i < size; i++) {
        memmove(tail, tail + 1, sizeof(tail) - 1);
        tail[sizeof(tail) - 1] = ((const char *)data)[i];
    }
    return memcmp(tail, ready, sizeof(ready)) == 0;
}

/* A second look in vain, with nothing in between, is no new point. */
ssize_t recv(int descriptor, void *data, size_t size, int flags)
{
    bool counts = in_window(descriptor);
    if (counts && !is_dead(descriptor) && !worker.may_receive) {
        if (worker.looked) return fail(EAGAIN);
        worker.looked = true;
    }
    if (counts) begin_call();
    ssize_t received = receive_some(descriptor, data, size, flags);
    if (counts) end_call();
    if (counts && ends_answer(data, received)) worker.window = -1;
    return received;
}

static int poll_alone(struct pollfd *descriptors, nfds_t count, struct pollfd *ours)
{
    REAL(poll);
    struct pollfd alone = *ours;
    int ready = real(&alone, 1, ANSWER_MS);
    for (nfds_t i = 0; i < count; i++) descriptors[i].revents = 0;
    ours->revents = alone.revents;
    if ((alone.revents & (POLLOUT | POLLERR | POLLHUP)) != 0) worker.may_send = true;
    if ((alone.revents & (POLLIN | POLLERR | POLLHUP)) != 0) worker.may_receive = true;
    worker.looked = false;
    return ready;
}

int poll(struct pollfd *descriptors, nfds_t count, int timeout_ms)
{
    REAL(poll);
    for (nfds_t i = 0; i < count; i++) {
        if (!in_window(descriptors[i].fd)) continue;
        begin_call();
        int ready = poll_alone(descriptors, count, &descriptors[i]);
        end_call();
        return ready;
    }
    return real(descriptors, count, timeout_ms);
}

int close(int descriptor)
{
    REAL(close);
    bool counts = in_window(descriptor);
    if (counts) begin_call();
    if (is_dead(descriptor)) worker.dead = -1;
    if (in_main_thread() && descriptor == worker.socket) worker.socket = -1;
    int closed = real(descriptor);
    if (counts) {
        end_call();
        worker.window = -1;
    }
    return closed;
}

/* ---- Kafka -------------------------------------------------------------------------------------------- */

/* What was gathered belongs to an assignment that is over: it is given as it is, and nothing more is held. */
static void hold_no_more(void)
{
    worker.gives = true;
}

/* The list begins with its length; an empty one is the answer to a rebalance. */
int rd_kafka_assign(void *client, const void *list)
{
    REAL(rd_kafka_assign);
    bool counts = list != NULL && *(const int *)list > 0;
    if (counts && worker.assign > 0) hold_no_more();
    if (counts) pass("assign", ++worker.assign, "before");
    int code = real(client, list);
    if (counts) pass("assign", worker.assign, "after");
    return code;
}

void *rd_kafka_seek_partitions(void *client, void *list, int timeout_ms)
{
    REAL(rd_kafka_seek_partitions);
    hold_no_more();
    pass("seek", ++worker.seek, "before");
    void *error = real(client, list, timeout_ms);
    pass("seek", worker.seek, "after");
    return error;
}

int rd_kafka_commit(void *client, const void *list, int asynchronous)
{
    REAL(rd_kafka_commit);
    pass("commit", ++worker.commit, "before");
    int code = real(client, list, asynchronous);
    pass("commit", worker.commit, "after");
    return code;
}

static size_t wanted(void)
{
    const char *text = getenv("CRASH_POINT_HOLD");
    size_t count = text == NULL ? 0 : (size_t)atoi(text);
    return count < HELD_MAX ? count : HELD_MAX;
}

static void *give(void)
{
    if (worker.given == worker.held_count) return NULL;
    pass("message", ++worker.message, "before");
    return worker.held[worker.given++];
}

/* A message begins with its error code. */
void *rd_kafka_consumer_poll(void *client, int timeout_ms)
{
    REAL(rd_kafka_consumer_poll);
    if (worker.held_count >= wanted()) worker.gives = true;
    while (!worker.gives) {
        void *message = real(client, timeout_ms);
        if (message == NULL || *(const int *)message != 0) return message;
        worker.held[worker.held_count++] = message;
        if (worker.held_count == wanted()) worker.gives = true;
    }
    void *message = give();
    return message == NULL ? real(client, timeout_ms) : message;
}

void *rd_kafka_consumer_close_queue(void *client, void *queue)
{
    REAL(rd_kafka_consumer_close_queue);
    while (worker.given < worker.held_count) rd_kafka_message_destroy(worker.held[worker.given++]);
    pass("leave", ++worker.leave, "before");
    void *error = real(client, queue);
    pass("leave", worker.leave, "after");
    return error;
}

/* ---- the publisher ------------------------------------------------------------------------------------ */

/* Made for each letter, just before it is handed to the producer. */
void *rd_kafka_headers_new(size_t count)
{
    REAL(rd_kafka_headers_new);
    if (!in_main_thread() && publisher.lease > 0) pass("produce", ++publisher.produce, "before");
    return real(count);
}

int rd_kafka_poll(void *client, int timeout_ms)
{
    REAL(rd_kafka_poll);
    if (publisher.produce > 0 && !publisher.waited) {
        publisher.waited = true;
        pass("deliver", 1, "before");
    }
    int served = real(client, timeout_ms);
    if (served > 0 && publisher.waited && !publisher.delivered) {
        publisher.delivered = true;
        pass("deliver", 1, "after");
    }
    return served;
}
