/* The report as a table, and as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "attr.h"
#include "print_json.h"
#include "reject.h"
#include "status_report.h"

#define NUMBER_SIZE 24

static const char *state_name(const struct partition_status *partition)
{
    if (!partition->started) return "not started";
    return partition->halted ? "halted" : "running";
}

static const char *number_text(bool known, int64_t number, char text[NUMBER_SIZE])
{
    (void)snprintf(text, NUMBER_SIZE, "%" PRId64, number);
    return known ? text : "-";
}

static void print_numbers_row(const char *name, const struct partition_status *row, bool has_next)
{
    char next[NUMBER_SIZE];
    char lag[NUMBER_SIZE];
    (void)printf("%9s %13s %10s %12" PRId64 " %10" PRId64 " %8" PRId64 " %6" PRId64 " %6" PRId64, name,
                 number_text(has_next, row->next_offset, next),
                 number_text(row->lag != LAG_UNKNOWN, row->lag, lag), row->stored, row->duplicate, row->dead,
                 row->gap, row->lost);
}

static void print_partition(const struct partition_status *partition)
{
    char name[NUMBER_SIZE];
    char detail[REJECT_DETAIL_SIZE];
    const char *owner = partition->owner == NULL || partition->owner[0] == '\0' ? "-" : partition->owner;
    (void)snprintf(name, sizeof name, "%" PRId32, partition->partition);
    print_numbers_row(name, partition, partition->started);
    (void)printf("  %-11s %s\n", state_name(partition), owner);
    if (!partition->halted) return;
    (void)reject_escape(slice_of_text(partition->halt_detail), detail, sizeof detail);
    (void)printf("%9s halted: %s: %s\n", "", partition->halt_reason, detail);
}

static void print_verdict(const struct status_report *report)
{
    const struct partition_status *total = &report->total;
    size_t wrong = 0;
    char skipped[40] = "";
    if (total->skipped > 0) (void)snprintf(skipped, sizeof skipped, " + %" PRId64 " skipped", total->skipped);
    for (size_t i = 0; i < report->partition_count; i++) wrong += report->partitions[i].complete ? 0 : 1;
    if (!total->started)
        (void)printf(
            "Nothing has been read yet by group %s from topic %s: is a pool running, and are the names "
            "right?\n",
            report->settings->group, report->settings->topic);
    else if (wrong == 0)
        (void)printf("Complete: %" PRId64 " offsets read = %" PRId64 " stored + %" PRId64
                     " duplicate + %" PRId64 " dead-lettered + %" PRId64 " gap + %" PRId64 " lost%s.\n",
                     total->offsets_read, total->stored, total->duplicate, total->dead, total->gap,
                     total->lost, skipped);
    else
        (void)printf("INCOMPLETE: %zu of %zu partitions do not add up; see winnow.invariant_violation().\n",
                     wrong, report->partition_count);
    if (report->elsewhere[0] != '\0') (void)printf("Elsewhere in this database: %s\n", report->elsewhere);
}

static void print_halted(const struct status_report *report)
{
    size_t halted = 0;
    for (size_t i = 0; i < report->partition_count; i++) halted += report->partitions[i].halted;
    if (halted > 0)
        (void)printf("%zu of %zu partitions are halted and read nothing: mend the cause, then SELECT "
                     "winnow.resume_partition('%s', PARTITION).\n",
                     halted, report->partition_count, report->settings->topic);
}

void status_report_print(const struct status_report *report)
{
    (void)printf("group %s, topic %s\n", report->settings->group, report->settings->topic);
    (void)printf("%9s %13s %10s %12s %10s %8s %6s %6s  %-11s %s\n", "partition", "next offset", "lag",
                 "stored", "duplicate", "dead", "gap", "lost", "state", "owner");
    for (size_t i = 0; i < report->partition_count; i++) print_partition(&report->partitions[i]);
    print_numbers_row("total", &report->total, false);
    (void)puts("");
    if (report->lag_fault.status != STATUS_OK)
        (void)printf("The lag is not known: %s\n", report->lag_fault.text);
    if (report->unpublished > 0)
        (void)printf("%" PRId64 " dead letters are not in topic %s yet.\n", report->unpublished,
                     report->settings->dead_letter_topic);
    print_halted(report);
    print_verdict(report);
}

static void print_member(const char *name, const char *text)
{
    (void)printf(",\"%s\":", name);
    if (text == NULL || text[0] == '\0')
        (void)fputs("null", stdout);
    else
        print_json_string(stdout, slice_of_text(text));
}

static void print_numbers(const struct partition_status *row)
{
    char lag[NUMBER_SIZE];
    const char *lag_text = row->lag == LAG_UNKNOWN ? "null" : number_text(true, row->lag, lag);
    (void)printf("\"lag\":%s,\"offsets_read\":%" PRId64 ",\"stored\":%" PRId64 ",\"duplicate\":%" PRId64
                 ",\"dead\":%" PRId64 ",\"gap\":%" PRId64 ",\"lost\":%" PRId64 ",\"skipped\":%" PRId64
                 ",\"complete\":%s",
                 lag_text, row->offsets_read, row->stored, row->duplicate, row->dead, row->gap, row->lost,
                 row->skipped, row->complete ? "true" : "false");
}

static void print_partition_json(const struct partition_status *partition)
{
    char next[NUMBER_SIZE];
    const char *next_text = partition->started ? number_text(true, partition->next_offset, next) : "null";
    (void)printf("{\"partition\":%" PRId32 ",\"next_offset\":%s,", partition->partition, next_text);
    print_numbers(partition);
    print_member("state", state_name(partition));
    print_member("halt_reason", partition->halt_reason);
    print_member("halt_detail", partition->halt_detail);
    print_member("owner", partition->owner);
    (void)fputs("}", stdout);
}

void status_report_print_json(const struct status_report *report)
{
    (void)fputs("{\"group\":", stdout);
    print_json_string(stdout, slice_of_text(report->settings->group));
    print_member("topic", report->settings->topic);
    (void)printf(",\"complete\":%s,\"halted\":%s,\"unpublished_dead_letters\":%" PRId64,
                 report->total.complete ? "true" : "false", report->total.halted ? "true" : "false",
                 report->unpublished);
    print_member("lag_error", report->lag_fault.status == STATUS_OK ? NULL : report->lag_fault.text);
    (void)fputs(",\"total\":{", stdout);
    print_numbers(&report->total);
    (void)fputs("},\"partitions\":[", stdout);
    for (size_t i = 0; i < report->partition_count; i++) {
        if (i > 0) (void)fputs(",", stdout);
        print_partition_json(&report->partitions[i]);
    }
    (void)puts("]}");
}
