/* The one list of the log's events: what each means, and what to do. OPERATIONS.md holds it as a table, and
 * `winnow help EVENT` tells of one. make lint sees to it that every name in the sources is here, and none
 * besides. */
#ifndef WINNOW_LOG_EVENTS_H
#define WINNOW_LOG_EVENTS_H

#include "log.h"

struct log_event {
    const char *name;
    enum log_level level; /* the gravest that it is told at */
    const char *meaning;  /* without a full stop at the end, as the next */
    const char *action;   /* what to do: "nothing", or a sentence */
};

extern const struct log_event log_events[]; /* sorted by name; ends with a zeroed entry */

/* NULL when there is none of that name. */
const struct log_event *log_event_find(const char *name);

/* Prints all of them as a table of Markdown, those of debug left out. */
void log_events_print_markdown(void);

/* Prints all names with their meaning, for a terminal; and everything about one. */
void log_events_print(void);
void log_event_print(const struct log_event *event);

#endif
