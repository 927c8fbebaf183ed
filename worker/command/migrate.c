/* `winnow migrate` and `winnow migrate status`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "database.h"
#include "exit_code.h"
#include "migrate.h"
#include "migrate_watch.h"
#include "progress.h"
#include "settings.h"
#include "signals.h"

static const char *quiet_asked;

static const struct command_option own_options[] = {
    {'q', "quiet", NULL, "no progress on standard error", &quiet_asked},
    {0},
};

static const struct command_word words[] = {
    {"status", "list the migrations and change nothing; exit code 1: not current"},
    {0},
};

const struct command_usage usage_migrate = {
    .synopsis = "winnow migrate [options] [status]",
    .summary = "bring the database's schema up to date",
    .description = "Brings the database's schema to the version that this winnow knows, one transaction a "
                   "file, and does nothing when it is there already. The role must own the database.",
    .example = "winnow migrate -d dbname=winnow",
    .words = words,
    .options = own_options,
    .settings = "database",
};

static int complain(const struct fault *fault)
{
    const bool of_file = fault->site[0] >= '0' && fault->site[0] <= '9'; /* else the text tells */
    (void)fprintf(stderr, "winnow migrate: %s%s%s%s%s\n", of_file ? fault->site : "", of_file ? ": " : "",
                  fault->text, fault->sqlstate[0] != '\0' ? ", SQLSTATE " : "", fault->sqlstate);
    if (fault->status != STATUS_RETRY) return EXIT_BAD_CONFIG;
    return strcmp(fault->site, "connect") == 0 ? EXIT_UNREACHABLE : EXIT_TEMPORARY;
}

/* What is shown while a statement runs. */
struct shown {
    struct progress progress;
    struct migrate_watch watch;
    char file[100]; /* in hand; "": none */
};

/* Notices are chatter ("already exists, skipping"); what an operator has to do comes as a warning. */
static void print_warning(void *context, const char *severity, const char *text)
{
    if (strcmp(severity, "WARNING") != 0) return;
    struct shown *shown = context;
    progress_hide(&shown->progress);
    (void)printf("warning: %s\n", text);
    (void)fflush(stdout);
}

static void show_progress(void *context)
{
    struct shown *shown = context;
    char estimate[128];
    char note[sizeof shown->file + sizeof estimate + 2];
    if (shown->file[0] != '\0' && quiet_asked == NULL) {
        migrate_watch_look(&shown->watch, estimate, sizeof estimate);
        (void)snprintf(note, sizeof note, "%s, %s", shown->file, estimate);
        progress_note(&shown->progress, note);
    }
    progress_tick(&shown->progress);
}

static int print_status(const struct migration_plan *plan)
{
    (void)printf("%7s  %-36s  %-20s  %s\n", "version", "name", "applied at", "state");
    for (size_t i = 0; i < plan->count; i++) {
        const struct migration_line *line = &plan->lines[i];
        (void)printf("%7" PRId64 "  %-36s  %-20s  %s\n", line->version, line->name,
                     line->applied_at[0] != '\0' ? line->applied_at : "-", migration_state_name(line->state));
    }
    struct fault fault;
    if (migration_plan_check(plan, false, &fault)) return EXIT_DRAINED;
    (void)printf("%s\n", fault.text);
    return EXIT_FINDING;
}

static int show_status(struct database *database)
{
    struct fault fault;
    struct migration_plan plan;
    const bool read = migration_plan_read(database, &plan, &fault);
    const int code = read ? print_status(&plan) : complain(&fault);
    migration_plan_done(&plan);
    return code;
}

/* One `winnow migrate` at a time: the second waits, and then finds nothing left to do. */
static bool lock(struct database *database, struct progress *progress, struct fault *ret_fault)
{
    bool taken;
    if (!migrate_lock(database, false, &taken, ret_fault)) return false;
    if (taken) return true;
    progress_note(progress, "waiting for another winnow migrate");
    (void)printf("another winnow migrate is at work on this database; waiting for it\n");
    (void)fflush(stdout);
    return migrate_lock(database, true, &taken, ret_fault);
}

static size_t count_pending(const struct migration_plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++) count += plan->lines[i].state == MIGRATION_PENDING ? 1 : 0;
    return count;
}

static bool apply_pending(struct database *database, const struct migration_plan *plan, struct shown *shown,
                          struct fault *ret_fault)
{
    const size_t pending = count_pending(plan);
    size_t applied = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->lines[i].state != MIGRATION_PENDING) continue;
        const struct migration *migration = migrations;
        while (migration->version != plan->lines[i].version) migration++;
        int64_t ms;
        (void)snprintf(shown->file, sizeof shown->file, "%s (%zu of %zu)", migration->name, applied + 1,
                       pending);
        if (!migrate_apply(database, migration, &ms, ret_fault)) return false;
        progress_hide(&shown->progress);
        (void)printf("applied %s in %" PRId64 " ms\n", migration->name, ms);
        (void)fflush(stdout);
        applied++;
    }
    if (applied == 0)
        (void)printf("the schema is current (version %" PRId64 ")\n", plan->lines[plan->count - 1].version);
    return true;
}

static bool read_pid(struct database *database, int64_t *ret_pid, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!database_run(database, "migrate", "SELECT pg_backend_pid()", NULL, 0, &rows, ret_fault))
        return false;
    *ret_pid = rows_int(rows, 0, 0);
    rows_free(rows);
    return true;
}

static int apply(struct database *database, const char *conninfo)
{
    struct fault fault;
    struct migration_plan plan = {0};
    struct shown shown = {.watch = {.conninfo = conninfo}};
    progress_begin(&shown.progress,
                   &(struct progress_options){.command = "migrate", .quiet = quiet_asked != NULL});
    database_listen(database, &(struct database_listener){print_warning, show_progress, &shown});
    const bool done =
        lock(database, &shown.progress, &fault) && read_pid(database, &shown.watch.pid, &fault) &&
        migration_plan_read(database, &plan, &fault) && migration_plan_check(&plan, true, &fault) &&
        apply_pending(database, &plan, &shown, &fault);
    migration_plan_done(&plan);
    progress_end(&shown.progress);
    migrate_watch_done(&shown.watch);
    return done ? EXIT_DRAINED : complain(&fault);
}

/* No statement timeout: a migration may have to rewrite a large table. A stop signal ends it. */
static int run(const struct settings *settings, bool status_only)
{
    const struct database_options options = {.conninfo = settings->database,
                                             .application_name = "winnow migrate"};
    struct database *database = NULL;
    struct fault fault;
    if (!database_open(&options, &database, &fault)) return complain(&fault);
    const int code = status_only ? show_status(database) : apply(database, settings->database);
    database_close(database);
    return code;
}

int command_migrate(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int code;
    if (!settings_read(&usage_migrate, argc, argv, &settings, &rest, &code)) return code;
    const bool status_only = rest < argc;
    if (argc - rest > 1) {
        code = settings_refuse("migrate", "found %s behind %s, expected nothing", argv[rest + 1], argv[rest]);
    } else if (status_only && settings_find_word("migrate", &usage_migrate, argv[rest]) < 0) {
        code = EXIT_BAD_USAGE;
    } else {
        signals_init(false);
        code = run(&settings, status_only);
    }
    settings_done(&settings);
    return code;
}
