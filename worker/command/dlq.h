/* winnow dlq: dead letters as a work list. What its subcommands share: the session, the filter, and words.
 * Each dlq_*.c is one subcommand. */
#ifndef WINNOW_DLQ_H
#define WINNOW_DLQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "database.h"
#include "dead_letter_work.h"
#include "instant.h"
#include "settings.h"

/* Each gets its arguments with argv[0] = "dlq list" and so on, and returns an exit code. */
extern const struct command_usage usage_dlq;
extern const struct command_usage usage_dlq_list;
extern const struct command_usage usage_dlq_show;
extern const struct command_usage usage_dlq_replay;
extern const struct command_usage usage_dlq_discard;
extern const struct command_usage usage_dlq_undo;
extern const struct command_usage usage_dlq_export;
int dlq_list(int argc, char **argv);
int dlq_show(int argc, char **argv);
int dlq_replay(int argc, char **argv);
int dlq_discard(int argc, char **argv);
int dlq_undo(int argc, char **argv);
int dlq_export(int argc, char **argv);

/* ---- which dead letters ----------------------------------------------------------------------------------
 */

/* Texts of the options; for the tables of the subcommands. */
struct dlq_filter_texts {
    const char *reason;
    const char *client;
    const char *partition;
    const char *since;
    const char *until;
    const char *state;
    const char *actions;
};
extern struct dlq_filter_texts dlq_filter_texts;

/* clang-format off */
#define DLQ_FILTER_OPTIONS \
    {0, "reason", "REASON", "with this reason: amount_invalid, …", &dlq_filter_texts.reason}, \
    {0, "client", "CLIENT", "of this client; '': of none that is known", &dlq_filter_texts.client}, \
    {0, "partition", "NUMBER", "of this partition", &dlq_filter_texts.partition}, \
    {0, "since", "TIME", "failed since: 2026-01-31T12:00, or 12h ago", &dlq_filter_texts.since}, \
    {0, "until", "TIME", "failed before", &dlq_filter_texts.until}
#define DLQ_STATE_OPTION(usual) \
    {0, "state", "STATE", "open, retried, resolved, discarded, all [" usual "]", &dlq_filter_texts.state}
/* clang-format on */

/* What was asked for: dead letters by their ids, or a filter. */
struct dlq_selection {
    struct letter_filter filter; /* borrows from here and from the arguments */
    struct letter_places places;
    size_t id_count; /* 0: a filter */
    struct buffer partitions;
    struct buffer offsets;
    struct buffer actions;
    struct buffer words; /* the same for a person, NUL-terminated: "open, reason amount_invalid, …" */
    char from[INSTANT_TEXT_SIZE];
    char to[INSTANT_TEXT_SIZE];
};

/* Reads the filter's options and the ids behind them (topic/partition/offset, all of one topic, which then
 * becomes the settings' one). `state`: when none is asked for; NULL: all. False after one line on standard
 * error; give it to dlq_selection_done() in any case. */
MUST_CHECK bool dlq_selection_read(const char *command, char **ids, int count, const char *state,
                                   struct settings *settings, struct dlq_selection *ret_selection);
void dlq_selection_done(struct dlq_selection *selection);

/* ---- the session -----------------------------------------------------------------------------------------
 */

/* Opens the database. False after one line on standard error, with the exit code. */
MUST_CHECK bool dlq_open(const char *command, const struct settings *settings, bool read_only,
                         struct database **ret_database, int *ret_exit_code);

/* Makes the selection end with the present, so that what fails from now on is not meant: it was not looked at
 * when somebody decided. And counts it. */
MUST_CHECK bool dlq_close_selection(struct database *database, const struct letter_scope *scope,
                                    struct dlq_selection *selection, int64_t *ret_count,
                                    struct fault *ret_fault);

/* Tells the fault on standard error and returns its exit code. */
int dlq_complain(const char *command, const struct fault *fault);

/* Asks on the terminal. Without one, `yes` must have been given: false after telling so, with EXIT_BAD_USAGE;
 * as ask_yes() when the answer is no, or Ctrl-C. */
MUST_CHECK bool dlq_confirm(const char *command, const char *question, bool yes, int *ret_exit_code);

/* ---- words -----------------------------------------------------------------------------------------------
 */

/* "topic/partition/offset" of a row of which these are the columns. */
void dlq_print_id(const char *topic, const struct rows *rows, size_t row, unsigned partition,
                  unsigned offset);

/* PostgreSQL's time as RFC 3339, "-" for NULL. */
void dlq_print_time(const struct rows *rows, size_t row, unsigned column);

#endif
