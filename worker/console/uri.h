/* The target of a request, taken apart (RFC 3986, and + for a space in the query as HTML forms write it). */
#ifndef WINNOW_URI_H
#define WINNOW_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "slice.h"

#define URI_PARAMETERS_MAX 32

struct uri_parameter {
    const char *name; /* decoded, NUL-terminated */
    const char *value;
};

struct uri {
    char *text;        /* owned; all else points into it */
    struct slice path; /* not decoded */
    char *query;       /* NULL: none; cut into the parameters by uri_read_query() */
    char *sent;        /* owned; the query as it came, from uri_read_query() on */
    struct uri_parameter parameters[URI_PARAMETERS_MAX];
    size_t parameter_count;
};

/* Copies the target and separates path and query. */
void uri_init(struct uri *uri, const char *target);
void uri_done(struct uri *uri);

/* What is wrong with a query. Borrows from the uri. */
struct uri_complaint {
    const char *parameter; /* its name, decoded; NULL when it has none that can be read */
    struct slice found;    /* the part of the query, as it was sent */
    const char *expected;
};

/* Decodes the query in place. False for escapes that are none, NUL, what is not UTF-8, a parameter given
 * twice, too many of them. */
MUST_CHECK bool uri_read_query(struct uri *uri, struct uri_complaint *ret_complaint);

/* The value; NULL when it was not given. */
const char *uri_parameter(const struct uri *uri, const char *name);

/* Decodes %XX in place of the text's own bytes and terminates it; false for a broken escape, NUL, or what is
 * not UTF-8. `text` must have room for one byte more than `size`. */
MUST_CHECK bool uri_decode(char *text, size_t size, bool plus_is_space);

#endif
