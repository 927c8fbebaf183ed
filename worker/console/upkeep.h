/* A thread that keeps the database quick to ask: new events are summarized for the indexes by which pages
 * find them, summaries that were broken off are finished, totals of days that changed are added up. It
 * changes no event and no total, and answers are the same without it. */
#ifndef WINNOW_UPKEEP_H
#define WINNOW_UPKEEP_H

#include "settings.h"

struct upkeep;

/* Begins; borrows the settings. */
struct upkeep *upkeep_new(const struct settings *settings);

/* Ends it, after the statement at hand: less than a second, but for the first minute of a large database.
 * Takes NULL. */
void upkeep_free(struct upkeep *upkeep);

#endif
