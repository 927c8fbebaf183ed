/* The database of the simulated world, behind sink.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "reject.h"
#include "sink.h"
#include "world_state.h"

static bool is_down(void)
{
    return world->now_ms >= world->down_from_ms && world->now_ms < world->down_to_ms;
}

static bool refuse_when_down(struct fault *ret_fault)
{
    if (!is_down() && !world_mishap_happens()) return false;
    fault_set(ret_fault, STATUS_RETRY, "connect", "the database is down");
    return true;
}

bool sink_claim(struct sink *sink, const int32_t *partitions, size_t count, const struct claim **ret_claims,
                size_t *ret_count, struct fault *ret_fault)
{
    (void)sink;
    assert(!world->writing); /* the connection is busy */
    if (refuse_when_down(ret_fault)) return false;
    size_t found = 0;
    world->claims++;
    world_note("claim");
    for (size_t i = 0; i < count; i++) {
        struct row *row = &world->rows[partitions[i]];
        if (!row->there) continue;
        row->epoch++;
        struct claim claim = {.partition = partitions[i],
                              .epoch = row->epoch,
                              .next_offset = row->next,
                              .tail_offset = row->tail,
                              .halted = row->halted};
        memcpy(claim.tail_fingerprint, row->fingerprint, FINGERPRINT_SIZE);
        world->claim[found++] = claim;
        world_note(" %" PRId32 "@%" PRId64 "e%" PRId64 "%s", partitions[i], row->next, row->epoch,
                   row->halted ? "!" : "");
    }
    world_note("\n");
    *ret_claims = world->claim;
    *ret_count = found;
    return true;
}

bool sink_open_partition(struct sink *sink, struct position start, struct fault *ret_fault)
{
    (void)sink;
    if (refuse_when_down(ret_fault)) return false;
    struct row *row = &world->rows[start.partition];
    if (!row->there) *row = (struct row){.there = true, .next = start.offset, .tail = -1};
    return true;
}

bool sink_halt(struct sink *sink, int32_t partition, int64_t epoch, const char *reason, const char *detail,
               struct fault *ret_fault)
{
    (void)sink;
    if (refuse_when_down(ret_fault)) return false;
    struct row *row = &world->rows[partition];
    if (row->epoch != epoch) return true;
    row->halted = true;
    (void)snprintf(row->reason, sizeof(row->reason), "%s", reason);
    world_note("halt %" PRId32 " %s\n", partition, reason);
    assert(detail[0] != '\0');
    return true;
}

static const struct batch_row *refused_row(const struct write *write)
{
    for (size_t i = write->row_begin; i < write->row_end; i++) {
        const struct batch_row *row = &write->batch->rows[i];
        if (!row->dead && slice_equals(batch_slice(write->batch, row->client_id), slice_of_text("refused"))) {
            return row;
        }
    }
    return NULL;
}

/* As the unique key does: an event that is not under suspicion of being stored must be new. */
static bool collides(const struct write *write)
{
    bool inserted[sizeof(world->amounts) / sizeof(*world->amounts)];
    memcpy(inserted, world->amounts, sizeof(inserted));
    for (size_t i = write->row_begin; i < write->row_end && !write->careful; i++) {
        const struct batch_row *row = &write->batch->rows[i];
        if (row->dead || row->seen) continue;
        bool *known = &inserted[world->logs[row->partition].messages[row->offset].amount];
        if (*known) return true;
        *known = true;
    }
    return false;
}

static bool fence_holds(const struct write *write)
{
    for (size_t i = 0; i < write->part_count; i++) {
        const struct row *row = &world->rows[write->parts[i].partition];
        if (row->epoch != write->parts[i].epoch || row->next != write->parts[i].expected_offset) return false;
    }
    return true;
}

static void apply_row(const struct batch *batch, const struct batch_row *row)
{
    struct message *message = &world->logs[row->partition].messages[row->offset];
    message->applied++;
    if (row->dead) {
        message->dead = true;
        message->reason = reject_name(row->reason);
        world->receipt.dead++;
        return;
    }
    (void)batch;
    bool *known = &world->amounts[message->amount];
    if (*known) {
        world->receipt.duplicate++;
    } else {
        world->receipt.stored++;
    }
    *known = true;
}

static void apply(const struct write *write)
{
    world->receipt = (struct receipt){.count = write->part_count};
    for (size_t i = write->row_begin; i < write->row_end; i++)
        apply_row(write->batch, &write->batch->rows[i]);
    for (size_t i = 0; i < write->part_count; i++) {
        const struct write_part *part = &write->parts[i];
        struct row *row = &world->rows[part->partition];
        assert(part->next_offset - part->expected_offset >= part->received + part->lost);
        row->next = part->next_offset;
        row->tail = part->next_offset - 1;
        row->lost += part->lost;
        memcpy(row->fingerprint, part->tail_fingerprint, FINGERPRINT_SIZE);
        world->receipt.positions[i] =
            (struct position){.partition = part->partition, .offset = part->next_offset};
    }
    world->stored += (size_t)world->receipt.stored;
    world->duplicate += (size_t)world->receipt.duplicate;
    world->dead += (size_t)world->receipt.dead;
}

static void answer_fault(enum status status, const char *sqlstate, const char *text)
{
    fault_set(&world->fault, status, "apply", "%s", text);
    (void)snprintf(world->fault.sqlstate, sizeof(world->fault.sqlstate), "%s", sqlstate);
    world->answer = (struct input){.kind = INPUT_FAILED, .of_write = true, .fault = &world->fault};
}

static void execute(const struct write *write)
{
    if (refused_row(write) != NULL) {
        answer_fault(STATUS_REJECT, "22003", "numeric field overflow");
    } else if (fence_holds(write) && collides(write)) {
        world->collisions++;
        answer_fault(STATUS_REJECT, "23505", "duplicate key value violates unique constraint");
    } else if (fence_holds(write)) {
        apply(write);
        world->answer = (struct input){.kind = INPUT_WRITTEN, .receipt = &world->receipt};
    } else {
        world->answer = (struct input){.kind = INPUT_FENCED};
    }
}

static enum mishap next_mishap(void)
{
    if (world->plan_at < world->plan_count) return world->plans[world->plan_at++];
    if (!world_mishap_happens()) return MISHAP_NONE;
    return (enum mishap)(MISHAP_RIVAL + world_chance(4));
}

static void meet(const struct write *write, enum mishap mishap)
{
    switch (mishap) {
    case MISHAP_RIVAL:
        for (size_t i = 0; i < write->part_count; i++) world->rows[write->parts[i].partition].epoch++;
        execute(write);
        return;
    case MISHAP_LOST_BEFORE:
        answer_fault(STATUS_RETRY, "", "connection lost");
        return;
    case MISHAP_LOST_AFTER:
        execute(write);
        answer_fault(STATUS_RETRY, "", "connection lost");
        return;
    case MISHAP_TIMEOUT:
        answer_fault(STATUS_RETRY, "57014", "statement timeout");
        return;
    case MISHAP_DENIED:
        answer_fault(STATUS_STOP, "42501", "permission denied");
        return;
    case MISHAP_CORRUPT:
        answer_fault(STATUS_FATAL, "XX001", "corrupted page");
        return;
    case MISHAP_NONE:
        execute(write);
        return;
    }
}

bool sink_write(struct sink *sink, const struct write *write, struct fault *ret_fault)
{
    (void)sink;
    assert(!world->writing);
    if (refuse_when_down(ret_fault)) return false;
    world_note("write %zu rows:", write->row_end - write->row_begin);
    for (size_t i = 0; i < write->part_count; i++) {
        const struct write_part *part = &write->parts[i];
        world_note(" %" PRId32 "@%" PRId64 "..%" PRId64 "e%" PRId64, part->partition, part->expected_offset,
                   part->next_offset, part->epoch);
    }
    meet(write, next_mishap());
    static const char *const outcomes[] = {
        [INPUT_WRITTEN] = "written", [INPUT_FENCED] = "fenced", [INPUT_FAILED] = "failed"};
    world_note(" -> %s %s\n", outcomes[world->answer.kind],
               world->answer.kind == INPUT_FAILED ? world->fault.sqlstate : "");
    world->writing = true;
    world->answer_ms = world->now_ms + world->write_ms;
    if (world->stop_in > 0 && --world->stop_in == 0) world->stop = true;
    return true;
}

void sink_poll(struct sink *sink, struct input *ret_input)
{
    (void)sink;
    *ret_input = (struct input){.kind = INPUT_IDLE};
    if (!world->writing || world->now_ms < world->answer_ms) return;
    world->writing = false;
    *ret_input = world->answer;
}

int sink_fd(const struct sink *sink)
{
    (void)sink;
    return -1;
}

bool sink_wants_write(const struct sink *sink)
{
    (void)sink;
    return false;
}

const struct position *receipt_positions(const struct receipt *receipt, size_t *ret_count)
{
    *ret_count = receipt->count;
    return receipt->positions;
}

int64_t receipt_stored(const struct receipt *receipt)
{
    return receipt->stored;
}

int64_t receipt_duplicate(const struct receipt *receipt)
{
    return receipt->duplicate;
}

int64_t receipt_dead(const struct receipt *receipt)
{
    return receipt->dead;
}
