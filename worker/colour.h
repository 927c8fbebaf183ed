/* Colours for people: only on a terminal that knows them, and not where NO_COLOR asks for none. */
#ifndef WINNOW_COLOUR_H
#define WINNOW_COLOUR_H

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW };

/* The escape that begins the colour, or ends all (COLOUR_NONE), for text that goes to the descriptor; ""
 * where there are no colours: not a terminal, TERM unset or dumb, NO_COLOR set and not empty (no-color.org).
 */
const char *colour_on(int fd, enum colour colour);

#endif
