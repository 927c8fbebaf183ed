/* A sample of the messages that workers passed since the last look, with what became of each. */
#ifndef WINNOW_LIVE_SAMPLE_H
#define WINNOW_LIVE_SAMPLE_H

#include <stddef.h>

#include "buffer.h"
#include "console/progress.h"
#include "settings.h"

#define LIVE_SAMPLE_MAX 50 /* messages in one look */

struct live_sample;

struct live_sample *live_sample_new(const struct settings *settings); /* borrowed */
void live_sample_free(struct live_sample *sample);                    /* takes NULL */

/* Remembers where the partitions are, without reading: the next look begins there. */
void live_sample_skip(struct live_sample *sample, const struct progress_snapshot *snapshot);

/* Reads the latest messages of those passed since the last look, and prints each as JSON (LiveMessage) into
 * ret_texts, which are cleared first. Returns how many. What cannot be had in time is left out. */
size_t live_sample_look(struct live_sample *sample, const struct progress_snapshot *snapshot,
                        struct buffer ret_texts[LIVE_SAMPLE_MAX]);

#endif
