/* Which events were read not long ago, as a hint: nearly all that come again come soon. An event that is new
 * by this hint is inserted without looking for it first, which spares PostgreSQL a quarter of its work; the
 * unique key refuses the statement if the hint was wrong, and the batch is sent again with a look at every
 * row. A wrong "seen" costs that look, a wrong "new" a statement; neither can store an event twice or lose
 * one.
 *
 * Holds the last SEEN_COUNT to 2 * SEEN_COUNT events exactly, but for events whose hashes share 63 bits. */
#ifndef WINNOW_SEEN_H
#define WINNOW_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"

#define SEEN_COUNT 65536

struct seen;

/* 2 MiB. Never NULL. */
struct seen *seen_new(void);
void seen_free(struct seen *seen);

/* Whether the event is among the last ones; it is from now on. */
bool seen_add(struct seen *seen, const uint8_t hash[EVENT_HASH_SIZE]);

#endif
