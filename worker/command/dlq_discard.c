/* winnow dlq discard: puts dead letters aside; winnow dlq undo: takes that back. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/dlq.h"
#include "counted.h"
#include "dead_letter_batch.h"
#include "exit_code.h"
#include "operator.h"
#include "progress.h"
#include "signals.h"
#include "utf8.h"

#define STEP_MAX   500
#define NOTE_CHARS 500

static const char *note;
static const char *as;
static const char *yes_asked;
static const char *dry_asked;

#define COMMON_OPTIONS \
    {0, "as", "NAME", "who does it [the user]", &as}, \
        {0, "dry-run", NULL, "only tell how many are meant", &dry_asked}, \
    { \
        0, "yes", NULL, "do not ask before many are changed", &yes_asked \
    }

static const struct command_option discard_options[] = {
    {0, "note", "TEXT", "why; needed, and kept with each", &note},
    DLQ_FILTER_OPTIONS,
    DLQ_STATE_OPTION("open"),
    COMMON_OPTIONS,
    {0},
};

static const struct command_option undo_options[] = {
    {0, "note", "TEXT", "why; kept with each", &note},
    {0, "actions", "NUMBERS", "what one discard did, as it told", &dlq_filter_texts.actions},
    DLQ_FILTER_OPTIONS,
    COMMON_OPTIONS,
    {0},
};

#define SETTINGS "topic group database statement_timeout_ms"

const struct command_usage usage_dlq_discard = {
    .synopsis = "winnow dlq discard --note TEXT [options] [ID …]",
    .summary = "put them aside, with a note why",
    .description =
        "Those with these IDs, or all that the filter means, are put aside, for good or until winnow "
        "dlq undo. They stay in the table, and who did it, when and why.",
    .example = "winnow dlq discard --note 'test traffic' --client load-test --since 2h",
    .options = discard_options,
    .settings = SETTINGS,
};

const struct command_usage usage_dlq_undo = {
    .synopsis = "winnow dlq undo [options] [ID …]",
    .summary = "take discards back",
    .description =
        "The discarded ones with these IDs, or all that the filter means, are as they were before.",
    .example = "winnow dlq undo --client load-test --since 2h",
    .options = undo_options,
    .settings = SETTINGS,
};

/* What is done, and to which. */
struct work {
    const char *command;
    const char *action;
    const char *states; /* of those that it may be done to */
    const char *state;  /* of those that a filter means, unless it says otherwise */
    const char *question;
    const char *done;
    const struct command_usage *usage;
};

static const struct work discarding = {
    .command = "dlq discard",
    .action = "discard",
    .states = "{open,retried}",
    .state = "open",
    .question = "Discard",
    .done = "discarded",
    .usage = &usage_dlq_discard,
};

static const struct work undoing = {
    .command = "dlq undo",
    .action = "undo",
    .states = "{discarded}",
    .state = "discarded",
    .question = "Take back the discard of",
    .done = "taken back",
    .usage = &usage_dlq_undo,
};

struct tally {
    int64_t looked;
    int64_t done;
    int64_t first; /* numbers of the actions that `actions` does not tell of yet; 0: none */
    int64_t last;
    struct buffer actions; /* "17-300,305" */
};

/* ---- doing -----------------------------------------------------------------------------------------------
 */

static void add_number(struct buffer *out, const char *number)
{
    (void)buffer_add(out, out->size == 0 ? "{" : ",", 1);
    (void)buffer_add(out, number, strlen(number));
}

static bool is_done(const struct rows *done, const struct rows *page, size_t row)
{
    for (size_t i = 0; i < rows_count(done); i++) {
        if (rows_int(done, i, DONE_PARTITION) == rows_int(page, row, WHOLE_PARTITION) &&
            rows_int(done, i, DONE_OFFSET) == rows_int(page, row, WHOLE_OFFSET))
            return true;
    }
    return false;
}

static void tell_left_out(const struct work *work, const char *topic, const struct rows *page,
                          const struct rows *done)
{
    for (size_t row = 0; row < rows_count(page); row++) {
        if (is_done(done, page, row)) continue;
        (void)fprintf(stderr, "winnow %s: %s/%s/%s is %s: not %s\n", work->command, topic,
                      rows_text(page, row, WHOLE_PARTITION), rows_text(page, row, WHOLE_OFFSET),
                      rows_text(page, row, WHOLE_IN_DOUBT)[0] == 't' ? "being replayed"
                                                                     : rows_text(page, row, WHOLE_STATE),
                      work->done);
    }
}

static void end_range(struct tally *tally)
{
    char range[64];
    if (tally->first == 0) return;
    int size = snprintf(range, sizeof range, "%s%" PRId64 "-%" PRId64, tally->actions.size > 0 ? "," : "",
                        tally->first, tally->last);
    (void)buffer_add(&tally->actions, range, (size_t)size);
    tally->first = 0;
}

/* Nobody else does anything to the stream's letters while a page is done, so that its actions are a range. */
static void count_page(struct tally *tally, const struct rows *page, const struct rows *done)
{
    const size_t count = rows_count(done);
    tally->looked += (int64_t)rows_count(page);
    tally->done += (int64_t)count;
    if (count == 0) return;
    const int64_t first = rows_int(done, 0, DONE_ACTION_ID);
    if (first != tally->last + 1) end_range(tally);
    if (tally->first == 0) tally->first = first;
    tally->last = rows_int(done, count - 1, DONE_ACTION_ID);
}

/* Those of one page. */
static bool do_page(const struct work *work, struct database *database, const struct letter_scope *scope,
                    const struct rows *page, bool by_id, struct tally *tally, struct fault *ret_fault)
{
    struct buffer partitions = {0};
    struct buffer offsets = {0};
    struct rows *done = NULL;
    const struct letter_deed deed = {work->action, operator_name(as), note};
    for (size_t row = 0; row < rows_count(page); row++) {
        add_number(&partitions, rows_text(page, row, WHOLE_PARTITION));
        add_number(&offsets, rows_text(page, row, WHOLE_OFFSET));
    }
    (void)buffer_add(&partitions, "}", 2);
    (void)buffer_add(&offsets, "}", 2);
    const struct letter_places places = {partitions.data, offsets.data};
    bool good = letters_do(database, scope, &places, work->states, &deed, 0, &done, ret_fault);
    if (good) {
        count_page(tally, page, done);
        if (by_id) tell_left_out(work, scope->topic, page, done);
    }
    rows_free(done);
    buffer_done(&partitions);
    buffer_done(&offsets);
    return good;
}

static bool do_all(const struct work *work, struct database *database, const struct letter_scope *scope,
                   const struct dlq_selection *selection, struct progress *progress, struct tally *tally,
                   struct fault *ret_fault)
{
    struct letter_place place;
    bool has_place = false;
    for (size_t count = 1; count > 0;) {
        struct rows *page = NULL;
        if (!letters_page(database, scope, &selection->filter, has_place ? &place : NULL, STEP_MAX, &page,
                          ret_fault))
            return false;
        count = rows_count(page);
        bool good =
            count == 0 || do_page(work, database, scope, page, selection->id_count > 0, tally, ret_fault);
        if (count > 0) place = letters_place(page, count - 1);
        has_place = true;
        rows_free(page);
        if (!good) return false;
        progress_update(progress, tally->looked, tally->looked);
    }
    return true;
}

/* ---- asking ----------------------------------------------------------------------------------------------
 */

/* is_whole: all were looked for; those that were not found are none. */
static void tell_sum(const struct work *work, const struct dlq_selection *selection, bool is_whole,
                     struct tally *tally)
{
    (void)printf("%" PRId64 " %s", tally->done, work->done);
    if (tally->looked > tally->done)
        (void)printf(", %" PRId64 " left out: something else was done about %s", tally->looked - tally->done,
                     counted(tally->looked - tally->done, "it", "them"));
    const int64_t unknown = (int64_t)selection->id_count - tally->looked;
    if (is_whole && unknown > 0)
        (void)printf(", %" PRId64 " %s", unknown,
                     counted(unknown, "is no dead letter", "are no dead letters"));
    (void)printf("\n");
    if (work != &discarding || selection->id_count == 1 || tally->done == 0) return;
    end_range(tally);
    (void)printf("to take back exactly these: winnow dlq undo --actions %.*s\n", (int)tally->actions.size,
                 tally->actions.data);
}

static int do_selection(const struct work *work, struct database *database, const struct letter_scope *scope,
                        struct dlq_selection *selection)
{
    struct fault fault;
    struct tally tally = {0};
    struct progress progress;
    char question[256];
    int64_t count = 0;
    int exit_code;
    if (!dlq_close_selection(database, scope, selection, &count, &fault))
        return dlq_complain(work->command, &fault);
    if (dry_asked != NULL) {
        (void)printf("%" PRId64 " %s of %s %s meant: %s\n", count,
                     counted(count, "dead letter", "dead letters"), scope->topic, counted(count, "is", "are"),
                     selection->words.data);
        return EXIT_DRAINED;
    }
    (void)snprintf(question, sizeof question, "%s %" PRId64 " %s of %s?", work->question, count,
                   counted(count, "dead letter", "dead letters"), scope->topic);
    if (selection->id_count != 1 && count > 0 &&
        !dlq_confirm(work->command, question, yes_asked != NULL, &exit_code))
        return exit_code;
    progress_begin(&progress, &(struct progress_options){work->command, "dead letters", count, false});
    bool done = do_all(work, database, scope, selection, &progress, &tally, &fault);
    progress_end(&progress);
    tell_sum(work, selection, done, &tally);
    buffer_done(&tally.actions);
    if (!done) return dlq_complain(work->command, &fault);
    return tally.done == tally.looked && tally.looked >= (int64_t)selection->id_count ? EXIT_DRAINED
                                                                                      : EXIT_FINDING;
}

/* As long as PostgreSQL counts: characters, not bytes. */
static bool check_note(const struct work *work)
{
    const size_t count = note != NULL ? utf8_count(note, strlen(note)) : 0;
    if ((count > 0 || strcmp(work->action, "discard") != 0) && count <= NOTE_CHARS) {
        if (count == 0) note = NULL;
        return true;
    }
    (void)settings_refuse(work->command, "--note: found %s, expected why, in 1 to %d characters",
                          count == 0 ? "nothing" : "more", NOTE_CHARS);
    return false;
}

static int run(const struct work *work, struct settings *settings, char **ids, int count)
{
    struct dlq_selection selection = {0};
    struct database *database = NULL;
    int exit_code = EXIT_BAD_USAGE;
    if (check_note(work) &&
        dlq_selection_read(work->command, ids, count, work->state, settings, &selection)) {
        if (!settings_require(settings, "topic")) {
            exit_code = EXIT_BAD_CONFIG;
        } else if (dlq_open(work->command, settings, false, &database, &exit_code)) {
            const struct letter_scope scope = {settings->topic, settings->group};
            exit_code = do_selection(work, database, &scope, &selection);
            database_close(database);
        }
    }
    dlq_selection_done(&selection);
    return exit_code;
}

static int read_and_run(const struct work *work, int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(work->usage, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    exit_code = run(work, &settings, argv + rest, argc - rest);
    settings_done(&settings);
    return exit_code;
}

int dlq_discard(int argc, char **argv)
{
    return read_and_run(&discarding, argc, argv);
}

int dlq_undo(int argc, char **argv)
{
    return read_and_run(&undoing, argc, argv);
}
