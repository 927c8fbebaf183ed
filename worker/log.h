/* One line a decision, logfmt on standard error: time=… level=… role=… event=… msg="…".
 * Under the journal (JOURNAL_STREAM) each line begins with its <priority>, sd-daemon(3). */
#ifndef WINNOW_LOG_H
#define WINNOW_LOG_H

#include <stdbool.h>

#include "attr.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets what is printed; the default is info, without a role. `role` is static or outlives the process:
 * "pool", "worker 3". Call before there are threads. */
void log_init(enum log_level level, const char *role);

/* Reads "error", "warning", "info" or "debug". */
MUST_CHECK bool log_level_read(const char *text, enum log_level *ret_level);

/* The same as log_init() for a command whose answer says what went wrong: errors only, or everything when the
 * level is "debug". */
void log_init_quiet(const char *level_name, const char *role);

/* Prints a line by one write(2); beyond 4096 bytes it is cut. `event` names the log event in snake_case and
 * never changes once released; the rest is one sentence for a person. Control characters, quotes and
 * backslashes are escaped. Keeps errno. Safe in several threads. */
void log_line(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
