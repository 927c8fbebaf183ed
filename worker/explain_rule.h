/* Which rule made a field's value of the text in a message. */
#ifndef WINNOW_EXPLAIN_RULE_H
#define WINNOW_EXPLAIN_RULE_H

#include <stdint.h>

#include "normalize.h"

/* "C-2", "D-3", …, of a field that was found; `time_us` is the event's. */
const char *explain_value_rule(enum field field, const struct finding *finding, int64_t time_us);

#endif
