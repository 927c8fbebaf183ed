/* In which format an answer is wanted: `format` in the query, else Accept (RFC 9110, section 12.5.1). */
#ifndef WINNOW_ANSWER_FORMAT_H
#define WINNOW_ANSWER_FORMAT_H

#include <stdbool.h>

#include "attr.h"

struct call;

enum answer_format { FORMAT_JSON, FORMAT_NDJSON, FORMAT_CSV, FORMAT_COUNT };

/* `words`: those that the route knows, "json csv"; the first one of them wins where Accept is indifferent.
 * False when the call was refused: 400 for an unknown word, 406 when Accept takes none of them. */
MUST_CHECK bool answer_format_choose(struct call *call, const char *words, enum answer_format *ret_format);

/* "application/json", … */
const char *answer_format_media_type(enum answer_format format);

#endif
