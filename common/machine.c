/* Two halves. Absorbing: each kind of input changes the state, and nothing else. Deciding: the state alone
 * gives the next action, in a fixed order of urgency. So every decision can be read in one place, decide(),
 * and any order of inputs leads to a sound one.
 *
 * Two batches: `filling` takes what is read, `flight` is with the database. They swap when the database is
 * free and there is reason to write. A fault of any kind ends in resync(): both are dropped, and reading goes
 * on where the database says. */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine_state.h"

struct machine *machine_new(const struct machine_options *options)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    if (machine == NULL) abort();
    machine->options = *options;
    machine->normalizer = normalizer_new(options->event_bytes_max);
    machine->identity = identity_new();
    machine->seen = seen_new();
    batch_init(&machine->filling, &options->limits);
    flight_init(&machine->flight, &options->limits);
    backoff_init(&machine->backoff, BACKOFF_SERVER_FLOOR_MS, BACKOFF_SERVER_CEILING_MS, options->seed);
    machine->rows_max = options->limits.rows_max;
    return machine;
}

void machine_forget_partitions(struct machine *machine)
{
    for (size_t i = 0; i < machine->partition_count; i++) partition_done(&machine->partitions[i]);
    machine->partition_count = 0;
}

void machine_free(struct machine *machine)
{
    if (machine == NULL) return;
    machine_forget_partitions(machine);
    free(machine->partitions);
    free(machine->numbers);
    free(machine->positions);
    batch_done(&machine->filling);
    flight_done(&machine->flight);
    identity_free(machine->identity);
    seen_free(machine->seen);
    normalizer_free(machine->normalizer);
    free(machine);
}

const struct machine_counters *machine_counters(const struct machine *machine)
{
    return &machine->counters;
}

void machine_say(struct machine *machine, enum note_level level, const char *name, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    machine->note.level = level;
    machine->note.name = name;
    (void)vsnprintf(machine->note.text, sizeof(machine->note.text), format, values);
    va_end(values);
}

bool machine_place(const struct machine *machine, size_t index, struct machine_place *ret_place)
{
    if (index >= machine->partition_count) return false;
    const struct partition *partition = &machine->partitions[index];
    *ret_place = (struct machine_place){
        .partition = partition->number,
        .cursor = partition->cursor,
        .read_end = partition->silence.end,
        .running = partition->state == PARTITION_RUNNING,
        .halted = partition->state == PARTITION_HALTED,
        .all_written = partition->committed == partition->cursor,
    };
    return true;
}

void machine_restart(struct machine *machine)
{
    machine->start_due = true;
    machine->start_after_ms = machine->started_ms + START_GAP_MS;
}

struct action machine_step(struct machine *machine, const struct input *input, int64_t now_ms)
{
    machine->note.level = NOTE_NONE;
    machine_absorb(machine, input, now_ms);
    struct action action = machine_decide(machine, now_ms);
    if (machine->note.level != NOTE_NONE) action.note = &machine->note;
    return action;
}
