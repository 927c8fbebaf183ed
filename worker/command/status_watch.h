/* winnow status --watch: looks again and again, through outages too, until someone ends it. */
#ifndef WINNOW_STATUS_WATCH_H
#define WINNOW_STATUS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "screen.h"
#include "status_look.h"

struct watch_options {
    int64_t every_ms; /* between looks; more when a look takes long */
    bool json;        /* an object a line, for programs */
};

/* Draws on the screen, or, where there is none (NULL), prints a line a look. Returns an exit code: 0 when it
 * was ended, another when the first look showed that schema, login or topic are wrong. */
int status_watch(struct look *look, struct screen *screen, const struct watch_options *options);

#endif
