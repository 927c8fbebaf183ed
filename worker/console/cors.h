/* Pages of other web sites that may use the API (Fetch standard, 3.2): those whose origin the setting
 * cors_origins lists, exactly. They send their token in a header; cookies there are none. */
#ifndef WINNOW_CORS_H
#define WINNOW_CORS_H

#include <stdbool.h>

struct call;

/* The origin of the page that asks, when it is listed; else NULL. Borrowed from the call. */
const char *cors_origin(const struct call *call);

/* Whether any origin is listed: answers then depend on who asks. */
bool cors_is_on(const struct call *call);

/* Answers the question that browsers ask before anything unusual: the methods that the path takes. */
void cors_answer_preflight(struct call *call, const char *methods);

/* The headers that such a page may read besides the usual ones. */
#define CORS_EXPOSED "ETag, Location, Retry-After, Winnow-Truncated, WWW-Authenticate"

#endif
