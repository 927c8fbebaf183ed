/* One assigned partition: where it is, whether the log still is the one we know, whether it is healthy. */
#ifndef WINNOW_PARTITION_H
#define WINNOW_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "identity.h"
#include "machine.h"

enum partition_state {
    PARTITION_UNCLAIMED, /* assigned by the group, not ours in the database yet */
    PARTITION_TAIL,      /* waits for its last applied message, to compare it */
    PARTITION_RUNNING,
    PARTITION_HALTED, /* an operator has to look */
};

/* The outcomes of the last `window` messages, one bit each. */
struct breaker {
    uint8_t *dead_bits;
    uint32_t window;
    uint32_t percent;
    uint32_t at;
    uint32_t dead;
};

struct partition {
    int32_t number;
    enum partition_state state;
    int64_t epoch;
    int64_t committed; /* the database's next_offset */
    int64_t cursor;    /* the next offset to take from the source */
    int64_t lost;      /* offsets below the cursor that retention took, not yet written down */
    int64_t jump_to;   /* the offset at which an unbelieved jump landed, -1: none */
    int64_t start_at;  /* where to read on */
    bool start_due;
    bool halt_due; /* halted here, not yet in the database */
    const char *halt_reason;
    char halt_detail[FAULT_TEXT_SIZE];
    uint8_t tail_fingerprint[FINGERPRINT_SIZE];
    struct breaker breaker;
    struct silence {
        int64_t heard_ms; /* when something came of it, or reading began */
        int64_t end;      /* what reading reached since it began, by the source's word; -1: not told */
        int64_t log_end;  /* of the log, when it was looked at in this silence; -1: never */
        int64_t believed; /* offsets before it that never came are not there: read twice; -1: none */
        int64_t fetched;  /* the log's end by the latest fetch, at the last look; -1: not known */
        bool fetching;    /* it has moved since reading began */
        unsigned stalls;  /* how often reading was begun again, and nothing came since */
    } silence;
    size_t part; /* its index in the parts of the write being built */
};

enum verdict {
    VERDICT_TAKE,
    VERDICT_DROP,   /* stale, or only there to be compared */
    VERDICT_REREAD, /* a jump: start_at is set, read it once more */
    VERDICT_HALT,   /* not the log we know: halt_reason and halt_detail are set */
};

/* The partition of that number among `count` sorted ones, NULL when it is not there. */
struct partition *partition_find(struct partition *partitions, size_t count, int32_t number);

void partition_init(struct partition *partition, int32_t number, const struct machine_options *options);
void partition_done(struct partition *partition);

/* Back to unclaimed, after a fault. */
void partition_reset(struct partition *partition);

/* Ours now. Reading begins at the last applied message when there is one to compare. */
void partition_claimed(struct partition *partition, const struct claim *claim);

/* What to do with a record of this partition. TAKE moves the cursor. *ret_gap: how many offsets a jump that
 * is now believed has passed over, else 0. */
MUST_CHECK enum verdict partition_judge(struct partition *partition, const struct record *record,
                                        struct identity *identity, int64_t *ret_gap);

/* The log holds low .. high - 1, and where we wanted to read is outside. Decides where to go on, or halts.
 * Returns how many offsets retention has taken. */
int64_t partition_out_of_range(struct partition *partition, int64_t low, int64_t high);

/* Something came of it, or it is positioned anew: the silence is over. */
void partition_heard(struct partition *partition, int64_t now_ms);
void partition_started(struct partition *partition, int64_t now_ms);

/* It is read, and nothing came of it for so long. The patience doubles with each stall: nothing comes either
 * while the client passes over what an aborted transaction left, and beginning again undoes that work. */
bool partition_is_silent(const struct partition *partition, int64_t now_ms, int64_t timeout_ms);

/* Where the log ended by the latest fetch that was answered; -1: not known. */
void partition_note_fetched(struct partition *partition, int64_t fetched);

enum silence_verdict {
    SILENCE_FINE,     /* nothing is there to be read, or it came only now */
    SILENCE_REREAD,   /* offsets at the end passed without a message: start_at is set, read them once more */
    SILENCE_STALLED,  /* there is more, and nothing comes: start_at is set */
    SILENCE_HOPELESS, /* even the third time, and no fetch of it is answered with news */
};

/* What a silence means, the log ending where it does now. What counts is where it ended when it was last
 * looked at in the same silence: a message of this instant is still on its way. */
MUST_CHECK enum silence_verdict partition_judge_silence(struct partition *partition, int64_t log_end);

/* Counts a taken message; true when the circuit breaker trips and the partition is halted. */
MUST_CHECK bool partition_count(struct partition *partition, bool dead);

#endif
