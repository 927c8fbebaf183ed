/* A session on the PostgreSQL of with_postgres(), with winnow's schema: one for all tests of a program. */
#ifndef WINNOW_TESTS_SCHEMA_H
#define WINNOW_TESTS_SCHEMA_H

#include <stdint.h>

#include "attr.h"
#include "database.h"

/* From schema_start() to schema_stop(). */
extern struct database *database;

/* What CUnit runs before a suite and after it. Connects, and makes the schema; the second one with a stream,
 * of group g and topic t. Other than 0: it could not, and has said why. */
MUST_CHECK int schema_start(void);
MUST_CHECK int schema_start_with_stream(void);
int schema_stop(void);

/* Runs SQL and gives the first number of its answer, 0 without one. Aborts when the server refuses it. */
int64_t ask(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
