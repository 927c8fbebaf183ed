/* What the parts of the console share. Made by worker/command/console.c, read by handlers. */
#ifndef WINNOW_CONSOLE_H
#define WINNOW_CONSOLE_H

#include <stdbool.h>

#include "settings.h"

struct tokens;
struct work;
struct submitter;
struct outcomes;
struct progress;
struct live;
struct raw;
struct outage;
struct upkeep;

struct console {
    const struct settings *settings;
    struct tokens *tokens; /* NULL: none are needed */
    bool loopback_only;    /* listens on a loopback address: Host must name one */
    struct work *work;
    struct submitter *submitter;
    struct outcomes *outcomes;
    struct progress *progress;
    struct live *live;
    struct raw *raw;
    struct upkeep *upkeep;
    struct outage *outage; /* NULL: failures may not be simulated */
};

#endif
