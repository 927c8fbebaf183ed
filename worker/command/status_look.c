#include "status_look.h"

#include <stdlib.h>

#include "clock.h"
#include "database.h"
#include "kafka_offsets.h"

#define READ_TIMEOUT_MS 500 /* of one message */
#define READS_TIMEOUT_MS \
    1500 /* of all: how long the oldest messages wait is good to know, not to wait for \
          */

bool look_open(struct look *look, const struct settings *settings, struct fault *ret_fault)
{
    *look = (struct look){.settings = settings};
    if (settings->brokers == NULL) return true;
    if (kafka_offsets_open(settings, &look->offsets, ret_fault) &&
        kafka_admin_open(settings, &look->admin, ret_fault) &&
        kafka_reader_open(settings, &look->reader, ret_fault))
        return true;
    look_close(look);
    return false;
}

void look_close(struct look *look)
{
    status_report_done(&look->report);
    kafka_reader_free(look->reader);
    kafka_admin_free(look->admin);
    kafka_offsets_free(look->offsets);
    database_close(look->database);
    *look = (struct look){0};
}

static bool open_database(struct look *look, struct fault *ret_fault)
{
    if (look->database != NULL && database_is_alive(look->database)) return true;
    database_close(look->database);
    look->database = NULL;
    const struct database_options database = {
        .read_only = true,
        .stoppable = true,
        .conninfo = look->settings->database,
        .application_name = "winnow status",
        .statement_timeout_ms = look->settings->statement_timeout_ms,
    };
    return database_open(&database, &look->database, ret_fault);
}

static void take_time(void *context, const struct record *record)
{
    *(int64_t *)context = record->timestamp_ms;
}

/* By the message's own timestamp. */
static void read_lag_seconds(struct look *look, struct partition_status *partition, int64_t low,
                             int64_t deadline_ms)
{
    struct fault fault;
    int64_t stamp_ms = 0;
    int64_t left_ms = deadline_ms - clock_now_ms();
    int64_t next = partition->started && partition->next_offset > low ? partition->next_offset : low;
    if (partition->lag == 0) partition->lag_seconds = 0;
    if (partition->lag <= 0 || left_ms <= 0) return;
    if (!kafka_reader_read(look->reader, partition->partition, next, 1,
                           (int)(left_ms < READ_TIMEOUT_MS ? left_ms : READ_TIMEOUT_MS), take_time, &stamp_ms,
                           &fault))
        return;
    double waited = (double)(clock_wall_ms() - stamp_ms) / 1000;
    if (stamp_ms > 0) partition->lag_seconds = waited < 0 ? 0 : waited;
}

static void add_lag_seconds(struct look *look, const struct partition_range *ranges, int32_t count)
{
    struct status_report *report = &look->report;
    int64_t deadline_ms = clock_now_ms() + READS_TIMEOUT_MS;
    for (size_t i = 0; i < report->partition_count; i++) {
        struct partition_status *partition = &report->partitions[i];
        if (partition->partition < count)
            read_lag_seconds(look, partition, ranges[partition->partition].low, deadline_ms);
    }
    status_report_add_lag_seconds(report);
}

static void add_lag(struct look *look, int timeout_ms)
{
    struct partition_range *ranges = NULL;
    int32_t count = 0;
    struct fault *fault = &look->report.lag_fault;
    if (look->offsets == NULL) {
        fault_set(fault, STATUS_RETRY, "brokers", "no brokers are configured (-b)");
        return;
    }
    if (!kafka_offsets_read(look->offsets, timeout_ms, &ranges, &count, fault)) return;
    fault->status = STATUS_OK;
    status_report_add_lag(&look->report, ranges, count);
    add_lag_seconds(look, ranges, count);
    free(ranges);
}

/* Not every broker tells. */
static void add_workers(struct look *look, int timeout_ms)
{
    int64_t workers;
    if (look->report.lag_fault.status != STATUS_OK) return;
    if (kafka_admin_members(look->admin, look->settings->group, timeout_ms, &workers))
        look->report.workers = workers;
}

bool look_take(struct look *look, int timeout_ms, struct fault *ret_fault)
{
    struct status_report report;
    if (!open_database(look, ret_fault) ||
        !status_report_read(look->database, look->settings, &report, ret_fault))
        return false;
    status_report_done(&look->report);
    look->report = report;
    add_lag(look, timeout_ms);
    add_workers(look, timeout_ms);
    pool_control_look(look->settings, &look->report.pool);
    return true;
}
