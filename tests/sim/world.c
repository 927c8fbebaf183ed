#include "world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world_state.h"

struct world *world;

void world_note(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int size = vsnprintf(world->trace + world->trace_size, TRACE_SIZE - world->trace_size, format, values);
    va_end(values);
    world->trace_size += (size_t)size;
    if (world->trace_size >= TRACE_SIZE - 1024) world->trace_size = 0; /* long chaos runs do not read it */
}

unsigned world_chance(unsigned bound)
{
    world->seed = world->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->seed >> 33) % bound;
}

bool world_mishap_happens(void)
{
    return world->one_in > 0 && world_chance(world->one_in) == 0;
}

void world_begin(size_t batch_rows)
{
    world = calloc(1, sizeof(*world));
    if (world == NULL) abort();
    world->batch_rows = batch_rows;
    world->down_from_ms = INT64_MAX;
    world->write_ms = WRITE_MS;
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        world->logs[i].reading = -1;
        world->logs[i].jump_at = -1;
        world->logs[i].stale_at = -1;
        world->logs[i].pass_at = -1;
    }
}

void world_end(void)
{
    free(world);
    world = NULL;
}

void world_produce(int32_t partition, int amount)
{
    struct log_partition *log = &world->logs[partition];
    assert(log->high < WORLD_MESSAGES_MAX);
    log->messages[log->high++] = (struct message){.there = true, .amount = amount};
}

void world_skip(int32_t partition, int64_t offsets)
{
    world->logs[partition].high += offsets;
}

void world_retain(int32_t partition, int64_t low)
{
    world->logs[partition].low = low;
}

void world_truncate(int32_t partition, int64_t high)
{
    world->logs[partition].high = high;
}

void world_replace(int32_t partition, int64_t offset, int amount)
{
    world->logs[partition].messages[offset].amount = amount;
}

void world_plan(enum mishap mishap)
{
    assert(world->plan_count < PLANS_MAX);
    world->plans[world->plan_count++] = mishap;
}

void world_database_down(int64_t from_ms, int64_t to_ms)
{
    world->down_from_ms = from_ms;
    world->down_to_ms = to_ms;
}

void world_slow_database(int64_t write_ms)
{
    world->write_ms = write_ms;
}

void world_jump_once(int32_t partition, int64_t offset)
{
    world->logs[partition].jump_at = offset;
}

void world_stick(int32_t partition, unsigned starts)
{
    world->logs[partition].stuck = starts;
}

void world_pass_over_once(int32_t partition, int64_t offset)
{
    world->logs[partition].pass_at = offset;
}

void world_abort(int32_t partition, bool aborting)
{
    world->logs[partition].aborting = aborting;
}

void world_hide_ends(bool hidden)
{
    world->ends_hidden = hidden;
}

void world_linger(void)
{
    world->linger = true;
}

void world_rebalance_after(unsigned messages)
{
    world->rebalance_in = messages;
}

void world_rebalance_at(int64_t at_ms)
{
    world->rebalance_at_ms = at_ms;
}

int64_t world_revoked_ms(void)
{
    return world->revoked_ms;
}

void world_stop_after_writes(unsigned writes)
{
    world->stop_in = writes;
}

void world_chaos(uint64_t seed, unsigned one_in)
{
    world->seed = seed;
    world->one_in = one_in;
}

const char *world_trace(void)
{
    return world->trace;
}

void world_trace_clear(void)
{
    world->trace_size = 0;
    world->trace[0] = '\0';
}

int64_t world_now_ms(void)
{
    return world->now_ms;
}

int64_t world_deadline_ms(void)
{
    return world->deadline_ms;
}

int64_t world_next_offset(int32_t partition)
{
    return world->rows[partition].next;
}

bool world_is_halted(int32_t partition, const char *reason)
{
    return world->rows[partition].halted && strcmp(world->rows[partition].reason, reason) == 0;
}

size_t world_stored(void)
{
    return world->stored;
}

size_t world_dead(void)
{
    return world->dead;
}

size_t world_collisions(void)
{
    return world->collisions;
}

size_t world_duplicate(void)
{
    return world->duplicate;
}

size_t world_claims(void)
{
    return world->claims;
}

int64_t world_lost(int32_t partition)
{
    return world->rows[partition].lost;
}

const char *world_dead_reason(int32_t partition, int64_t offset)
{
    const struct message *message = &world->logs[partition].messages[offset];
    return message->dead ? message->reason : "";
}

bool world_is_exact(void)
{
    bool exact = true;
    for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
        for (int64_t offset = 0; offset < world->logs[p].high; offset++) {
            const struct message *message = &world->logs[p].messages[offset];
            int expected =
                message->there && offset < world->rows[p].next && offset >= world->logs[p].low ? 1 : 0;
            if (message->applied == expected || (offset < world->logs[p].low && message->applied <= 1))
                continue;
            fprintf(stderr, "partition %" PRId32 " offset %" PRId64 ": applied %d times, expected %d\n", p,
                    offset, message->applied, expected);
            exact = false;
        }
    }
    return exact;
}
