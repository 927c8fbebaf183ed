/* winnow dlq: what its subcommands share. */
#include "command/dlq.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "console/rows_json.h"
#include "dead_letter_batch.h"
#include "exit_code.h"

const struct command_usage usage_dlq = {
    .synopsis = "winnow dlq list|show|replay|discard|undo|export [options] [ID …]",
    .summary = "look at what failed, send it again or put it aside",
    .description =
        "Dead letters as a work list. An ID is topic/partition/offset, as in the header winnow-id of "
        "the dead-letter topic.",
    .example = "winnow dlq list --since 24h",
    .settings = "",
};

/* ---- the session -----------------------------------------------------------------------------------------
 */

int dlq_complain(const char *command, const struct fault *fault)
{
    const bool forbidden = strcmp(fault->sqlstate, "42501") == 0;
    /* The advice of the fault is about any table; here it is known what is missing. */
    const size_t size = forbidden ? strcspn(fault->text, ";") : strlen(fault->text);
    (void)fprintf(stderr, "winnow %s: %.*s%s%s%s\n", command, (int)size, fault->text,
                  forbidden ? "; this needs a login that is a member of winnow_operator, or of winnow_retry: "
                              "GRANT winnow_operator TO …"
                            : "",
                  fault->sqlstate[0] != '\0' ? ", SQLSTATE " : "", fault->sqlstate);
    switch (fault->status) {
    case STATUS_RETRY:
        return EXIT_UNREACHABLE;
    case STATUS_FATAL:
        return EXIT_BROKEN;
    case STATUS_REJECT:
        return EXIT_FINDING;
    case STATUS_OK:
    case STATUS_STOP:
        break;
    }
    return EXIT_BAD_CONFIG;
}

bool dlq_open(const char *command, const struct settings *settings, bool read_only,
              struct database **ret_database, int *ret_exit_code)
{
    struct fault fault;
    const struct database_options options = {
        .conninfo = settings->database,
        .application_name = "winnow dlq",
        .read_only = read_only,
        .statement_timeout_ms = settings->statement_timeout_ms,
    };
    if (database_open(&options, ret_database, &fault)) return true;
    *ret_exit_code = dlq_complain(command, &fault);
    return false;
}

bool dlq_close_selection(struct database *database, const struct letter_scope *scope,
                         struct dlq_selection *selection, int64_t *ret_count, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    const struct sql_parameter to = sql_text(selection->filter.to);
    if (!database_run(database, "dead letters", "SELECT least($1::timestamptz, pg_catalog.clock_timestamp())",
                      &to, 1, &rows, ret_fault))
        return false;
    (void)snprintf(selection->to, sizeof selection->to, "%s", rows_text(rows, 0, 0));
    rows_free(rows);
    selection->filter.to = selection->to;
    return letters_count(database, scope, &selection->filter, ret_count, ret_fault);
}

bool dlq_confirm(const char *command, const char *question, bool yes, int *ret_exit_code)
{
    if (yes) return true;
    if (isatty(STDIN_FILENO) == 0) {
        (void)fprintf(stderr, "winnow %s: %s Nobody can be asked here: add --yes, or look first with %s\n",
                      command, question,
                      strcmp(command, "dlq replay") == 0 ? "--dry-run" : "winnow dlq list");
        *ret_exit_code = EXIT_BAD_USAGE;
        return false;
    }
    if (ask_yes(stderr, question, ret_exit_code)) return true;
    (void)fprintf(stderr, "winnow %s: nothing was done\n", command);
    return false;
}

/* ---- words -----------------------------------------------------------------------------------------------
 */

void dlq_print_id(const char *topic, const struct rows *rows, size_t row, unsigned partition, unsigned offset)
{
    (void)printf("%s/%s/%s", topic, rows_text(rows, row, partition), rows_text(rows, row, offset));
}

void dlq_print_time(const struct rows *rows, size_t row, unsigned column)
{
    char time[ROWS_TIME_SIZE];
    rows_time_text(rows_text(rows, row, column), time);
    (void)printf("%s", time[0] != '\0' ? time : "-");
}
