/* One line a decision on standard error, in the format of the setting log_format (log_format.h). Each event
 * has a name; log_events.h lists them all and says what to do. */
#ifndef WINNOW_LOG_H
#define WINNOW_LOG_H

#include <stdbool.h>

#include "attr.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets what is printed, and looks at where standard error goes; the default is info, logfmt, without a role.
 * `role` is static or outlives the process: "pool", "worker 3". Call before there are threads. */
void log_init(enum log_level level, const char *role);

/* The same by the values of the settings log_level and log_format. */
void log_init_named(const char *level_name, const char *format_name, const char *role);

/* The same in the usual format for a command whose answer says what went wrong: errors only, or everything
 * when the level is "debug". */
void log_init_quiet(const char *level_name, const char *role);

/* Reads "error", "warning", "info" or "debug". */
MUST_CHECK bool log_level_read(const char *text, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

/* Prints a line by one write(2), at most 4096 bytes; a longer one is cut. `event` stands in log_events.c and
 * never changes once released; the rest is one sentence for a person. Warnings and errors that come again and
 * again are left out, and counted in the next line of that event (log_limit.h). Never waits for a reader, and
 * does not mind when there is none (log_output.h). Keeps errno. Safe in several threads. */
void log_line(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
