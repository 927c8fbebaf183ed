/* The whole screen of a terminal, drawn anew each time: lines that fit, and keys without Enter. The terminal
 * is as it was at the end. */
#ifndef WINNOW_SCREEN_H
#define WINNOW_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "colour.h"

struct screen;

/* Whether standard input and output are a terminal that can be drawn on. */
bool screen_is_possible(void);

/* Takes the screen. Call after signals_init() and before there are threads. */
struct screen *screen_open(void);
void screen_close(struct screen *screen); /* takes NULL */

/* A drawing begins at the top; each line is cut to the width, and those below the bottom are left out. What
 * is on the screen changes at the end, all at once. */
void screen_begin(struct screen *screen);
void screen_line(struct screen *screen, enum colour colour, const char *format, ...) PRINTF_LIKE(3, 4);
void screen_end(struct screen *screen);

/* How many lines fit below those that were drawn already. */
size_t screen_room(const struct screen *screen);

enum screen_event { SCREEN_TIME_OVER, SCREEN_RESIZED, SCREEN_QUIT };

/* Waits until the time is over, the size has changed, or someone wants to end: q, Ctrl-C, TERM, or the
 * terminal is gone. */
enum screen_event screen_wait(struct screen *screen, long timeout_ms);

#endif
