/* Faults from what PostgreSQL and libpq say. Text in, fault out: no libpq here. */
#ifndef WINNOW_DATABASE_FAULT_H
#define WINNOW_DATABASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

/* From PQerrorMessage() of a connection that failed to open, with verbose errors: STATUS_STOP with advice
 * when the server or libpq refused us (password, role, database, TLS, a malformed option), STATUS_RETRY when
 * the server could not be reached, starts up, shuts down or is full. */
void fault_from_connect(struct fault *ret_fault, const char *message);

/* From what libpq says of a conninfo it cannot read: STATUS_STOP. All it quotes is left out, for that may be
 * a password. */
void fault_from_conninfo(struct fault *ret_fault, const char *message);

/* From the fields of a server's error, "" where it has none. */
struct server_error {
    const char *sqlstate;
    const char *severity; /* not localized */
    const char *message;
    const char *detail;
    const char *constraint;
};
void fault_from_server(struct fault *ret_fault, const char *site, const struct server_error *error);

/* From PQerrorMessage() of a connection that broke during a statement: STATUS_RETRY. */
void fault_from_loss(struct fault *ret_fault, const char *site, const char *message);

/* The server ends the session after such an error, or has become one that must not be written to. */
bool server_error_ends_session(const struct server_error *error);

#endif
