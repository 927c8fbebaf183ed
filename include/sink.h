/* The port through which batches become durable. PostgreSQL in the worker, a fake in the simulation. */
#ifndef WINNOW_SINK_H
#define WINNOW_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "machine.h"
#include "status.h"

struct sink;

/* Makes us the owner of the partitions: epoch + 1 for each. Waits. *ret_claims belongs to the sink until the
 * next call; partitions that have no row yet are missing from it: open them and claim again. */
MUST_CHECK bool sink_claim(struct sink *sink, const int32_t *partitions, size_t count,
                           const struct claim **ret_claims, size_t *ret_count, struct fault *ret_fault);

/* Makes the row of a partition that is met for the first time. Waits. No error when it is there already. */
MUST_CHECK bool sink_open_partition(struct sink *sink, struct position start, struct fault *ret_fault);

/* Records that the partition is halted. Waits. STATUS_RETRY when the epoch is no longer ours. */
MUST_CHECK bool sink_halt(struct sink *sink, int32_t partition, int64_t epoch, const char *reason,
                          const char *detail, struct fault *ret_fault);

/* Starts to apply a write. The write must stay as it is until sink_poll() tells its outcome. One at a time.
 */
MUST_CHECK bool sink_write(struct sink *sink, const struct write *write, struct fault *ret_fault);

/* The outcome of the write in flight, without waiting: INPUT_WRITTEN, INPUT_FENCED, INPUT_FAILED, or
 * INPUT_IDLE while there is none; INPUT_STEERED when an operator has told of a change. Without a write in
 * flight, INPUT_FAILED once when the session is lost: the next one may be with a server that took over and
 * knows less, so nobody may wait for the next message. */
void sink_poll(struct sink *sink, struct input *ret_input);

/* Readable when sink_poll() may have something; -1 without a session. */
int sink_fd(const struct sink *sink);
bool sink_wants_write(const struct sink *sink);

/* What a receipt proves to be durable: every offset below these is. Borrowed from the receipt. */
const struct position *receipt_positions(const struct receipt *receipt, size_t *ret_count);
int64_t receipt_stored(const struct receipt *receipt);
int64_t receipt_duplicate(const struct receipt *receipt);
int64_t receipt_dead(const struct receipt *receipt);

#endif
