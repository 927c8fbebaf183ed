/* Who may do what. */
#ifndef WINNOW_ACCESS_H
#define WINNOW_ACCESS_H

#include <stdbool.h>

#include "attr.h"

struct call;

/* Whether the call may have its route: Host and Origin, the token and its role, the read-only switch. Fills
 * in actor and role. False when the call is answered with a problem. */
MUST_CHECK bool access_check(struct call *call);

#endif
