/* winnow dlq show: one dead letter, whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "command/dlq.h"
#include "command/explain_text.h"
#include "console/rows_json.h"
#include "counted.h"
#include "decimal.h"
#include "exit_code.h"
#include "headers.h"
#include "identity.h"
#include "json.h"
#include "letter_json.h"
#include "normalize.h"
#include "reject.h"
#include "signals.h"
#include "utf8.h"

#define SHOWN_SIZE 2048

static const char command[] = "dlq show";
static const char *json_asked;
static const char *value_asked;

static const struct command_option options[] = {
    {0, "value", NULL, "only its value, for replay --edit-with", &value_asked},
    {0, "json", NULL, "one object of JSON", &json_asked},
    {0},
};

const struct command_usage usage_dlq_show = {
    .synopsis = "winnow dlq show [options] ID",
    .summary = "show one, whole, and what was done about it",
    .description = "As it came, what was wrong, what it would be by today's rules, and what was done. ID is "
                   "topic/partition/offset, as winnow dlq list shows it.",
    .example = "winnow dlq show -d dbname=winnow events/3/1042",
    .options = options,
    .settings = "group database event_bytes_max statement_timeout_ms",
};

struct show {
    const struct settings *settings;
    struct letter_scope scope;
    struct rows *letter;
    struct rows *history;
    struct normalizer *normalizer;
    struct slice value;
    int64_t timestamp_ms;
    bool time_is_known;
};

/* ---- for a person ----------------------------------------------------------------------------------------
 */

static void print_escaped(const char *before, struct slice text, const char *behind)
{
    char shown[SHOWN_SIZE];
    (void)reject_escape(text, shown, sizeof shown);
    (void)printf("%s%s%s", before, text.data != NULL ? shown : "none", behind);
}

static void print_text(const char *name, const struct rows *rows, size_t row, unsigned column,
                       const char *absent)
{
    (void)printf("%-11s", name);
    if (rows_is_null(rows, row, column))
        (void)printf("%s\n", absent);
    else
        print_escaped("", slice_of_text(rows_text(rows, row, column)), "\n");
}

static void print_moment(const char *name, const struct rows *rows, size_t row, unsigned column)
{
    (void)printf("%-11s", name);
    dlq_print_time(rows, row, column);
    (void)printf("\n");
}

static void print_headers(struct slice headers)
{
    struct slice name;
    struct slice value;
    if (headers.data == NULL) return;
    (void)printf("headers\n");
    while (headers_next(&headers, &name, &value)) {
        print_escaped("  ", name, "");
        print_escaped(": ", value, "\n");
    }
}

/* Text as it is; what is no text, or would steer a terminal, escaped. */
static void print_value(struct slice value)
{
    if (value.data == NULL) {
        (void)printf("value      none (a tombstone)\n");
        return;
    }
    (void)printf("value      %zu %s\n", value.size, counted((int64_t)value.size, "byte", "bytes"));
    bool plain = utf8_is_valid(value.data, value.size);
    for (size_t i = 0, size; plain && i < value.size; i += size) {
        size = utf8_size(value.data + i, value.data + value.size);
        plain = !utf8_steers(value.data + i, size) || value.data[i] == '\n' || value.data[i] == '\t';
    }
    if (plain)
        (void)printf("%.*s%s", (int)value.size, value.data,
                     value.size > 0 && value.data[value.size - 1] == '\n' ? "" : "\n");
    else
        print_escaped("", value, "\n");
}

static void print_now(struct show *show)
{
    static const struct client_rules rules;
    const struct record record = {.timestamp_ms = show->timestamp_ms, .value = show->value};
    struct event event;
    struct reject reject;
    (void)printf("\nBy today's rules: ");
    if (normalize(show->normalizer, &record, &rules, &event, &reject) == STATUS_OK)
        explain_event(show->normalizer, &event, show->time_is_known);
    else
        explain_reject(show->normalizer, &reject);
}

static void print_action(const struct rows *rows, size_t row)
{
    (void)printf("  ");
    dlq_print_time(rows, row, ACTION_AT);
    (void)printf("  %s by ", rows_text(rows, row, ACTION_NAME));
    print_escaped("", slice_of_text(rows_text(rows, row, ACTION_ACTOR)), "");
    if (!rows_is_null(rows, row, ACTION_SENT_TOPIC)) {
        (void)printf(", sent as ");
        dlq_print_id(rows_text(rows, row, ACTION_SENT_TOPIC), rows, row, ACTION_SENT_PARTITION,
                     ACTION_SENT_OFFSET);
        (void)printf(", %s", rows_text(rows, row, ACTION_OUTCOME));
    } else if (strstr(rows_text(rows, row, ACTION_NAME), "retry") != NULL) {
        (void)printf(", not sent, or not known");
    }
    if (!rows_is_null(rows, row, ACTION_NOTE))
        print_escaped(": ", slice_of_text(rows_text(rows, row, ACTION_NOTE)), "");
    (void)printf("\n");
}

static void print_history(const struct show *show)
{
    const size_t count = rows_count(show->history);
    (void)printf("\nWhat was done\n%s", count == 0 ? "  nothing\n" : "");
    for (size_t row = 0; row < count; row++) print_action(show->history, row);
    if (!rows_is_null(show->letter, 0, LETTER_STORED_TOPIC)) {
        (void)printf("  resolved: its event is stored from ");
        dlq_print_id(rows_text(show->letter, 0, LETTER_STORED_TOPIC), show->letter, 0,
                     LETTER_STORED_PARTITION, LETTER_STORED_OFFSET);
        (void)printf("\n");
    }
}

static void print_letter(struct show *show)
{
    struct rows *letter = show->letter;
    dlq_print_id(show->scope.topic, letter, 0, LETTER_PARTITION, LETTER_OFFSET);
    (void)printf("\n");
    print_text("state", letter, 0, LETTER_STATE, "");
    print_text("reason", letter, 0, LETTER_REASON, "");
    print_text("detail", letter, 0, LETTER_DETAIL, "");
    if (!rows_is_null(letter, 0, LETTER_SQLSTATE)) print_text("sqlstate", letter, 0, LETTER_SQLSTATE, "");
    print_text("client", letter, 0, LETTER_CLIENT, "unknown");
    print_moment("failed", letter, 0, LETTER_FAILED_AT);
    print_moment("sent", letter, 0, LETTER_MESSAGE_TIME);
    print_moment("published", letter, 0, LETTER_PUBLISHED_AT);
    print_escaped("key        ", rows_bytes(letter, 0, LETTER_KEY), "\n");
    print_headers(rows_bytes(letter, 0, LETTER_HEADERS));
    print_value(show->value);
    print_now(show);
    print_history(show);
}

/* ---- for a program ---------------------------------------------------------------------------------------
 */

static void add_event(struct buffer *out, const struct event *event)
{
    char amount[DECIMAL_TEXT_SIZE + 1];
    char when[INSTANT_TEXT_SIZE];
    char hash[IDENTITY_TEXT_SIZE];
    amount[decimal_print(&event->amount, amount)] = '\0';
    (void)instant_print(event->time_us, when);
    identity_print(event->hash, hash);
    json_name(out, "event");
    json_open(out, '{');
    json_slice(out, "client_id", event->client_id);
    json_slice(out, "metric", event->metric);
    json_raw(out, "amount", amount);
    json_text(out, "timestamp", when);
    json_text(out, "event_hash", hash);
    json_close(out, '}');
}

/* The same as `winnow explain --json`. */
static void add_now(struct show *show, struct buffer *out)
{
    static const struct client_rules rules;
    const struct record record = {.timestamp_ms = show->timestamp_ms, .value = show->value};
    struct event event;
    struct reject reject;
    json_name(out, "now");
    json_open(out, '{');
    if (normalize(show->normalizer, &record, &rules, &event, &reject) == STATUS_OK) {
        add_event(out, &event);
    } else {
        json_text(out, "reason", reject_name(reject.reason));
        json_text(out, "detail", reject.detail);
    }
    json_close(out, '}');
}

static void print_json(struct show *show)
{
    struct buffer out = {0};
    char id[400];
    (void)snprintf(id, sizeof id, "%s/%s/%s", show->scope.topic, rows_text(show->letter, 0, LETTER_PARTITION),
                   rows_text(show->letter, 0, LETTER_OFFSET));
    json_open(&out, '{');
    json_text(&out, "id", id);
    letter_json_whole(&out, show->letter, show->history);
    add_now(show, &out);
    json_close(&out, '}');
    (void)fwrite(out.data, 1, out.size, stdout);
    (void)printf("\n");
    buffer_done(&out);
}

/* ---- reading ---------------------------------------------------------------------------------------------
 */

static int print_all(struct show *show)
{
    show->value = rows_bytes(show->letter, 0, LETTER_VALUE);
    if (value_asked != NULL) {
        (void)fwrite(show->value.data, 1, show->value.size, stdout);
        return EXIT_DRAINED;
    }
    show->normalizer = normalizer_new((size_t)show->settings->event_bytes_max);
    if (json_asked != NULL)
        print_json(show);
    else
        print_letter(show);
    normalizer_free(show->normalizer);
    return EXIT_DRAINED;
}

/* The message's own time, in the milliseconds that Kafka keeps. */
static bool read_time(struct show *show, struct database *database, int64_t partition, int64_t offset,
                      struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!letter_message_read(database, &show->scope, partition, offset, &rows, ret_fault)) return false;
    show->time_is_known = rows_count(rows) > 0 && !rows_is_null(rows, 0, TAKEN_TIMESTAMP_MS);
    show->timestamp_ms = show->time_is_known ? rows_int(rows, 0, TAKEN_TIMESTAMP_MS) : clock_wall_ms();
    rows_free(rows);
    return true;
}

static bool read_all(struct show *show, struct database *database, const struct dlq_selection *selection,
                     struct fault *ret_fault)
{
    /* one id, so each array holds one number */
    const int64_t partition = strtoll(selection->places.partitions + 1, NULL, 10);
    const int64_t offset = strtoll(selection->places.offsets + 1, NULL, 10);
    return letter_read(database, &show->scope, partition, offset, &show->letter, ret_fault) &&
           read_time(show, database, partition, offset, ret_fault) &&
           letter_history_read(database, &show->scope, partition, offset, &show->history, ret_fault);
}

static int show_one(const struct settings *settings, const struct dlq_selection *selection)
{
    struct fault fault;
    struct database *database = NULL;
    struct show show = {.settings = settings, .scope = {settings->topic, settings->group}};
    int exit_code;
    if (!dlq_open(command, settings, true, &database, &exit_code)) return exit_code;
    if (!read_all(&show, database, selection, &fault)) {
        exit_code = dlq_complain(command, &fault);
    } else if (rows_count(show.letter) == 0) {
        (void)fprintf(stderr, "winnow %s: %s is no dead letter of group %s; see: winnow dlq list --each\n",
                      command, selection->words.data, settings->group);
        exit_code = EXIT_FINDING;
    } else {
        exit_code = print_all(&show);
    }
    rows_free(show.letter);
    rows_free(show.history);
    database_close(database);
    return exit_code;
}

int dlq_show(int argc, char **argv)
{
    struct settings settings;
    struct dlq_selection selection = {0};
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_dlq_show, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    if (argc - rest != 1) {
        exit_code = settings_refuse(command,
                                    "found %s, expected one, such as events/3/1042; winnow dlq list --each "
                                    "tells them",
                                    rest == argc ? "no ID" : "more than one ID");
    } else if (!dlq_selection_read(command, argv + rest, 1, NULL, &settings, &selection)) {
        exit_code = EXIT_BAD_USAGE;
    } else {
        exit_code = show_one(&settings, &selection);
    }
    dlq_selection_done(&selection);
    settings_done(&settings);
    return exit_code;
}
