/* Progress as JSON: the schemas Counts and PartitionStatus. */
#ifndef WINNOW_PROGRESS_PRINT_H
#define WINNOW_PROGRESS_PRINT_H

#include "buffer.h"
#include "console/progress.h"

struct progress_total {
    bool complete;
    bool halted;
    int64_t lag;        /* -1: not known */
    double lag_seconds; /* the longest; below 0: not known */
    int64_t offsets_read;
    int64_t stored;
    int64_t duplicate;
    int64_t dead;
    int64_t gap;
    int64_t lost;
    int64_t skipped;
};

struct progress_total progress_sum(const struct progress_snapshot *snapshot);
void progress_print_total(const struct progress_total *total, struct buffer *out);
void progress_print_partition(const struct progress_partition *partition, struct buffer *out);

/* A number, or null when it is below 0. */
void json_known(struct buffer *out, const char *name, int64_t value);
void json_seconds(struct buffer *out, const char *name, double seconds);

#endif
