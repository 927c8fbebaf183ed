/* The batch on its way to the database: which of its rows go next, and how it is taken apart when the
 * database refuses it for its data. */
#ifndef WINNOW_FLIGHT_H
#define WINNOW_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "batch.h"
#include "machine.h"
#include "partition.h"

struct flight {
    struct batch batch;
    struct write_part *parts;
    size_t part_count;
    size_t part_capacity;
    size_t row_begin;   /* rows before it are applied */
    size_t row_end;     /* rows up to it are with the database, when in_flight */
    size_t suspect_end; /* a row the database refuses lies before it; 0: none known */
    bool in_flight;
    bool careful;            /* the rows in flight are written carefully (struct write) */
    unsigned careful_left;   /* so many more writes are to be careful */
    unsigned careful_count;  /* as they were after the last collision */
    unsigned careless_count; /* writes since then that were not, and did not collide */
};

void flight_init(struct flight *flight, const struct batch_limits *limits);
void flight_done(struct flight *flight);

/* Forgets rows and suspicion. Not while in flight. */
void flight_clear(struct flight *flight);

/* Rows are left to be sent. */
bool flight_has_rows(const struct flight *flight);

/* The next rows to send: all that are left, or half of what is under suspicion. Marks them as in flight.
 * `partitions` is sorted by number and holds every partition of the rows. */
struct write flight_write(struct flight *flight, struct partition *partitions, size_t partition_count,
                          struct identity *identity);

/* Takes out the rows of a partition that are not applied yet. Not while in flight. */
void flight_drop_partition(struct flight *flight, int32_t partition);

/* The rows in flight are committed. */
void flight_written(struct flight *flight);

enum refusal {
    REFUSAL_SPLIT,    /* fewer rows are to be sent next */
    REFUSAL_DEAD,     /* a single row: it is a dead letter now and is to be sent as one */
    REFUSAL_HOPELESS, /* not even the dead letter is taken: nothing here is the data's fault */
};

/* An event in flight that looked new is stored already: the same rows are to be sent again, carefully, and so
 * are some of the next writes, the more the sooner the last ones collided. False when they were sent so: then
 * the refusal is for their data. */
MUST_CHECK bool flight_collided(struct flight *flight);

/* The database refused the rows in flight for their data. */
MUST_CHECK enum refusal flight_refused(struct flight *flight, const struct fault *fault);

#endif
