/* How a line of the log is written:
 *
 * logfmt    time=2024-01-01T00:00:00.000Z level=warning pid=7 role=worker worker=3 event=fenced msg="…"
 * json      {"time":"2024-01-01T00:00:00.000Z","level":"warning","pid":7,"role":"worker","worker":3,…}
 * journal   logfmt behind the <priority> that sd-daemon(3) reads
 *
 * suppressed=N, behind the message: so many like it were left out since the last; lost=N: so many lines of
 * any kind could not be written. Times are UTC, RFC 3339. */
#ifndef WINNOW_LOG_FORMAT_H
#define WINNOW_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "log.h"

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

#define LOG_LINE_SIZE 4096 /* PIPE_BUF: a line of this size is not torn by other writers to the same pipe */

struct log_record {
    int64_t wall_ms; /* since 1970 */
    enum log_level level;
    int pid;
    const char *role;  /* "worker 3" is told as role and worker; "": none */
    const char *event; /* snake_case */
    const char *text;  /* any bytes but NUL */
    bool is_cut;       /* the text is not whole */
    uint64_t suppressed;
    uint64_t lost;
};

/* Writes the line with its \n and no NUL; returns its size, at most LOG_LINE_SIZE. Whatever the text holds,
 * the line is one line, well-formed UTF-8, and valid JSON. A text that does not fit ends with "…". */
size_t log_format(enum log_format format, const struct log_record *record, char ret_line[LOG_LINE_SIZE]);

#endif
