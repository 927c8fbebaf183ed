/* A world for the worker to live in: a broker, a database and a clock that exist only in memory. It stands in
 * for the two ports and for the shell around them when linking, so the real ring (worker.c) and the real
 * machine run in it, in virtual time, and everything that passes a port is written down as a line of a trace.
 *
 * The database keeps the protocol's promises as the real one does: a claim raises the epoch, a write is
 * applied only where epoch and offset are as expected, all of it or nothing. */
#ifndef WINNOW_TEST_WORLD_H
#define WINNOW_TEST_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_PARTITIONS   3
#define WORLD_MESSAGES_MAX 4096

/* What happens to the write that is being sent, in the order in which writes are sent. */
enum mishap {
    MISHAP_NONE,
    MISHAP_RIVAL,       /* another worker claims the partitions first: fenced */
    MISHAP_LOST_BEFORE, /* the connection breaks, nothing was applied */
    MISHAP_LOST_AFTER,  /* the connection breaks, the write was applied */
    MISHAP_TIMEOUT,     /* SQLSTATE 57014 */
    MISHAP_DENIED,      /* SQLSTATE 42501: the operator's */
    MISHAP_CORRUPT,     /* SQLSTATE XX001 */
};

/* A write's limits and the seed of its back-off. */
void world_begin(size_t batch_rows);
void world_end(void);

/* Adds a message; its offset is the partition's next. An amount of 0 or more makes a good event with that
 * amount, -1 one that is not JSON, -2 one that the database will refuse with 22003. */
void world_produce(int32_t partition, int amount);

/* Leaves offsets out, as compaction or a transaction's marker does. */
void world_skip(int32_t partition, int64_t offsets);

/* Retention takes everything below the offset; truncation everything from it on. */
void world_retain(int32_t partition, int64_t low);
void world_truncate(int32_t partition, int64_t high);

/* Another message now stands at that offset: the topic was recreated. */
void world_replace(int32_t partition, int64_t offset, int amount);

/* The next write meets the mishap; further calls queue up. */
void world_plan(enum mishap mishap);

/* The database does not answer claims or writes from `from_ms` to `to_ms`. */
void world_database_down(int64_t from_ms, int64_t to_ms);

/* How long it works on a write; 3 ms unless told. */
void world_slow_database(int64_t write_ms);

/* The source hands out the message at `offset` in place of the one before it, once. */
void world_jump_once(int32_t partition, int64_t offset);

/* The source hands out nothing of the partition any more, until it was positioned that many times. */
void world_stick(int32_t partition, unsigned starts);

/* The source passes over the message once, without a word. */
void world_pass_over_once(int32_t partition, int64_t offset);

/* Nothing but aborted transactions comes into the partition, and the source never meets its end; or no more.
 */
void world_abort(int32_t partition, bool aborting);

/* The broker does not tell where logs end. */
void world_hide_ends(bool hidden);

/* The run goes on to its limit, though all is done. */
void world_linger(void);

/* The group takes everything away and gives it again after that many messages. */
void world_rebalance_after(unsigned messages);

/* The same at a point in time. */
void world_rebalance_at(int64_t at_ms);

/* When the worker heard of the last one. */
int64_t world_revoked_ms(void);

/* TERM after that many writes were sent. */
void world_stop_after_writes(unsigned writes);

/* Runs the worker until everything is read and written, or for at most that much virtual time; returns its
 * exit code. Call again to run a successor on the same world. */
int world_run(int64_t limit_ms);

/* Random mishaps for the rest of the run, one in `one_in` chances. */
void world_chaos(uint64_t seed, unsigned one_in);

/* What passed the ports, a line each. */
const char *world_trace(void);
void world_trace_clear(void);

int64_t world_now_ms(void);

/* The time that the worker gave itself to end, once it was asked to; 0 before. */
int64_t world_deadline_ms(void);

int64_t world_next_offset(int32_t partition);
bool world_is_halted(int32_t partition, const char *reason);
size_t world_stored(void);
size_t world_dead(void);
size_t world_duplicate(void);
size_t world_collisions(void); /* writes refused because an event that looked new was stored */
size_t world_claims(void);
int64_t world_lost(int32_t partition);

/* The reason of the dead letter of a message, "" when there is none. */
const char *world_dead_reason(int32_t partition, int64_t offset);

/* Every message below next_offset is applied exactly once and batches tile. Prints what is wrong. */
bool world_is_exact(void);

#endif
