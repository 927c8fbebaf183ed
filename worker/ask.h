/* A question to the person at the terminal. */
#ifndef WINNOW_ASK_H
#define WINNOW_ASK_H

#include <stdbool.h>
#include <stdio.h>

#include "attr.h"

/* Asks on `out`, and waits for a line of standard input, which is a terminal. True for y. Else false with
 * EXIT_FINDING, or with EXIT_TEMPORARY when a signal asks to stop meanwhile: signals_init() blocks them, so
 * that Ctrl-C would not end the wait by itself. */
MUST_CHECK bool ask_yes(FILE *out, const char *question, int *ret_exit_code);

#endif
