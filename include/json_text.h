/* The strict check of a JSON text, in one pass and without building a tree: the grammar of RFC 8259 (M-3),
 * well-formed UTF-8 and paired surrogate escapes (M-4), and the depth of nesting (M-6). On its way it shows
 * the members of the top-level object, and of those objects in it that the visitor asks for. */
#ifndef WINNOW_JSON_TEXT_H
#define WINNOW_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "buffer.h"
#include "slice.h"

enum jsontext_kind {
    JSONTEXT_NULL,
    JSONTEXT_BOOLEAN,
    JSONTEXT_NUMBER,
    JSONTEXT_STRING,
    JSONTEXT_ARRAY,
    JSONTEXT_OBJECT,
};

/* Borrows from the text. */
struct jsontext_token {
    struct slice text; /* as written; of a string, what stands between the quotes */
    enum jsontext_kind kind;
    bool escaped; /* a string that holds a backslash */
    bool integer; /* a number with neither fraction nor exponent */
};

/* Called during the scan, so for texts too that turn out to be broken further on. */
struct jsontext_visitor {
    /* The value of this member of the top-level object is an object and begins. True: show its members. */
    bool (*enter)(void *context, const struct jsontext_token *key);
    /* A member ends; `inner` tells those of an entered object from those of the top-level one. */
    void (*member)(void *context, bool inner, const struct jsontext_token *key,
                   const struct jsontext_token *value);
    void *context;
};

enum jsontext_result {
    JSONTEXT_OK,
    JSONTEXT_INVALID,  /* M-3; takes precedence */
    JSONTEXT_NOT_UTF8, /* M-4: grammatical, but bytes or surrogate escapes are ill-formed */
};

struct jsontext_report {
    size_t offset;           /* of the first fault, in bytes; 0 for JSONTEXT_OK */
    const char *expected;    /* what the grammar asks for there; NULL unless JSONTEXT_INVALID */
    size_t depth;            /* most containers open at once; the outermost counts as 1 */
    enum jsontext_kind kind; /* of the whole text; valid unless JSONTEXT_INVALID */
};

/* Scratch memory for reuse; all zero at the start. */
struct jsontext {
    struct buffer levels; /* one bit for each open container: an object or an array */
};

void jsontext_done(struct jsontext *scanner);

/* Scans the whole text, which has no byte order mark. Time and memory are linear in its size at worst, and
 * nothing recurses. *ret_report is filled whatever is returned. */
MUST_CHECK enum jsontext_result jsontext_scan(struct jsontext *scanner, struct slice text,
                                              const struct jsontext_visitor *visitor,
                                              struct jsontext_report *ret_report);

/* The UTF-16 code unit of the escape \uXXXX at `at`, which lies before or at `end`; -1 when none stands
 * there. */
int jsontext_code_unit(const char *at, const char *end);

#endif
