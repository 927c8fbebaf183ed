/* What an error of PostgreSQL asks for, by its SQLSTATE (PostgreSQL 15 manual, appendix A). */
#ifndef WINNOW_SQLSTATE_H
#define WINNOW_SQLSTATE_H

#include <stdbool.h>

#include "status.h"

/* `sqlstate` is five characters, or NULL or "" when the connection was lost or nothing answered.
 *
 * STATUS_RETRY   08, 40, 53, 55P03, 57014, 57P0x, 57P05, 25006, 25P03, 58030, no SQLSTATE
 * STATUS_REJECT  22, 23502, 23503, 23505, 23514 with a constraint name, 54
 * STATUS_FATAL   XX, 58P01, 58P02
 * STATUS_STOP    everything else: 42, 28, 3D, 3F, 0A, 23514 without a constraint name ("no partition of
 *                relation found for row"), 21, 55000, ... An unknown error is never the data's fault.
 * Never STATUS_OK. */
enum status sqlstate_status(const char *sqlstate, bool has_constraint_name);

/* What an operator can do about a STATUS_STOP, as one sentence; never NULL. */
const char *sqlstate_advice(const char *sqlstate);

#endif
