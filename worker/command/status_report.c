#include "status_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From the views alone, so that an analyst's role may ask too. One statement: one snapshot. */
static const char partitions_sql[] =
    "SELECT partition, c.next_offset, c.offsets_read, c.stored, c.duplicate, c.dead, c.gap, c.lost, "
    "c.complete::int,"
    " (p.state = 'halted')::int, coalesce(p.halt_reason, ''), coalesce(p.halt_detail, ''), coalesce(p.owner, "
    "''), date_part('epoch', now() - p.updated_at)::bigint, c.skipped"
    " FROM analytics.completeness AS c JOIN analytics.processing_status AS p"
    " USING (consumer_group, topic, partition) WHERE consumer_group = $1 AND topic = $2 ORDER BY partition";

static const char unpublished_sql[] =
    "SELECT coalesce(sum(unpublished), 0)::bigint FROM analytics.dead_letters_by_reason"
    " WHERE consumer_group = $1 AND topic = $2";

static const char publish_error_sql[] =
    "SELECT publish_error FROM analytics.failed_events WHERE consumer_group = $1 AND topic = $2"
    " AND published_at IS NULL AND publish_error IS NOT NULL ORDER BY failed_at DESC LIMIT 1";

static const char verdict_sql[] = "SELECT complete::int, sentence FROM analytics.completeness_verdict";

static struct partition_status *make_partitions(size_t count)
{
    struct partition_status *partitions = calloc(count == 0 ? 1 : count, sizeof *partitions);
    if (partitions == NULL) abort();
    return partitions;
}

static struct partition_status read_partition(const struct rows *rows, size_t row)
{
    return (struct partition_status){
        .started = true,
        .partition = (int32_t)rows_int(rows, row, 0),
        .next_offset = rows_int(rows, row, 1),
        .offsets_read = rows_int(rows, row, 2),
        .stored = rows_int(rows, row, 3),
        .duplicate = rows_int(rows, row, 4),
        .dead = rows_int(rows, row, 5),
        .gap = rows_int(rows, row, 6),
        .lost = rows_int(rows, row, 7),
        .complete = rows_int(rows, row, 8) == 1,
        .halted = rows_int(rows, row, 9) == 1,
        .halt_reason = rows_text(rows, row, 10),
        .halt_detail = rows_text(rows, row, 11),
        .owner = rows_text(rows, row, 12),
        .idle_s = rows_int(rows, row, 13),
        .skipped = rows_int(rows, row, 14),
        .lag = LAG_UNKNOWN,
        .lag_seconds = -1,
    };
}

static void add_to_total(struct partition_status *total, const struct partition_status *partition)
{
    total->offsets_read += partition->offsets_read;
    total->stored += partition->stored;
    total->duplicate += partition->duplicate;
    total->dead += partition->dead;
    total->gap += partition->gap;
    total->lost += partition->lost;
    total->skipped += partition->skipped;
    total->halted |= partition->halted;
    total->complete &= partition->complete;
    total->started = true;
}

static void read_partitions(struct status_report *report)
{
    report->partition_count = rows_count(report->rows);
    report->partitions = make_partitions(report->partition_count);
    report->total = (struct partition_status){.complete = true, .lag = LAG_UNKNOWN, .lag_seconds = -1};
    for (size_t i = 0; i < report->partition_count; i++) {
        report->partitions[i] = read_partition(report->rows, i);
        add_to_total(&report->total, &report->partitions[i]);
    }
}

static bool read_unpublished(struct database *database, const struct sql_parameter *parameters,
                             struct status_report *report, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!database_run(database, "status", unpublished_sql, parameters, 2, &rows, ret_fault)) return false;
    report->unpublished = rows_int(rows, 0, 0);
    rows_free(rows);
    rows = NULL;
    if (report->unpublished == 0) return true;
    if (!database_run(database, "status", publish_error_sql, parameters, 2, &rows, ret_fault)) return false;
    if (rows_count(rows) > 0)
        (void)snprintf(report->publish_error, sizeof report->publish_error, "%s", rows_text(rows, 0, 0));
    rows_free(rows);
    return true;
}

static bool read_verdict(struct database *database, struct status_report *report, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!database_run(database, "status", verdict_sql, NULL, 0, &rows, ret_fault)) return false;
    if (report->total.complete && rows_int(rows, 0, 0) == 0)
        (void)snprintf(report->elsewhere, sizeof report->elsewhere, "%s", rows_text(rows, 0, 1));
    rows_free(rows);
    return true;
}

bool status_report_read(struct database *database, const struct settings *settings,
                        struct status_report *ret_report, struct fault *ret_fault)
{
    const struct sql_parameter parameters[] = {
        {.type = SQL_TEXT, .data = settings->group},
        {.type = SQL_TEXT, .data = settings->topic},
    };
    struct status_report report = {.settings = settings, .workers = -1};
    if (!database_run(database, "status", partitions_sql, parameters, 2, &report.rows, ret_fault))
        return false;
    read_partitions(&report);
    if (!read_unpublished(database, parameters, &report, ret_fault) ||
        !read_verdict(database, &report, ret_fault)) {
        status_report_done(&report);
        return false;
    }
    *ret_report = report;
    return true;
}

static const struct partition_status *find_partition(const struct status_report *report, int32_t partition)
{
    for (size_t i = 0; i < report->partition_count; i++)
        if (report->partitions[i].partition == partition) return &report->partitions[i];
    return NULL;
}

static int by_number(const void *a, const void *b)
{
    const struct partition_status *left = a;
    const struct partition_status *right = b;
    return (left->partition > right->partition) - (left->partition < right->partition);
}

/* The partitions that the brokers have and the database does not. */
static void add_unstarted(struct status_report *report, int32_t count)
{
    size_t had = report->partition_count;
    struct partition_status *all = make_partitions(had + (size_t)count);
    if (had > 0) memcpy(all, report->partitions, had * sizeof *all);
    size_t size = had;
    for (int32_t i = 0; i < count; i++)
        if (find_partition(report, i) == NULL)
            all[size++] = (struct partition_status){
                .partition = i, .complete = true, .lag = LAG_UNKNOWN, .lag_seconds = -1};
    qsort(all, size, sizeof *all, by_number);
    free(report->partitions);
    report->partitions = all;
    report->partition_count = size;
}

void status_report_add_lag(struct status_report *report, const struct partition_range *ranges, int32_t count)
{
    add_unstarted(report, count);
    report->total.lag = 0;
    for (size_t i = 0; i < report->partition_count; i++) {
        struct partition_status *partition = &report->partitions[i];
        if (partition->partition >= count) continue;
        const struct partition_range *range = &ranges[partition->partition];
        int64_t lag = range->high - (partition->started ? partition->next_offset : range->low);
        partition->lag = lag < 0 ? 0 : lag;
        report->total.lag += partition->lag;
    }
}

void status_report_add_lag_seconds(struct status_report *report)
{
    double oldest = 0;
    bool known = true;
    for (size_t i = 0; i < report->partition_count; i++) {
        double seconds = report->partitions[i].lag_seconds;
        known &= seconds >= 0;
        if (seconds > oldest) oldest = seconds;
    }
    /* One that is known to wait that long is told, also when others are not known. */
    report->total.lag_seconds = known || oldest > 0 ? oldest : -1;
}

static bool all_are_quiet(const struct status_report *report)
{
    return strcmp(report->pool.state, "quiet") == 0 && report->workers > 0 &&
           report->pool.resting >= report->workers;
}

const char *status_state_name(const struct status_report *report, const struct partition_status *partition)
{
    if (!partition->started) return "not started";
    if (partition->halted) return "halted";
    if (report->workers == 0) return "no worker";
    return all_are_quiet(report) ? "quiet" : "running";
}

const char *status_owner_name(const struct status_report *report, const struct partition_status *partition)
{
    const bool owned = partition->owner != NULL && partition->owner[0] != '\0' && report->workers != 0;
    return owned ? partition->owner : "-";
}

bool status_report_is_good(const struct status_report *report)
{
    return report->total.complete && !report->total.halted &&
           (report->total.started || report->total.lag == 0);
}

void status_report_done(struct status_report *report)
{
    rows_free(report->rows);
    free(report->partitions);
    *report = (struct status_report){0};
}
