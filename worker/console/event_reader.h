/* Stored events, newest first, a portion at a time: by time and then hash, descending. Nothing is held
 * between portions, neither a transaction nor a cursor of the server, so that whoever reads slowly holds up
 * nothing. What is stored meanwhile shows where the reader has not been yet.
 *
 * No B-tree keeps this order: one would take a fifth of the live rate. The reader cuts time into windows
 * instead, as wide as the roll-ups say is needed, and two small indexes lead to the pages on which events of
 * a window may lie. */
#ifndef WINNOW_EVENT_READER_H
#define WINNOW_EVENT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "console/call.h"
#include "identity.h"

#define EVENT_PORTION_MAX 4000 /* rows */
#define EVENT_CURSOR_SIZE 60   /* bytes, with the terminating NUL */

/* What is wanted; texts are borrowed, NULL: all. */
struct event_filter {
    const char *client;
    const char *metric;
    const char *amount_min; /* inclusive */
    const char *amount_max;
    const char *hash;
    const char *text; /* contained in client or metric, upper and lower case alike */
    int64_t from_us;  /* inclusive */
    int64_t to_us;    /* exclusive; EVENT_TIME_END: no end */
};

#define EVENT_TIME_END (INSTANT_MAX + 1)

enum event_column {
    EVENT_HASH,
    EVENT_CLIENT,
    EVENT_METRIC,
    EVENT_AMOUNT,
    EVENT_TIME,
    EVENT_INGESTED,
    EVENT_TOPIC, /* and partition, offset: the origin */
    EVENT_PARTITION,
    EVENT_OFFSET,
    EVENT_TIME_US,
};

struct event_reader {
    struct call *call;
    const struct event_filter *filter;
    int64_t upper_us; /* all after it was read: the next window ends here, exclusive */
    bool has_key;     /* and within its last microsecond, those with a lower hash are left */
    char key_hash[IDENTITY_TEXT_SIZE];
    int64_t width_us; /* of the last window; 0: none yet, or it was full */
    size_t found;     /* rows in it */
    double density;   /* events a µs, of all names, in the hour of the roll-ups that was looked into last */
    double rarity;    /* one of so many events there is of the wanted names */
    bool ended;
    bool names_read;
    char *clients; /* names that hold the text, as arrays of PostgreSQL; NULL: none */
    char *metrics;
    char *only_client; /* the one name that holds the text, when it is the only one */
    char *only_metric;
    bool few_names; /* so few that looking for each by the index may pay */
};

/* Borrows call and filter. */
void event_reader_init(struct event_reader *reader, struct call *call, const struct event_filter *filter);
void event_reader_done(struct event_reader *reader);

/* Goes on behind the place that a cursor names; false when it is none. */
MUST_CHECK bool event_reader_seek(struct event_reader *reader, const char *cursor);

/* The cursor of a row. */
void event_reader_tell(const struct rows *rows, size_t row, char ret_cursor[EVENT_CURSOR_SIZE]);

/* The next rows, `wanted` at most, possibly none although more come: see reader->ended. False when the call
 * is answered. The caller frees the rows. */
MUST_CHECK bool event_reader_next(struct event_reader *reader, size_t wanted, struct rows **ret_rows);

#endif
