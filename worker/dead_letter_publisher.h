/* Publishes dead letters from their table to the dead-letter topic, in a thread of its own with its own
 * connections, so that a topic that is down stops nothing. The table is the truth: a row is leased
 * (publish_lease_until), produced, and marked published on the acknowledgement; whatever dies between, the
 * lease runs out and another publisher takes it. In the topic a letter may so appear twice, with the same
 * stable id. */
#ifndef WINNOW_DEAD_LETTER_PUBLISHER_H
#define WINNOW_DEAD_LETTER_PUBLISHER_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "metrics.h"
#include "settings.h"

struct publisher;

/* Starts the thread. Settings and metrics must outlive it; the metrics hear how many letters wait. Aborts
 * when no thread can be made. */
struct publisher *publisher_start(const struct settings *settings, struct metrics *metrics);

/* There may be something to publish: call after a batch with dead letters. Never blocks. */
void publisher_poke(struct publisher *publisher);

/* Lets it finish what is leased, up to timeout_ms, and ends it. Takes NULL. False when the thread did not end
 * within a second more: it still uses the settings, so leave by _exit(2) then. */
MUST_CHECK bool publisher_stop(struct publisher *publisher, int64_t timeout_ms);

#endif
