/* Connections of the console to PostgreSQL, each with the least privileges that the login allows. */
#ifndef WINNOW_SESSION_H
#define WINNOW_SESSION_H

#include <stdbool.h>

#include "attr.h"
#include "database.h"
#include "settings.h"

enum session_kind {
    SESSION_READ, /* as winnow_console when the login is a member of it; transactions only read in any case */
    SESSION_OUTCOME, /* the same, for questions that take a moment and are asked again */
    SESSION_UPKEEP,  /* as winnow_console, but its transactions may write what that role's functions write */
    SESSION_RETRY,   /* as winnow_retry when the login is a member of it */
    SESSION_FAULT,   /* as the login itself: ends other sessions, for simulated failures */
    SESSION_KIND_COUNT
};

/* Sees to it that *database is a living connection: keeps it, or closes it, when it was lost meanwhile,
 * and opens another. On failure it
 * is NULL. Connecting takes 3 s a host at most, a statement 20 s, of
 * SESSION_OUTCOME 2 s. */
MUST_CHECK bool session_keep(const struct settings *settings, enum session_kind kind,
                             struct database **database, struct fault *ret_fault);

#endif
