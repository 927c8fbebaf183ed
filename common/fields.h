/* Finding the four fields in a message (rules F-1 .. F-6). */
#ifndef WINNOW_FIELDS_H
#define WINNOW_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "buffer.h"
#include "json_string.h"
#include "json_text.h"
#include "normalize.h"

#define FIELDS_NAMES_MAX 3 /* F-2: names a field has */

/* A member whose name one of the fields has. */
struct candidate {
    struct slice key;
    struct jsontext_token value;
};

/* What was seen of one object. */
struct place_members {
    unsigned present; /* one bit for each candidate; the others hold garbage */
    struct candidate candidates[FIELD_COUNT * FIELDS_NAMES_MAX];
};

/* What one field comes from. */
struct pick {
    struct finding finding; /* place PLACE_NONE: absent, and the rest holds garbage */
    enum jsontext_kind kind;
    bool integer;      /* as in struct jsontext_token */
    struct slice text; /* a string decoded and trimmed; anything else as written */
};

/* Scratch memory for reuse; one per thread. */
struct fields {
    struct jsontext scanner;
    struct jsonstring *decoder;
    struct buffer decoded; /* strings that held escapes; does not move while a message is looked at */
    struct slice text;     /* the message */
    enum place outer;      /* where members of the scanned text's own object go */
    enum place entered;    /* where those of the object that is being shown go */
    struct place_members members[PLACE_DATA + 1];
    bool is_text[PLACE_DATA + 1];                /* F-3: payload or data holds a string ... */
    struct jsontext_token texts[PLACE_DATA + 1]; /* ... namely this one */
};

void fields_init(struct fields *fields);
void fields_done(struct fields *fields);

/* Scans a message, without its byte order mark, and keeps what fields_pick() needs. Borrows the text. Results
 * and report as of jsontext_scan(). */
MUST_CHECK enum jsontext_result fields_scan(struct fields *fields, struct slice text,
                                            struct jsontext_report *ret_report);

/* F-2, F-3: the first name in the first place that is neither null nor white space alone. At most once a
 * field after a successful scan of an object. *ret_pick borrows from the text and from `fields`, until the
 * next scan. */
void fields_pick(struct fields *fields, enum field field, struct pick *ret_pick);

#endif
