/* The ring: what happened goes into the machine, what it decides is performed, what came of that goes in
 * again. The only file that sees both ports. */
#ifndef WINNOW_WORKER_H
#define WINNOW_WORKER_H

#include "attr.h"
#include "dead_letter_publisher.h"
#include "settings.h"
#include "sink.h"
#include "slot.h"
#include "source.h"

/* All borrowed. */
struct worker_options {
    const struct settings *settings;
    struct source *source;
    struct sink *sink;
    struct publisher *publisher;
    struct slot *slot;
    uint64_t seed; /* of the back-off's jitter */
};

/* Runs until SIGTERM, or until integrity is in doubt. Returns an exit code (exit_code.h). */
MUST_CHECK int worker_run(const struct worker_options *options);

#endif
