/* From a loose message to the canonical event, or the reason why not. A function of the message and the
 * configuration alone: no clock, no randomness, no state that outlives the call. */
#ifndef WINNOW_NORMALIZE_H
#define WINNOW_NORMALIZE_H

#include <stddef.h>

#include "attr.h"
#include "client_rules.h"
#include "event.h"
#include "record.h"
#include "reject.h"
#include "status.h"

#define NORMALIZE_EVENT_BYTES_MAX_DEFAULT ((size_t)1024 * 1024) /* M-2 */
#define NORMALIZE_DEPTH_MAX               32                    /* M-6 */

enum field { FIELD_CLIENT_ID, FIELD_METRIC, FIELD_AMOUNT, FIELD_TIMESTAMP, FIELD_COUNT };

enum place { PLACE_NONE, PLACE_TOP, PLACE_PAYLOAD, PLACE_DATA };

/* Where a field was found. Borrows like the event. */
struct finding {
    enum place place;   /* PLACE_NONE: absent */
    struct slice key;   /* as written in the message, without quotes */
    struct slice value; /* the JSON text as written, strings without quotes */
};

/* Scratch memory for reuse; one per thread. */
struct normalizer;

struct normalizer *normalizer_new(size_t event_bytes_max); /* owned by the caller */
void normalizer_free(struct normalizer *normalizer);       /* takes NULL */

/* STATUS_OK: *ret_event is filled, hash and bucket included.
 * STATUS_REJECT: *ret_reject is filled, *ret_event untouched.
 * The event's slices borrow from the record or the normalizer until the next call. */
MUST_CHECK enum status normalize(struct normalizer *normalizer, const struct record *record,
                                 const struct client_rules *rules, struct event *ret_event,
                                 struct reject *ret_reject);

/* The client id of the last message, also of one that was rejected for something else; data NULL when it
 * could not be read. Borrowed like the event. */
struct slice normalizer_client(const struct normalizer *normalizer);

/* Where the last call of normalize() found the field; for explanations. PLACE_NONE for all when the last
 * message failed before its fields were looked for. */
const struct finding *normalizer_finding(const struct normalizer *normalizer, enum field field);

/* "client_id", "metric", "amount", "timestamp"; "top level", "payload", "data". */
const char *field_name(enum field field);
const char *place_name(enum place place);

#endif
