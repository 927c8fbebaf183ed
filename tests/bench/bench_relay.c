/* A network with a delay:   bench_relay PORT TARGET_PORT DELAY_US
 *
 * Relays TCP connections to PORT on to TARGET_PORT, both on 127.0.0.1; each byte arrives DELAY_US
 * microseconds later than it came, in either direction, at any rate. Runs until it is killed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX   32
#define CHUNK_SIZE  65536
#define BUFFER_SIZE (8 << 20) /* read ahead of what the delay holds back */

struct chunk {
    struct chunk *next;
    int64_t due_ns;
    size_t begin;
    size_t end;
    char bytes[CHUNK_SIZE];
};

/* One direction of a connection. */
struct pipe {
    int source;
    int sink;
    struct chunk *first;
    struct chunk *last;
    size_t size;   /* of all chunks */
    bool ended;    /* the source has sent FIN */
    bool ended_on; /* and it was passed on */
    bool blocked;  /* the sink takes no more for now */
};

struct link {
    bool used;
    struct pipe pipes[2];
};

static struct link links[LINKS_MAX];
static int64_t delay_ns;

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- one direction ------------------------------------------------------------------------------------- */

/* False when the connection is broken. */
static bool take(struct pipe *pipe)
{
    struct chunk *chunk = malloc(sizeof *chunk);
    if (chunk == NULL) abort();
    ssize_t size = recv(pipe->source, chunk->bytes, CHUNK_SIZE, 0);
    if (size <= 0) {
        free(chunk);
        pipe->ended = size == 0;
        return size == 0 || errno == EAGAIN || errno == EINTR;
    }
    chunk->next = NULL;
    chunk->due_ns = now_ns() + delay_ns;
    chunk->begin = 0;
    chunk->end = (size_t)size;
    if (pipe->first == NULL) {
        pipe->first = chunk;
    } else {
        pipe->last->next = chunk;
    }
    pipe->last = chunk;
    pipe->size += (size_t)size;
    return true;
}

static void drop_first(struct pipe *pipe)
{
    struct chunk *chunk = pipe->first;
    pipe->first = chunk->next;
    free(chunk);
}

/* Passes on what is due. False when the connection is broken. */
static bool give(struct pipe *pipe)
{
    int64_t now = now_ns();
    while (pipe->first != NULL && pipe->first->due_ns <= now) {
        struct chunk *chunk = pipe->first;
        ssize_t size = send(pipe->sink, chunk->bytes + chunk->begin, chunk->end - chunk->begin, MSG_NOSIGNAL);
        pipe->blocked = size < 0 && errno == EAGAIN;
        if (size < 0) return pipe->blocked || errno == EINTR;
        chunk->begin += (size_t)size;
        pipe->size -= (size_t)size;
        if (chunk->begin == chunk->end) drop_first(pipe);
    }
    if (pipe->ended && pipe->first == NULL && !pipe->ended_on) {
        (void)shutdown(pipe->sink, SHUT_WR);
        pipe->ended_on = true;
    }
    return true;
}

/* ---- connections --------------------------------------------------------------------------------------- */

static struct sockaddr_in address_of(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void prepare(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) give_up("fcntl");
}

static void open_link(int listener, const struct sockaddr_in *target)
{
    int client = accept(listener, NULL, NULL);
    if (client < 0) return;
    size_t i = 0;
    while (i < LINKS_MAX && links[i].used) i++;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (i == LINKS_MAX || server < 0 || connect(server, (const struct sockaddr *)target, sizeof *target) != 0)
        give_up("connect");
    prepare(client);
    prepare(server);
    links[i] = (struct link){
        .used = true, .pipes = {{.source = client, .sink = server}, {.source = server, .sink = client}}};
}

static void close_link(struct link *link)
{
    for (int i = 0; i < 2; i++) {
        while (link->pipes[i].first != NULL) drop_first(&link->pipes[i]);
        (void)close(link->pipes[i].source);
    }
    link->used = false;
}

static short events_of(const struct pipe *in, const struct pipe *out)
{
    bool reads = !in->ended && in->size < BUFFER_SIZE;
    return (short)((reads ? POLLIN : 0) | (out->blocked ? POLLOUT : 0));
}

static void serve(struct link *link, const struct pollfd polled[2])
{
    bool whole = true;
    for (int i = 0; i < 2; i++) {
        struct pipe *pipe = &link->pipes[i];
        if ((polled[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 && !pipe->ended)
            whole = take(pipe) && whole;
        whole = give(pipe) && whole;
    }
    if (!whole || (link->pipes[0].ended_on && link->pipes[1].ended_on)) close_link(link);
}

/* When something is due; a second at the most. */
static struct timespec time_left(void)
{
    int64_t now = now_ns();
    int64_t left_ns = 999999999;
    for (size_t i = 0; i < 2 * LINKS_MAX; i++) {
        const struct pipe *pipe = &links[i / 2].pipes[i % 2];
        if (!links[i / 2].used || pipe->first == NULL || pipe->blocked) continue;
        if (pipe->first->due_ns - now < left_ns) left_ns = pipe->first->due_ns - now;
    }
    return (struct timespec){.tv_nsec = left_ns < 0 ? 0 : left_ns};
}

static void relay(int listener, const struct sockaddr_in *target)
{
    struct pollfd polled[2 * LINKS_MAX + 1];
    for (size_t i = 0; i < LINKS_MAX; i++) {
        const struct link *link = &links[i];
        for (size_t side = 0; side < 2; side++) {
            struct pollfd none = {.fd = -1};
            polled[2 * i + side] = none;
            if (!link->used) continue;
            polled[2 * i + side].fd = link->pipes[side].source;
            polled[2 * i + side].events = events_of(&link->pipes[side], &link->pipes[1 - side]);
        }
    }
    polled[2 * LINKS_MAX] = (struct pollfd){.fd = listener, .events = POLLIN};
    struct timespec left = time_left();
    if (ppoll(polled, 2 * LINKS_MAX + 1, &left, NULL) < 0 && errno != EINTR) give_up("ppoll");
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (links[i].used) serve(&links[i], &polled[2 * i]);
    if ((polled[2 * LINKS_MAX].revents & POLLIN) != 0) open_link(listener, target);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bench_relay PORT TARGET_PORT DELAY_US\n");
        return 64;
    }
    struct sockaddr_in here = address_of(argv[1]);
    struct sockaddr_in target = address_of(argv[2]);
    delay_ns = strtoll(argv[3], NULL, 10) * 1000;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* or each wait would end 50 µs late */
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (const struct sockaddr *)&here, sizeof here) != 0 || listen(listener, LINKS_MAX) != 0)
        give_up("listen");
    for (;;) relay(listener, &target);
}
