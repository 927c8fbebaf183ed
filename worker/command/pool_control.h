/* `winnow pool COMMAND`: talks to a pool that runs. */
#ifndef WINNOW_POOL_CONTROL_H
#define WINNOW_POOL_CONTROL_H

#include <stdint.h>

#include "attr.h"
#include "settings.h"

/* The words behind the options, ending with NULL: a command, and its number if it has one. Prints what the
 * pool answers. Returns an exit code: EXIT_FINDING when the pool refuses, EXIT_UNREACHABLE when there is
 * none, EXIT_TEMPORARY when it is not quiet or drained within drain_timeout_ms. */
MUST_CHECK int pool_control(const struct settings *settings, char **words);

/* What a pool of this machine says of itself; state "": none answers, or it is not ours to ask. */
struct pool_said {
    char state[32];  /* "running", "quiet", "drained", … */
    int64_t resting; /* workers that take nothing new; below 0: not told */
};

/* Looks for the pool of the settings' group, for a second at most, and says nothing. */
void pool_control_look(const struct settings *settings, struct pool_said *ret_said);

#endif
