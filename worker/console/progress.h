/* How far each partition of the console's topic and group is: looked at once a second, for whoever asks. What
 * was counted is not counted again, so a look costs what happened since the last one. */
#ifndef WINNOW_PROGRESS_H
#define WINNOW_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "settings.h"
#include "status.h"

#define PROGRESS_TIME_SIZE 40

struct progress_partition {
    int32_t partition;
    bool started; /* the database knows it; else only low, high and partition are valid */
    bool halted;
    bool tiled; /* the batches lie one behind the other, from the start to next_offset */
    int64_t start_offset;
    int64_t next_offset;
    int64_t stored;
    int64_t duplicate;
    int64_t dead;
    int64_t gap;
    int64_t lost;
    int64_t skipped;    /* an operator passed over them */
    int64_t letters;    /* rows of winnow.dead_letter */
    int64_t high;       /* where the log ends; -1: not known */
    int64_t lag;        /* messages that wait; -1: not known */
    double lag_seconds; /* since the oldest of them was first seen, at least; below 0: not known */
    char owner[128];    /* "": nobody yet */
    char halt_reason[64];
    char halt_detail[512];
    char claimed_at[PROGRESS_TIME_SIZE]; /* RFC 3339, "": never */
    char updated_at[PROGRESS_TIME_SIZE];
};

struct progress_snapshot {
    struct progress_partition *partitions; /* by number; owned */
    size_t count;
    int64_t unpublished;    /* dead letters that their topic does not have yet */
    int64_t failed_open;    /* dead letters that nothing was done about; counted every few looks */
    struct fault fault;     /* why the database's side is not known or old; STATUS_OK: it is known */
    struct fault lag_fault; /* the same of the brokers' side */
};

struct progress;

/* Starts the thread. Settings are borrowed. */
struct progress *progress_new(const struct settings *settings);
void progress_free(struct progress *progress); /* takes NULL */

/* A copy of what was seen last, at most a second or two ago; waits for the first look. */
void progress_read(struct progress *progress, struct progress_snapshot *ret_snapshot);
void progress_snapshot_done(struct progress_snapshot *snapshot);

/* stored + duplicate + dead + gap + lost + skipped = offsets read, tiled, and each dead message has its dead
 * letter. */
bool progress_is_complete(const struct progress_partition *partition);

#endif
