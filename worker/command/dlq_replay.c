/* winnow dlq replay: what was asked for, and whether it may be. */
#include "command/dlq_replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/dlq_edit.h"
#include "counted.h"
#include "dead_letter_batch.h"
#include "exit_code.h"
#include "log.h"
#include "operator.h"

#define WAIT_S_USUAL 30
#define NUMBER_MAX   INT64_C(1000000000)

static const char *edit_asked;
static const char *edit_with;
static const char *dry_asked;
static const char *rate_text;
static const char *limit_text;
static const char *attempts_text;
static const char *even_rejected_asked;
static const char *wait_text;
static const char *note;
static const char *as;
static const char *yes_asked;
static const char *json_asked;

static const struct command_option options[] = {
    {0, "dry-run", NULL, "tell what would be sent, and send nothing", &dry_asked},
    {0, "edit", NULL, "open the value of one in $EDITOR first", &edit_asked},
    {0, "rate", "N/s", "at most so many a second", &rate_text},
    DLQ_FILTER_OPTIONS,
    {0, "limit", "NUMBER", "at most so many, the oldest first", &limit_text},
    {0, "edit-with", "FILE", "send the file in its place; - is stdin", &edit_with},
    {0, "even-rejected", NULL, "send also what today's rules refuse again", &even_rejected_asked},
    {0, "max-attempts", "NUMBER", "leave out what was sent again so often [3]", &attempts_text},
    {0, "wait", "SECONDS", "for what becomes of them [30]", &wait_text},
    {0, "note", "TEXT", "why; kept with each", &note},
    {0, "as", "NAME", "who does it [the user]", &as},
    {0, "yes", NULL, "do not ask before many are sent", &yes_asked},
    {0, "json", NULL, "print the sum as one object of JSON", &json_asked},
    {0},
};

const struct command_usage usage_dlq_replay = {
    .synopsis = "winnow dlq replay [options] [ID …]",
    .summary = "send them again, as they are or edited",
    .description =
        "Those with these IDs, or all open ones that the filter means, go to their topic again; key, value, "
        "headers and timestamp stay. Interrupted at any moment, the same command goes on where it was.",
    .example = "winnow dlq replay --reason database_rejected --since 2h --dry-run",
    .options = options,
    .settings = "brokers topic group database event_bytes_max statement_timeout_ms log_level",
};

/* ---- options ---------------------------------------------------------------------------------------------
 */

static bool refuse(const char *option, const char *found, const char *expected)
{
    (void)settings_refuse(DLQ_REPLAY, "%s: found %s, expected %s", option, settings_found(found), expected);
    return false;
}

/* `unit` may stand behind the number. */
static bool read_number(const char *option, const char *text, const char *unit, int64_t least,
                        const char *expected, int64_t *ret_number)
{
    char *end;
    if (text == NULL) return true;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || number < least || number > NUMBER_MAX ||
        (*end != '\0' && strcmp(end, unit) != 0))
        return refuse(option, text, expected);
    *ret_number = number;
    return true;
}

static bool read_numbers(struct replay_request *request)
{
    int64_t wait_s = WAIT_S_USUAL;
    request->plan.attempts_max = REPLAY_ATTEMPTS_MAX_DEFAULT;
    if (!read_number("--rate", rate_text, "/s", 1, "messages a second, such as 50/s",
                     &request->plan.per_second) ||
        !read_number("--limit", limit_text, "", 1, "a number from 1 on", &request->plan.count_max) ||
        !read_number("--max-attempts", attempts_text, "", 1, "a number from 1 on",
                     &request->plan.attempts_max) ||
        !read_number("--wait", wait_text, "s", 0, "seconds", &wait_s))
        return false;
    request->wait_ms = wait_s * 1000;
    return true;
}

static bool read_request(struct replay_request *request)
{
    const bool edits = edit_asked != NULL || edit_with != NULL;
    if (edits && request->selection->id_count != 1)
        return refuse(edit_asked != NULL ? "--edit" : "--edit-with",
                      request->selection->id_count == 0 ? "a filter" : "several IDs", "one ID");
    if (edit_asked != NULL && edit_with != NULL) return refuse("--edit", "--edit-with too", "one of them");
    if (!read_numbers(request)) return false;
    request->json = json_asked != NULL;
    request->dry_run = dry_asked != NULL;
    request->yes = yes_asked != NULL;
    request->edit = edit_asked != NULL;
    request->edit_with = edit_with;
    request->plan.filter = request->selection->filter;
    request->plan.selection = request->selection->words.data;
    request->plan.actor = operator_name(as);
    request->plan.note = note != NULL && note[0] != '\0' ? note : NULL;
    request->plan.even_rejected = even_rejected_asked != NULL;
    request->plan.states = request->selection->id_count > 0 ? "{open,retried}" : "{open}";
    return true;
}

/* ---- one, edited -----------------------------------------------------------------------------------------
 */

static int complain_unknown(const struct replay_request *request)
{
    (void)fprintf(stderr,
                  "winnow " DLQ_REPLAY ": %s is no dead letter of group %s; see: winnow dlq list --each\n",
                  request->selection->words.data, request->settings->group);
    return EXIT_FINDING;
}

/* False with the exit code when there is nothing to send. */
static bool edit(const struct replay_request *request, struct database *database, struct buffer *ret_value,
                 int *ret_exit_code)
{
    struct fault fault;
    struct rows *rows = NULL;
    const struct letter_scope scope = {request->settings->topic, request->settings->group};
    if (request->edit_with != NULL)
        return read_value(DLQ_REPLAY, request->edit_with, ret_value, ret_exit_code);
    if (!letters_page(database, &scope, &request->plan.filter, NULL, 1, &rows, &fault)) {
        *ret_exit_code = dlq_complain(DLQ_REPLAY, &fault);
        return false;
    }
    bool edited = false;
    if (rows_count(rows) == 0) {
        *ret_exit_code = complain_unknown(request);
    } else {
        const struct slice before = rows_bytes(rows, 0, WHOLE_VALUE);
        edited = edit_value(DLQ_REPLAY, before, ret_value, ret_exit_code);
        if (edited && slice_equals(before, slice_of(ret_value->data, ret_value->size))) {
            (void)fprintf(stderr, "winnow " DLQ_REPLAY ": nothing was changed, and nothing sent\n");
            *ret_exit_code = EXIT_FINDING;
            edited = false;
        }
    }
    rows_free(rows);
    return edited;
}

/* ---- together --------------------------------------------------------------------------------------------
 */

static bool ask(const struct replay_request *request, int *ret_exit_code)
{
    char question[512];
    int64_t count = request->count;
    if (request->selection->id_count == 1 || count == 0) return true;
    if (request->plan.count_max > 0 && request->plan.count_max < count) count = request->plan.count_max;
    (void)snprintf(question, sizeof question, "Send up to %" PRId64 " %s to %s again (%.200s)?", count,
                   counted(count, "dead letter", "dead letters"), request->settings->topic,
                   request->selection->words.data);
    return dlq_confirm(DLQ_REPLAY, question, request->yes, ret_exit_code);
}

static int replay_on(struct replay_request *request, struct database *database)
{
    struct fault fault;
    struct buffer value = {0};
    struct slice edited;
    int exit_code;
    const struct letter_scope scope = {request->settings->topic, request->settings->group};
    if (!dlq_close_selection(database, &scope, request->selection, &request->count, &fault))
        return dlq_complain(DLQ_REPLAY, &fault);
    request->plan.filter = request->selection->filter;
    if (request->count == 0 && request->selection->id_count == 1) return complain_unknown(request);
    if (request->edit || request->edit_with != NULL) {
        if (!edit(request, database, &value, &exit_code)) {
            buffer_done(&value);
            return exit_code;
        }
        (void)buffer_reserve(&value, 1); /* an empty value is not an absent one */
        edited = slice_of(value.data, value.size);
        request->plan.value = &edited;
    }
    if (request->dry_run)
        exit_code = dlq_dry_run(request, database);
    else if (ask(request, &exit_code))
        exit_code = dlq_send(request);
    buffer_done(&value);
    return exit_code;
}

static int run(struct settings *settings, char **ids, int count)
{
    struct dlq_selection selection = {0};
    struct replay_request request = {.settings = settings, .selection = &selection};
    struct database *database = NULL;
    int exit_code = EXIT_BAD_USAGE;
    if (dlq_selection_read(DLQ_REPLAY, ids, count, "open", settings, &selection) && read_request(&request)) {
        log_init_quiet(settings->log_level, DLQ_REPLAY);
        if (!settings_require(settings, request.dry_run ? "topic" : "brokers topic")) {
            exit_code = EXIT_BAD_CONFIG;
        } else if (dlq_open(DLQ_REPLAY, settings, false, &database, &exit_code)) {
            exit_code = replay_on(&request, database);
            database_close(database);
        }
    }
    dlq_selection_done(&selection);
    return exit_code;
}

int dlq_replay(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    if (!settings_read(&usage_dlq_replay, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    exit_code = run(&settings, argv + rest, argc - rest);
    settings_done(&settings);
    return exit_code;
}
