/* GET /api/v1/live: counters each second, and a sample of the messages that workers passed just now, raw
 * beside canonical. One thread makes the events once for all who listen; it reads no message while nobody
 * does. */
#ifndef WINNOW_LIVE_H
#define WINNOW_LIVE_H

#include "console/progress.h"
#include "settings.h"

struct live;

/* Everything is borrowed. */
struct live *live_new(const struct settings *settings, struct progress *progress);

/* Ends all streams; who is still allowed to listen comes back. Any thread. */
void live_end_all(struct live *live);

/* Ends all streams for good. Takes NULL. */
void live_free(struct live *live);

#endif
