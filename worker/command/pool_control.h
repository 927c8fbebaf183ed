/* `winnow pool COMMAND`: talks to a pool that runs. */
#ifndef WINNOW_POOL_CONTROL_H
#define WINNOW_POOL_CONTROL_H

#include "attr.h"
#include "settings.h"

/* The words behind the options, ending with NULL: a command, and its number if it has one. Prints what the
 * pool answers. Returns an exit code: EXIT_FINDING when the pool refuses, EXIT_UNREACHABLE when there is
 * none, EXIT_TEMPORARY when it is not quiet or drained within drain_timeout_ms. */
MUST_CHECK int pool_control(const struct settings *settings, char **words);

#endif
