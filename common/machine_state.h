/* What the two halves of the machine share (machine.c). */
#ifndef WINNOW_MACHINE_STATE_H
#define WINNOW_MACHINE_STATE_H

#include "backoff.h"
#include "flight.h"
#include "machine.h"
#include "normalize.h"
#include "partition.h"
#include "seen.h"

#define OPERATOR_FIRST_WAIT_MS 1000
#define OPERATOR_WAIT_MS       30000 /* until an operator's fault, or a halted partition, is looked at again */
#define TELL_AGAIN_MS          60000 /* a trouble that lasts is told that often */
#define START_GAP_MS           1500
#define WAITING_POLL_MS        100 /* while waiting, the source is served this often, or the group would drop us */

struct machine {
    struct machine_options options;
    struct normalizer *normalizer;
    struct identity *identity;
    struct seen *seen;
    struct batch filling;
    struct flight flight;
    struct partition *partitions; /* sorted by number */
    size_t partition_count;
    int32_t *numbers; /* scratch for actions; as many as partitions */
    struct position *positions;
    struct backoff backoff;
    struct fault fault; /* the last one, for ACTION_EXIT */
    struct note note;
    struct machine_counters counters;
    const struct receipt *receipt; /* to be acknowledged */
    size_t rows_max;               /* limits.rows_max, less after statement timeouts */
    int64_t wait_until_ms;         /* nothing but serving the source before it */
    int64_t next_read_ms;          /* while waiting */
    int64_t recheck_ms;            /* when halted partitions are claimed again */
    int64_t reading_ms;            /* since then, whatever came was taken at once */
    int64_t look_ms;               /* when the ends of silent partitions are looked at again */
    int64_t started_ms;            /* when the whole set was positioned last */
    int64_t start_after_ms;        /* and before when it must not be again */
    bool claim_due;
    bool start_due; /* the whole set is to be positioned */
    bool orphaned;  /* the write in flight is of partitions that are no longer ours */
    bool source_idle;
    bool stopping;
    bool quiet;
    struct trouble {
        int64_t since_ms;
        int64_t told_ms;
        unsigned attempts; /* 0: none */
        bool of_write;     /* the last one was of a write: only the next commit ends it */
    } trouble;
    bool operator_told; /* since the last commit */
    bool failed;        /* for good */
};

/* The input changes the state. */
void machine_absorb(struct machine *machine, const struct input *input, int64_t now_ms);

/* The state gives the next action. */
struct action machine_decide(struct machine *machine, int64_t now_ms);

/* Leaves a note for the shell to log with the next action. */
void machine_say(struct machine *machine, enum note_level level, const char *name, const char *format, ...)
    PRINTF_LIKE(4, 5);

void machine_forget_partitions(struct machine *machine);

#define LOOK_PAUSE_MS_MIN 250

/* Twice in each stall timeout is enough, since nothing is believed at the first look. */
static inline void machine_look_later(struct machine *machine, int64_t now_ms)
{
    int64_t pause_ms = machine->options.stall_timeout_ms / 2;
    machine->look_ms = now_ms + (pause_ms > LOOK_PAUSE_MS_MIN ? pause_ms : LOOK_PAUSE_MS_MIN);
}

/* The set of partitions that are read has changed, or a fetcher has ended: the whole set is to be positioned,
 * but not within START_GAP_MS of the last time. (librdkafka 2.0.2 may abort when partitions are assigned
 * again while their fetchers still start or stop, issue 5573.) */
void machine_restart(struct machine *machine);

/* Rows or bytes have reached their limit. */
static inline bool machine_filling_is_full(const struct machine *machine)
{
    return batch_is_full(&machine->filling) || machine->filling.row_count >= machine->rows_max;
}

#endif
