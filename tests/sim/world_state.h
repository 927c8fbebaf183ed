/* What the parts of the simulated world share. */
#ifndef WINNOW_TEST_WORLD_STATE_H
#define WINNOW_TEST_WORLD_STATE_H

#include "attr.h"
#include "machine.h"
#include "world.h"

#define TRACE_SIZE (1 << 20)
#define PLANS_MAX  256
#define WRITE_MS   3 /* how long the database works on a write */

struct message {
    bool there;
    int amount;
    int applied; /* how often: anything but 1 below next_offset is a fault */
    bool dead;
    const char *reason;
};

struct log_partition {
    struct message messages[WORLD_MESSAGES_MAX];
    int64_t low;
    int64_t high;
    int64_t reading;  /* -1: not assigned */
    int64_t jump_at;  /* -1: none */
    int64_t stale_at; /* a message from before a seek, still to come; -1: none */
    bool straight;    /* no random jump until one message came as it should */
    bool out_of_range_told;
    int64_t end_told; /* where the end was told since the last start; -1: not yet */
    unsigned stuck;   /* hands out nothing until it is positioned so often; 0: it works */
    int64_t pass_at;  /* -1: none */
    bool aborting;    /* each look at it finds more of aborted transactions */
};

struct row {
    bool there;
    int64_t next;
    int64_t epoch;
    int64_t tail;
    int64_t lost;
    uint8_t fingerprint[FINGERPRINT_SIZE];
    bool halted;
    char reason[64];
};

struct receipt {
    struct position positions[WORLD_PARTITIONS];
    size_t count;
    int64_t stored;
    int64_t duplicate;
    int64_t dead;
};

struct world {
    struct log_partition logs[WORLD_PARTITIONS];
    struct row rows[WORLD_PARTITIONS];
    bool amounts[1 << 16]; /* which events are stored */
    size_t stored, duplicate, dead, claims, collisions;
    enum mishap plans[PLANS_MAX];
    size_t plan_count, plan_at;
    struct write write;
    bool writing;
    int64_t answer_ms, write_ms;
    struct input answer;
    struct fault fault;
    struct receipt receipt;
    struct claim claim[WORLD_PARTITIONS];
    int64_t rebalance_at_ms, revoked_ms;
    int64_t now_ms, down_from_ms, down_to_ms, limit_ms, deadline_ms;
    bool assigned_due, revoked_due, stop, linger, ends_hidden;
    struct log_end ends[WORLD_PARTITIONS];
    unsigned rebalance_in, stop_in;
    uint64_t seed;
    unsigned one_in;
    size_t batch_rows;
    char value[128];
    char trace[TRACE_SIZE];
    size_t trace_size;
};

extern struct world *world;

/* Adds to the trace. */
void world_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Below `bound`, from the seed. */
unsigned world_chance(unsigned bound);

/* Whether a random mishap happens now. */
bool world_mishap_happens(void);

#endif
