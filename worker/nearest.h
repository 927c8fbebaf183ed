/* "Did you mean …": the known name that is closest to what was written. */
#ifndef WINNOW_NEAREST_H
#define WINNOW_NEAREST_H

#include <stddef.h>

#define NEAREST_NAME_MAX 64 /* longer names are never near */

/* Borrows all names. Begin with nearest_to(), offer every known name, read `name`. */
struct nearest {
    const char *wanted;
    const char *name; /* the closest so far; NULL while none is close enough to be meant */
    size_t distance;
};

struct nearest nearest_to(const char *wanted);

/* `known` becomes the name when it is closer than all before: by insertions, deletions, changes and swaps of
 * neighbours (optimal string alignment distance). Case does not matter, and `-` and `_` are one character. */
void nearest_offer(struct nearest *nearest, const char *known);

#endif
