/* What repeats itself floods a log and hides the rest. Of each event at most 20 warnings a minute are let
 * through, and 100 errors; the others are counted. */
#ifndef WINNOW_LOG_LIMIT_H
#define WINNOW_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "log.h"

#define LOG_LIMIT_MINUTE_MS INT64_C(60000)

/* Whether a line may be printed now (clock_now_ms()); *ret_suppressed is how many of its event were left out
 * since the last one. `event` outlives the process. Info and debug always pass. Safe in several threads. */
MUST_CHECK bool log_limit_pass(const char *event, enum log_level level, int64_t now_ms,
                               uint64_t *ret_suppressed);

/* An event of which some were left out, the last more than a minute ago, so that the count is told even when
 * it does not come again; NULL when there is none. The count begins anew. */
const char *log_limit_overdue(int64_t now_ms, enum log_level *ret_level, uint64_t *ret_suppressed);

#endif
