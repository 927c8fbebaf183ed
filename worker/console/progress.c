#include "console/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "console/session.h"
#include "database.h"
#include "dead_letter_work.h"
#include "kafka_offsets.h"
#include "log.h"
#include "settings_table.h"
#include "signals.h"

#define LOOK_EVERY_MS      1000
#define BROKER_TIMEOUT_MS  2000
#define COUNT_FAILED_EVERY 3
#define HISTORY            900 /* looks that are remembered: a quarter of an hour */

struct history {
    int64_t at_ms[HISTORY];
    int64_t high[HISTORY];
    size_t count; /* of all looks; the last HISTORY of them are kept */
};

struct progress {
    const struct settings *settings;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the snapshot */
    pthread_cond_t changed;
    struct progress_snapshot seen;
    bool looked;
    bool ending;

    /* the thread's own */
    struct database *database;
    struct kafka_offsets *offsets;
    struct progress_partition *partitions;
    size_t count;
    struct history *histories; /* by number of the partition */
    size_t history_count;
    int64_t unpublished;
    int64_t failed_open;
    unsigned look_count;
};

/* $3 and $4: the partitions that are known and up to where they are counted. */
static const char look_sql[] =
    "SELECT l.partition, l.start_offset, l.next_offset, (l.state OPERATOR(pg_catalog.=) 'halted')::int, "
    "l.halt_reason, l.halt_detail, l.owner, "
    "pg_catalog.to_char(l.claimed_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
    "pg_catalog.to_char(l.updated_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
    "b.stored, b.duplicate, b.dead, b.gap, b.lost, coalesce(b.tiled AND b.begins OPERATOR(pg_catalog.=) "
    "coalesce(k.counted, l.start_offset) AND b.ends OPERATOR(pg_catalog.=) l.next_offset, "
    "coalesce(k.counted, "
    "l.start_offset) OPERATOR(pg_catalog.=) l.next_offset)::int, d.letters, "
    "(SELECT pg_catalog.count(*) FROM winnow.dead_letter AS u WHERE u.stream_id OPERATOR(pg_catalog.=) "
    "l.stream_id AND u.published_at IS NULL), b.skipped "
    "FROM winnow.stream AS s JOIN winnow.processing_log AS l USING (stream_id) "
    "LEFT JOIN unnest($3, $4) AS k (partition, counted) USING (partition) "
    "CROSS JOIN LATERAL (SELECT pg_catalog.sum(o.stored)::bigint AS stored, "
    "pg_catalog.sum(o.duplicate)::bigint "
    "AS duplicate, pg_catalog.sum(o.dead)::bigint AS dead, pg_catalog.sum(o.gap)::bigint AS gap, "
    "pg_catalog.sum(o.lost)::bigint AS lost, pg_catalog.sum(o.skipped)::bigint AS skipped, "
    "pg_catalog.min(o.start_offset) AS begins, "
    "pg_catalog.max(o.end_offset) AS ends, pg_catalog.bool_and(o.start_offset OPERATOR(pg_catalog.=) "
    "coalesce(o.before, o.start_offset)) AS tiled FROM (SELECT g.*, pg_catalog.lag(g.end_offset) OVER (ORDER "
    "BY "
    "g.start_offset) AS before FROM winnow.batch_log AS g WHERE g.stream_id OPERATOR(pg_catalog.=) "
    "l.stream_id AND "
    "g.partition OPERATOR(pg_catalog.=) l.partition AND g.start_offset OPERATOR(pg_catalog.>=) "
    "coalesce(k.counted, l.start_offset)) AS o) AS b "
    "CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS letters FROM winnow.dead_letter AS w WHERE "
    "w.stream_id "
    "OPERATOR(pg_catalog.=) l.stream_id AND w.partition OPERATOR(pg_catalog.=) l.partition AND "
    "w.message_offset "
    "OPERATOR(pg_catalog.>=) coalesce(k.counted, l.start_offset)) AS d "
    "WHERE s.consumer_group OPERATOR(pg_catalog.=) $1 AND s.topic OPERATOR(pg_catalog.=) $2 ORDER BY 1";

/* ---- the database's side ------------------------------------------------------------------------------- */

static struct progress_partition *find(struct progress *progress, int32_t partition)
{
    size_t at = 0;
    while (at < progress->count && progress->partitions[at].partition < partition) at++;
    if (at < progress->count && progress->partitions[at].partition == partition)
        return &progress->partitions[at];
    progress->partitions =
        reallocarray(progress->partitions, progress->count + 1, sizeof *progress->partitions);
    if (progress->partitions == NULL) abort();
    memmove(&progress->partitions[at + 1], &progress->partitions[at],
            (progress->count - at) * sizeof *progress->partitions);
    progress->count++;
    progress->partitions[at] = (struct progress_partition){
        .partition = partition, .tiled = true, .high = -1, .lag = -1, .lag_seconds = -1};
    return &progress->partitions[at];
}

static void copy(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text);
}

/* One whose batches do not lie one behind the other is counted from its start, until they do again. */
static bool is_counted(const struct progress_partition *partition)
{
    return partition->started && partition->tiled;
}

/* True when what was counted does not go on: an operator has moved the partition back. */
static bool take_row(struct progress *progress, const struct rows *rows, size_t row)
{
    struct progress_partition *partition = find(progress, (int32_t)rows_int(rows, row, 0));
    const bool was_counted = is_counted(partition);
    if (!was_counted)
        partition->stored = partition->duplicate = partition->dead = partition->gap = partition->lost =
            partition->skipped = partition->letters = 0;
    partition->started = true;
    partition->start_offset = rows_int(rows, row, 1);
    partition->next_offset = rows_int(rows, row, 2);
    partition->halted = rows_int(rows, row, 3) == 1;
    copy(partition->halt_reason, sizeof partition->halt_reason, rows_text(rows, row, 4));
    copy(partition->halt_detail, sizeof partition->halt_detail, rows_text(rows, row, 5));
    copy(partition->owner, sizeof partition->owner, rows_text(rows, row, 6));
    copy(partition->claimed_at, sizeof partition->claimed_at, rows_text(rows, row, 7));
    copy(partition->updated_at, sizeof partition->updated_at, rows_text(rows, row, 8));
    partition->stored += rows_int(rows, row, 9);
    partition->duplicate += rows_int(rows, row, 10);
    partition->dead += rows_int(rows, row, 11);
    partition->gap += rows_int(rows, row, 12);
    partition->lost += rows_int(rows, row, 13);
    partition->tiled = rows_int(rows, row, 14) == 1;
    partition->letters += rows_int(rows, row, 15);
    progress->unpublished = rows_int(rows, row, 16);
    partition->skipped += rows_int(rows, row, 17);
    return was_counted && !partition->tiled;
}

/* "{0,1}" and "{17,20}": what was counted. */
static void list_counted(const struct progress *progress, struct buffer *numbers, struct buffer *counted)
{
    const char *comma = "";
    setting_add(numbers, "{");
    setting_add(counted, "{");
    for (size_t i = 0; i < progress->count; i++) {
        const struct progress_partition *partition = &progress->partitions[i];
        if (!is_counted(partition)) continue;
        setting_add(numbers, "%s%" PRId32, comma, partition->partition);
        setting_add(counted, "%s%" PRId64, comma, partition->next_offset);
        comma = ",";
    }
    (void)buffer_add(numbers, "}", 2);
    (void)buffer_add(counted, "}", 2);
}

static bool look_at_partitions(struct progress *progress, bool *ret_moved, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    struct buffer numbers = {0};
    struct buffer counted = {0};
    list_counted(progress, &numbers, &counted);
    const struct sql_parameter parameters[] = {
        sql_text(progress->settings->group),
        sql_text(progress->settings->topic),
        {.type = SQL_INT4_ARRAY, .data = numbers.data},
        {.type = SQL_INT8_ARRAY, .data = counted.data},
    };
    bool seen = session_keep(progress->settings, SESSION_READ, &progress->database, ret_fault) &&
                database_run(progress->database, "progress", look_sql, parameters, ARRAY_COUNT(parameters),
                             &rows, ret_fault);
    *ret_moved = false;
    for (size_t row = 0; seen && row < rows_count(rows); row++) *ret_moved |= take_row(progress, rows, row);
    rows_free(rows);
    buffer_done(&numbers);
    buffer_done(&counted);
    return seen;
}

/* What was moved back is counted from its start before anybody hears that it does not add up. */
static bool read_partitions(struct progress *progress, struct fault *ret_fault)
{
    bool moved = false;
    if (!look_at_partitions(progress, &moved, ret_fault)) return false;
    return !moved || look_at_partitions(progress, &moved, ret_fault);
}

/* It costs more than the rest, and changes rarely. */
static bool count_failed(struct progress *progress, struct fault *ret_fault)
{
    static const struct letter_filter all = {.reason = NULL};
    const struct letter_scope scope = {.group = progress->settings->group,
                                       .topic = progress->settings->topic};
    if (progress->look_count++ % COUNT_FAILED_EVERY != 0) return true;
    return letters_count_open(progress->database, &scope, &all, &progress->failed_open, ret_fault);
}

static bool look_at_database(struct progress *progress, struct fault *ret_fault)
{
    return read_partitions(progress, ret_fault) && count_failed(progress, ret_fault);
}

/* ---- the brokers' side --------------------------------------------------------------------------------- */

static struct history *history_of(struct progress *progress, int32_t partition)
{
    size_t wanted = (size_t)partition + 1;
    if (progress->history_count < wanted) {
        progress->histories = reallocarray(progress->histories, wanted, sizeof *progress->histories);
        if (progress->histories == NULL) abort();
        memset(progress->histories + progress->history_count, 0,
               (wanted - progress->history_count) * sizeof *progress->histories);
        progress->history_count = wanted;
    }
    return &progress->histories[partition];
}

/* When the message at that offset was there already, as far as is remembered. */
static int64_t first_seen_ms(const struct history *history, int64_t offset)
{
    size_t kept = history->count < HISTORY ? history->count : HISTORY;
    int64_t seen_ms = clock_now_ms();
    for (size_t back = 1; back <= kept; back++) {
        size_t at = (history->count - back) % HISTORY;
        if (history->high[at] <= offset) break;
        seen_ms = history->at_ms[at];
    }
    return seen_ms;
}

static void take_range(struct progress *progress, int32_t number, const struct partition_range *range)
{
    struct history *history = history_of(progress, number);
    struct progress_partition *partition = find(progress, number);
    int64_t now_ms = clock_now_ms();
    history->at_ms[history->count % HISTORY] = now_ms;
    history->high[history->count++ % HISTORY] = range->high;
    int64_t next = partition->started ? partition->next_offset : range->low;
    partition->high = range->high;
    partition->lag = range->high > next ? range->high - next : 0;
    partition->lag_seconds =
        partition->lag > 0 ? (double)(now_ms - first_seen_ms(history, next)) / 1000.0 : 0.0;
}

static bool look_at_brokers(struct progress *progress, struct fault *ret_fault)
{
    struct partition_range *ranges = NULL;
    int32_t count = 0;
    if ((progress->offsets == NULL &&
         !kafka_offsets_open(progress->settings, &progress->offsets, ret_fault)) ||
        !kafka_offsets_read(progress->offsets, BROKER_TIMEOUT_MS, &ranges, &count, ret_fault)) {
        for (size_t i = 0; i < progress->count; i++) {
            progress->partitions[i].high = -1;
            progress->partitions[i].lag = -1;
            progress->partitions[i].lag_seconds = -1;
        }
        return false;
    }
    for (int32_t i = 0; i < count; i++) take_range(progress, i, &ranges[i]);
    free(ranges);
    return true;
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

/* A stop ends what is being asked: that is no fault of a server. */
static void tell_change(const struct fault *before, const struct fault *now, const char *what)
{
    if (now->status != STATUS_OK && before->status == STATUS_OK && !signals_stop_arrived())
        log_line(LOG_LEVEL_WARNING, "progress_unknown", "%s cannot be asked: %s", what, now->text);
}

/* Kafka after the database: a lag that is seen is never less than nothing. */
static void look(struct progress *progress)
{
    struct fault fault = {.status = STATUS_OK};
    struct fault lag_fault = {.status = STATUS_OK};
    if (look_at_database(progress, &fault)) fault.status = STATUS_OK;
    if (look_at_brokers(progress, &lag_fault)) lag_fault.status = STATUS_OK;
    (void)pthread_mutex_lock(&progress->mutex);
    tell_change(&progress->seen.fault, &fault, "PostgreSQL");
    tell_change(&progress->seen.lag_fault, &lag_fault, "Kafka");
    free(progress->seen.partitions);
    progress->seen = (struct progress_snapshot){.count = progress->count,
                                                .unpublished = progress->unpublished,
                                                .failed_open = progress->failed_open,
                                                .fault = fault,
                                                .lag_fault = lag_fault};
    progress->seen.partitions = calloc(progress->count + 1, sizeof *progress->partitions);
    if (progress->seen.partitions == NULL) abort();
    if (progress->count > 0)
        memcpy(progress->seen.partitions, progress->partitions,
               progress->count * sizeof *progress->partitions);
    progress->looked = true;
    (void)pthread_cond_broadcast(&progress->changed);
    (void)pthread_mutex_unlock(&progress->mutex);
}

/* False at the end. */
static bool rest(struct progress *progress, int64_t until_ms)
{
    (void)pthread_mutex_lock(&progress->mutex);
    while (!progress->ending && clock_wait(&progress->changed, &progress->mutex, until_ms)) continue;
    bool goes_on = !progress->ending;
    (void)pthread_mutex_unlock(&progress->mutex);
    return goes_on;
}

static void *run(void *context)
{
    struct progress *progress = context;
    int64_t next_ms;
    do {
        next_ms = clock_now_ms() + LOOK_EVERY_MS;
        look(progress);
    } while (rest(progress, next_ms));
    return NULL;
}

struct progress *progress_new(const struct settings *settings)
{
    struct progress *progress = calloc(1, sizeof *progress);
    if (progress == NULL || pthread_mutex_init(&progress->mutex, NULL) != 0 ||
        pthread_cond_init(&progress->changed, NULL) != 0)
        abort();
    progress->settings = settings;
    if (pthread_create(&progress->thread, NULL, run, progress) != 0) abort();
    return progress;
}

void progress_free(struct progress *progress)
{
    if (progress == NULL) return;
    (void)pthread_mutex_lock(&progress->mutex);
    progress->ending = true;
    (void)pthread_cond_broadcast(&progress->changed);
    (void)pthread_mutex_unlock(&progress->mutex);
    (void)pthread_join(progress->thread, NULL);
    database_close(progress->database);
    kafka_offsets_free(progress->offsets);
    progress_snapshot_done(&progress->seen);
    (void)pthread_mutex_destroy(&progress->mutex);
    (void)pthread_cond_destroy(&progress->changed);
    free(progress->partitions);
    free(progress->histories);
    free(progress);
}

void progress_read(struct progress *progress, struct progress_snapshot *ret_snapshot)
{
    (void)pthread_mutex_lock(&progress->mutex);
    while (!progress->looked && !progress->ending)
        (void)pthread_cond_wait(&progress->changed, &progress->mutex);
    *ret_snapshot = progress->seen;
    ret_snapshot->partitions = calloc(progress->seen.count + 1, sizeof *ret_snapshot->partitions);
    if (ret_snapshot->partitions == NULL) abort();
    if (progress->seen.count > 0)
        memcpy(ret_snapshot->partitions, progress->seen.partitions,
               progress->seen.count * sizeof *ret_snapshot->partitions);
    (void)pthread_mutex_unlock(&progress->mutex);
}

void progress_snapshot_done(struct progress_snapshot *snapshot)
{
    free(snapshot->partitions);
    *snapshot = (struct progress_snapshot){0};
}

bool progress_is_complete(const struct progress_partition *partition)
{
    int64_t accounted = partition->stored + partition->duplicate + partition->dead + partition->gap +
                        partition->lost + partition->skipped;
    return !partition->started || (partition->tiled && partition->dead == partition->letters &&
                                   partition->next_offset - partition->start_offset == accounted);
}
