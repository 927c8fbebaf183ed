/* What the routes of /failed share: which letters are meant, and that something is written down
 * about one. */
#ifndef WINNOW_FAILED_ANSWER_H
#define WINNOW_FAILED_ANSWER_H

#include <stdbool.h>

#include "attr.h"
#include "console/call.h"
#include "dead_letter_work.h"

/* All reasons, separated by single spaces. */
const char *failed_reasons(void);

/* The console's topic and group. */
struct letter_scope failed_scope(const struct call *call);

/* {partition} and {offset} of the path; false when the call is answered. */
MUST_CHECK bool failed_read_path(struct call *call, int64_t *ret_partition, int64_t *ret_offset);

/* Answers that there is no such letter. */
void failed_refuse_unknown(struct call *call);

/* Writes down what is done about one letter: one row (enum deed_column), which the caller frees. False when
 * the call is answered, also because the letter's state does not allow it. */
MUST_CHECK bool failed_do_one(struct call *call, int64_t partition, int64_t offset,
                              const struct letter_deed *deed, struct rows **ret_rows);

#endif
