/* winnow dlq export: dead letters as lines of JSON or as CSV, oldest first, a page at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "command/dlq.h"
#include "console/message_json.h"
#include "console/rows_json.h"
#include "counted.h"
#include "dead_letter_batch.h"
#include "exit_code.h"
#include "json.h"
#include "progress.h"
#include "signals.h"
#include "utf8.h"

#define PAGE_LETTERS 500
#define ID_SIZE      400

static const char command[] = "dlq export";
static const char *format_text = "ndjson";

static const struct command_option options[] = {
    DLQ_FILTER_OPTIONS,
    DLQ_STATE_OPTION("all"),
    {0, "format", "FORMAT", "ndjson (the default) or csv", &format_text},
    {0},
};

const struct command_usage usage_dlq_export = {
    .synopsis = "winnow dlq export [options] [ID …]",
    .summary = "write them out, as lines of JSON or as CSV",
    .description =
        "Oldest first, to standard output, each with its value: as text where it is UTF-8, else in base64.",
    .example = "winnow dlq export -t events -d dbname=winnow --since 7d > failed.jsonl",
    .options = options,
    .settings = "topic group database statement_timeout_ms",
};

/* Exactly one of name_text and name_base64 is not null, unless there are no bytes. */
static void add_bytes(struct buffer *out, const char *text_name, const char *base64_name, struct slice bytes)
{
    const bool readable = bytes.data != NULL && utf8_is_valid(bytes.data, bytes.size);
    struct buffer encoded = {0};
    if (bytes.data != NULL && !readable) base64_add(&encoded, bytes);
    json_message_text(out, text_name, bytes);
    json_slice(out, base64_name, slice_of(encoded.data, encoded.size));
    buffer_done(&encoded);
}

static void print_id(const struct letter_scope *scope, const struct rows *rows, size_t row,
                     char ret_id[ID_SIZE])
{
    (void)snprintf(ret_id, ID_SIZE, "%s/%s/%s", scope->topic, rows_text(rows, row, WHOLE_PARTITION),
                   rows_text(rows, row, WHOLE_OFFSET));
}

static void add_json(struct buffer *out, const struct letter_scope *scope, struct rows *rows, size_t row)
{
    char id[ID_SIZE];
    print_id(scope, rows, row, id);
    json_open(out, '{');
    json_text(out, "id", id);
    json_text(out, "topic", scope->topic);
    json_cell_raw(out, "partition", (struct cell){rows, row, WHOLE_PARTITION});
    json_cell_raw(out, "offset", (struct cell){rows, row, WHOLE_OFFSET});
    json_text(out, "group", scope->group);
    json_cell_text(out, "state", (struct cell){rows, row, WHOLE_STATE});
    json_cell_raw(out, "attempts", (struct cell){rows, row, WHOLE_ATTEMPTS});
    json_cell_text(out, "reason", (struct cell){rows, row, WHOLE_REASON});
    json_cell_text(out, "detail", (struct cell){rows, row, WHOLE_DETAIL});
    json_cell_text(out, "sqlstate", (struct cell){rows, row, WHOLE_SQLSTATE});
    json_cell_text(out, "client_id", (struct cell){rows, row, WHOLE_CLIENT});
    json_cell_time(out, "failed_at", (struct cell){rows, row, WHOLE_FAILED_AT});
    json_cell_time(out, "message_time", (struct cell){rows, row, WHOLE_MESSAGE_TIME});
    add_bytes(out, "key_text", "key_base64", rows_bytes(rows, row, WHOLE_KEY));
    add_bytes(out, "value_text", "value_base64", rows_bytes(rows, row, WHOLE_VALUE));
    json_message_headers(out, rows_bytes(rows, row, WHOLE_HEADERS));
    json_close(out, '}');
    (void)buffer_add(out, "\n", 1);
}

/* ---- CSV -------------------------------------------------------------------------------------------------
 */

static const char csv_head[] =
    "id,state,attempts,reason,detail,sqlstate,client_id,failed_at,message_time,key_encoding,key,"
    "value_encoding,value,headers\r\n";

static void add_text(struct buffer *out, const char *text)
{
    csv_add_text(out, text);
    (void)buffer_add(out, ",", 1);
}

static void add_time(struct buffer *out, const struct rows *rows, size_t row, unsigned column)
{
    char time[ROWS_TIME_SIZE];
    rows_time_text(rows_text(rows, row, column), time);
    add_text(out, time);
}

/* Two fields: how, and what. Text with a NUL cannot stand in a field; it goes in base64 too. */
static void add_csv_bytes(struct buffer *out, struct slice bytes)
{
    struct buffer encoded = {0};
    const bool plain = bytes.data != NULL && utf8_is_valid(bytes.data, bytes.size) &&
                       memchr(bytes.data, '\0', bytes.size) == NULL;
    if (plain)
        (void)buffer_add(&encoded, bytes.data, bytes.size);
    else if (bytes.data != NULL)
        base64_add(&encoded, bytes);
    (void)buffer_add(&encoded, "", 1);
    add_text(out, bytes.data == NULL ? "" : plain ? "text" : "base64");
    add_text(out, encoded.data);
    buffer_done(&encoded);
}

static void add_csv(struct buffer *out, const struct letter_scope *scope, struct rows *rows, size_t row)
{
    static const unsigned texts[] = {WHOLE_STATE,  WHOLE_ATTEMPTS, WHOLE_REASON,
                                     WHOLE_DETAIL, WHOLE_SQLSTATE, WHOLE_CLIENT};
    struct buffer headers = {0};
    char id[ID_SIZE];
    print_id(scope, rows, row, id);
    add_text(out, id);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) add_text(out, rows_text(rows, row, texts[i]));
    add_time(out, rows, row, WHOLE_FAILED_AT);
    add_time(out, rows, row, WHOLE_MESSAGE_TIME);
    add_csv_bytes(out, rows_bytes(rows, row, WHOLE_KEY));
    add_csv_bytes(out, rows_bytes(rows, row, WHOLE_VALUE));
    json_open(&headers, '{');
    json_message_headers(&headers, rows_bytes(rows, row, WHOLE_HEADERS));
    json_close(&headers, '}');
    (void)buffer_add(&headers, "", 1);
    csv_add_text(out, headers.data);
    (void)buffer_add(out, "\r\n", 2);
    buffer_done(&headers);
}

/* ---- all -------------------------------------------------------------------------------------------------
 */

static void write_page(const struct letter_scope *scope, struct rows *rows, bool csv)
{
    struct buffer out = {0};
    for (size_t row = 0; row < rows_count(rows); row++) {
        if (csv)
            add_csv(&out, scope, rows, row);
        else
            add_json(&out, scope, rows, row);
    }
    (void)fwrite(out.data, 1, out.size, stdout);
    buffer_done(&out);
}

static bool export_all(struct database *database, const struct letter_scope *scope,
                       const struct letter_filter *filter, bool csv, struct progress *progress,
                       int64_t *ret_count, struct fault *ret_fault)
{
    struct letter_place place;
    for (size_t count = 1; count > 0 && ferror(stdout) == 0;) {
        struct rows *rows = NULL;
        if (!letters_page(database, scope, filter, *ret_count > 0 ? &place : NULL, PAGE_LETTERS, &rows,
                          ret_fault))
            return false;
        count = rows_count(rows);
        write_page(scope, rows, csv);
        if (count > 0) place = letters_place(rows, count - 1);
        rows_free(rows);
        *ret_count += (int64_t)count;
        progress_update(progress, *ret_count, *ret_count);
    }
    return true;
}

/* With everything that failed up to now. */
static int export_selection(struct database *database, const struct letter_scope *scope,
                            struct dlq_selection *selection, bool csv)
{
    struct fault fault;
    struct progress progress;
    int64_t total = 0;
    int64_t count = 0;
    if (!dlq_close_selection(database, scope, selection, &total, &fault))
        return dlq_complain(command, &fault);
    if (csv) (void)fputs(csv_head, stdout);
    progress_begin(&progress, &(struct progress_options){command, "dead letters", total, false});
    bool done = export_all(database, scope, &selection->filter, csv, &progress, &count, &fault);
    progress_end(&progress);
    if (!done) return dlq_complain(command, &fault);
    if (count >= (int64_t)selection->id_count) return EXIT_DRAINED;
    const int64_t unknown = (int64_t)selection->id_count - count;
    (void)fprintf(stderr, "winnow %s: %" PRId64 " of %zu %s of group %s\n", command, unknown,
                  selection->id_count, counted(unknown, "is no dead letter", "are no dead letters"),
                  scope->group);
    return EXIT_FINDING;
}

static int run(struct settings *settings, char **ids, int count)
{
    struct dlq_selection selection = {0};
    struct database *database = NULL;
    int exit_code = EXIT_BAD_USAGE;
    const bool csv = strcmp(format_text, "csv") == 0;
    if (!csv && strcmp(format_text, "ndjson") != 0) {
        (void)settings_refuse(command, "--format: found %s, expected ndjson or csv",
                              settings_found(format_text));
    } else if (dlq_selection_read(command, ids, count, NULL, settings, &selection)) {
        if (!settings_require(settings, "topic")) {
            exit_code = EXIT_BAD_CONFIG;
        } else if (dlq_open(command, settings, true, &database, &exit_code)) {
            const struct letter_scope scope = {settings->topic, settings->group};
            exit_code = export_selection(database, &scope, &selection, csv);
            database_close(database);
        }
    }
    dlq_selection_done(&selection);
    return exit_code;
}

int dlq_export(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_dlq_export, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    exit_code = run(&settings, argv + rest, argc - rest);
    settings_done(&settings);
    return exit_code;
}
