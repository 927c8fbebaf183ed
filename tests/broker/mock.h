/* What the broker tests share: the development broker as a child, and reading a topic back. */
#ifndef WINNOW_TESTS_MOCK_H
#define WINNOW_TESTS_MOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "slice.h"

struct mock;

/* Starts build/devbroker, found beside the test program. `topics` as its --topic takes them, NULL-terminated.
 * Aborts on failure. */
struct mock *mock_start(const char *const *topics);
struct mock *mock_start_cluster(int broker_count, const char *const *topics);
void mock_stop(struct mock *mock);
const char *mock_address(const struct mock *mock);

/* Sends a command (tests/lib/devbroker.c); aborts unless it is answered by "ok". */
void mock_command(struct mock *mock, const char *format, ...) PRINTF_LIKE(2, 3);

/* Offsets into topic.bytes. */
struct message {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    size_t key;
    size_t key_size;
    size_t value;
    size_t value_size;
    size_t headers;
    size_t headers_size;
    bool has_key;
    bool has_value;
};

struct topic {
    struct message messages[2000];
    size_t count;
    struct buffer bytes;
};

/* Reads a topic of that many partitions from the beginning up to its end. */
void topic_read(const char *address, const char *name, int32_t partition_count, struct topic *ret_topic);
void topic_done(struct topic *topic);

struct slice topic_key(const struct topic *topic, size_t message);   /* data NULL: none */
struct slice topic_value(const struct topic *topic, size_t message); /* data NULL: NULL */
/* The last header of that name; data NULL: none, or NULL. */
struct slice topic_header(const struct topic *topic, size_t message, const char *name);

/* Calls the condition every few milliseconds until it holds or the time is over. */
bool wait_until(bool (*condition)(void *context), void *context, int64_t timeout_ms);

#endif
