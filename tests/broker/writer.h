/* A sink on a real PostgreSQL, and batches for it: each test begins with a stream of its own. */
#ifndef WINNOW_TESTS_WRITER_H
#define WINNOW_TESTS_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "metrics.h"
#include "settings.h"
#include "sink_postgres.h"

#define TIME_US INT64_C(1704067200000000) /* 2024-01-01 */

extern char text_topic[64];
extern struct settings settings;
extern struct metrics counted;
extern struct fault fault; /* of what failed last */
extern struct sink *sink;
extern struct write_part parts[2]; /* of the next write; both begin at 100 */
extern bool careful;

MUST_CHECK int writer_start(void);
int writer_stop(void);

/* A sink that owns partitions 0 and 1 of a topic of that name, both empty. */
void begin(const char *name);
void end(void);

/* Rows of the stream in a table; a number of a partition's progress. */
int64_t count(const char *table);
int64_t progress(const char *column, int32_t partition);
void expect_invariants(void);

struct claim claim(struct sink *of, int32_t partition);

/* Adds the next message of the partition. The amount is what tells events apart; the client is the topic. */
void add_event(int32_t partition, const char *amount, int64_t time_us);
void add_seen(int32_t partition, const char *amount, int64_t time_us);
void add_dead(int32_t partition);

/* What became of the write of everything added so far; parts without messages are left out. */
struct input send_write(struct sink *to);

/* The same when it must be taken; goes on behind it. */
void accept_write(void);

#endif
