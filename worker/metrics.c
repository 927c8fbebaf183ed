#include "metrics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define NAMES(class) class,
const char *const metrics_classes[METRICS_CLASS_COUNT] = {METRICS_SQLSTATE_CLASSES(NAMES)};

static const uint64_t row_bounds[] = {1, 10, 100, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
static const char *const row_texts[] = {"1",    "10",    "100",   "500",   "1000",  "2000",
                                        "5000", "10000", "20000", "50000", "100000"};
static const uint64_t duration_bounds_us[] = {1000,   2500,   5000,    10000,   25000,   50000,    100000,
                                              250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000};
static const char *const duration_texts[] = {"0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
                                             "0.25",  "0.5",    "1",     "2.5",  "5",     "10",   "30"};
static const uint64_t latency_bounds_ms[] = {5,     10,     25,     50,      100,      250,
                                             500,   1000,   2500,   5000,    10000,    30000,
                                             60000, 300000, 900000, 3600000, 21600000, 86400000};
static const char *const latency_texts[] = {"0.005", "0.01", "0.025", "0.05", "0.1",   "0.25",
                                            "0.5",   "1",    "2.5",   "5",    "10",    "30",
                                            "60",    "300",  "900",   "3600", "21600", "86400"};

#define KIND(of_name, of_help, of_unit, of_bounds, of_texts) \
    { \
        .name = (of_name), .help = (of_help), .unit = (of_unit), .bounds = (of_bounds), .texts = (of_texts), \
        .count = ARRAY_COUNT(of_bounds) \
    }

const struct metrics_histogram_kind metrics_histograms[HISTOGRAM_COUNT] = {
    [HISTOGRAM_BATCH_ROWS] =
        KIND("winnow_batch_rows", "Messages in a committed batch.", 1, row_bounds, row_texts),
    [HISTOGRAM_BATCH_DURATION] =
        KIND("winnow_batch_duration_seconds", "From sending a batch to the database to its commit.", 1e-6,
             duration_bounds_us, duration_texts),
    [HISTOGRAM_LATENCY] =
        KIND("winnow_event_latency_seconds",
             "From a message's timestamp to its commit, duplicates and dead letters included.", 1e-3,
             latency_bounds_ms, latency_texts),
};

static_assert(ARRAY_COUNT(latency_bounds_ms) <= METRICS_BUCKETS_MAX, "they fit");

struct metrics_partition *metrics_partition(struct metrics *metrics, int32_t number)
{
    for (size_t i = 0; i < METRICS_PARTITIONS_MAX; i++) {
        struct metrics_partition *entry = &metrics->partitions[i];
        if (metrics_get(&entry->epoch) == 0) {
            atomic_store_explicit(&entry->partition, number, memory_order_relaxed);
            metrics_set(&entry->end_offset, -1);
            return entry;
        }
        if (atomic_load_explicit(&entry->partition, memory_order_relaxed) == number) return entry;
    }
    return NULL;
}

void metrics_release(struct metrics *metrics)
{
    for (size_t i = 0; i < METRICS_PARTITIONS_MAX; i++) {
        struct metrics_partition *entry = &metrics->partitions[i];
        if (metrics_get(&entry->epoch) == 0) break;
        atomic_store_explicit(&entry->held, 0, memory_order_relaxed);
    }
    metrics_set(&metrics->not_shown, 0);
    metrics_set(&metrics->database, LINK_UNKNOWN);
    metrics_set(&metrics->broker, LINK_UNKNOWN);
}

static void read_reasons(struct metrics_partition *entry, const char *reasons)
{
    for (const char *at = reasons; *at != '\0'; at += strcspn(at, " "), at += *at == ' ') {
        size_t size = strcspn(at, "=");
        for (enum reject_reason reason = 0; reason < REJECT_REASON_COUNT; reason++) {
            const char *name = reject_name(reason);
            if (strlen(name) != size || strncmp(name, at, size) != 0) continue;
            metrics_set(&entry->dead_by_reason[reason], strtoll(at + size + 1, NULL, 10));
        }
    }
}

static void put_outcomes(struct metrics_partition *entry, int64_t next_offset,
                         const int64_t outcomes[OUTCOME_COUNT])
{
    metrics_set(&entry->next_offset, next_offset);
    for (size_t i = 0; i < OUTCOME_COUNT; i++) metrics_set(&entry->outcomes[i], outcomes[i]);
}

/* The epoch comes last: until then the entry is what it was, or already partly what it becomes, and nothing
 * in it goes back. */
void metrics_claimed(struct metrics *metrics, const struct claim *claim,
                     const int64_t outcomes[OUTCOME_COUNT], const char *reasons)
{
    struct metrics_partition *entry = metrics_partition(metrics, claim->partition);
    if (entry == NULL) return;
    bool others_were_here = metrics_get(&entry->next_offset) != claim->next_offset;
    if (others_were_here) metrics_set(&entry->caught_up_ms, 0);
    if (others_were_here) metrics_set(&entry->tail_ms, 0);
    put_outcomes(entry, claim->next_offset, outcomes);
    read_reasons(entry, reasons);
    atomic_store_explicit(&entry->epoch, claim->epoch, memory_order_release);
}

void metrics_counted(struct metrics *metrics, const struct write_part *part,
                     const int64_t outcomes[OUTCOME_COUNT])
{
    struct metrics_partition *entry = metrics_partition(metrics, part->partition);
    if (entry != NULL && metrics_get(&entry->epoch) == part->epoch)
        put_outcomes(entry, part->next_offset, outcomes);
}

static size_t find_bucket(const struct metrics_histogram_kind *kind, uint64_t value)
{
    size_t bucket = 0;
    while (bucket < kind->count && value > kind->bounds[bucket]) bucket++;
    return bucket;
}

static void observe(struct metrics *metrics, size_t which, uint64_t value)
{
    struct metrics_histogram *histogram = &metrics->histograms[which];
    metrics_add(&histogram->buckets[find_bucket(&metrics_histograms[which], value)], 1);
    metrics_add(&histogram->sum, value);
}

/* Messages that follow each other are nearly of one age: the bucket is looked for when it changes. */
static void observe_latency(struct metrics *metrics, const struct write *write, int64_t wall_ms)
{
    const struct metrics_histogram_kind *kind = &metrics_histograms[HISTOGRAM_LATENCY];
    struct metrics_histogram *histogram = &metrics->histograms[HISTOGRAM_LATENCY];
    uint64_t above = 1; /* the bucket holds above <= value <= up_to; none at first */
    uint64_t up_to = 0;
    size_t bucket = 0;
    uint64_t run = 0;
    uint64_t sum = 0;
    for (size_t i = write->row_begin; i < write->row_end; i++) {
        int64_t timestamp_ms = write->batch->rows[i].timestamp_ms;
        if (timestamp_ms < 0) continue;
        uint64_t value = timestamp_ms < wall_ms ? (uint64_t)(wall_ms - timestamp_ms) : 0;
        sum += value;
        if (value < above || value > up_to) {
            metrics_add(&histogram->buckets[bucket], run);
            run = 0;
            bucket = find_bucket(kind, value);
            above = bucket == 0 ? 0 : kind->bounds[bucket - 1] + 1;
            up_to = bucket == kind->count ? UINT64_MAX : kind->bounds[bucket];
        }
        run++;
    }
    metrics_add(&histogram->buckets[bucket], run);
    metrics_add(&histogram->sum, sum);
}

/* Of each partition the last row tells how far its messages' time has come. */
static void note_rows(struct metrics *metrics, const struct write *write)
{
    struct metrics_partition *entry = NULL;
    int32_t number = -1;
    for (size_t i = write->row_end; i > write->row_begin; i--) {
        const struct batch_row *row = &write->batch->rows[i - 1];
        if (row->partition == number && !row->dead) continue;
        bool first = row->partition != number;
        number = row->partition;
        if (first) entry = metrics_partition(metrics, number);
        if (entry == NULL) continue;
        if (first && row->timestamp_ms > metrics_get(&entry->tail_ms))
            metrics_set(&entry->tail_ms, row->timestamp_ms);
        if (!row->dead) continue;
        _Atomic int64_t *dead = &entry->dead_by_reason[row->reason];
        metrics_set(dead, metrics_get(dead) + 1);
    }
}

void metrics_committed(struct metrics *metrics, const struct write *write, int64_t took_us, int64_t wall_ms)
{
    observe(metrics, HISTOGRAM_BATCH_ROWS, write->row_end - write->row_begin);
    observe(metrics, HISTOGRAM_BATCH_DURATION, took_us > 0 ? (uint64_t)took_us : 0);
    observe_latency(metrics, write, wall_ms);
    note_rows(metrics, write);
}

static void put_link(_Atomic int64_t *link, _Atomic int64_t *since_ms, enum metrics_link now)
{
    if (metrics_get(link) == (int64_t)now) return;
    metrics_set(since_ms, clock_wall_ms());
    metrics_set(link, (int64_t)now);
}

void metrics_database_up(struct metrics *metrics)
{
    put_link(&metrics->database, &metrics->database_since_ms, LINK_UP);
}

void metrics_broker(struct metrics *metrics, bool up)
{
    put_link(&metrics->broker, &metrics->broker_since_ms, up ? LINK_UP : LINK_DOWN);
}

static size_t class_of(const char *sqlstate)
{
    if (sqlstate[0] == '\0') return 0;
    size_t class = 1;
    while (class < METRICS_CLASS_COUNT - 1 && strncmp(metrics_classes[class], sqlstate, 2) != 0) class ++;
    return class;
}

void metrics_database_fault(struct metrics *metrics, const struct fault *fault, bool alive)
{
    metrics_add(&metrics->database_errors[class_of(fault->sqlstate)], 1);
    if (!alive) put_link(&metrics->database, &metrics->database_since_ms, LINK_DOWN);
}

void metrics_machine(struct metrics *metrics, const struct machine_counters *now,
                     struct machine_counters *before)
{
#define MORE(symbol, field, name, help) metrics_add(&metrics->counters[symbol], now->field - before->field);
    METRICS_OF_MACHINE(MORE)
#undef MORE
    *before = *now;
}
