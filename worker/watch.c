#include "watch.h"

#include <string.h>

#include "clock.h"

#define LOOK_PAUSE_MS 1000

static bool is_held(const struct machine *machine, int32_t partition)
{
    struct machine_place place;
    for (size_t i = 0; machine_place(machine, i, &place); i++) {
        if (place.partition == partition) return true;
    }
    return false;
}

static void look_at_held(struct watch *watch)
{
    for (size_t i = 0; i < METRICS_PARTITIONS_MAX; i++) {
        struct metrics_partition *entry = &watch->metrics->partitions[i];
        if (metrics_get(&entry->epoch) == 0) return;
        int32_t number = atomic_load_explicit(&entry->partition, memory_order_relaxed);
        atomic_store_explicit(&entry->held, is_held(watch->machine, number), memory_order_relaxed);
    }
}

/* Markers of transactions at the log's end are no messages: who has read to the end and written all is there.
 */
static bool has_caught_up(const struct metrics_partition *entry, const struct machine_place *place,
                          int64_t end)
{
    if (end >= 0 && end == metrics_get(&entry->next_offset))
        return true; /* also where nothing was read yet */
    bool no_news = end == metrics_get(&entry->end_offset);
    if (!place->running) return no_news && atomic_load_explicit(&entry->caught_up, memory_order_relaxed) == 1;
    return place->all_written && end >= 0 && (place->cursor >= end || place->read_end >= end);
}

/* False when there is no room for it. */
static bool look_at_place(struct watch *watch, const struct machine_place *place)
{
    struct metrics_partition *entry = metrics_partition(watch->metrics, place->partition);
    if (entry == NULL) return false;
    if (metrics_get(&entry->epoch) == 0) return true;
    int64_t end = source_known_end(watch->source, place->partition);
    bool caught_up = has_caught_up(entry, place, end);
    if (caught_up) metrics_set(&entry->caught_up_ms, clock_wall_ms());
    atomic_store_explicit(&entry->caught_up, caught_up, memory_order_relaxed);
    atomic_store_explicit(&entry->halted, place->halted, memory_order_relaxed);
    metrics_set(&entry->end_offset, end);
    return true;
}

/* Up to this moment nothing had come since the last look. */
static void note_quiet(struct watch *watch)
{
    for (size_t i = 0; i < METRICS_PARTITIONS_MAX; i++) {
        struct metrics_partition *entry = &watch->metrics->partitions[i];
        if (metrics_get(&entry->epoch) == 0) return;
        if (atomic_load_explicit(&entry->caught_up, memory_order_relaxed) == 1)
            metrics_set(&entry->caught_up_ms, clock_wall_ms());
    }
}

static void look(struct watch *watch, int64_t now_ms)
{
    struct machine_place place;
    int64_t not_shown = 0;
    watch->looked_ms = now_ms;
    metrics_machine(watch->metrics, machine_counters(watch->machine), &watch->told);
    look_at_held(watch);
    for (size_t i = 0; machine_place(watch->machine, i, &place); i++)
        not_shown += look_at_place(watch, &place) ? 0 : 1;
    metrics_set(&watch->metrics->not_shown, not_shown);
    bool away = source_is_away(watch->source);
    metrics_broker(watch->metrics, !away);
    watch->due = away; /* nothing else wakes a worker then */
}

void watch_step(struct watch *watch, const struct input *input, int64_t now_ms)
{
    bool quiet = input->kind == INPUT_IDLE || input->kind == INPUT_NONE;
    if (quiet) quiet = memcmp(machine_counters(watch->machine), &watch->told, sizeof(watch->told)) == 0;
    if (!quiet && !watch->due) note_quiet(watch);
    watch->due = watch->due || !quiet;
    if (input->kind == INPUT_ASSIGNED) metrics_add(&watch->metrics->counters[METRIC_REBALANCES], 1);
    bool changed =
        input->kind == INPUT_ASSIGNED || input->kind == INPUT_REVOKED || input->kind == INPUT_CLAIMED;
    if (changed || (watch->due && now_ms - watch->looked_ms >= LOOK_PAUSE_MS)) look(watch, now_ms);
}

int64_t watch_limit(const struct watch *watch, int64_t timeout_ms, int64_t now_ms)
{
    if (!watch->due) return timeout_ms;
    int64_t left_ms = watch->looked_ms + LOOK_PAUSE_MS - now_ms;
    if (left_ms < 1) left_ms = 1;
    return timeout_ms < 0 || timeout_ms > left_ms ? left_ms : timeout_ms;
}
