/* Waits for what workers make of parcels: one thread asks PostgreSQL for all of them at once, another one
 * keeps their deadlines. */
#ifndef WINNOW_OUTCOMES_H
#define WINNOW_OUTCOMES_H

#include "console/parcel.h"
#include "settings.h"

struct outcomes;

/* Settings are borrowed. */
struct outcomes *outcomes_new(const struct settings *settings);

/* Takes the parcel, whose items Kafka has acknowledged. When the outcome of each is known, or the parcel's
 * deadline has passed, calls parcel->done() in a thread of its own; items that are not known then are still
 * processing, as far as anyone can tell. The database may be away, slow or silent meanwhile. Any thread. */
void outcomes_watch(struct outcomes *outcomes, struct parcel *parcel);

/* All that wait are done at once, and those that come later, in the caller's thread. Waits for no database.
 */
void outcomes_stop(struct outcomes *outcomes);
void outcomes_free(struct outcomes *outcomes); /* after outcomes_stop(), when nobody watches any more */

#endif
