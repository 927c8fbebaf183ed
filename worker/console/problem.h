/* Problem documents (RFC 9457): the one form in which the console says no. The list of kinds is that of
 * x-winnow-problems in openapi.json; a test compares. */
#ifndef WINNOW_PROBLEM_H
#define WINNOW_PROBLEM_H

#include "buffer.h"
#include "slice.h"

/* X(symbol, name, HTTP status, title) */
/* clang-format off */
#define PROBLEMS(X)                                                                              \
    X(PROBLEM_INVALID_PARAMETER, "invalid-parameter", 400, "A parameter is not acceptable")      \
    X(PROBLEM_INVALID_BODY, "invalid-body", 400, "The body is not acceptable")                   \
    X(PROBLEM_UNAUTHORIZED, "unauthorized", 401, "A token is needed")                            \
    X(PROBLEM_FORBIDDEN, "forbidden", 403, "The token's role does not allow this")               \
    X(PROBLEM_READ_ONLY, "read-only", 403, "The console is read-only")                           \
    X(PROBLEM_FOREIGN_ORIGIN, "foreign-origin", 403, "The request comes from another web site")  \
    X(PROBLEM_NOT_FOUND, "not-found", 404, "There is no such thing")                             \
    X(PROBLEM_METHOD, "method-not-allowed", 405, "The path does not take this method")           \
    X(PROBLEM_NOT_ACCEPTABLE, "not-acceptable", 406, "No acceptable format")                     \
    X(PROBLEM_CONFLICT, "conflict", 409, "Its state does not allow this")                        \
    X(PROBLEM_TOO_LARGE, "too-large", 413, "The body is too long")                               \
    X(PROBLEM_MEDIA_TYPE, "unsupported-media-type", 415, "The body has an unknown type")         \
    X(PROBLEM_EVENT_FAILED, "event-failed", 422, "The event failed")                             \
    X(PROBLEM_TOO_MANY, "too-many", 429, "Too many at once")                                     \
    X(PROBLEM_INTERNAL, "internal", 500, "The console failed")                                   \
    X(PROBLEM_DATABASE, "database-unavailable", 503, "PostgreSQL does not answer")               \
    X(PROBLEM_STOPPING, "stopping", 503, "The console is being stopped")                         \
    X(PROBLEM_KAFKA, "kafka-unavailable", 503, "Kafka does not answer")
/* clang-format on */

enum problem {
#define PROBLEM_SYMBOL(symbol, name, status, title) symbol,
    PROBLEMS(PROBLEM_SYMBOL)
#undef PROBLEM_SYMBOL
        PROBLEM_COUNT
};

/* What went wrong this time. Borrows everything; members that are NULL are left out. */
struct refusal {
    enum problem problem;
    const char *detail;    /* a sentence; NULL: made of the three below */
    const char *parameter; /* the parameter, header or member of the body */
    const char *in;        /* "path", "query", "header" or "body" */
    struct slice found;    /* any bytes: shown escaped, the first 80 of them */
    const char *expected;  /* what would be accepted */
    const char *members;   /* further members, as JSON without braces: "\"reason\":\"empty\"" */
};

int problem_status(enum problem problem);

/* Adds the document. `instance` is the path that was asked for: any bytes. */
void problem_print(const struct refusal *refusal, struct slice instance, struct buffer *ret_document);

#endif
