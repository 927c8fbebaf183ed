/* The report as a table, and as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "counted.h"
#include "print_json.h"
#include "settings_table.h"
#include "status_report.h"
#include "status_words.h"
#include "terminal.h"

#define NUMBER_SIZE 24
#define INDENT      2 /* of the further lines of a sentence */

static const char *number_text(bool known, int64_t number, char text[NUMBER_SIZE])
{
    (void)snprintf(text, NUMBER_SIZE, "%" PRId64, number);
    return known ? text : "-";
}

/* ---- the table -------------------------------------------------------------------------------------------
 */

enum { NAME, NEXT, LAG, STORED, DUPLICATE, DEAD, GAP, LOST, NUMBER_COLUMNS };

static const char *const heads[NUMBER_COLUMNS] = {"partition", "next", "lag", "stored",
                                                  "duplicate", "dead", "gap", "lost"};

struct row_text {
    char cells[NUMBER_COLUMNS][NUMBER_SIZE];
};

/* Each column is as wide as what it holds. 0: it is left out. */
struct widths {
    size_t numbers[NUMBER_COLUMNS];
    size_t state;
    size_t owner;
};

static struct row_text text_of(const struct partition_status *row, bool is_total)
{
    struct row_text text;
    const int64_t numbers[NUMBER_COLUMNS] = {row->partition, row->next_offset, row->lag, row->stored,
                                             row->duplicate, row->dead,        row->gap, row->lost};
    for (size_t i = 0; i < NUMBER_COLUMNS; i++) {
        bool known = (i != NEXT || (row->started && !is_total)) && (i != LAG || row->lag != LAG_UNKNOWN);
        char number[NUMBER_SIZE];
        (void)snprintf(text.cells[i], NUMBER_SIZE, "%s", number_text(known, numbers[i], number));
    }
    if (is_total) (void)snprintf(text.cells[NAME], NUMBER_SIZE, "total");
    return text;
}

static void widen(size_t *width, const char *text)
{
    if (strlen(text) > *width) *width = strlen(text);
}

static size_t whole_width(const struct widths *widths)
{
    size_t width = 2 + widths->state + 2 + widths->owner;
    for (size_t i = 0; i < NUMBER_COLUMNS; i++)
        if (widths->numbers[i] > 0) width += widths->numbers[i] + (i > 0 ? 2 : 0);
    return width;
}

/* On a terminal that is too narrow for all, what is rare is left out while it is 0. */
static void leave_out(struct widths *widths, const struct partition_status *total)
{
    const size_t columns = terminal_columns();
    if (columns == 0) return;
    if (total->lost == 0 && whole_width(widths) > columns) widths->numbers[LOST] = 0;
    if (total->gap == 0 && whole_width(widths) > columns) widths->numbers[GAP] = 0;
    if (total->duplicate == 0 && whole_width(widths) > columns) widths->numbers[DUPLICATE] = 0;
}

static struct widths widths_of(const struct status_report *report)
{
    struct widths widths = {.state = strlen("state"), .owner = strlen("owner")};
    for (size_t i = 0; i < NUMBER_COLUMNS; i++) widths.numbers[i] = strlen(heads[i]);
    for (size_t row = 0; row <= report->partition_count; row++) {
        const bool is_total = row == report->partition_count;
        const struct partition_status *status = is_total ? &report->total : &report->partitions[row];
        const struct row_text text = text_of(status, is_total);
        for (size_t i = 0; i < NUMBER_COLUMNS; i++) widen(&widths.numbers[i], text.cells[i]);
        if (is_total) continue;
        widen(&widths.state, status_state_name(report, status));
        widen(&widths.owner, status_owner_name(report, status));
    }
    leave_out(&widths, &report->total);
    return widths;
}

static void add_cell(struct buffer *line, const struct widths *widths, size_t column, const char *text)
{
    if (widths->numbers[column] > 0)
        setting_add(line, "%s%*s", column > 0 ? "  " : "", (int)widths->numbers[column], text);
}

static void print_row(const struct status_report *report, const struct widths *widths,
                      const struct partition_status *row)
{
    struct buffer line = {0};
    const bool is_total = row == &report->total;
    const struct row_text text = text_of(row, is_total);
    for (size_t i = 0; i < NUMBER_COLUMNS; i++) add_cell(&line, widths, i, text.cells[i]);
    if (!is_total)
        setting_add(&line, "  %-*s  %s", (int)widths->state, status_state_name(report, row),
                    status_owner_name(report, row));
    terminal_print_cut(&line);
    buffer_done(&line);
}

static void print_table(const struct status_report *report)
{
    struct buffer line = {0};
    const struct widths widths = widths_of(report);
    for (size_t i = 0; i < NUMBER_COLUMNS; i++) add_cell(&line, &widths, i, heads[i]);
    setting_add(&line, "  %-*s  owner", (int)widths.state, "state");
    terminal_print_cut(&line);
    buffer_done(&line);
    for (size_t i = 0; i < report->partition_count; i++) print_row(report, &widths, &report->partitions[i]);
    print_row(report, &widths, &report->total);
}

/* ---- the verdict -----------------------------------------------------------------------------------------
 */

static void print_verdict(const struct status_report *report)
{
    const struct partition_status *total = &report->total;
    size_t wrong = 0;
    char skipped[40] = "";
    char text[1024];
    if (total->skipped > 0) (void)snprintf(skipped, sizeof skipped, " + %" PRId64 " skipped", total->skipped);
    for (size_t i = 0; i < report->partition_count; i++) wrong += report->partitions[i].complete ? 0 : 1;
    if (!total->started)
        (void)snprintf(text, sizeof text,
                       "Nothing has been read yet by group %s from topic %s: is a pool running, and are the "
                       "names right?",
                       report->settings->group, report->settings->topic);
    else if (wrong == 0)
        (void)snprintf(text, sizeof text,
                       "Complete: %" PRId64 " %s read = %" PRId64 " stored + %" PRId64 " duplicate + %" PRId64
                       " dead-lettered + %" PRId64 " gap + %" PRId64 " lost%s.",
                       total->offsets_read, counted(total->offsets_read, "offset", "offsets"), total->stored,
                       total->duplicate, total->dead, total->gap, total->lost, skipped);
    else
        (void)snprintf(text, sizeof text,
                       "INCOMPLETE: %zu of %zu %s %s not add up; see winnow.invariant_violation().", wrong,
                       report->partition_count,
                       counted((int64_t)report->partition_count, "partition", "partitions"),
                       counted((int64_t)wrong, "does", "do"));
    terminal_print_wrapped(text, INDENT);
    if (report->elsewhere[0] == '\0') return;
    (void)snprintf(text, sizeof text, "Elsewhere in this database: %s", report->elsewhere);
    terminal_print_wrapped(text, INDENT);
}

void status_report_print(const struct status_report *report, const struct words *words)
{
    (void)printf("group %s, topic %s\n", report->settings->group, report->settings->topic);
    print_table(report);
    for (size_t i = 0; i < words->count; i++) terminal_print_wrapped(words->lines[i], INDENT);
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

static void print_seconds(const char *name, double seconds)
{
    if (seconds < 0)
        (void)printf(",\"%s\":null", name);
    else
        (void)printf(",\"%s\":%.1f", name, seconds);
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
    print_seconds("lag_seconds", row->lag_seconds);
}

static void print_partition_json(const struct status_report *report, const struct partition_status *partition)
{
    char next[NUMBER_SIZE];
    const char *next_text = partition->started ? number_text(true, partition->next_offset, next) : "null";
    (void)printf("{\"partition\":%" PRId32 ",\"next_offset\":%s,", partition->partition, next_text);
    print_numbers(partition);
    print_member("state", status_state_name(report, partition));
    print_member("halt_reason", partition->halt_reason);
    print_member("halt_detail", partition->halt_detail);
    print_member("owner", partition->owner);
    (void)fputs("}", stdout);
}

static void print_words(const struct words *words)
{
    (void)fputs(",\"words\":[", stdout);
    for (size_t i = 0; i < words->count; i++) {
        if (i > 0) (void)fputs(",", stdout);
        print_json_string(stdout, slice_of_text(words->lines[i]));
    }
    (void)fputs("]", stdout);
}

static void print_head(const struct status_report *report)
{
    char workers[NUMBER_SIZE];
    (void)fputs("\"group\":", stdout);
    print_json_string(stdout, slice_of_text(report->settings->group));
    print_member("topic", report->settings->topic);
    (void)printf(",\"complete\":%s,\"halted\":%s,\"unpublished_dead_letters\":%" PRId64 ",\"workers\":%s",
                 report->total.complete ? "true" : "false", report->total.halted ? "true" : "false",
                 report->unpublished,
                 report->workers < 0 ? "null" : number_text(true, report->workers, workers));
    print_member("pool", report->pool.state);
    print_member("lag_error", report->lag_fault.status == STATUS_OK ? NULL : report->lag_fault.text);
}

void status_report_print_json(const struct status_report *report, const struct words *words)
{
    print_head(report);
    print_words(words);
    (void)fputs(",\"total\":{", stdout);
    print_numbers(&report->total);
    (void)fputs("},\"partitions\":[", stdout);
    for (size_t i = 0; i < report->partition_count; i++) {
        if (i > 0) (void)fputs(",", stdout);
        print_partition_json(report, &report->partitions[i]);
    }
    (void)fputs("]", stdout);
}
