/* The parts of winnow dlq replay. */
#ifndef WINNOW_DLQ_REPLAY_H
#define WINNOW_DLQ_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "command/dlq.h"
#include "replay.h"
#include "settings.h"

#define DLQ_REPLAY "dlq replay"

/* What the options ask for, read and checked. */
struct replay_request {
    struct settings *settings;
    struct dlq_selection *selection;
    struct replay_plan plan;
    int64_t count;   /* letters that are meant */
    int64_t wait_ms; /* for their outcomes */
    bool json;
    bool dry_run;
    bool yes;
    bool edit;
    const char *edit_with; /* NULL: not asked for */
};

/* Tells what would be sent, and what would be left out and why. Returns an exit code. */
int dlq_dry_run(const struct replay_request *request, struct database *database);

/* Sends and waits; tells the sum. Returns an exit code. */
int dlq_send(const struct replay_request *request);

#endif
