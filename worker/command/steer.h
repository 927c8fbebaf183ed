/* What `winnow seek` and `winnow resume` share: which partitions, where their logs begin and end, what moving
 * them would mean, and doing it. */
#ifndef WINNOW_STEER_H
#define WINNOW_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "database.h"
#include "kafka_offsets.h"
#include "settings.h"

#define STEER_TIMEOUT_MS 10000

/* A partition that the group knows. */
struct steer_partition {
    int32_t number;
    bool chosen;
    bool halted;
    char halt_reason[64];
    int64_t next_offset;
    bool is_there;                /* in the topic as it is now */
    struct partition_range range; /* of the log */

    /* the wish: */
    bool stays; /* at its next offset, whatever that is when it is done */
    int64_t target;
    bool is_new_log;

    /* the plan, or what was done: */
    int64_t from_offset;
    int64_t to_offset;
    int64_t skipped;
    int64_t read_again;
    int64_t dead_letters;
    int64_t unpublished;
};

struct steer {
    const char *command; /* "seek", "resume" */
    struct settings *settings;
    const char *note; /* NULL: none */
    struct database *database;
    struct kafka_offsets *offsets;
    struct steer_partition *partitions;
    size_t count;
    bool months_are_dropped;
};

/* Reads TOPIC, TOPIC/PARTITION or TOPIC/PARTITION,PARTITION into settings->topic and chosen partitions, and
 * learns what brokers and database know. `word` may be NULL: all partitions of the setting's topic. Returns
 * an exit code other than EXIT_DRAINED after one line on standard error. */
MUST_CHECK int steer_begin(struct steer *steer, const char *word);
void steer_end(struct steer *steer);

/* Asks the database what the wishes of the chosen partitions would come to. */
MUST_CHECK int steer_plan(struct steer *steer);

/* Does it, one transaction a partition. Nothing of a partition that has meanwhile moved past its target. */
MUST_CHECK int steer_execute(struct steer *steer);

/* A target within the log, with a word on standard output when it had to be moved there. */
int64_t steer_clamp(const struct steer_partition *partition, int64_t target);

/* Prints the plan, or what was done. */
void steer_print(const struct steer *steer, bool done);

/* Whether any chosen partition would change. */
bool steer_has_work(const struct steer *steer);

/* Tells a fault; returns its exit code. */
int steer_complain(const struct steer *steer, const struct fault *fault);

/* The text of --reason, which may be NULL, as winnow.steering keeps it; an exit code other than EXIT_DRAINED
 * after one line on standard error. */
MUST_CHECK int steer_check_note(const char *command, const char *text);

/* Reads a whole number; false unless it is nothing else. */
MUST_CHECK bool steer_read_number(const char *text, int64_t *ret_number);

#endif
