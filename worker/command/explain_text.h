/* An explanation for a person. */
#ifndef WINNOW_EXPLAIN_TEXT_H
#define WINNOW_EXPLAIN_TEXT_H

#include <stdbool.h>

#include "event.h"
#include "normalize.h"
#include "reject.h"

/* Print on standard output what the last call of normalize() made of its message, rule by rule.
 * `time_is_known`: the message's own timestamp was given, and is not just the present. */
void explain_event(const struct normalizer *normalizer, const struct event *event, bool time_is_known);
void explain_reject(const struct normalizer *normalizer, const struct reject *reject);

#endif
