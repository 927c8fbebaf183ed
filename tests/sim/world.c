#include "world.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dead_letter_publisher.h"
#include "log.h"
#include "reject.h"
#include "settings.h"
#include "signals.h"
#include "sink.h"
#include "slot.h"
#include "source.h"
#include "worker.h"

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

static struct world {
    struct log_partition logs[WORLD_PARTITIONS];
    struct row rows[WORLD_PARTITIONS];
    bool amounts[1 << 16]; /* which events are stored */
    size_t stored, duplicate, dead, claims;
    enum mishap plans[PLANS_MAX];
    size_t plan_count, plan_at;
    struct write write;
    bool writing;
    int64_t answer_ms;
    struct input answer;
    struct fault fault;
    struct receipt receipt;
    struct claim claim[WORLD_PARTITIONS];
    int64_t rebalance_at_ms, revoked_ms;
    int64_t now_ms, down_from_ms, down_to_ms, limit_ms;
    bool assigned_due, revoked_due, stop;
    unsigned rebalance_in, stop_in;
    uint64_t seed;
    unsigned one_in;
    size_t batch_rows;
    char value[128];
    char trace[TRACE_SIZE];
    size_t trace_size;
} * world;

static void PRINTF_LIKE(1, 2) note(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int size = vsnprintf(world->trace + world->trace_size, TRACE_SIZE - world->trace_size, format, values);
    va_end(values);
    world->trace_size += (size_t)size;
    if (world->trace_size >= TRACE_SIZE - 1024) world->trace_size = 0; /* long chaos runs do not read it */
}

static unsigned chance(unsigned bound)
{
    world->seed = world->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->seed >> 33) % bound;
}

static bool happens(void)
{
    return world->one_in > 0 && chance(world->one_in) == 0;
}

void world_begin(size_t batch_rows)
{
    world = calloc(1, sizeof(*world));
    if (world == NULL) abort();
    world->batch_rows = batch_rows;
    world->down_from_ms = INT64_MAX;
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        world->logs[i].reading = -1;
        world->logs[i].jump_at = -1;
        world->logs[i].stale_at = -1;
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

void world_jump_once(int32_t partition, int64_t offset)
{
    world->logs[partition].jump_at = offset;
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

/* ---- the source ---- */

static void start_reading(void)
{
    world->assigned_due = true;
    for (int i = 0; i < WORLD_PARTITIONS; i++) world->logs[i].reading = -1;
}

static bool give_rebalance(struct input *ret_input)
{
    static const int32_t all[WORLD_PARTITIONS] = {0, 1, 2};
    if (world->revoked_due) {
        world->revoked_due = false;
        world->revoked_ms = world->now_ms;
        note("revoked\n");
        ret_input->kind = INPUT_REVOKED;
        return true;
    }
    if (!world->assigned_due) return false;
    world->assigned_due = false;
    note("assigned\n");
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
    if (!log->straight && log->reading + 4 < log->high && log->messages[log->high - 1].there && happens()) {
        log->reading += 1 + chance(3);
        log->straight = true;
    } else {
        log->straight = false;
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
    if (happens() && chance(20) == 0) world->revoked_due = true;
}

static bool give_from(int32_t partition, struct input *ret_input)
{
    struct log_partition *log = &world->logs[partition];
    if (log->reading < 0) return false;
    if (log->stale_at >= 0) {
        give_record(partition, log->stale_at, ret_input);
        log->stale_at = -1;
        return true;
    }
    if (log->reading < log->low || log->reading > log->high) {
        if (log->out_of_range_told) return false; /* as librdkafka: once, then silence */
        log->out_of_range_told = true;
        note("out of range %" PRId32 ": %" PRId64 "..%" PRId64 "\n", partition, log->low, log->high);
        *ret_input = (struct input){.kind = INPUT_OUT_OF_RANGE,
                                    .partition = partition,
                                    .low_offset = log->low,
                                    .high_offset = log->high};
        return true;
    }
    move_on(log);
    if (log->reading >= log->high) return false;
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
    if (happens()) {
        fault_set(ret_fault, STATUS_RETRY, "seek", "planned");
        return false;
    }
    note(whole ? "start whole" : "start");
    for (int i = 0; whole && i < WORLD_PARTITIONS; i++) world->logs[i].stale_at = -1;
    for (size_t i = 0; i < count; i++) {
        struct log_partition *log = &world->logs[positions[i].partition];
        bool stale =
            log->reading > 0 && log->reading < log->high && log->messages[log->reading].there && happens();
        log->stale_at = stale ? log->reading : -1;
        log->out_of_range_told = false;
        log->straight = true;
        log->reading = positions[i].offset;
        note(" %" PRId32 "@%" PRId64, positions[i].partition, positions[i].offset);
    }
    note("\n");
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

void source_ack(struct source *source, const struct receipt *receipt)
{
    (void)source;
    note("ack");
    for (size_t i = 0; i < receipt->count; i++) {
        const struct position *position = &receipt->positions[i];
        note(" %" PRId32 "@%" PRId64, position->partition, position->offset);
        assert(position->offset <= world->rows[position->partition].next); /* nothing before it is durable */
    }
    note("\n");
}

/* ---- the sink ---- */

static bool is_down(void)
{
    return world->now_ms >= world->down_from_ms && world->now_ms < world->down_to_ms;
}

static bool refuse_when_down(struct fault *ret_fault)
{
    if (!is_down() && !happens()) return false;
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
    note("claim");
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
        note(" %" PRId32 "@%" PRId64 "e%" PRId64 "%s", partitions[i], row->next, row->epoch,
             row->halted ? "!" : "");
    }
    note("\n");
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
    note("halt %" PRId32 " %s\n", partition, reason);
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
    if (!happens()) return MISHAP_NONE;
    return (enum mishap)(MISHAP_RIVAL + chance(4));
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
    note("write %zu rows:", write->row_end - write->row_begin);
    for (size_t i = 0; i < write->part_count; i++) {
        const struct write_part *part = &write->parts[i];
        note(" %" PRId32 "@%" PRId64 "..%" PRId64 "e%" PRId64, part->partition, part->expected_offset,
             part->next_offset, part->epoch);
    }
    meet(write, next_mishap());
    static const char *const outcomes[] = {
        [INPUT_WRITTEN] = "written", [INPUT_FENCED] = "fenced", [INPUT_FAILED] = "failed"};
    note(" -> %s %s\n", outcomes[world->answer.kind],
         world->answer.kind == INPUT_FAILED ? world->fault.sqlstate : "");
    world->writing = true;
    world->answer_ms = world->now_ms + WRITE_MS;
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

/* ---- the shell around them ---- */

static bool all_done(void)
{
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        const struct row *row = &world->rows[i];
        if (row->there && row->halted) continue;
        int64_t last = world->logs[i].high;
        while (last > 0 && !world->logs[i].messages[last - 1].there) last--;
        if (!row->there || row->next < last) return false;
    }
    return !world->writing;
}

int64_t clock_now_ms(void)
{
    return world->now_ms;
}

int64_t clock_wall_ms(void)
{
    return world->now_ms;
}

bool signals_wait(struct pollfd *descriptors, unsigned count, int64_t timeout_ms)
{
    (void)descriptors;
    (void)count;
    int64_t until_ms = world->now_ms + (timeout_ms < 1 ? 1 : timeout_ms);
    if (world->writing && world->answer_ms < until_ms) until_ms = world->answer_ms;
    if (until_ms > world->now_ms) world->now_ms = until_ms;
    if (all_done() || world->now_ms > world->limit_ms) world->stop = true;
    return true;
}

int signals_next(void)
{
    return 0;
}

bool signals_stop_asked(void)
{
    return world->stop;
}

void signals_arm_deadline(int64_t timeout_ms)
{
    (void)timeout_ms;
}

void publisher_poke(struct publisher *publisher)
{
    (void)publisher;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    (void)level;
    (void)event;
    (void)format;
}

int world_run(int64_t limit_ms)
{
    struct settings settings = {
        .batch_rows = (int64_t)world->batch_rows,
        .batch_bytes = 1 << 20,
        .batch_age_ms = 20,
        .event_bytes_max = 1 << 20,
        .breaker_window = world->seed > 0 ? 0 : 20, /* in chaos, chance may cluster poison */
        .breaker_percent = 50,
        .drain_timeout_ms = 1000,
    };
    struct worker_options options = {
        .settings = &settings, .slot = slot_attach(-1, 0), .seed = world->seed + 7};
    start_reading();
    world->writing = false;
    world->stop = false;
    world->limit_ms = world->now_ms + limit_ms;
    int code = worker_run(&options);
    note("exit %d\n", code);
    return code;
}
