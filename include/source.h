/* The port through which records come. Kafka in the worker, a script in the simulation: chosen when linking.
 */
#ifndef WINNOW_SOURCE_H
#define WINNOW_SOURCE_H

#include "attr.h"
#include "machine.h"
#include "sink.h"

struct source;

/* The next thing that happened, without waiting: INPUT_RECORD, INPUT_ASSIGNED, INPUT_REVOKED,
 * INPUT_OUT_OF_RANGE, INPUT_END, INPUT_FAILED or INPUT_IDLE. What it points to is valid until the next call.
 */
void source_next(struct source *source, struct input *ret_input);

/* Readable when source_next() may have something. Never changes. */
int source_fd(const struct source *source);

/* Reads on at these positions. whole: they replace what was read so far, else the rest goes on as it is. */
MUST_CHECK bool source_start(struct source *source, const struct position *positions, size_t count,
                             bool whole, struct fault *ret_fault);

/* Where a partition without a row in the database is to begin. */
MUST_CHECK bool source_first_offset(struct source *source, int32_t partition, int64_t *ret_offset,
                                    struct fault *ret_fault);

/* Asks the leaders where the logs end, and tells what fetches have told of that, in the order of the
 * partitions. Waits for a second at most; false when nobody answered. *ret_ends belongs to the source until
 * the next call. */
MUST_CHECK bool source_ends(struct source *source, const int32_t *partitions, size_t count,
                            const struct log_end **ret_ends);

/* Where the partition's log ended by the latest fetch that was answered; -1: not known. Asks nobody. */
int64_t source_known_end(const struct source *source, int32_t partition);

/* Whether the source cannot be reached: it said so, and nothing has come since. Only then it is asked, every
 * five seconds, for a third of one at most. */
bool source_is_away(struct source *source);

/* Tells the source's lag monitors what is durable: at once, but once a second at most, and when the
 * partitions are given back. A hint: errors are ignored. */
void source_ack(struct source *source, const struct receipt *receipt);

#endif
