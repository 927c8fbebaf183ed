/* The headers of a message in the dead-letter topic: the original's, verbatim and first, and then what
 * happened to it, in the names that Kafka Connect's and Spring's tools read and in winnow's own. A function
 * of its arguments. */
#ifndef WINNOW_DEAD_LETTER_HEADERS_H
#define WINNOW_DEAD_LETTER_HEADERS_H

#include <stdint.h>

#include "buffer.h"
#include "slice.h"

/* How much of the original travels with it. What is left out stands in winnow.dead_letter. */
enum omission {
    OMIT_NOTHING,
    OMIT_VALUE,    /* + winnow-value-omitted */
    OMIT_ORIGINAL, /* value, key and headers: + winnow-value-omitted, winnow-headers-omitted */
    OMISSION_COUNT
};

/* Borrows everything. */
struct dead_letter_origin {
    const char *group;
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* -1: the message had none */
    struct slice headers; /* as headers.h encodes them; data NULL: none */
    const char *reason;   /* reject_name() */
    const char *detail;
    const char *sqlstate; /* "": the database was not asked */
};

/* Adds the headers to `buffer`, in the encoding of headers.h:
 *
 * __connect.errors.topic, .partition, .offset, .connector.name (the group), .task.id ("0"), .stage
 * (VALUE_CONVERTER, or TASK_PUT for what the database refused), .class.name ("winnow"), .exception.class.name
 * ("winnow.<reason>"), .exception.message: text. Source: DeadLetterQueueReporter.java of Apache Kafka.
 * kafka_dlt-original-topic, -original-partition (int32), -original-offset (int64), -original-timestamp
 * (int64), -original-timestamp-type, -original-consumer-group, -exception-fqcn, -exception-message: integers
 * big-endian. Source: DeadLetterPublishingRecoverer.java of Spring for Apache Kafka. winnow-reason,
 * winnow-detail, winnow-sqlstate, winnow-id (topic/partition/offset).
 *
 * One of the first two families that the original has already is left as it is; winnow's own are added
 * always, so that the last one of a name is the newest. */
void dead_letter_headers(struct buffer *buffer, const struct dead_letter_origin *origin,
                         enum omission omission);

#endif
