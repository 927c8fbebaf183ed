#include "dead_letter_headers.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "headers.h"

#define NUMBER_SIZE 24 /* bytes of an int64_t as text, with the terminating NUL */
#define CLASS_SIZE  64 /* "winnow." and a reason */

struct writer {
    struct buffer *buffer;
    struct slice originals; /* as they are taken over */
};

static bool has_header(struct slice headers, const char *wanted)
{
    struct slice name;
    struct slice value;
    while (headers_next(&headers, &name, &value))
        if (slice_equals(name, slice_of_text(wanted))) return true;
    return false;
}

static void add_always(const struct writer *writer, const char *name, const char *text)
{
    headers_add(writer->buffer, slice_of_text(name), slice_of_text(text));
}

/* Unless the original message has it. */
static void add_bytes(const struct writer *writer, const char *name, struct slice value)
{
    if (!has_header(writer->originals, name)) headers_add(writer->buffer, slice_of_text(name), value);
}

static void add_text(const struct writer *writer, const char *name, const char *text)
{
    add_bytes(writer, name, slice_of_text(text));
}

static void add_number(const struct writer *writer, const char *name, int64_t number)
{
    char text[NUMBER_SIZE];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    add_text(writer, name, text);
}

/* An integer of that many bytes in network byte order. */
static void add_binary(const struct writer *writer, const char *name, int64_t number, size_t size)
{
    char bytes[sizeof number];
    for (size_t i = 0; i < size; i++) bytes[i] = (char)((uint64_t)number >> 8 * (size - 1 - i));
    add_bytes(writer, name, slice_of(bytes, size));
}

static void add_connect(const struct writer *writer, const struct dead_letter_origin *origin,
                        const char *class)
{
    bool refused = strcmp(origin->reason, "database_rejected") == 0;
    add_text(writer, "__connect.errors.topic", origin->topic);
    add_number(writer, "__connect.errors.partition", origin->partition);
    add_number(writer, "__connect.errors.offset", origin->offset);
    add_text(writer, "__connect.errors.connector.name", origin->group);
    add_text(writer, "__connect.errors.task.id", "0");
    add_text(writer, "__connect.errors.stage", refused ? "TASK_PUT" : "VALUE_CONVERTER");
    add_text(writer, "__connect.errors.class.name", "winnow");
    add_text(writer, "__connect.errors.exception.class.name", class);
    add_text(writer, "__connect.errors.exception.message", origin->detail);
}

/* The table does not keep whether the broker or the producer gave the timestamp; the message is published
 * again with it as its producer's. */
static void add_spring(const struct writer *writer, const struct dead_letter_origin *origin,
                       const char *class)
{
    bool timed = origin->timestamp_ms >= 0;
    add_text(writer, "kafka_dlt-original-topic", origin->topic);
    add_binary(writer, "kafka_dlt-original-partition", origin->partition, sizeof origin->partition);
    add_binary(writer, "kafka_dlt-original-offset", origin->offset, sizeof origin->offset);
    add_binary(writer, "kafka_dlt-original-timestamp", origin->timestamp_ms, sizeof origin->timestamp_ms);
    add_text(writer, "kafka_dlt-original-timestamp-type", timed ? "CreateTime" : "NoTimestampType");
    add_text(writer, "kafka_dlt-original-consumer-group", origin->group);
    add_text(writer, "kafka_dlt-exception-fqcn", class);
    add_text(writer, "kafka_dlt-exception-message", origin->detail);
}

static void add_own(const struct writer *writer, const struct dead_letter_origin *origin,
                    enum omission omission)
{
    char id[320];
    (void)snprintf(id, sizeof id, "%s/%" PRId32 "/%" PRId64, origin->topic, origin->partition,
                   origin->offset);
    add_always(writer, "winnow-reason", origin->reason);
    add_always(writer, "winnow-detail", origin->detail);
    if (origin->sqlstate[0] != '\0') add_always(writer, "winnow-sqlstate", origin->sqlstate);
    add_always(writer, "winnow-id", id);
    if (omission >= OMIT_VALUE)
        add_always(writer, "winnow-value-omitted", "full bytes in winnow.dead_letter");
    if (omission >= OMIT_ORIGINAL)
        add_always(writer, "winnow-headers-omitted", "key and headers in winnow.dead_letter");
}

/* Header by header, so that a damaged end takes nothing of ours with it. */
static struct slice add_originals(struct buffer *buffer, struct slice headers)
{
    struct slice rest = headers;
    struct slice name;
    struct slice value;
    while (headers_next(&rest, &name, &value)) headers_add(buffer, name, value);
    return slice_of(headers.data, headers.size - rest.size);
}

void dead_letter_headers(struct buffer *buffer, const struct dead_letter_origin *origin,
                         enum omission omission)
{
    struct writer writer = {.buffer = buffer};
    if (omission < OMIT_ORIGINAL) writer.originals = add_originals(buffer, origin->headers);
    char class[CLASS_SIZE];
    (void)snprintf(class, sizeof class, "winnow.%s", origin->reason);
    add_connect(&writer, origin, class);
    add_spring(&writer, origin, class);
    add_own(&writer, origin, omission);
}
