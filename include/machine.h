/* The whole logic of a worker, without I/O and without a clock: machine_step(machine, input, now) → action.
 *
 * The shell performs the action and reports what came of it as the next input; that ring is all a worker is.
 * Every action but ACTION_POLL and ACTION_WRITE is performed at once and answered by the very next input;
 * a write's outcome comes later, from a poll, so that decoding overlaps the database's work.
 *
 * The protocol it keeps (README, "How it works"):
 *  - the database's next_offset is the only truth; a partition is consumed only under a claim (an epoch);
 *  - a partition begins at its last applied message, which must still carry the stored fingerprint;
 *  - a message behind the cursor is stale and dropped; a jump ahead is read once more before it is believed;
 *  - a partition of which nothing comes though its log goes on is read again, and then by a new client;
 *  - after a lost fence or an unknown outcome nothing is guessed: buffers are dropped and claimed again;
 *  - a batch that the database refuses for its data is bisected, the row left over becomes a dead letter. */
#ifndef WINNOW_MACHINE_H
#define WINNOW_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "batch.h"
#include "identity.h"
#include "record.h"
#include "status.h"

/* What the database answers to a claim. */
struct claim {
    int32_t partition;
    int64_t epoch;
    int64_t next_offset;
    int64_t tail_offset; /* of the last applied message, -1: nothing to check */
    uint8_t tail_fingerprint[FINGERPRINT_SIZE];
    bool halted;
};

/* One partition's share of a write. Applied only where epoch and expected_offset are the row's. */
struct write_part {
    int32_t partition;
    int64_t epoch;
    int64_t expected_offset; /* the database's next_offset before */
    int64_t next_offset;     /* and after */
    int64_t received;        /* messages */
    int64_t dead;            /* of them */
    int64_t lost;            /* offsets that retention took before they were read */
    uint8_t tail_fingerprint[FINGERPRINT_SIZE];
};

/* Rows row_begin .. row_end of a batch, to be applied in one statement or not at all. Where an event is
 * stored already, a row that is seen is a duplicate, and one that is not makes the database refuse the whole
 * write with SQLSTATE 23505; in a careful write every row counts as seen. */
struct write {
    const struct batch *batch;
    size_t row_begin;
    size_t row_end;
    bool careful;
    const struct write_part *parts; /* sorted by partition */
    size_t part_count;
};

struct receipt; /* proof of a committed write; only a sink makes one (sink.h) */

enum input_kind {
    INPUT_NONE,         /* the last action is done and nothing is to be told */
    INPUT_IDLE,         /* a poll found nothing */
    INPUT_RECORD,       /* .record; .quarantined: it killed its workers and must not be decoded */
    INPUT_ASSIGNED,     /* .partitions: the whole new set */
    INPUT_REVOKED,      /* all partitions are gone */
    INPUT_OUT_OF_RANGE, /* .partition, .low_offset, .high_offset: the log holds low .. high - 1 */
    INPUT_END,          /* .partition: everything before .high_offset that can be read was handed out */
    INPUT_ENDS,         /* .ends answer ACTION_LOOK */
    INPUT_CLAIMED,      /* .claims answer ACTION_CLAIM */
    INPUT_WRITTEN,      /* .receipt: committed */
    INPUT_FENCED,       /* the write changed nothing: another epoch or offset stood in the database */
    INPUT_FAILED,       /* .fault of the action in hand or of the write in flight */
    INPUT_STEERED,      /* an operator has moved or resumed a partition: the database knows better than we */
    INPUT_QUIET,        /* take nothing new, but stay in the group */
    INPUT_RESUMED,      /* after INPUT_QUIET: go on */
    INPUT_STOP,         /* the process was asked to end */
};

/* Where to go on reading. */
struct position {
    int32_t partition;
    int64_t offset;
};

/* What is known of a log. */
struct log_end {
    int32_t partition;
    int64_t offset;  /* behind its last message, by the leader's word; -1: not known */
    int64_t fetched; /* where it ended by the latest fetch that was answered; -1: not known */
};

/* Everything is borrowed for the duration of the step, the receipt until ACTION_ACK is performed. */
struct input {
    enum input_kind kind;
    bool quarantined;
    bool of_write; /* of INPUT_FAILED: the write in flight failed, not another action */
    int32_t partition;
    int64_t low_offset;
    int64_t high_offset;
    struct record record;
    const int32_t *partitions;
    const struct claim *claims;
    const struct log_end *ends;
    size_t count; /* of partitions, claims or ends */
    const struct receipt *receipt;
    const struct fault *fault;
};

enum action_kind {
    ACTION_POLL,  /* .read: take from the source; wait up to .timeout_ms for it, the write, a signal */
    ACTION_CLAIM, /* .partitions, sorted */
    ACTION_START, /* read .positions; .whole: they are all there is, else the others go on as they are */
    ACTION_WRITE, /* .write */
    ACTION_ACK,   /* .receipt, to the source */
    ACTION_LOOK,  /* ask where the logs of .partitions end; no .ends when nobody answers soon */
    ACTION_HALT,  /* record that .partition is halted for .reason */
    ACTION_EXIT,  /* .drained, else for .fault */
};

/* A decision that a person may want to read; the shell logs it. */
enum note_level { NOTE_NONE, NOTE_DEBUG, NOTE_INFO, NOTE_WARNING, NOTE_ERROR };
struct note {
    enum note_level level;
    const char *name; /* of the log event */
    char text[FAULT_TEXT_SIZE + 128];
};

struct action {
    enum action_kind kind;
    bool read;
    bool resting; /* of ACTION_POLL: quiet, and nothing is under way */
    bool whole;
    bool drained;
    int32_t partition;
    int64_t epoch;
    int64_t timeout_ms;
    const char *reason; /* "circuit_breaker", "topic_changed", "offset_out_of_range" */
    const char *detail;
    const int32_t *partitions;
    const struct position *positions;
    size_t count;
    struct write write;
    const struct receipt *receipt;
    const struct fault *fault;
    const struct note *note; /* NULL: nothing to say */
};

struct machine_options {
    struct batch_limits limits;
    size_t event_bytes_max;
    uint32_t breaker_window;  /* messages; 0: no circuit breaker */
    uint32_t breaker_percent; /* of the window; more dead than that halts the partition */
    int64_t stall_timeout_ms; /* of silence while we read, until the log's end is looked at; 0: never */
    uint64_t seed;            /* of the back-off's jitter; anything but 0 */
};

struct machine_counters {
    uint64_t taken;    /* messages that went into a batch */
    uint64_t stale;    /* dropped: behind the cursor, or of a partition that is not ours */
    uint64_t gaps;     /* jumps that were real */
    uint64_t rereads;  /* jumps that were read again */
    uint64_t fenced;   /* writes that changed nothing */
    uint64_t resynced; /* times everything was claimed anew after a fault */
    uint64_t batches;  /* committed */
    uint64_t bisected; /* statements that the database refused for their data */
    uint64_t collided; /* statements sent again because an event that looked new was stored already */
    uint64_t stalled;  /* times that a partition was silent though there was more to read */
};

/* Where an assigned partition is. */
struct machine_place {
    int32_t partition;
    int64_t cursor;   /* the next offset to take */
    int64_t read_end; /* what reading reached, by the source's word (INPUT_END); -1: not told */
    bool running;     /* claimed, and read */
    bool halted;
    bool all_written; /* everything that was taken is in the database */
};

struct machine;

struct machine *machine_new(const struct machine_options *options); /* owned by the caller */
void machine_free(struct machine *machine);                         /* takes NULL */

/* Takes what happened, gives what to do next. now_ms never goes back. The action borrows from the machine
 * until the next step; a write's batch and parts stay until its outcome is told. */
MUST_CHECK struct action machine_step(struct machine *machine, const struct input *input, int64_t now_ms);

const struct machine_counters *machine_counters(const struct machine *machine);

/* The assigned partition of that index, in the order of their numbers; false behind the last one. */
MUST_CHECK bool machine_place(const struct machine *machine, size_t index, struct machine_place *ret_place);

#endif
