/* winnow dlq list: what failed, by reason and client, or one by one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/dlq.h"
#include "console/rows_json.h"
#include "counted.h"
#include "exit_code.h"
#include "json.h"
#include "letter_json.h"
#include "reject.h"
#include "settings_table.h"
#include "signals.h"
#include "terminal.h"

#define GROUPS_MAX  1000
#define PAGE_MAX    500
#define LIMIT_USUAL 50
#define LIMIT_MAX   INT64_C(1000000000)
#define SHOWN_SIZE  600
#define INDENT      3

static const char command[] = "dlq list";
static const char *each_asked;
static const char *json_asked;
static const char *limit_text;

static const struct command_option options[] = {
    DLQ_FILTER_OPTIONS,
    DLQ_STATE_OPTION("open"),
    {0, "each", NULL, "one by one, newest first", &each_asked},
    {0, "limit", "NUMBER", "at most so many with --each [50]", &limit_text},
    {0, "json", NULL, "an object a stream; with --each one a letter", &json_asked},
    {0},
};

const struct command_usage usage_dlq_list = {
    .synopsis = "winnow dlq list [options]",
    .summary = "tell what failed, by reason and client, with a sample",
    .description =
        "How many, since when, and the latest of each as a sample. Without a topic: of all topics and "
        "groups of the database.",
    .example = "winnow dlq list -t events -d dbname=winnow --since 24h",
    .options = options,
    .settings = "topic group database statement_timeout_ms",
};

struct list {
    struct database *database;
    const struct letter_filter *filter;
    int64_t limit;
    int64_t printed; /* with --each */
};

/* Cut and escaped. */
static void add_cell(struct buffer *line, const struct rows *rows, size_t row, unsigned column,
                     const char *absent)
{
    char shown[SHOWN_SIZE];
    (void)reject_escape(slice_of_text(rows_text(rows, row, column)), shown, sizeof shown);
    setting_add(line, "%s", rows_is_null(rows, row, column) ? absent : shown);
}

static void add_time(struct buffer *line, const struct rows *rows, size_t row, unsigned column)
{
    char time[ROWS_TIME_SIZE];
    rows_time_text(rows_text(rows, row, column), time);
    setting_add(line, "%s", time[0] != '\0' ? time : "-");
}

static void add_place(struct buffer *line, const char *topic, const struct rows *rows, size_t row)
{
    setting_add(line, "%s/%s/%s", topic, rows_text(rows, row, LETTER_PARTITION),
                rows_text(rows, row, LETTER_OFFSET));
}

/* ---- groups ----------------------------------------------------------------------------------------------
 */

static void print_group_head(struct buffer *line, const struct rows *rows, size_t row)
{
    setting_add(line, "%s  %s, client ", rows_text(rows, row, LETTER_GROUP_COUNT),
                rows_text(rows, row, LETTER_REASON));
    add_cell(line, rows, row, LETTER_CLIENT, "unknown");
    setting_add(line, ", ");
    add_time(line, rows, row, LETTER_GROUP_FIRST);
    if (strcmp(rows_text(rows, row, LETTER_GROUP_FIRST), rows_text(rows, row, LETTER_GROUP_LAST)) != 0) {
        setting_add(line, " to ");
        add_time(line, rows, row, LETTER_GROUP_LAST);
    }
    (void)buffer_add(line, "", 1);
    terminal_print_wrapped(line->data, INDENT);
    buffer_clear(line);
}

/* The sample is cut on a terminal: winnow dlq show tells it whole. */
static void print_group(const char *topic, const struct rows *rows, size_t row)
{
    struct buffer line = {0};
    (void)printf("\n");
    print_group_head(&line, rows, row);
    setting_add(&line, "%*s", INDENT, "");
    add_place(&line, topic, rows, row);
    setting_add(&line, "  ");
    add_cell(&line, rows, row, LETTER_DETAIL, "");
    terminal_print_cut(&line);
    setting_add(&line, "%*s", INDENT, "");
    add_cell(&line, rows, row, LETTER_PREVIEW,
             rows_is_null(rows, row, LETTER_VALUE_BYTES) ? "(no value)" : "(not UTF-8)");
    terminal_print_cut(&line);
    buffer_done(&line);
}

static void print_groups(const struct letter_scope *scope, const struct rows *rows)
{
    const size_t count = rows_count(rows);
    if (count == 0) {
        (void)printf("%s, group %s: no such dead letters\n", scope->topic, scope->group);
        return;
    }
    (void)printf("%s, group %s: %s %s in %s %s\n", scope->topic, scope->group,
                 rows_text(rows, 0, LETTER_GROUP_TOTAL),
                 counted(rows_int(rows, 0, LETTER_GROUP_TOTAL), "dead letter", "dead letters"),
                 rows_text(rows, 0, LETTER_GROUP_GROUPS),
                 counted(rows_int(rows, 0, LETTER_GROUP_GROUPS), "group", "groups"));
    for (size_t row = 0; row < count; row++) print_group(scope->topic, rows, row);
    if (rows_int(rows, 0, LETTER_GROUP_GROUPS) > (int64_t)count)
        (void)printf("\nThe %zu largest groups are shown.\n", count);
}

static void add_id(struct buffer *out, const struct letter_scope *scope, const struct rows *rows, size_t row)
{
    char id[400];
    (void)snprintf(id, sizeof id, "%s/%s/%s", scope->topic, rows_text(rows, row, LETTER_PARTITION),
                   rows_text(rows, row, LETTER_OFFSET));
    json_text(out, "id", id);
}

static void add_group(struct buffer *out, const struct letter_scope *scope, const struct rows *rows,
                      size_t row)
{
    json_open(out, '{');
    json_cell_text(out, "reason", (struct cell){rows, row, LETTER_REASON});
    json_cell_text(out, "client_id", (struct cell){rows, row, LETTER_CLIENT});
    json_cell_raw(out, "count", (struct cell){rows, row, LETTER_GROUP_COUNT});
    json_cell_time(out, "first_failed_at", (struct cell){rows, row, LETTER_GROUP_FIRST});
    json_cell_time(out, "last_failed_at", (struct cell){rows, row, LETTER_GROUP_LAST});
    json_name(out, "sample");
    json_open(out, '{');
    add_id(out, scope, rows, row);
    letter_json_summary(out, rows, row);
    json_close(out, '}');
    json_close(out, '}');
}

static void print_line(struct buffer *out)
{
    (void)fwrite(out->data, 1, out->size, stdout);
    (void)putchar('\n');
    buffer_done(out);
}

static void print_groups_json(const struct letter_scope *scope, const struct rows *rows)
{
    struct buffer out = {0};
    const size_t count = rows_count(rows);
    json_open(&out, '{');
    json_text(&out, "topic", scope->topic);
    json_text(&out, "group", scope->group);
    json_int(&out, "total", count > 0 ? rows_int(rows, 0, LETTER_GROUP_TOTAL) : 0);
    json_bool(&out, "truncated", count > 0 && rows_int(rows, 0, LETTER_GROUP_GROUPS) > (int64_t)count);
    json_name(&out, "groups");
    json_open(&out, '[');
    for (size_t row = 0; row < count; row++) add_group(&out, scope, rows, row);
    json_close(&out, ']');
    json_close(&out, '}');
    print_line(&out);
}

static bool list_groups(struct list *list, const struct letter_scope *scope, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!letters_by_group(list->database, scope, list->filter, GROUPS_MAX, &rows, ret_fault)) return false;
    if (json_asked != NULL)
        print_groups_json(scope, rows);
    else
        print_groups(scope, rows);
    rows_free(rows);
    return true;
}

/* ---- one by one ------------------------------------------------------------------------------------------
 */

static void print_letter(const struct letter_scope *scope, const struct rows *rows, size_t row)
{
    struct buffer line = {0};
    add_place(&line, scope->topic, rows, row);
    setting_add(&line, "  ");
    add_time(&line, rows, row, LETTER_FAILED_AT);
    setting_add(&line, "  %s  ", rows_text(rows, row, LETTER_STATE));
    add_cell(&line, rows, row, LETTER_CLIENT, "-");
    setting_add(&line, "  %s: ", rows_text(rows, row, LETTER_REASON));
    add_cell(&line, rows, row, LETTER_DETAIL, "");
    terminal_print_cut(&line);
    buffer_done(&line);
}

static void print_letter_json(const struct letter_scope *scope, const struct rows *rows, size_t row)
{
    struct buffer out = {0};
    json_open(&out, '{');
    add_id(&out, scope, rows, row);
    json_text(&out, "topic", scope->topic);
    json_text(&out, "group", scope->group);
    letter_json_summary(&out, rows, row);
    json_close(&out, '}');
    print_line(&out);
}

static bool list_page(struct list *list, const struct letter_scope *scope, struct letter_place *place,
                      bool has_place, size_t *ret_count, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    const int64_t left = list->limit - list->printed;
    if (!letters_read(list->database, scope, list->filter, has_place ? place : NULL,
                      left < PAGE_MAX ? (size_t)left : PAGE_MAX, &rows, ret_fault))
        return false;
    *ret_count = rows_count(rows);
    for (size_t row = 0; row < *ret_count; row++) {
        if (json_asked != NULL)
            print_letter_json(scope, rows, row);
        else
            print_letter(scope, rows, row);
        *place =
            (struct letter_place){rows_int(rows, row, LETTER_FAILED_AT_US),
                                  rows_int(rows, row, LETTER_PARTITION), rows_int(rows, row, LETTER_OFFSET)};
    }
    list->printed += (int64_t)*ret_count;
    rows_free(rows);
    return true;
}

static bool list_each(struct list *list, const struct letter_scope *scope, struct fault *ret_fault)
{
    struct letter_place place;
    bool has_place = false;
    size_t count = 1;
    while (count > 0 && list->printed < list->limit && ferror(stdout) == 0) {
        if (!list_page(list, scope, &place, has_place, &count, ret_fault)) return false;
        has_place = true;
    }
    return true;
}

/* ---- streams ---------------------------------------------------------------------------------------------
 */

static bool list_stream(struct list *list, const struct letter_scope *scope, struct fault *ret_fault)
{
    return each_asked != NULL ? list_each(list, scope, ret_fault) : list_groups(list, scope, ret_fault);
}

static bool list_all_streams(struct list *list, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!database_run(list->database, command,
                      "SELECT s.topic, s.consumer_group FROM winnow.stream AS s ORDER BY 1, 2", NULL, 0,
                      &rows, ret_fault))
        return false;
    bool listed = true;
    for (size_t row = 0; listed && row < rows_count(rows); row++) {
        const struct letter_scope scope = {rows_text(rows, row, 0), rows_text(rows, row, 1)};
        if (row > 0 && json_asked == NULL && each_asked == NULL) (void)printf("\n");
        listed = list_stream(list, &scope, ret_fault);
    }
    if (rows_count(rows) == 0 && json_asked == NULL) (void)printf("nothing has been read yet\n");
    rows_free(rows);
    return listed;
}

static bool read_limit(int64_t *ret_limit)
{
    char *end;
    if (limit_text == NULL) return true;
    *ret_limit = strtoll(limit_text, &end, 10);
    if (limit_text[0] >= '0' && limit_text[0] <= '9' && *end == '\0' && *ret_limit > 0 &&
        *ret_limit <= LIMIT_MAX)
        return true;
    (void)settings_refuse(command, "--limit: found %s, expected a number from 1 on",
                          settings_found(limit_text));
    return false;
}

static int list_selection(const struct settings *settings, const struct letter_filter *filter)
{
    struct fault fault;
    int exit_code;
    struct list list = {.filter = filter, .limit = LIMIT_USUAL};
    if (!read_limit(&list.limit)) return EXIT_BAD_USAGE;
    if (!dlq_open(command, settings, true, &list.database, &exit_code)) return exit_code;
    const struct letter_scope scope = {settings->topic, settings->group};
    bool listed =
        settings->topic != NULL ? list_stream(&list, &scope, &fault) : list_all_streams(&list, &fault);
    exit_code = listed ? EXIT_DRAINED : dlq_complain(command, &fault);
    database_close(list.database);
    return exit_code;
}

int dlq_list(int argc, char **argv)
{
    struct settings settings;
    struct dlq_selection selection = {0};
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_dlq_list, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    if (rest < argc) {
        exit_code = settings_refuse(command, "found %s, expected options only; one alone: winnow dlq show %s",
                                    argv[rest], argv[rest]);
    } else if (!dlq_selection_read(command, NULL, 0, "open", &settings, &selection)) {
        exit_code = EXIT_BAD_USAGE;
    } else {
        exit_code = list_selection(&settings, &selection.filter);
    }
    dlq_selection_done(&selection);
    settings_done(&settings);
    return exit_code;
}
