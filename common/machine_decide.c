/* The second half of the machine: what is done next, in a fixed order of urgency. */
#include "machine_state.h"

#define POLL_MS 1000 /* the longest wait when nothing is due */

static struct action poll_action(bool read, int64_t timeout_ms)
{
    if (timeout_ms < 0) timeout_ms = 0;
    if (timeout_ms > POLL_MS) timeout_ms = POLL_MS;
    return (struct action){.kind = ACTION_POLL, .read = read, .timeout_ms = timeout_ms};
}

/* A halted one, unless rows of it still wait to be written under the claim that they were read under. */
static bool can_be_looked_at_again(const struct machine *machine, const struct partition *partition)
{
    if (partition->state != PARTITION_HALTED) return false;
    for (size_t i = 0; i < machine->filling.row_count; i++) {
        if (machine->filling.rows[i].partition == partition->number) return false;
    }
    return true;
}

static struct action claim_action(struct machine *machine, bool only_halted)
{
    size_t count = 0;
    for (size_t i = 0; i < machine->partition_count; i++) {
        if (only_halted && !can_be_looked_at_again(machine, &machine->partitions[i])) continue;
        machine->numbers[count++] = machine->partitions[i].number;
    }
    return (struct action){.kind = ACTION_CLAIM, .partitions = machine->numbers, .count = count};
}

/* The whole set goes to where each partition reads on; a single one goes back alone after a jump. */
static struct action start_action(struct machine *machine, bool whole, int64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < machine->partition_count; i++) {
        struct partition *partition = &machine->partitions[i];
        bool reads = partition->state == PARTITION_RUNNING || partition->state == PARTITION_TAIL;
        if (!reads || (!whole && !partition->start_due)) continue;
        /* One that still waits for its last applied message must not be led past it. */
        bool from_start = partition->start_due || partition->state == PARTITION_TAIL;
        int64_t offset = from_start ? partition->start_at : partition->cursor;
        machine->positions[count++] = (struct position){.partition = partition->number, .offset = offset};
        partition->start_due = false;
        partition_started(partition, now_ms);
    }
    if (whole) {
        machine->start_due = false;
        machine->started_ms = now_ms;
    }
    return (struct action){
        .kind = ACTION_START, .whole = whole, .positions = machine->positions, .count = count};
}

static struct action halt_action(struct partition *partition)
{
    partition->halt_due = false;
    return (struct action){.kind = ACTION_HALT,
                           .partition = partition->number,
                           .epoch = partition->epoch,
                           .reason = partition->halt_reason,
                           .detail = partition->halt_detail};
}

static struct partition *first_partition(struct machine *machine, bool (*is_due)(const struct partition *))
{
    for (size_t i = 0; i < machine->partition_count; i++) {
        if (is_due(&machine->partitions[i])) return &machine->partitions[i];
    }
    return NULL;
}

static bool is_halt_due(const struct partition *partition)
{
    return partition->halt_due;
}

static bool is_start_due(const struct partition *partition)
{
    return partition->start_due;
}

/* Only partitions of which nothing came for long though we would have taken it. */
static struct action look_action(struct machine *machine, int64_t now_ms)
{
    int64_t timeout_ms = machine->options.stall_timeout_ms;
    size_t count = 0;
    for (size_t i = 0; now_ms - machine->reading_ms >= timeout_ms && i < machine->partition_count; i++) {
        if (!partition_is_silent(&machine->partitions[i], now_ms, timeout_ms)) continue;
        machine->numbers[count++] = machine->partitions[i].number;
    }
    return (struct action){.kind = ACTION_LOOK, .partitions = machine->numbers, .count = count};
}

static bool should_look(const struct machine *machine, int64_t now_ms)
{
    return machine->options.stall_timeout_ms > 0 && now_ms >= machine->look_ms;
}

static struct action write_action(struct machine *machine, int64_t now_ms)
{
    machine->next_read_ms = now_ms + WAITING_POLL_MS;
    struct flight *flight = &machine->flight;
    if (!flight_has_rows(flight)) {
        struct batch empty = flight->batch;
        flight->batch = machine->filling;
        machine->filling = empty;
    }
    return (struct action){
        .kind = ACTION_WRITE,
        .write = flight_write(flight, machine->partitions, machine->partition_count, machine->identity)};
}

/* Nothing waits for a batch to fill: with the database free, rows go out as soon as the source has no more at
 * hand. While it is busy, they gather. */
static bool should_write(const struct machine *machine, int64_t now_ms)
{
    if (flight_has_rows(&machine->flight)) return true;
    if (machine->filling.row_count == 0) return false;
    return machine->source_idle || machine_filling_is_full(machine) ||
           now_ms - machine->filling.opened_ms >= machine->options.limits.age_max_ms;
}

static struct action wait_action(struct machine *machine, int64_t now_ms)
{
    int64_t until_ms = machine->wait_until_ms;
    machine->reading_ms = now_ms;
    bool read = now_ms >= machine->next_read_ms;
    if (read) machine->next_read_ms = now_ms + WAITING_POLL_MS;
    if (machine->next_read_ms < until_ms) until_ms = machine->next_read_ms;
    return poll_action(read, until_ms - now_ms);
}

/* A message now and then is read and dropped, for a rebalance may stand behind it. */
static struct action quiet_action(struct machine *machine, int64_t now_ms)
{
    machine->reading_ms = now_ms;
    bool read = now_ms >= machine->next_read_ms;
    if (read) machine->next_read_ms = now_ms + WAITING_POLL_MS;
    struct action action = poll_action(read, machine->next_read_ms - now_ms);
    action.resting = true;
    return action;
}

/* With the database busy: rows gather. When there is no room left, a message now and then is read all the
 * same, for a rebalance may stand behind it, and the group waits for our answer. */
static struct action busy_action(struct machine *machine, int64_t now_ms)
{
    bool waits = machine_filling_is_full(machine) || now_ms < machine->wait_until_ms;
    if (machine->stopping) return poll_action(false, POLL_MS);
    if (!waits) return poll_action(true, POLL_MS);
    machine->reading_ms = now_ms;
    bool read = now_ms >= machine->next_read_ms;
    if (read) machine->next_read_ms = now_ms + WAITING_POLL_MS;
    return poll_action(read, machine->next_read_ms - now_ms);
}

/* With the database free: what cannot wait for the next write comes first. */
static struct action decide_free(struct machine *machine, int64_t now_ms)
{
    if (machine->claim_due) return claim_action(machine, false);
    struct partition *halting = first_partition(machine, is_halt_due);
    if (halting != NULL) {
        machine->recheck_ms = now_ms + OPERATOR_WAIT_MS;
        return halt_action(halting);
    }
    if (machine->start_due) {
        if (now_ms >= machine->start_after_ms) return start_action(machine, true, now_ms);
    } else if (first_partition(machine, is_start_due) != NULL) {
        return start_action(machine, false, now_ms);
    }
    if (should_look(machine, now_ms)) {
        machine_look_later(machine, now_ms);
        struct action action = look_action(machine, now_ms);
        if (action.count > 0) return action;
    }
    if (should_write(machine, now_ms)) return write_action(machine, now_ms);
    if (now_ms >= machine->recheck_ms) {
        machine->recheck_ms = now_ms + OPERATOR_WAIT_MS;
        struct action action = claim_action(machine, true);
        if (action.count > 0) return action;
    }
    if (machine->filling.row_count > 0) return poll_action(true, 0);
    return poll_action(true, machine->start_due ? machine->start_after_ms - now_ms : POLL_MS);
}

struct action machine_decide(struct machine *machine, int64_t now_ms)
{
    if (machine->failed) return (struct action){.kind = ACTION_EXIT, .fault = &machine->fault};
    if (machine->receipt != NULL) {
        struct action action = {.kind = ACTION_ACK, .receipt = machine->receipt};
        machine->receipt = NULL;
        return action;
    }
    if (machine->stopping && !machine->flight.in_flight) {
        return (struct action){.kind = ACTION_EXIT, .drained = true};
    }
    if (machine->flight.in_flight) {
        return busy_action(machine, now_ms);
    }
    if (machine->quiet) return quiet_action(machine, now_ms);
    if (now_ms < machine->wait_until_ms) return wait_action(machine, now_ms);
    return decide_free(machine, now_ms);
}
