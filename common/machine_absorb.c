/* The first half of the machine: what each input changes. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "counted.h"
#include "machine_state.h"

static void drop_rows(struct machine *machine)
{
    batch_clear(&machine->filling);
    /* What is with the database cannot be called back; its outcome no longer concerns us. */
    machine->orphaned = machine->flight.in_flight;
    if (!machine->flight.in_flight) flight_clear(&machine->flight);
}

/* Nothing is guessed: drop what is buffered, claim again after the wait, go back to the database's offsets.
 */
static void resync(struct machine *machine, int64_t now_ms, int64_t wait_ms)
{
    drop_rows(machine);
    for (size_t i = 0; i < machine->partition_count; i++) partition_reset(&machine->partitions[i]);
    machine->claim_due = machine->partition_count > 0;
    machine->start_due = false;
    machine->wait_until_ms = now_ms + wait_ms;
    machine->next_read_ms = now_ms;
    machine->counters.resynced++;
}

/* Nothing is kept that would be old when reading goes on. What is with the database may end as it will. */
static void absorb_quiet(struct machine *machine)
{
    machine->quiet = true;
    drop_rows(machine);
    for (size_t i = 0; i < machine->partition_count; i++) partition_reset(&machine->partitions[i]);
    machine->claim_due = false;
    machine->start_due = false;
    machine_say(machine, NOTE_INFO, "quiet", "nothing new is taken; %zu %s ours", machine->partition_count,
                counted((int64_t)machine->partition_count, "partition stays", "partitions stay"));
}

static void absorb_resumed(struct machine *machine, int64_t now_ms)
{
    machine->quiet = false;
    resync(machine, now_ms, 0);
    machine_say(machine, NOTE_INFO, "resumed", "reading goes on where the database is");
}

/* Its epoch is no longer ours: a write would be fenced, but there may be nothing to write for long. */
static void absorb_steered(struct machine *machine, int64_t now_ms)
{
    resync(machine, now_ms, 0);
    machine_say(machine, NOTE_INFO, "steered",
                "an operator moved or resumed a partition: all are claimed again, where the database is now");
}

static int compare_numbers(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a;
    int32_t right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

static void *resized(void *memory, size_t count, size_t size)
{
    void *moved = realloc(memory, (count == 0 ? 1 : count) * size);
    if (moved == NULL) abort();
    return moved;
}

static void absorb_assigned(struct machine *machine, const struct input *input)
{
    machine_forget_partitions(machine);
    drop_rows(machine);
    machine->partitions = resized(machine->partitions, input->count, sizeof(*machine->partitions));
    machine->numbers = resized(machine->numbers, input->count, sizeof(*machine->numbers));
    machine->positions = resized(machine->positions, input->count, sizeof(*machine->positions));
    if (input->count > 0)
        memcpy(machine->numbers, input->partitions, input->count * sizeof(*machine->numbers));
    qsort(machine->numbers, input->count, sizeof(*machine->numbers), compare_numbers);
    for (size_t i = 0; i < input->count; i++) {
        partition_init(&machine->partitions[i], machine->numbers[i], &machine->options);
    }
    machine->partition_count = input->count;
    machine->claim_due = input->count > 0;
    machine->start_due = false;
    if (input->count == 0) {
        machine_say(
            machine, NOTE_WARNING, "no_partitions",
            "the group gave us no partition: there are more workers than partitions, this one is idle");
    } else {
        machine_say(machine, NOTE_INFO, "assigned", "the group gave us %zu %s", input->count,
                    counted((int64_t)input->count, "partition", "partitions"));
    }
}

static void absorb_revoked(struct machine *machine)
{
    machine_say(machine, NOTE_INFO, "revoked", "the group took back %zu %s", machine->partition_count,
                counted((int64_t)machine->partition_count, "partition", "partitions"));
    machine_forget_partitions(machine);
    drop_rows(machine);
    machine->claim_due = false;
    machine->start_due = false;
}

static void tell_recovery(struct machine *machine, int64_t now_ms)
{
    const struct trouble trouble = machine->trouble;
    if (trouble.attempts == 0) return;
    machine->trouble = (struct trouble){0};
    machine_say(machine, NOTE_INFO, "recovered", "after %" PRId64 " ms and %u %s", now_ms - trouble.since_ms,
                trouble.attempts, counted(trouble.attempts, "attempt", "attempts"));
}

static void absorb_claimed(struct machine *machine, const struct input *input, int64_t now_ms)
{
    bool resumed = false;
    for (size_t i = 0; i < input->count; i++) {
        struct partition *partition =
            partition_find(machine->partitions, machine->partition_count, input->claims[i].partition);
        if (partition == NULL) continue;
        partition_claimed(partition, &input->claims[i]);
        resumed = resumed || partition->state != PARTITION_HALTED;
    }
    if (machine->claim_due || resumed) {
        machine->start_due = true;
        machine->start_after_ms = 0;
    }
    machine->claim_due = false;
    machine->recheck_ms = now_ms + OPERATOR_WAIT_MS;
    if (!machine->trouble.of_write) tell_recovery(machine, now_ms);
}

static void absorb_taken(struct machine *machine, struct partition *partition, const struct input *input,
                         int64_t now_ms)
{
    static const struct client_rules rules = {0};
    struct event event;
    struct reject reject;
    bool dead = true;
    if (input->quarantined) {
        reject_set(&reject, REJECT_CRASHED_WORKER, "crashed_worker", "message", slice_of(NULL, 0),
                   "a message that can be decoded; it ended three workers and is set aside undecoded");
        batch_add_dead(&machine->filling, &input->record, &reject, slice_of(NULL, 0), now_ms);
    } else if (normalize(machine->normalizer, &input->record, &rules, &event, &reject) == STATUS_OK) {
        dead = false;
        bool seen = seen_add(machine->seen, event.hash);
        batch_add_event(&machine->filling, &input->record, &event, seen, now_ms);
    } else {
        batch_add_dead(&machine->filling, &input->record, &reject, normalizer_client(machine->normalizer),
                       now_ms);
    }
    machine->counters.taken++;
    if (partition_count(partition, dead)) machine_restart(machine);
}

static void absorb_record(struct machine *machine, const struct input *input, int64_t now_ms)
{
    machine->source_idle = false;
    struct partition *partition =
        partition_find(machine->partitions, machine->partition_count, input->record.partition);
    int64_t gap = 0;
    enum verdict verdict = VERDICT_DROP;
    if (partition != NULL) partition_heard(partition, now_ms);
    if (partition != NULL) verdict = partition_judge(partition, &input->record, machine->identity, &gap);
    switch (verdict) {
    case VERDICT_TAKE:
        absorb_taken(machine, partition, input, now_ms);
        if (gap == 0) return;
        machine->counters.gaps++;
        machine_say(machine, NOTE_INFO, "gap",
                    "partition %" PRId32 " has no messages at %" PRId64 " %s before %" PRId64,
                    partition->number, gap, counted(gap, "offset", "offsets"), input->record.offset);
        return;
    case VERDICT_DROP: /* read before a seek or a rebalance: no error, only late */
        machine->counters.stale++;
        return;
    case VERDICT_REREAD:
        machine->counters.rereads++;
        machine_say(machine, NOTE_DEBUG, "jump",
                    "partition %" PRId32 " jumps from %" PRId64 " to %" PRId64 ": reading again",
                    partition->number, partition->cursor, input->record.offset);
        return;
    case VERDICT_HALT:
        machine_restart(machine);
        return;
    }
}

static void absorb_out_of_range(struct machine *machine, const struct input *input, int64_t now_ms)
{
    struct partition *partition =
        partition_find(machine->partitions, machine->partition_count, input->partition);
    if (partition == NULL || partition->state == PARTITION_UNCLAIMED || partition->state == PARTITION_HALTED)
        return;
    /* By now the log holds what we wanted to read: read it, with the comparison if there is one to be made.
     */
    int64_t wanted = partition->state == PARTITION_TAIL ? partition->start_at : partition->cursor;
    bool in_range = input->low_offset <= wanted && partition->cursor <= input->high_offset;
    if (partition->cursor != partition->committed || in_range) {
        resync(machine, now_ms, backoff_next_ms(&machine->backoff));
        return;
    }
    int64_t lost = partition_out_of_range(partition, input->low_offset, input->high_offset);
    machine_restart(machine);
    if (lost == 0) return;
    machine_say(machine, NOTE_ERROR, "retention_loss",
                "partition %" PRId32 ": %" PRId64 " %s before offset %" PRId64
                " %s deleted from the topic unread; the range is kept in winnow.batch_log",
                partition->number, lost, counted(lost, "message", "messages"), partition->cursor,
                counted(lost, "was", "were"));
}

static void absorb_end(struct machine *machine, const struct input *input, int64_t now_ms)
{
    struct partition *partition =
        partition_find(machine->partitions, machine->partition_count, input->partition);
    if (partition == NULL || partition->start_due) return; /* before the seek that is about to come */
    partition_heard(partition, now_ms);
    partition->silence.end = input->high_offset;
}

static void give_up_client(struct machine *machine, const struct partition *partition)
{
    machine->failed = true;
    fault_set(&machine->fault, STATUS_RETRY, "stall",
              "nothing comes of partition %" PRId32 " from offset %" PRId64
              " on, though its log goes on, and reading it anew did not help: this needs a new client",
              partition->number, partition->start_at);
}

/* The client stops fetching a partition now and then, for ever, while its membership of the group looks
 * healthy. True when this one has: each is told with an action of its own, so the others wait for the next
 * look. */
static bool absorb_silence(struct machine *machine, struct partition *partition, int64_t log_end)
{
    switch (partition_judge_silence(partition, log_end)) {
    case SILENCE_FINE:
        break;
    case SILENCE_REREAD:
        machine->counters.rereads++;
        break;
    case SILENCE_STALLED:
        machine->counters.stalled++;
        machine_say(machine, NOTE_WARNING, "partition_stalled",
                    "nothing comes of partition %" PRId32 " from offset %" PRId64
                    " on, though its log goes on to %" PRId64 ": reading it anew",
                    partition->number, partition->start_at, log_end);
        return true;
    case SILENCE_HOPELESS:
        machine->counters.stalled++;
        give_up_client(machine, partition);
        return true;
    }
    return false;
}

/* To look may take a second: the pause counts from the answer, or a worker would do nothing else. */
static void absorb_ends(struct machine *machine, const struct input *input, int64_t now_ms)
{
    machine_look_later(machine, now_ms);
    for (size_t i = 0; i < input->count; i++) {
        struct partition *partition =
            partition_find(machine->partitions, machine->partition_count, input->ends[i].partition);
        bool known = partition != NULL && input->ends[i].offset >= 0;
        if (partition != NULL) partition_note_fetched(partition, input->ends[i].fetched);
        if (known && absorb_silence(machine, partition, input->ends[i].offset)) return;
    }
}

static void absorb_written(struct machine *machine, const struct input *input, int64_t now_ms)
{
    struct flight *flight = &machine->flight;
    flight_written(flight);
    machine->counters.batches++;
    machine->operator_told = false;
    tell_recovery(machine, now_ms);
    backoff_reset(&machine->backoff);
    if (machine->rows_max < machine->options.limits.rows_max) machine->rows_max++;
    if (machine->orphaned) {
        machine->orphaned = false;
        flight_clear(flight);
        return;
    }
    for (size_t i = 0; i < flight->part_count; i++) {
        struct partition *partition =
            partition_find(machine->partitions, machine->partition_count, flight->parts[i].partition);
        assert(partition != NULL);
        partition->committed = flight->parts[i].next_offset;
        partition->lost = 0;
    }
    machine->receipt = input->receipt;
    if (!flight_has_rows(flight)) flight_clear(flight);
}

/* Returns false when the write was of partitions that are no longer ours: then its failure is no news. */
static bool land(struct machine *machine)
{
    machine->flight.in_flight = false;
    if (!machine->orphaned) return true;
    machine->orphaned = false;
    flight_clear(&machine->flight);
    return false;
}

static void absorb_fenced(struct machine *machine, int64_t now_ms)
{
    machine->counters.fenced++;
    if (!land(machine)) return;
    int64_t wait_ms = backoff_next_ms(&machine->backoff);
    resync(machine, now_ms, wait_ms);
    machine_say(machine, NOTE_WARNING, "fenced",
                "another worker has claimed a partition of this batch; nothing was written, "
                "claiming again in %" PRId64 " ms",
                wait_ms);
}

static void wait_for_operator(struct machine *machine, int64_t now_ms)
{
    /* Once soon: a partition of the table that another worker is just attaching looks the same. */
    int64_t wait_ms = machine->operator_told ? OPERATOR_WAIT_MS : OPERATOR_FIRST_WAIT_MS;
    machine->operator_told = true;
    resync(machine, now_ms, wait_ms);
    bool told = machine->fault.sqlstate[0] != '\0';
    machine_say(machine, NOTE_ERROR, "operator_needed",
                "%s: %s%s%s; nothing is lost, trying again in %" PRId64 " s", machine->fault.site,
                machine->fault.text, told ? "; SQLSTATE " : "", machine->fault.sqlstate, wait_ms / 1000);
}

static void tell_trouble(struct machine *machine, bool of_write, int64_t now_ms, int64_t wait_ms)
{
    struct trouble *trouble = &machine->trouble;
    if (trouble->attempts == 0) trouble->since_ms = now_ms;
    trouble->attempts++;
    trouble->of_write = of_write;
    if (trouble->attempts > 1 && now_ms - trouble->told_ms < TELL_AGAIN_MS) return;
    trouble->told_ms = now_ms;
    machine_say(machine, NOTE_WARNING, "retrying", "%s: %s; attempt %u, trying again in %" PRId64 " ms",
                machine->fault.site, machine->fault.text, trouble->attempts, wait_ms);
}

static void retry(struct machine *machine, bool of_write, int64_t now_ms)
{
    /* Nothing waits for it, and no claim would tell that it is over. */
    if (machine->partition_count == 0 && !of_write) return;
    /* A batch that timed out may just be too large: shrink it, and grow back slowly. */
    bool too_slow = of_write && strcmp(machine->fault.sqlstate, "57014") == 0;
    if (too_slow && machine->rows_max > 1) machine->rows_max /= 2;
    int64_t wait_ms = backoff_next_ms(&machine->backoff);
    resync(machine, now_ms, wait_ms);
    tell_trouble(machine, of_write, now_ms, wait_ms);
}

/* The circuit breaker counts it as well: a constraint that refuses everything must not drain the topic. */
static void absorb_database_rejected(struct machine *machine, const struct fault *fault)
{
    struct flight *flight = &machine->flight;
    const struct batch_row row = flight->batch.rows[flight->row_begin];
    machine_say(machine, NOTE_WARNING, "database_rejected",
                "partition %" PRId32 " offset %" PRId64 ": %s (SQLSTATE %s)", row.partition, row.offset,
                fault->text, fault->sqlstate);
    struct partition *partition =
        partition_find(machine->partitions, machine->partition_count, row.partition);
    assert(partition != NULL);
    if (partition->state == PARTITION_HALTED || !partition_count(partition, true)) return;
    flight_drop_partition(flight, row.partition);
    batch_drop_partition(&machine->filling, row.partition);
    machine_restart(machine);
}

static void absorb_refused(struct machine *machine, const struct fault *fault, int64_t now_ms)
{
    if (strcmp(fault->sqlstate, "23505") == 0 && flight_collided(&machine->flight)) {
        machine->counters.collided++;
        return;
    }
    machine->counters.bisected++;
    enum refusal refusal = flight_refused(&machine->flight, fault);
    if (refusal == REFUSAL_HOPELESS) {
        wait_for_operator(machine, now_ms);
    } else if (refusal == REFUSAL_DEAD) {
        absorb_database_rejected(machine, fault);
    }
}

static void absorb_failed(struct machine *machine, const struct input *input, int64_t now_ms)
{
    machine->fault = *input->fault;
    if (input->of_write && !land(machine) && input->fault->status != STATUS_FATAL) return;
    switch (input->fault->status) {
    case STATUS_REJECT:
        if (input->of_write) {
            absorb_refused(machine, input->fault, now_ms);
        } else {
            wait_for_operator(machine, now_ms);
        }
        return;
    case STATUS_STOP:
        wait_for_operator(machine, now_ms);
        return;
    case STATUS_FATAL:
        machine->failed = true;
        return;
    case STATUS_OK:
    case STATUS_RETRY:
        retry(machine, input->of_write, now_ms);
        return;
    }
}

void machine_absorb(struct machine *machine, const struct input *input, int64_t now_ms)
{
    switch (input->kind) {
    case INPUT_NONE:
        return;
    case INPUT_IDLE:
        machine->source_idle = true;
        return;
    case INPUT_RECORD:
        absorb_record(machine, input, now_ms);
        return;
    case INPUT_ASSIGNED:
        absorb_assigned(machine, input);
        return;
    case INPUT_REVOKED:
        absorb_revoked(machine);
        return;
    case INPUT_OUT_OF_RANGE:
        absorb_out_of_range(machine, input, now_ms);
        return;
    case INPUT_END:
        absorb_end(machine, input, now_ms);
        return;
    case INPUT_ENDS:
        absorb_ends(machine, input, now_ms);
        return;
    case INPUT_CLAIMED:
        absorb_claimed(machine, input, now_ms);
        return;
    case INPUT_WRITTEN:
        absorb_written(machine, input, now_ms);
        return;
    case INPUT_FENCED:
        absorb_fenced(machine, now_ms);
        return;
    case INPUT_FAILED:
        absorb_failed(machine, input, now_ms);
        return;
    case INPUT_STEERED:
        absorb_steered(machine, now_ms);
        return;
    case INPUT_QUIET:
        absorb_quiet(machine);
        return;
    case INPUT_RESUMED:
        absorb_resumed(machine, now_ms);
        return;
    case INPUT_STOP:
        machine->stopping = true;
        return;
    }
}
