/* What a caller has to do next, and the fault that says why.
 *
 * Faults are values: the place that meets one fills it in, the place that decides reads it and logs it
 * once. Nothing in between logs or forwards. */
#ifndef WINNOW_STATUS_H
#define WINNOW_STATUS_H

#include "attr.h"

enum status {
    STATUS_OK,     /* done */
    STATUS_RETRY,  /* transient: back off and try again, however long it lasts */
    STATUS_REJECT, /* the data is at fault: isolate it and dead-letter it */
    STATUS_STOP,   /* an operator has to mend something: wait, tell, try again rarely */
    STATUS_FATAL,  /* integrity is in doubt: stop the process and the pool */
};

#define FAULT_TEXT_SIZE 512 /* bytes, with the terminating NUL */

struct fault {
    enum status status;
    const char *site;           /* static text: the operation that failed, "claim", "apply", "seek" */
    int code;                   /* the library's own code, 0 when it has none */
    char sqlstate[6];           /* five characters, or "" when the server did not answer */
    char text[FAULT_TEXT_SIZE]; /* one line for a person */
};

/* Fills *fault. The text is cut to its size; line breaks become spaces. */
void fault_set(struct fault *fault, enum status status, const char *site, const char *format, ...)
    PRINTF_LIKE(4, 5);

#endif
