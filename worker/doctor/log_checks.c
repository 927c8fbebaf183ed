/* What needs a look into the logs of the topic, whether we may read it and whether Kafka deletes messages
 * before they are read, and how clocks are judged. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counted.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "kafka_reader.h"

#define RESOURCE_SIZE      300
#define SKEW_MS_MAX        1000
#define PARTITIONS_LOOKED  64
#define RETENTION_USED_MAX 80 /* per cent */

static void take_time(void *context, const struct record *record)
{
    *(int64_t *)context = record->timestamp_ms;
}

/* The message's timestamp; STATUS_REJECT when the log holds none there, which is told only to who may read.
 */
static bool read_time(struct examination *examination, int32_t partition, int64_t offset, int timeout_ms,
                      int64_t *ret_ms, struct fault *ret_fault)
{
    *ret_ms = -1;
    if (examination->reader == NULL &&
        !kafka_reader_open(examination->settings, &examination->reader, ret_fault))
        return false;
    return kafka_reader_read(examination->reader, partition, offset, 1, timeout_ms, take_time, ret_ms,
                             ret_fault);
}

/* Whether the last message of the first partition that has any can be read, or the end of the first one when
 * none has. */
static bool read_last(struct examination *examination, struct fault *ret_fault)
{
    int64_t low = 0;
    int64_t high = 0;
    int64_t time_ms;
    int32_t last =
        examination->topic.partitions < PARTITIONS_LOOKED ? examination->topic.partitions : PARTITIONS_LOOKED;
    for (int32_t i = 0; i < last; i++) {
        if (!kafka_admin_range(examination->kafka, examination->settings->topic, i, examination->timeout_ms,
                               &low, &high, ret_fault))
            return false;
        if (high > low)
            return read_time(examination, i, high - 1, examination->timeout_ms, &time_ms, ret_fault);
    }
    return read_time(examination, last - 1, high, examination->timeout_ms, &time_ms, ret_fault);
}

void examine_read_permission(struct examination *examination, struct finding *ret_finding)
{
    struct fault fault = {0};
    char resource[RESOURCE_SIZE];
    const char *topic = examination->settings->topic;
    (void)snprintf(resource, sizeof resource, "--topic %s", topic);
    if (read_last(examination, &fault) || fault.status == STATUS_REJECT) {
        finding_add(ret_finding, CHECK_OK, "may read topic %s", topic);
        return;
    }
    if (mend_denial(examination, ret_finding, &fault, "--operation Read", resource))
        finding_add(ret_finding, CHECK_FAIL, "may not read topic %s", topic);
    else
        finding_add(ret_finding, CHECK_FAIL, "%s", fault.text);
}

/* ---- clocks ------------------------------------------------------------------------------------------- */

void judge_clock(struct finding *finding, const char *whose, double told_ms, int64_t before_ms,
                 int64_t after_ms)
{
    double ahead = told_ms - (double)(before_ms + after_ms) / 2;
    double error = (double)(after_ms - before_ms) / 2 + 1;
    double distance = ahead < 0 ? -ahead : ahead;
    bool off = distance - error > SKEW_MS_MAX;
    finding_add(finding, off ? CHECK_WARN : CHECK_OK, "%s clock is %.3f s %s this host's (to %.3f s)", whose,
                distance / 1000, ahead < 0 ? "behind" : "ahead of", error / 1000);
    if (off) mend_run(finding, "sudo timedatectl set-ntp true   # on the machine whose `date` is wrong");
}

void examine_database_clock(struct examination *examination, struct finding *ret_finding)
{
    struct rows *rows = NULL;
    int64_t before_ms = clock_wall_ms();
    if (!ask_database(examination, ret_finding, "SELECT date_part('epoch', clock_timestamp()) * 1000", &rows))
        return;
    judge_clock(ret_finding, "PostgreSQL's", strtod(rows_text(rows, 0, 0), NULL), before_ms, clock_wall_ms());
    rows_free(rows);
}

/* ---- retention ---------------------------------------------------------------------------------------- */

/* What has been seen over all partitions. */
struct unread {
    int64_t gone;      /* messages that were deleted before they were read */
    int64_t oldest_ms; /* age of the oldest one that waits; -1: none, or not known */
    int32_t partition; /* of it */
    int64_t waiting;
    int64_t deadline_ms; /* until then ages are looked at */
    int64_t not_looked;  /* partitions whose age is not known for that */
};

static bool look_at(struct examination *examination, int32_t partition, int64_t next, struct unread *unread,
                    struct fault *ret_fault)
{
    int64_t low;
    int64_t high;
    int64_t time_ms;
    struct fault ignored; /* a message that is not there is no reason to stop */
    if (!kafka_admin_range(examination->kafka, examination->settings->topic, partition,
                           examination->timeout_ms, &low, &high, ret_fault))
        return false;
    if (next < low) {
        unread->gone += low - next;
        next = low;
    }
    if (next >= high) return true;
    unread->waiting += high - next;
    int64_t left_ms = unread->deadline_ms - clock_now_ms();
    if (left_ms <= 0) {
        unread->not_looked++;
        return true;
    }
    if (!read_time(examination, partition, next, (int)left_ms, &time_ms, &ignored)) return true;
    int64_t age_ms = clock_wall_ms() - time_ms;
    if (age_ms > unread->oldest_ms) {
        unread->oldest_ms = age_ms;
        unread->partition = partition;
    }
    return true;
}

static void judge_unread(struct examination *examination, const struct unread *unread,
                         struct finding *finding)
{
    char setting[64];
    int64_t kept_ms = kafka_config_number(examination->topic_config, "retention.ms");
    bool soon = kept_ms > 0 && unread->oldest_ms > kept_ms / 100 * RETENTION_USED_MAX;
    if (unread->gone > 0)
        finding_add(finding, CHECK_FAIL, "%" PRId64 " %s deleted unread", unread->gone,
                    counted(unread->gone, "message was", "messages were"));
    if (unread->waiting == 0)
        finding_add(finding, CHECK_OK, "nothing waits");
    else if (unread->oldest_ms < 0)
        finding_add(finding, CHECK_OK, "%" PRId64 " %s", unread->waiting,
                    counted(unread->waiting, "message waits", "messages wait"));
    else
        finding_add(finding, soon ? CHECK_FAIL : CHECK_OK,
                    "%" PRId64 " %s, the oldest for %.1f h, in partition %" PRId32, unread->waiting,
                    counted(unread->waiting, "message waits", "messages wait"),
                    (double)unread->oldest_ms / 3600000, unread->partition);
    if (unread->not_looked > 0)
        finding_add(finding, CHECK_OK, "ages in %" PRId64 " more %s were not looked at in time (--timeout)",
                    unread->not_looked, counted(unread->not_looked, "partition", "partitions"));
    if (soon)
        finding_add(finding, CHECK_FAIL,
                    "Kafka deletes them after %.1f h: keep them longer, and find out why they wait",
                    (double)kept_ms / 3600000);
    if (finding->verdict != CHECK_FAIL || kept_ms <= 0) return;
    (void)snprintf(setting, sizeof setting, "retention.ms=%" PRId64, 2 * kept_ms);
    mend_config(examination, finding, examination->settings->topic, setting);
}

void examine_retention(struct examination *examination, struct finding *ret_finding)
{
    struct rows *rows = NULL;
    struct fault fault;
    struct unread unread = {.oldest_ms = -1, .deadline_ms = clock_now_ms() + examination->timeout_ms};
    if (!ask_stream(examination, ret_finding,
                    "SELECT partition, next_offset FROM analytics.processing_status WHERE consumer_group "
                    "= $1 AND topic = $2",
                    &rows))
        return;
    for (size_t row = 0; row < rows_count(rows); row++) {
        if (look_at(examination, (int32_t)rows_int(rows, row, 0), rows_int(rows, row, 1), &unread, &fault))
            continue;
        finding_add(ret_finding, CHECK_FAIL, "%s", fault.text);
        break;
    }
    rows_free(rows);
    if (ret_finding->verdict == CHECK_OK) judge_unread(examination, &unread, ret_finding);
}
