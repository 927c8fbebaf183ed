/* Which request goes where: the one table of routes. */
#ifndef WINNOW_ROUTE_H
#define WINNOW_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "console/role.h"
#include "slice.h"

#define ROUTE_CAPTURES_MAX 2

struct call;

enum route_kind {
    ROUTE_INLINE, /* the handler answers at once, in the thread of all connections: it must not wait */
    ROUTE_WORK,   /* in a work thread: it may ask PostgreSQL and wait */
    ROUTE_LATER,  /* it takes the call along and answers later, from a thread of its own; then call_done() */
    ROUTE_LIVE,   /* as ROUTE_LATER, and the answer goes on until the client leaves */
};

struct route {
    const char *method; /* "GET" takes HEAD too */
    const char *path;   /* "/api/v1/events/{hash}" */
    enum route_kind kind;
    enum role role; /* the least; ROLE_NONE: no token needed */
    bool writes;    /* refused when read-only, and from other web sites */
    void (*handle)(struct call *call);
    const char *parameters;  /* known query parameters, separated by spaces; "" none */
    const char *media_types; /* of the body, separated by spaces; NULL: it takes no body */
    size_t body_bytes_max;
};

/* The route, with the raw text of its {…} in `captures` (cut from the path, not decoded). NULL when there is
 * none; ret_methods then lists the methods that the path takes ("" when there is no such path). */
#define ROUTE_METHODS_SIZE 32
const struct route *route_find(const char *method, struct slice path,
                               struct slice captures[ROUTE_CAPTURES_MAX],
                               char ret_methods[ROUTE_METHODS_SIZE]);

/* All of them, for tests and for the page of the reference. */
extern const struct route routes[];
extern const size_t route_count;

#endif
