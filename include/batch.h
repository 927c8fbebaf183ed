/* The rows that go to the database in one statement: stored events and dead letters of several partitions,
 * in the order in which they were read. Owns copies of everything it holds. */
#ifndef WINNOW_BATCH_H
#define WINNOW_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "event.h"
#include "record.h"
#include "reject.h"

struct batch_limits {
    size_t rows_max;
    size_t bytes_max; /* of copied bytes; one row may exceed it */
    int64_t age_max_ms;
};

/* Offsets into batch.bytes; absent when size is BATCH_ABSENT. */
#define BATCH_ABSENT UINT32_MAX
struct batch_text {
    uint32_t begin;
    uint32_t size;
};

struct batch_row {
    int64_t offset;
    int64_t timestamp_ms; /* the message's, -1 when it has none */
    int64_t time_us;
    int64_t bucket_us;
    struct decimal amount;
    struct batch_text client_id; /* of a dead row too, when that much could be read */
    struct batch_text metric;
    struct batch_text key; /* key, value and headers as received: for dead letters and fingerprints */
    struct batch_text value;
    struct batch_text headers;
    struct batch_text detail;
    int32_t partition;
    uint8_t hash[EVENT_HASH_SIZE];
    bool dead;
    bool seen;       /* an equal event was read not long ago: it is probably stored */
    bool normalized; /* metric and time_us .. hash are valid, also in a row that the database refused */
    enum reject_reason reason; /* of a dead row */
    char sqlstate[6];          /* of a row that the database refused, else "" */
};

struct batch {
    struct batch_limits limits;
    struct batch_row *rows;
    size_t row_count;
    size_t row_capacity;
    struct buffer bytes;
    int64_t opened_ms; /* when the first row came; valid while row_count > 0 */
};

void batch_init(struct batch *batch, const struct batch_limits *limits);
void batch_done(struct batch *batch);

/* Forgets the rows and keeps the memory, unless it had grown far beyond the limits. */
void batch_clear(struct batch *batch);

/* Add a row: a good event, or a dead letter. `seen`: see seen.h. `client_id`: whose it is; data NULL: nobody
 * can tell. */
void batch_add_event(struct batch *batch, const struct record *record, const struct event *event, bool seen,
                     int64_t now_ms);
void batch_add_dead(struct batch *batch, const struct record *record, const struct reject *reject,
                    struct slice client_id, int64_t now_ms);

/* Turns a row that the database refused into a dead letter (`database_rejected`). */
void batch_mark_dead(struct batch *batch, size_t row, const char *sqlstate, const char *text);

/* Takes out the rows of one partition. Their bytes stay until the batch is cleared. */
void batch_drop_partition(struct batch *batch, int32_t partition);

/* Rows or bytes have reached their limit. */
bool batch_is_full(const struct batch *batch);

/* The bytes of a row's text; data NULL when absent. */
static inline struct slice batch_slice(const struct batch *batch, struct batch_text text)
{
    if (text.size == BATCH_ABSENT) return slice_of(NULL, 0);
    return slice_of(batch->bytes.data + text.begin, text.size);
}

#endif
