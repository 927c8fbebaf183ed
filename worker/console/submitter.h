/* The console's producer: a thread that sends parcels and tells of each what Kafka did. Idempotent, acks=all.
 */
#ifndef WINNOW_SUBMITTER_H
#define WINNOW_SUBMITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "console/parcel.h"
#include "settings.h"

struct submitter;

/* Settings are borrowed. No broker is asked: while none answers, parcels fail after 10 s. STATUS_STOP when
 * the configuration is wrong. */
MUST_CHECK bool submitter_new(const struct settings *settings, struct submitter **ret_submitter,
                              struct fault *ret_fault);

/* Sends the items in their order; then, in the submitter's thread, parcel->done(), and before, when that
 * takes too long, parcel->late(). Values, keys and headers are borrowed until it is done. False when too much
 * is under way (16 MiB); then nothing was taken. */
MUST_CHECK bool submitter_send(struct submitter *submitter, struct parcel *parcel);

/* The same for a thread that may wait. False when too much is under way. parcel->done is not used. */
MUST_CHECK bool submitter_send_and_wait(struct submitter *submitter, struct parcel *parcel);

/* Waits up to 10 s for what is under way. Takes NULL. */
void submitter_free(struct submitter *submitter);

#endif
