/* A sign of life stands for the whole pool: a worker that hangs in a library would hold its partitions for
 * ever while the supervisor goes on waiting for it, and the service manager can do what helps, which is to
 * start all of it again. */
#include "pool_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "counted.h"
#include "log.h"
#include "service_notify.h"

/* Signs are given twice as often as they are expected, as sd_watchdog_enabled(3) advises. */
#define SIGNS_PER_WATCHDOG 2

void pool_report_init(struct pool_report *report)
{
    const int64_t watchdog_ms = service_notify_watchdog_ms();
    *report = (struct pool_report){.stuck_slot = -1};
    if (watchdog_ms > 0) report->sign_ms = watchdog_ms > 2 ? watchdog_ms / SIGNS_PER_WATCHDOG : 1;
}

int64_t pool_report_due_ms(const struct pool_report *report)
{
    return report->sign_ms > 0 ? report->sign_due_ms : INT64_MAX;
}

/* One that was asked to end has a deadline of its own. -1: none. */
static int find_stuck(const struct roster *roster, const struct slot_page *page, int64_t stuck_ms,
                      int64_t now_ms)
{
    for (int slot = 0; slot < ROSTER_MEMBER_COUNT_MAX; slot++) {
        if (roster->members[slot].state != MEMBER_RUNNING) continue;
        if (now_ms - slot_beat_ms(&page->slots[slot]) > stuck_ms) return slot;
    }
    return -1;
}

static void note_stuck(struct pool_report *report, int slot, int64_t stuck_ms)
{
    if (slot == report->stuck_slot) return;
    report->stuck_slot = slot;
    if (slot < 0) return;
    log_line(LOG_LEVEL_ERROR, "worker_stuck",
             "worker %d has not gone on for %" PRId64
             " ms: the service manager gets no sign of life while that lasts, and starts the pool again",
             slot, stuck_ms);
}

/* What an operator reads in `systemctl status`. */
static void print_status(const struct pool_report *report, const struct roster *roster,
                         char ret_status[POOL_REPORT_STATUS_SIZE])
{
    const unsigned wanted = roster_wanted_count(roster);
    const unsigned joined = roster_joined_count(roster);
    if (roster->stopping)
        (void)snprintf(ret_status, POOL_REPORT_STATUS_SIZE, "stopping: workers drain");
    else if (report->stuck_slot >= 0)
        (void)snprintf(ret_status, POOL_REPORT_STATUS_SIZE, "worker %d hangs", report->stuck_slot);
    else if (roster->drained)
        (void)snprintf(ret_status, POOL_REPORT_STATUS_SIZE,
                       "drained: no worker is started until `winnow pool resume`");
    else if (!roster->checked)
        (void)snprintf(ret_status, POOL_REPORT_STATUS_SIZE,
                       "the first worker looks at configuration, topic and schema");
    else if (roster_is_renewing(roster))
        (void)snprintf(ret_status, POOL_REPORT_STATUS_SIZE, "workers are replaced one after the other");
    else
        (void)snprintf(ret_status, POOL_REPORT_STATUS_SIZE, "%u of %u %s %s joined the group", joined, wanted,
                       counted(wanted, "worker", "workers"), counted_of(joined, wanted, "has", "have"));
}

static void tell_status(struct pool_report *report, const struct roster *roster)
{
    char status[POOL_REPORT_STATUS_SIZE];
    print_status(report, roster, status);
    if (strcmp(status, report->status) == 0) return;
    memcpy(report->status, status, sizeof(status));
    service_notify("STATUS=%s", status);
}

/* Those that wait to be started again are nothing to wait for. */
static bool is_any_joining(const struct roster *roster)
{
    for (int slot = 0; slot < ROSTER_MEMBER_COUNT_MAX; slot++) {
        const struct member *member = &roster->members[slot];
        if (member->state == MEMBER_RUNNING && !member->ready) return true;
    }
    return false;
}

static void tell_stage(struct pool_report *report, const struct roster *roster)
{
    const bool renewing = roster_is_renewing(roster) || (report->reloading && is_any_joining(roster));
    if (roster->stopping) {
        if (!report->stopping) service_notify("STOPPING=1");
        report->stopping = true;
    } else if (report->ready && renewing) {
        if (!report->reloading) service_notify_reloading();
        report->reloading = true;
    } else if (roster->checked && (!report->ready || report->reloading)) {
        service_notify("READY=1");
        report->ready = true;
        report->reloading = false;
    }
}

static void give_sign(struct pool_report *report, const struct roster *roster, const struct slot_page *page,
                      int64_t stuck_ms, int64_t now_ms)
{
    if (report->sign_ms == 0 || now_ms < report->sign_due_ms) return;
    report->sign_due_ms = now_ms + report->sign_ms;
    note_stuck(report, find_stuck(roster, page, stuck_ms, now_ms), stuck_ms);
    if (report->stuck_slot < 0) service_notify("WATCHDOG=1");
}

void pool_report_tell(struct pool_report *report, const struct roster *roster, const struct slot_page *page,
                      int64_t stuck_ms, int64_t now_ms)
{
    tell_stage(report, roster);
    give_sign(report, roster, page, stuck_ms, now_ms);
    tell_status(report, roster);
}
