/* The numbers of a pool in Prometheus' text format 0.0.4. */
#ifndef WINNOW_METRICS_TEXT_H
#define WINNOW_METRICS_TEXT_H

#include "buffer.h"
#include "pool_state.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Adds all of them, each with HELP and TYPE. Series of a partition are there once a worker of this pool has
 * claimed it; gauges of it while one holds it. Labels are bounded: partition, topic, and closed lists. */
void metrics_print(struct buffer *text, const struct pool_state *state);

/* The entry that counts for a partition: of all slots the one with the highest epoch. The caller frees the
 * list, which is sorted by partition. */
const struct metrics_partition **metrics_newest(const struct slot_page *page, size_t *ret_count);

/* process_… of this process: processor time, memory, open files. Adds those that /proc tells. */
void metrics_print_process(struct buffer *text, int64_t started_ms);

/* Adds one family's HELP and TYPE, or a formatted line. */
void metrics_family(struct buffer *text, const char *name, const char *type, const char *help);
void metrics_line(struct buffer *text, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
