/* What can be said about a request before its body is there. */
#ifndef WINNOW_ADMISSION_H
#define WINNOW_ADMISSION_H

#include <stdbool.h>

#include "attr.h"

struct call;

/* The method as static text. */
const char *admission_method(const char *method);

/* Finds the route and checks path, access, query, media type and the length that is announced. False when the
 * call is answered with a problem. */
MUST_CHECK bool admission_check(struct call *call);

/* The body turned out to be too long. */
void admission_refuse_size(struct call *call);

#endif
