/* The broker of the simulated world, behind source.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "source.h"
#include "world_state.h"

static bool give_rebalance(struct input *ret_input)
{
    static const int32_t all[WORLD_PARTITIONS] = {0, 1, 2};
    if (world->revoked_due) {
        world->revoked_due = false;
        world->revoked_ms = world->now_ms;
        world_note("revoked\n");
        ret_input->kind = INPUT_REVOKED;
        return true;
    }
    if (!world->assigned_due) return false;
    world->assigned_due = false;
    world_note("assigned\n");
    *ret_input = (struct input){.kind = INPUT_ASSIGNED, .partitions = all, .count = WORLD_PARTITIONS};
    return true;
}

static void make_value(const struct message *message)
{
    if (message->amount == -1) {
        (void)snprintf(world->value, sizeof(world->value), "no JSON");
        return;
    }
    (void)snprintf(world->value, sizeof(world->value),
                   "{\"client\":\"%s\",\"metric\":\"m\",\"amount\":%d,\"time\":\"2024-01-01\"}",
                   message->amount == -2 ? "refused" : "c", message->amount);
}

/* Skips what compaction left out, and what a planned jump passes over. */
static void move_on(struct log_partition *log)
{
    if (log->jump_at >= 0 && log->reading < log->jump_at) {
        log->reading = log->jump_at;
        log->jump_at = -1;
    }
    /* Only where a later message will show it. */
    if (!log->straight && log->reading + 4 < log->high && log->messages[log->high - 1].there &&
        world_mishap_happens()) {
        log->reading += 1 + world_chance(3);
        log->straight = true;
    } else {
        log->straight = false;
    }
    if (log->pass_at == log->reading) {
        log->reading++;
        log->pass_at = -1;
    }
    while (log->reading < log->high && !log->messages[log->reading].there) log->reading++;
}

static void give_record(int32_t partition, int64_t offset, struct input *ret_input)
{
    const struct message *message = &world->logs[partition].messages[offset];
    make_value(message);
    *ret_input = (struct input){.kind = INPUT_RECORD};
    ret_input->record = (struct record){
        .partition = partition,
        .offset = offset,
        .timestamp_ms = 1700000000000 + offset,
        .value = slice_of_text(world->value),
    };
    if (world->rebalance_in > 0 && --world->rebalance_in == 0) world->revoked_due = true;
    if (world_mishap_happens() && world_chance(20) == 0) world->revoked_due = true;
}

static bool give_end(int32_t partition, struct input *ret_input)
{
    struct log_partition *log = &world->logs[partition];
    if (log->aborting || log->end_told == log->reading) return false;
    log->end_told = log->reading;
    *ret_input = (struct input){.kind = INPUT_END, .partition = partition, .high_offset = log->reading};
    return true;
}

static bool give_from(int32_t partition, struct input *ret_input)
{
    struct log_partition *log = &world->logs[partition];
    if (log->reading < 0 || log->stuck > 0) return false;
    if (log->stale_at >= 0) {
        give_record(partition, log->stale_at, ret_input);
        log->stale_at = -1;
        return true;
    }
    if (log->reading < log->low || log->reading > log->high) {
        if (log->out_of_range_told) return false; /* as librdkafka: once, then silence */
        log->out_of_range_told = true;
        world_note("out of range %" PRId32 ": %" PRId64 "..%" PRId64 "\n", partition, log->low, log->high);
        *ret_input = (struct input){.kind = INPUT_OUT_OF_RANGE,
                                    .partition = partition,
                                    .low_offset = log->low,
                                    .high_offset = log->high};
        return true;
    }
    move_on(log);
    if (log->reading >= log->high) return give_end(partition, ret_input);
    give_record(partition, log->reading++, ret_input);
    return true;
}

void source_next(struct source *source, struct input *ret_input)
{
    (void)source;
    *ret_input = (struct input){.kind = INPUT_IDLE};
    if (world->rebalance_at_ms > 0 && world->now_ms >= world->rebalance_at_ms) {
        world->rebalance_at_ms = 0;
        world->revoked_due = true;
    }
    if (world->revoked_due) {
        for (int i = 0; i < WORLD_PARTITIONS; i++) world->logs[i].reading = -1;
        world->assigned_due = true;
    }
    if (give_rebalance(ret_input)) return;
    for (int32_t i = 0; i < WORLD_PARTITIONS; i++) {
        if (give_from(i, ret_input)) return;
    }
}

int source_fd(const struct source *source)
{
    (void)source;
    return -1;
}

bool source_start(struct source *source, const struct position *positions, size_t count, bool whole,
                  struct fault *ret_fault)
{
    (void)source;
    if (world_mishap_happens()) {
        fault_set(ret_fault, STATUS_RETRY, "seek", "planned");
        return false;
    }
    world_note(whole ? "start whole" : "start");
    for (int i = 0; whole && i < WORLD_PARTITIONS; i++) world->logs[i].stale_at = -1;
    for (size_t i = 0; i < count; i++) {
        struct log_partition *log = &world->logs[positions[i].partition];
        bool stale = log->reading > 0 && log->reading < log->high && log->messages[log->reading].there &&
                     world_mishap_happens();
        log->stale_at = stale ? log->reading : -1;
        log->out_of_range_told = false;
        log->end_told = -1;
        if (log->stuck > 0) log->stuck--;
        log->straight = true;
        log->reading = positions[i].offset;
        world_note(" %" PRId32 "@%" PRId64, positions[i].partition, positions[i].offset);
    }
    world_note("\n");
    for (int p = 0; whole && p < WORLD_PARTITIONS; p++) {
        bool named = false;
        for (size_t i = 0; i < count; i++) named = named || positions[i].partition == p;
        if (!named) world->logs[p].reading = -1;
    }
    return true;
}

bool source_first_offset(struct source *source, int32_t partition, int64_t *ret_offset,
                         struct fault *ret_fault)
{
    (void)source;
    (void)ret_fault;
    *ret_offset = world->logs[partition].low;
    return true;
}

bool source_ends(struct source *source, const int32_t *partitions, size_t count,
                 const struct log_end **ret_ends)
{
    (void)source;
    if (world->ends_hidden) {
        world->now_ms += 1000; /* the wait for an answer */
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int32_t partition = partitions[i];
        struct log_partition *log = &world->logs[partition];
        if (log->aborting) log->high++;
        world->ends[i] = (struct log_end){
            .partition = partition, .offset = log->high, .fetched = log->stuck > 0 ? -1 : log->high};
    }
    *ret_ends = world->ends;
    return true;
}

int64_t source_known_end(const struct source *source, int32_t partition)
{
    (void)source;
    return world->logs[partition].high;
}

bool source_is_away(struct source *source)
{
    (void)source;
    return false;
}

void source_ack(struct source *source, const struct receipt *receipt)
{
    (void)source;
    world_note("ack");
    for (size_t i = 0; i < receipt->count; i++) {
        const struct position *position = &receipt->positions[i];
        world_note(" %" PRId32 "@%" PRId64, position->partition, position->offset);
        assert(position->offset <= world->rows[position->partition].next); /* nothing before it is durable */
    }
    world_note("\n");
}
