/* A connection to PostgreSQL, the only file with libpq. Blocking calls have deadlines and end early when the
 * process is asked to stop; the asynchronous pair lets decoding overlap the server's work.
 *
 * Faults carry the SQLSTATE, the class from sqlstate.h and one line for a person. After a fault whose
 * SQLSTATE is "" or 08xxx, 57P0x or 25006 the connection is gone: close it and open another. */
#ifndef WINNOW_DATABASE_H
#define WINNOW_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "attr.h"
#include "slice.h"
#include "status.h"

struct database;
struct rows; /* the result of a statement */

struct database_options {
    const char *conninfo; /* conninfo string or URI; "": libpq's environment (PGHOST, PGSERVICE, …) */
    const char *application_name; /* "winnow worker", shown in pg_stat_activity */
    bool read_only;               /* any server will do, also a standby or a role that may only read */
    bool stoppable;               /* a stop ends every wait: for a session that only looks */
    int64_t connect_timeout_ms;   /* per host; 5000 when 0; a connect_timeout in the conninfo wins */
    int64_t statement_timeout_ms; /* set in the session and, with 5 s more, waited for here; 0: none */
};

/* One parameter of a statement. data NULL is SQL NULL. Types are PostgreSQL's type OIDs (below). */
struct sql_parameter {
    uint32_t type;
    bool binary;
    const void *data; /* text: NUL-terminated */
    size_t size;      /* of binary data */
};

enum sql_type {
    SQL_BYTEA = 17,
    SQL_INT8 = 20,
    SQL_INT2 = 21,
    SQL_INT4 = 23,
    SQL_TEXT = 25,
    SQL_BYTEA_ARRAY = 1001,
    SQL_INT4_ARRAY = 1007,
    SQL_TEXT_ARRAY = 1009,
    SQL_INT8_ARRAY = 1016,
    SQL_TIMESTAMPTZ = 1184,
    SQL_TIMESTAMPTZ_ARRAY = 1185,
    SQL_NUMERIC = 1700,
    SQL_NUMERIC_ARRAY = 1231,
    SQL_UUID = 2950,
    SQL_UUID_ARRAY = 2951,
};

/* A text parameter; borrows the text, NULL is SQL NULL. */
static inline struct sql_parameter sql_text(const char *text)
{
    return (struct sql_parameter){.type = SQL_TEXT, .data = text};
}

/* Opens a connection: keepalives and TCP timeouts set unless the conninfo sets them, time zone UTC,
 * search_path empty, lock_timeout 10 s, idle_in_transaction_session_timeout 10 s, read-write server demanded,
 * generic plans forced. On failure *ret_fault is filled: STATUS_RETRY when the server cannot be reached or
 * starts up, STATUS_STOP when it refuses us (password, database, TLS). Passwords never reach the text. */
MUST_CHECK bool database_open(const struct database_options *options, struct database **ret_database,
                              struct fault *ret_fault);
void database_close(struct database *database); /* takes NULL; does not wait */

/* What a caller wants to hear meanwhile; members may be NULL. `notice`: the server's messages that are no
 * errors, `severity` being "WARNING", "NOTICE", …; without it they go nowhere. `waiting`: called a few times
 * a second while a statement without a deadline runs; it must not use this connection. */
struct database_listener {
    void (*notice)(void *context, const char *severity, const char *text);
    void (*waiting)(void *context);
    void *context;
};
void database_listen(struct database *database, const struct database_listener *listener);

/* Whether libpq can read the conninfo, without connecting; STATUS_STOP when not. *ret_names_service tells
 * whether it or the environment names a service. */
MUST_CHECK bool database_check_conninfo(const char *conninfo, bool *ret_names_service,
                                        struct fault *ret_fault);

/* The socket, for signals_wait(); -1 once the connection is gone. */
int database_fd(const struct database *database);

/* Runs a statement and waits for it. `rows` may be NULL when they do not matter, else the caller frees them.
 * Rows come in text format. `sql` without parameters may hold several statements (one implicit transaction).
 */
MUST_CHECK bool database_run(struct database *database, const char *site, const char *sql,
                             const struct sql_parameter *parameters, size_t parameter_count,
                             struct rows **ret_rows, struct fault *ret_fault);

/* Prepares a named statement; with one type OID for each parameter. */
MUST_CHECK bool database_prepare(struct database *database, const char *name, const char *sql,
                                 const uint32_t *types, size_t type_count, struct fault *ret_fault);

/* Sends a prepared statement; the parameters are copied out before it returns. One at a time. */
MUST_CHECK bool database_send(struct database *database, const char *site, const char *name,
                              const struct sql_parameter *parameters, size_t parameter_count,
                              struct fault *ret_fault);

enum database_progress { DATABASE_BUSY, DATABASE_DONE, DATABASE_FAILED };

/* Looks for the answer to database_send() without waiting, and goes on sending what the socket did not take.
 * DATABASE_DONE gives the rows, DATABASE_FAILED the fault, also when the statement's deadline has passed.
 * Between statements it waits for nothing but the loss of the connection, which it tells once. */
MUST_CHECK enum database_progress database_poll(struct database *database, struct rows **ret_rows,
                                                struct fault *ret_fault);

/* Whether a NOTIFY has come of what this session LISTENs to, since the last time that this was asked. Looks
 * at what database_poll() has taken in. */
MUST_CHECK bool database_was_notified(struct database *database);

/* True while database_send() has bytes left that the socket did not take: wait for POLLOUT too. */
bool database_wants_write(const struct database *database);

/* Whether the session is still usable after a fault. */
bool database_is_alive(const struct database *database);

size_t rows_count(const struct rows *rows);
bool rows_is_null(const struct rows *rows, size_t row, unsigned column);
const char *rows_text(const struct rows *rows, size_t row, unsigned column); /* "" for NULL */

/* 0 for NULL. */
static inline int64_t rows_int(const struct rows *rows, size_t row, unsigned column)
{
    return strtoll(rows_text(rows, row, column), NULL, 10);
}

/* Decodes a bytea. Borrowed from the rows; data NULL for NULL. */
struct slice rows_bytes(struct rows *rows, size_t row, unsigned column);
void rows_free(struct rows *rows); /* takes NULL */

#endif
