/* What a pool counts, and where: each worker in its slot of the page that it shares with the supervisor
 * (slot.h), which shows the sum of all at /metrics (metrics_text.h). This header is the list of the names;
 * they are an interface.
 *
 * Exactness. winnow_events_total and winnow_dead_letters_total are no sums of what workers saw, which would
 * miss the batch of one that died between COMMIT and counting. They are the database's own totals of each
 * partition, moved by the statement that stores the events: a claim and every committed batch return them,
 * and a worker puts them down as they are. An entry belongs to one epoch, and of several the one with the
 * highest epoch counts, so that a worker that was replaced cannot overwrite its successor. So they agree with
 * the database across deaths of workers, pools and servers, never go back, and go on where they were when a
 * pool is started again. All else counts what the workers of this pool saw since it began: a worker that dies
 * loses at most its last batch there.
 *
 * Single writer: the worker whose slot it is; unpublished_… its publishing thread. All atomics are relaxed. A
 * worker that starts in a slot goes on with its numbers. */
#ifndef WINNOW_METRICS_H
#define WINNOW_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "machine.h"
#include "reject.h"

/* Counters. X(symbol, field of struct machine_counters, name, help) */
/* clang-format off */
#define METRICS_OF_MACHINE(X)                                                                            \
    X(METRIC_STALE, stale, "winnow_stale_messages_total", "Messages dropped because they were read from before a seek or a rebalance.") \
    X(METRIC_GAPS, gaps, "winnow_gaps_total", "Jumps over offsets without a message: compaction, transaction markers.") \
    X(METRIC_REREADS, rereads, "winnow_rereads_total", "Jumps that were read once more before they were believed.") \
    X(METRIC_FENCED, fenced, "winnow_fenced_batches_total", "Batches that changed nothing because another worker had claimed a partition of theirs.") \
    X(METRIC_RESYNCS, resynced, "winnow_resyncs_total", "Times that a worker went back to the offsets of the database after a fault.") \
    X(METRIC_BISECTIONS, bisected, "winnow_bisections_total", "Statements that the database refused for their data.") \
    X(METRIC_COLLISIONS, collided, "winnow_collisions_total", "Statements sent again because an event that looked new was stored already.") \
    X(METRIC_STALLS, stalled, "winnow_stalls_total", "Times that a partition was silent though its log went on.")

/* X(symbol, name, help) */
#define METRICS_OF_RING(X)                                                                               \
    X(METRIC_REBALANCES, "winnow_rebalances_total", "Assignments of partitions by the consumer group, added up over workers.")

/* The classes of SQLSTATE that are told apart; "none": the server did not answer, "other": any other class. */
#define METRICS_SQLSTATE_CLASSES(X)                                                                      \
    X("none") X("08") X("0A") X("22") X("23") X("25") X("28") X("3D") X("3F") X("40") X("42") X("53")    \
    X("54") X("55") X("57") X("58") X("XX") X("other")
/* clang-format on */

enum metric {
#define X(symbol, field, name, help) symbol,
    METRICS_OF_MACHINE(X)
#undef X
#define X(symbol, name, help) symbol,
        METRICS_OF_RING(X)
#undef X
            METRIC_COUNT,
};

enum {
#define X(class) +1
    METRICS_CLASS_COUNT = 0 METRICS_SQLSTATE_CLASSES(X)
#undef X
};

enum { OUTCOME_STORED, OUTCOME_DUPLICATE, OUTCOME_DEAD, OUTCOME_COUNT };

#define METRICS_BUCKETS_MAX    20
#define METRICS_PARTITIONS_MAX 1024 /* of one slot; those it meets beyond them are only counted */

/* Counts by upper bound; the last bucket has none. */
struct metrics_histogram {
    _Atomic uint64_t buckets[METRICS_BUCKETS_MAX + 1];
    _Atomic uint64_t sum; /* in its unit: rows, microseconds, milliseconds */
};

struct metrics_partition {
    _Atomic int64_t epoch; /* under which this was written; 0: the entry is free */
    _Atomic int32_t partition;
    _Atomic int32_t held;         /* 1: assigned to the worker of this slot */
    _Atomic int32_t halted;       /* 1: an operator has to look */
    _Atomic int64_t next_offset;  /* in the database */
    _Atomic int64_t end_offset;   /* of the log by the latest fetch; -1: not known */
    _Atomic int32_t caught_up;    /* 1: at the last look nothing waited there */
    _Atomic int64_t caught_up_ms; /* of the wall clock, when that was so last; 0: never */
    _Atomic int64_t tail_ms;      /* timestamp of the last applied message; 0: not known */
    _Atomic int64_t outcomes[OUTCOME_COUNT];
    _Atomic int64_t dead_by_reason[REJECT_REASON_COUNT];
};

enum { HISTOGRAM_BATCH_ROWS, HISTOGRAM_BATCH_DURATION, HISTOGRAM_LATENCY, HISTOGRAM_COUNT };

struct metrics_histogram_kind {
    const char *name;
    const char *help;
    double unit;              /* what one of the histogram's units is in that of its name */
    const uint64_t *bounds;   /* in the histogram's unit, ascending */
    const char *const *texts; /* the same as "le" */
    size_t count;
};
extern const struct metrics_histogram_kind metrics_histograms[HISTOGRAM_COUNT];
extern const char *const metrics_classes[METRICS_CLASS_COUNT];

enum metrics_link { LINK_UNKNOWN, LINK_UP, LINK_DOWN };

struct metrics {
    _Atomic uint64_t counters[METRIC_COUNT];
    _Atomic uint64_t database_errors[METRICS_CLASS_COUNT];
    _Atomic int64_t database;          /* enum metrics_link: the last word between worker and database */
    _Atomic int64_t database_since_ms; /* of the wall clock: when that changed */
    _Atomic int64_t broker;            /* the same of Kafka */
    _Atomic int64_t broker_since_ms;
    _Atomic int64_t unpublished; /* dead letters that are not in their topic yet, at most UNPUBLISHED_MAX */
    _Atomic int64_t unpublished_oldest_ms; /* when the oldest was stored; 0: there is none */
    _Atomic int64_t unpublished_at_ms;     /* when that was looked at; 0: never */
    _Atomic int64_t not_shown;             /* partitions that are held, and have no entry for want of room */
    struct metrics_histogram histograms[HISTOGRAM_COUNT];
    struct metrics_partition partitions[METRICS_PARTITIONS_MAX];
};

#define UNPUBLISHED_MAX 10000

/* What only one writes needs no locked instruction. */
static inline void metrics_add(_Atomic uint64_t *number, uint64_t more)
{
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline int64_t metrics_get(const _Atomic int64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static inline void metrics_set(_Atomic int64_t *number, int64_t value)
{
    atomic_store_explicit(number, value, memory_order_relaxed);
}

/* The entry of a partition, made when it is met; NULL when there is no room. */
struct metrics_partition *metrics_partition(struct metrics *metrics, int32_t number);

/* A worker ended: the slot holds nothing and knows no server. */
void metrics_release(struct metrics *metrics);

/* After a claim: the database's totals. `reasons` is "reason=count …", or "". */
void metrics_claimed(struct metrics *metrics, const struct claim *claim,
                     const int64_t outcomes[OUTCOME_COUNT], const char *reasons);

/* After a commit: rows of the write, as the database confirmed them. The totals are told part by part. */
void metrics_committed(struct metrics *metrics, const struct write *write, int64_t took_us, int64_t wall_ms);
void metrics_counted(struct metrics *metrics, const struct write_part *part,
                     const int64_t outcomes[OUTCOME_COUNT]);

/* The database answered, or did not do what was asked. `alive`: the session goes on. */
void metrics_database_up(struct metrics *metrics);
void metrics_database_fault(struct metrics *metrics, const struct fault *fault, bool alive);
void metrics_broker(struct metrics *metrics, bool up);

/* `now` less `before`, which it becomes. */
void metrics_machine(struct metrics *metrics, const struct machine_counters *now,
                     struct machine_counters *before);

#endif
