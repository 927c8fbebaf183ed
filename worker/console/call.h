/* One request and its answer, as the handlers of routes see them. Handlers know nothing of HTTP's wire format
 * and nothing of libmicrohttpd.
 *
 * A handler answers exactly once: by call_answer() and call_add(), by call_refuse() or by call_fail(). The
 * functions named call_query_… and call_path_… check a parameter; when they return false they have answered
 * with a problem that names it, and the handler just returns.
 *
 * Not thread-safe: a call belongs to one thread at a time. */
#ifndef WINNOW_CALL_H
#define WINNOW_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "console/problem.h"
#include "console/session.h"
#include "database.h"
#include "settings.h"
#include "slice.h"
#include "status.h"

struct call;
struct console;

/* ---- what was asked; borrowed from the call, NUL-terminated, decoded, valid UTF-8 ---------------------- */

/* The index-th {…} of the route's path, from 0. */
const char *call_path(const struct call *call, size_t index);
/* A query parameter; NULL when it was not given. */
const char *call_query(const struct call *call, const char *name);
/* A request header that server.c keeps (call_header_names): "Accept", "Content-Type", …; NULL when absent. */
const char *call_header(const struct call *call, const char *name);
/* The bytes as they came; empty when there are none. */
struct slice call_body(const struct call *call);
/* Who asks: the token's name, or "loopback". */
const char *call_actor(const struct call *call);
struct console *call_console(const struct call *call);
const struct settings *call_settings(const struct call *call);

/* ---- checked parameters; *ret_… keep what they had when the parameter is absent ------------------------ */

MUST_CHECK bool call_query_integer(struct call *call, const char *name, int64_t min, int64_t max,
                                   int64_t *ret_value);
MUST_CHECK bool call_path_integer(struct call *call, size_t index, const char *name, int64_t min, int64_t max,
                                  int64_t *ret_value);
/* 1 (or min_size, when that is 0) to max_size characters, without NUL. */
MUST_CHECK bool call_query_text(struct call *call, const char *name, size_t min_size, size_t max_size,
                                const char **ret_text);
/* One of the words, which are separated by single spaces. */
MUST_CHECK bool call_query_choice(struct call *call, const char *name, const char *words,
                                  const char **ret_word);
/* A UTC day or RFC 3339, in µs. */
MUST_CHECK bool call_query_time(struct call *call, const char *name, int64_t *ret_us);
/* `from` and `to`, of which the first must not be behind the second. */
MUST_CHECK bool call_query_period(struct call *call, int64_t *ret_from_us, int64_t *ret_to_us);
/* "5s", "250ms": 0ms to 30s. */
MUST_CHECK bool call_query_wait(struct call *call, const char *name, int64_t *ret_ms);
/* A plain decimal: at most 30 digits before the point and 18 behind it. */
MUST_CHECK bool call_query_decimal(struct call *call, const char *name, const char **ret_text);
MUST_CHECK bool call_query_uuid(struct call *call, const char *name, const char **ret_text);
MUST_CHECK bool call_path_uuid(struct call *call, size_t index, const char *name, const char **ret_text);

/* ---- the answer ---------------------------------------------------------------------------------------- */

/* Begins it. `media_type` is static. */
void call_answer(struct call *call, int status, const char *media_type);
/* One more response header; both are copied. */
void call_answer_header(struct call *call, const char *name, const char *value);
/* Adds to the body. Short ones are kept and sent whole; beyond CALL_CHUNK bytes the answer streams: in a
 * ROUTE_WORK handler this then waits until the client has taken enough. False when the client is gone or took
 * less than half a chunk in 10 s, and the connection is cut, or when too many answers stream already, and the
 * call is refused: give up. Never more than what was added and a chunk are in memory. */
#define CALL_CHUNK ((size_t)128 * 1024)
MUST_CHECK bool call_add(struct call *call, const void *data, size_t size);
/* For an answer that may take long, before any of it is made: because others are slow, be it who reads it or
 * Kafka, the thread may be kept. Only half of them may be; false when they are, and none is free after
 * wait_ms (0: at once): the call is refused. Only in ROUTE_WORK handlers. */
MUST_CHECK bool call_reserve_thread(struct call *call, int64_t wait_ms);
/* What may take long is over before the answer is. */
void call_release_thread(struct call *call);
/* Begins, adds and is done: a JSON document, which does not stream. The buffer stays the caller's. */
void call_answer_json(struct call *call, int status, const struct buffer *document);
/* A problem document, in place of an answer that has not begun. */
void call_refuse(struct call *call, const struct refusal *refusal);
/* The same for a fault of PostgreSQL or Kafka: RETRY is a 503 with Retry-After, all else a 500 that is
 * logged. `problem` is PROBLEM_DATABASE or PROBLEM_KAFKA. When an answer has begun to stream it is cut. */
void call_fail(struct call *call, enum problem problem, const struct fault *fault);
/* The same for a message that Kafka did not take: REJECT, for its own sake, is a 400. */
void call_fail_sending(struct call *call, const struct fault *fault);
/* The same for one that Kafka has neither taken nor refused in so long: whoever waits has said how long. */
void call_fail_late(struct call *call, int64_t waited_ms);

/* ---- PostgreSQL, in ROUTE_WORK handlers ---------------------------------------------------------------- */

/* Each work thread has a connection of each kind (session.h), opened when first wanted and again after it was
 * lost. */

/* NULL when it cannot be had: then the call is answered. Borrowed until the handler returns. Leave no
 * transaction open. */
struct database *call_database(struct call *call, enum session_kind kind);
/* Runs a statement, once more on a new connection when a kept one turns out to be lost (reads only). False
 * when the call is answered with the fault. The caller frees the rows; ret_rows may be NULL. */
MUST_CHECK bool call_run(struct call *call, enum session_kind kind, const char *sql,
                         const struct sql_parameter *parameters, size_t count, struct rows **ret_rows);

#endif
