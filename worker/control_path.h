/* Where a pool's control socket is: the same rule for the pool and for who talks to it. */
#ifndef WINNOW_CONTROL_PATH_H
#define WINNOW_CONTROL_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "settings.h"

#define CONTROL_PATH_SIZE 256

/* The setting control_socket; without it GROUP.sock (other characters than letters, digits, `.`, `_` and `-`
 * become `_`) in $RUNTIME_DIRECTORY, which systemd sets, in /run/winnow if that is there, or in
 * $XDG_RUNTIME_DIR/winnow-GROUP.sock. Who only asks is led to a socket of
 * another user in /run/winnow too. False when it is "none", or when there is no such directory. */
MUST_CHECK bool control_path_find(const struct settings *settings, bool to_ask,
                                  char ret_path[CONTROL_PATH_SIZE]);

/* Whether the setting names it, so that not to have it is a mistake. */
bool control_path_is_set(const struct settings *settings);

#endif
