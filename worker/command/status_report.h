/* What `winnow status` knows about a group and a topic, and how it says it. */
#ifndef WINNOW_STATUS_REPORT_H
#define WINNOW_STATUS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command/pool_control.h"
#include "database.h"
#include "kafka_offsets.h"
#include "settings.h"

#define LAG_UNKNOWN INT64_C(-1)

struct partition_status {
    int32_t partition;
    bool started; /* the database knows it; else only lag and partition are valid */
    bool halted;
    bool complete;
    int64_t next_offset;
    int64_t lag;        /* messages that wait, LAG_UNKNOWN without brokers */
    double lag_seconds; /* since the oldest of them was stamped; below 0: not known */
    int64_t idle_s;     /* since the last commit */
    int64_t offsets_read;
    int64_t stored;
    int64_t duplicate;
    int64_t dead;
    int64_t gap;
    int64_t lost;
    int64_t skipped;         /* by an operator */
    const char *halt_reason; /* borrowed from the report's rows */
    const char *halt_detail;
    const char *owner; /* "": nobody yet */
};

struct status_report {
    const struct settings *settings;
    struct rows *rows;
    struct partition_status *partitions; /* by number */
    size_t partition_count;
    struct partition_status total;
    int64_t unpublished;     /* dead letters that their topic does not have yet */
    char publish_error[256]; /* why the last of them was refused; "": none was */
    int64_t workers;         /* members of the group; below 0: not known */
    struct pool_said pool;   /* of this machine */
    char elsewhere[512]; /* the verdict over the whole database when that is bad and ours is not, else "" */
    struct fault lag_fault; /* why the lag is not known; STATUS_OK: it is */
};

/* Reads the database's side. STATUS_RETRY when it cannot be reached, STATUS_STOP when the schema is missing
 * or not ours to read. */
MUST_CHECK bool status_report_read(struct database *database, const struct settings *settings,
                                   struct status_report *ret_report, struct fault *ret_fault);

/* Adds the brokers' side, partitions that nobody has begun to read included. */
void status_report_add_lag(struct status_report *report, const struct partition_range *ranges, int32_t count);

/* Sums up the partitions' lag_seconds. */
void status_report_add_lag_seconds(struct status_report *report);

/* "running", "quiet", "halted", "no worker", "not started": the database knows of halts, the brokers who is
 * in the group, and a pool of this machine whether it is quiet. */
const char *status_state_name(const struct status_report *report, const struct partition_status *partition);

/* Whose it is; "-": nobody's. The database keeps who had it last. */
const char *status_owner_name(const struct status_report *report, const struct partition_status *partition);

/* Nothing is halted, everything that was read adds up, and something was read or nothing was there to be
 * read. */
bool status_report_is_good(const struct status_report *report);

struct words;

/* As a table, followed by the words. */
void status_report_print(const struct status_report *report, const struct words *words);

/* The members of an object of JSON, without its braces. */
void status_report_print_json(const struct status_report *report, const struct words *words);
void status_report_done(struct status_report *report); /* takes a zeroed one */

#endif
