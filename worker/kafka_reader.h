/* Reads single messages of a topic, for those who only look: joins no group and commits nothing. */
#ifndef WINNOW_KAFKA_READER_H
#define WINNOW_KAFKA_READER_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "record.h"
#include "settings.h"
#include "status.h"

struct kafka_reader;

/* Settings are borrowed. The brokers are not asked yet. */
MUST_CHECK bool kafka_reader_open(const struct settings *settings, struct kafka_reader **ret_reader,
                                  struct fault *ret_fault);

/* Called for each message; the record is borrowed until it returns. */
typedef void (*kafka_reader_take)(void *context, const struct record *record);

/* Reads up to `count` committed messages, in their order, beginning at `offset`; fewer when the log ends or
 * timeout_ms are over. STATUS_REJECT when the log holds no message at that offset any more, or not yet.
 * STATUS_RETRY when the brokers do not answer. */
MUST_CHECK bool kafka_reader_read(struct kafka_reader *reader, int32_t partition, int64_t offset,
                                  size_t count, int timeout_ms, kafka_reader_take take, void *context,
                                  struct fault *ret_fault);

/* The same for one that is to search: it sees uncommitted messages too. */
MUST_CHECK bool kafka_searcher_open(const struct settings *settings, struct kafka_reader **ret_reader,
                                    struct fault *ret_fault);

/* Where the partition begins and ends for this reader: for one that searches, with what is not committed. */
MUST_CHECK bool kafka_reader_range(struct kafka_reader *reader, int32_t partition, int timeout_ms,
                                   int64_t *ret_low, int64_t *ret_high, struct fault *ret_fault);

/* Gives the messages from `offset` on to `take`, until that says false or the log ends where it ended when
 * the search began. An offset that the log does not hold any more counts as its beginning. STATUS_RETRY when
 * the brokers are silent for timeout_ms, STATUS_STOP when the partition is not there. */
typedef bool (*kafka_reader_look)(void *context, const struct record *record);
MUST_CHECK bool kafka_searcher_look(struct kafka_reader *searcher, int32_t partition, int64_t offset,
                                    int timeout_ms, kafka_reader_look look, void *context,
                                    struct fault *ret_fault);

void kafka_reader_free(struct kafka_reader *reader); /* takes NULL */

#endif
