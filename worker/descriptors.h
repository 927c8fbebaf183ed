/* A process that has no file descriptor left: a listener stays readable then, as whoever waits at it cannot
 * be let in, and a loop that waits for it would spin. Such a loop looks at it again after a pause. */
#ifndef WINNOW_DESCRIPTORS_H
#define WINNOW_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

#define DESCRIPTORS_PAUSE_MS INT64_C(500)

/* Whether the process, and the system, have one left. */
bool descriptors_are_left(void);

/* Logs that `who`, such as "the control socket", waits for one. */
void descriptors_tell(const char *who);

#endif
