/* What a call is made of. For call*.c, server.c and work.c alone: handlers see call.h.
 *
 * A call is shared by the thread of all connections and the one that answers. Each holds a reference; what
 * both touch is guarded by the mutex, all else belongs to whoever has the call at that time. */
#ifndef WINNOW_CALL_STATE_H
#define WINNOW_CALL_STATE_H

#include <pthread.h>

#include "console/call.h"
#include "console/role.h"
#include "console/route.h"
#include "console/uri.h"

#define CALL_HEADERS_MAX     8 /* of the answer */
#define CALL_MEDIA_TYPE_JSON "application/json"

#define CALL_HEADER_COUNT 12 /* of the request: those that anyone looks at */
extern const char *const call_header_names[CALL_HEADER_COUNT];

struct work_thread;

/* How the answering thread reaches the connection. Set by server.c. */
struct call_carrier {
    void *connection;
    void (*suspend)(void *connection);
    void (*resume)(void *connection);
    void (*set_deadline)(void *connection, int64_t deadline_ms); /* when it is cut, by clock_now_ms() */
};

struct call {
    struct console *console;
    struct call_carrier carrier;

    /* what was asked */
    const char *method; /* static */
    struct uri uri;
    char *headers[CALL_HEADER_COUNT]; /* owned; NULL: absent */
    unsigned hosts;                   /* how many headers of that name there are: Host, */
    unsigned lengths;                 /* Content-Length, */
    unsigned codings;                 /* Transfer-Encoding */
    unsigned unknown_codings;         /* of these, other than "chunked" */
    unsigned spaced_names;            /* and how many have a space in their names */
    bool needs_host;                  /* HTTP/1.1 */
    const struct route *route;
    char *captures[ROUTE_CAPTURES_MAX]; /* owned, decoded */
    struct buffer body;
    size_t body_counted; /* bytes of it that count for the limit on all bodies */
    bool body_too_large;
    bool refused; /* before its body came, which is passed over */
    char actor[64];
    enum role role;
    int64_t begun_ms;
    struct work_thread *thread; /* NULL unless in a work thread */

    /* the answer; `begun` and what stands before it are the answering thread's */
    int status;
    const char *media_type;
    char *header_names[CALL_HEADERS_MAX];
    char *header_values[CALL_HEADERS_MAX];
    size_t header_count;
    bool begun;

    pthread_mutex_t mutex;
    pthread_cond_t taken; /* the client took some, or left */
    struct buffer bytes;  /* of the body, from read_at on not yet handed over */
    size_t read_at;
    bool dispatched; /* a handler has it, or had it */
    bool finished;   /* nothing more will be added */
    bool streaming;  /* the head goes out before the answer is finished */
    bool cut;        /* finished by a failure after it began to stream */
    bool abandoned;  /* the client is gone */
    bool suspended;
    unsigned references;
};

/* One reference, for the caller. */
struct call *call_new(struct console *console, const char *target);
void call_hold(struct call *call);
void call_release(struct call *call);

/* Nothing more will be added; the connection goes on. Any thread. */
void call_done(struct call *call);

/* Adds to a stream that goes on by itself. False when the client is gone, or more than `pending_max` bytes
 * wait for it; then the stream is cut. Never waits. For ROUTE_LIVE. Any thread. */
MUST_CHECK bool call_push(struct call *call, const void *data, size_t size, size_t pending_max);

/* With the mutex held: the connection stops until call_wake(). */
void call_sleep(struct call *call);
/* With the mutex held: it goes on, if it stopped. */
void call_wake(struct call *call);

/* With the mutex held, when nothing more will be added: what is left must be taken in good time. */
void call_limit(struct call *call);

/* The client left: the answering thread learns of it. */
void call_abandon(struct call *call);

#endif
