/* Words of commands that are told to people: to be pasted into a POSIX shell. */
#ifndef WINNOW_SHELL_QUOTE_H
#define WINNOW_SHELL_QUOTE_H

#include <stddef.h>

/* The text as one word: as it is where that will do, else in quotes. One that is too long for `size` bytes
 * (at least 3, with the terminating NUL) is cut, and still one word. */
void shell_quote(const char *text, char *ret_word, size_t size);

#endif
