#include "metrics_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "version.h"

#define LINE_SIZE 512

void metrics_line(struct buffer *text, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int size = vsnprintf(buffer_reserve(text, LINE_SIZE), LINE_SIZE, format, values);
    va_end(values);
    if (size < 0 || size >= LINE_SIZE) abort();
    text->size += (size_t)size;
}

void metrics_family(struct buffer *text, const char *name, const char *type, const char *help)
{
    metrics_line(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_gauge(struct buffer *text, const char *name, const char *help, double value)
{
    metrics_family(text, name, "gauge", help);
    metrics_line(text, "%s %.15g\n", name, value);
}

static void add_counter(struct buffer *text, const char *name, const char *help, uint64_t value)
{
    metrics_family(text, name, "counter", help);
    metrics_line(text, "%s %" PRIu64 "\n", name, value);
}

/* ---- partitions ---------------------------------------------------------------------------------------- */

static int32_t number_of(const struct metrics_partition *entry)
{
    return atomic_load_explicit(&entry->partition, memory_order_relaxed);
}

static int64_t epoch_of(const struct metrics_partition *entry)
{
    return atomic_load_explicit(&entry->epoch, memory_order_acquire);
}

static bool flag(const _Atomic int32_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed) == 1;
}

/* By partition, and the newest first. */
static int compare_entries(const void *a, const void *b)
{
    const struct metrics_partition *left = *(const struct metrics_partition *const *)a;
    const struct metrics_partition *right = *(const struct metrics_partition *const *)b;
    if (number_of(left) != number_of(right)) return number_of(left) < number_of(right) ? -1 : 1;
    return (epoch_of(left) < epoch_of(right)) - (epoch_of(left) > epoch_of(right));
}

/* At most `room`; list NULL: only counts them. */
static size_t collect(const struct slot_page *page, size_t room, const struct metrics_partition **ret_list)
{
    size_t count = 0;
    for (size_t slot = 0; slot < page->used; slot++) {
        const struct metrics_partition *entries = page->metrics[slot].partitions;
        for (size_t i = 0; i < METRICS_PARTITIONS_MAX && count < room && epoch_of(&entries[i]) != 0; i++) {
            if (ret_list != NULL) ret_list[count] = &entries[i];
            count++;
        }
    }
    return count;
}

const struct metrics_partition **metrics_newest(const struct slot_page *page, size_t *ret_count)
{
    size_t room = collect(page, SIZE_MAX, NULL) + SLOT_COUNT_MAX; /* workers may add some meanwhile */
    const struct metrics_partition **list = calloc(room, sizeof(const struct metrics_partition *));
    if (list == NULL) abort();
    size_t count = collect(page, room, list);
    qsort(list, count, sizeof(const struct metrics_partition *), compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || number_of(list[kept - 1]) != number_of(list[i])) list[kept++] = list[i];
    }
    *ret_count = kept;
    return list;
}

struct partitions {
    const struct metrics_partition **list;
    size_t count;
    const char *topic;
};

static void print_outcomes(struct buffer *text, const struct partitions *partitions)
{
    static const char *const names[OUTCOME_COUNT] = {
        [OUTCOME_STORED] = "stored", [OUTCOME_DUPLICATE] = "duplicate", [OUTCOME_DEAD] = "dead"};
    metrics_family(
        text, "winnow_events_total", "counter",
        "Messages accounted for, by what became of them, since the partition's beginning: the database's "
        "own totals.");
    for (size_t i = 0; i < partitions->count; i++) {
        for (size_t outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
            metrics_line(text,
                         "winnow_events_total{topic=\"%s\",partition=\"%" PRId32 "\",outcome=\"%s\"} %" PRId64
                         "\n",
                         partitions->topic, number_of(partitions->list[i]), names[outcome],
                         metrics_get(&partitions->list[i]->outcomes[outcome]));
        }
    }
}

static void print_reasons(struct buffer *text, const struct partitions *partitions)
{
    metrics_family(
        text, "winnow_dead_letters_total", "counter",
        "Dead letters by reason, since the partition's beginning; reasons that never occurred are left out.");
    for (size_t i = 0; i < partitions->count; i++) {
        for (enum reject_reason reason = 0; reason < REJECT_REASON_COUNT; reason++) {
            int64_t dead = metrics_get(&partitions->list[i]->dead_by_reason[reason]);
            if (dead == 0) continue;
            metrics_line(text,
                         "winnow_dead_letters_total{topic=\"%s\",partition=\"%" PRId32
                         "\",reason=\"%s\"} %" PRId64 "\n",
                         partitions->topic, number_of(partitions->list[i]), reject_name(reason), dead);
        }
    }
}

/* False: not known. */
static bool lag_records(const struct metrics_partition *entry, double *ret_value)
{
    int64_t end = metrics_get(&entry->end_offset);
    int64_t behind = flag(&entry->caught_up) ? 0 : end - metrics_get(&entry->next_offset);
    *ret_value = behind > 0 ? (double)behind : 0;
    return end >= 0;
}

/* Whatever waits came after the last applied message, and after the last time that nothing waited. */
static bool lag_seconds(const struct metrics_partition *entry, double *ret_value)
{
    double records;
    if (!lag_records(entry, &records)) return false;
    int64_t tail_ms = metrics_get(&entry->tail_ms);
    int64_t caught_up_ms = metrics_get(&entry->caught_up_ms);
    int64_t since_ms = tail_ms > caught_up_ms ? tail_ms : caught_up_ms;
    int64_t age_ms = clock_wall_ms() - since_ms;
    *ret_value = records > 0 && age_ms > 0 ? (double)age_ms / 1000 : 0;
    return records == 0 || since_ms > 0;
}

static bool next_offset(const struct metrics_partition *entry, double *ret_value)
{
    *ret_value = (double)metrics_get(&entry->next_offset);
    return true;
}

static bool end_offset(const struct metrics_partition *entry, double *ret_value)
{
    *ret_value = (double)metrics_get(&entry->end_offset);
    return *ret_value >= 0;
}

static bool halted(const struct metrics_partition *entry, double *ret_value)
{
    *ret_value = flag(&entry->halted) ? 1 : 0;
    return true;
}

static const struct gauge {
    const char *name;
    const char *help;
    bool (*read)(const struct metrics_partition *entry, double *ret_value);
} gauges[] = {
    {"winnow_lag_records", "Offsets that wait in the topic, by the worker's latest fetch.", lag_records},
    {"winnow_lag_seconds",
     "For how long the oldest message that waits has waited at most; absent while nothing tells.",
     lag_seconds},
    {"winnow_partition_next_offset", "The next offset to store.", next_offset},
    {"winnow_partition_end_offset", "Where the log ended by the worker's latest fetch.", end_offset},
    {"winnow_partition_halted", "1 while the partition is halted and waits for an operator.", halted},
};

static void print_gauges(struct buffer *text, const struct partitions *partitions)
{
    for (size_t g = 0; g < ARRAY_COUNT(gauges); g++) {
        metrics_family(text, gauges[g].name, "gauge", gauges[g].help);
        for (size_t i = 0; i < partitions->count; i++) {
            const struct metrics_partition *entry = partitions->list[i];
            double value;
            if (!flag(&entry->held) || !gauges[g].read(entry, &value)) continue;
            metrics_line(text, "%s{topic=\"%s\",partition=\"%" PRId32 "\"} %.15g\n", gauges[g].name,
                         partitions->topic, number_of(entry), value);
        }
    }
}

static void print_partitions(struct buffer *text, const struct pool_state *state)
{
    struct partitions partitions = {.topic = state->topic};
    partitions.list = metrics_newest(state->page, &partitions.count);
    print_outcomes(text, &partitions);
    print_reasons(text, &partitions);
    print_gauges(text, &partitions);
    double held = 0;
    for (size_t i = 0; i < partitions.count; i++) held += flag(&partitions.list[i]->held) ? 1 : 0;
    double not_shown = 0;
    for (size_t slot = 0; slot < state->page->used; slot++)
        not_shown += (double)metrics_get(&state->page->metrics[slot].not_shown);
    add_gauge(text, "winnow_partitions_not_shown",
              "Partitions that workers hold and that have no series here: a worker shows 1024 at the most.",
              not_shown);
    add_gauge(text, "winnow_partitions_held", "Partitions that workers of this pool hold.", held);
    free((void *)partitions.list);
}

/* ---- what workers count -------------------------------------------------------------------------------- */

static uint64_t load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static void print_counters(struct buffer *text, const struct slot_page *page)
{
    static const struct {
        const char *name;
        const char *help;
    } counters[METRIC_COUNT] = {
#define X(symbol, field, name, help) [symbol] = {name, help},
        METRICS_OF_MACHINE(X)
#undef X
#define X(symbol, name, help) [symbol] = {name, help},
            METRICS_OF_RING(X)
#undef X
    };
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        uint64_t sum = 0;
        for (size_t slot = 0; slot < page->used; slot++) sum += load(&page->metrics[slot].counters[i]);
        add_counter(text, counters[i].name, counters[i].help, sum);
    }
}

static void print_errors(struct buffer *text, const struct slot_page *page)
{
    metrics_family(
        text, "winnow_database_errors_total", "counter",
        "What the database did not do for a worker, by class of SQLSTATE; none: no answer. 23 counts every "
        "collision too.");
    for (size_t class = 0; class < METRICS_CLASS_COUNT; class ++) {
        uint64_t sum = 0;
        for (size_t slot = 0; slot < page->used; slot++)
            sum += load(&page->metrics[slot].database_errors[class]);
        metrics_line(text, "winnow_database_errors_total{class=\"%s\"} %" PRIu64 "\n", metrics_classes[class],
                     sum);
    }
}

static void print_histogram(struct buffer *text, const struct slot_page *page, size_t which)
{
    const struct metrics_histogram_kind *kind = &metrics_histograms[which];
    uint64_t count = 0;
    double sum = 0;
    metrics_family(text, kind->name, "histogram", kind->help);
    for (size_t bucket = 0; bucket <= kind->count; bucket++) {
        for (size_t slot = 0; slot < page->used; slot++)
            count += load(&page->metrics[slot].histograms[which].buckets[bucket]);
        metrics_line(text, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", kind->name,
                     bucket < kind->count ? kind->texts[bucket] : "+Inf", count);
    }
    for (size_t slot = 0; slot < page->used; slot++)
        sum += (double)load(&page->metrics[slot].histograms[which].sum) * kind->unit;
    metrics_line(text, "%s_sum %.15g\n%s_count %" PRIu64 "\n", kind->name, sum, kind->name, count);
}

/* 1 when some worker knows the server to be there and none knows it to be away. */
static double link_is_up(const struct slot_page *page, size_t offset)
{
    bool up = false;
    for (size_t slot = 0; slot < page->used; slot++) {
        const char *metrics = (const char *)&page->metrics[slot];
        int64_t link = metrics_get((const _Atomic int64_t *)(const void *)(metrics + offset));
        if (link == LINK_DOWN) return 0;
        up = up || link == LINK_UP;
    }
    return up ? 1 : 0;
}

/* The workers look at the same table; the latest look counts. */
static void print_unpublished(struct buffer *text, const struct slot_page *page)
{
    const struct metrics *latest = &page->metrics[0];
    for (size_t slot = 1; slot < page->used; slot++) {
        const struct metrics *metrics = &page->metrics[slot];
        if (metrics_get(&metrics->unpublished_at_ms) > metrics_get(&latest->unpublished_at_ms))
            latest = metrics;
    }
    int64_t oldest_ms = metrics_get(&latest->unpublished_oldest_ms);
    int64_t age_ms = oldest_ms > 0 ? clock_wall_ms() - oldest_ms : 0;
    bool known = metrics_get(&latest->unpublished_at_ms) > 0;
    metrics_family(
        text, "winnow_dead_letters_unpublished", "gauge",
        "Dead letters that their topic does not have yet, counted every few seconds and up to 10,000.");
    if (known)
        metrics_line(text, "winnow_dead_letters_unpublished %" PRId64 "\n",
                     metrics_get(&latest->unpublished));
    metrics_family(text, "winnow_dead_letters_unpublished_oldest_seconds", "gauge",
                   "Age of the oldest of them.");
    if (known)
        metrics_line(text, "winnow_dead_letters_unpublished_oldest_seconds %.15g\n",
                     age_ms > 0 ? (double)age_ms / 1000 : 0);
}

static void print_servers(struct buffer *text, const struct slot_page *page)
{
    add_gauge(text, "winnow_database_up", "1 when workers reach PostgreSQL and none has lost it.",
              link_is_up(page, offsetof(struct metrics, database)));
    add_gauge(text, "winnow_broker_up", "1 when workers reach Kafka and none has lost every broker.",
              link_is_up(page, offsetof(struct metrics, broker)));
    print_errors(text, page);
    print_unpublished(text, page);
}

/* ---- the pool ------------------------------------------------------------------------------------------ */

static void print_pool(struct buffer *text, const struct pool_state *state)
{
    static const char *const deaths[POOL_DEATH_KINDS] = {"drained", "ended", "refused", "crashed", "final"};
    metrics_family(text, "winnow_build_info", "gauge", "Always 1; the version is in the label.");
    metrics_line(text, "winnow_build_info{version=\"%s\"} 1\n", WINNOW_VERSION);
    add_gauge(text, "winnow_workers_wanted", "Workers that the pool should have.", state->wanted);
    add_gauge(text, "winnow_workers_running", "Worker processes that exist.", state->running);
    add_gauge(text, "winnow_workers_joined", "Wanted workers that have joined the consumer group.",
              state->joined);
    add_counter(text, "winnow_worker_restarts_total", "Workers that ended unasked and are started again.",
                state->restarts);
    metrics_family(text, "winnow_worker_exits_total", "counter",
                   "Workers that ended, by how: drained (as asked), ended (a reason that may pass), refused "
                   "(configuration, topic or schema), crashed, final (the pool stops).");
    for (size_t i = 0; i < POOL_DEATH_KINDS; i++) {
        metrics_line(text, "winnow_worker_exits_total{how=\"%s\"} %" PRIu64 "\n", deaths[i],
                     state->deaths[i]);
    }
    add_counter(text, "winnow_quarantined_messages_total",
                "Messages set aside because they ended three workers.", load(&state->page->quarantined));
}

void metrics_print(struct buffer *text, const struct pool_state *state)
{
    print_pool(text, state);
    print_partitions(text, state);
    for (size_t i = 0; i < HISTOGRAM_COUNT; i++) print_histogram(text, state->page, i);
    print_counters(text, state->page);
    print_servers(text, state->page);
    metrics_print_process(text, state->started_ms);
}
