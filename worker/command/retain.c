/* `winnow retain`: drops old months of events, and merges old rows of the account. Each step is a short
 * transaction and is written down with what it does, so that it may be killed anywhere and started again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "clock.h"
#include "command.h"
#include "counted.h"
#include "database.h"
#include "exit_code.h"
#include "log.h"
#include "progress.h"
#include "signals.h"

#define LOCK_KEY        "pg_catalog.hashtextextended('winnow.retain', 0)"
#define DATE_SIZE       16
#define LOCK_PATIENCE_S 300
#define ROWS_IN_ONE_GO  "50000"
#define MERGE_IN_ONE_GO "20000"

static const char *keep_text;
static const char *merge_text = "7 days";
static const char *dry_asked;
static const char *quiet_asked;

static const struct command_option own_options[] = {
    {0, "keep", "TIME", "how much to keep: '13 months'; whole months are dropped", &keep_text},
    {0, "merge-after", "TIME", "rows of the account this old are merged ['7 days']", &merge_text},
    {0, "dry-run", NULL, "only tell what would be done", &dry_asked},
    {'q', "quiet", NULL, "no progress on standard error", &quiet_asked},
    {0},
};

const struct command_usage usage_retain = {
    .synopsis = "winnow retain [options] --keep TIME",
    .summary = "drop old months of events, and merge old account rows",
    .description =
        "Drops months of events that lie wholly before now less TIME, writes down how many they were and "
        "their "
        "sums, and merges old rows of the account. Totals stay as they are. An event of a dropped month that "
        "is "
        "sent again is stored, and counted, again. May run beside a pool, and be killed and started again.",
    .example = "winnow retain --keep '13 months' -d dbname=winnow",
    .options = own_options,
    .settings = "database",
};

struct retain {
    struct database *database;
    struct progress progress;
    struct fault fault;
    char from[DATE_SIZE]; /* what is kept begins there */
    int refused;          /* the exit code when the arguments were, and it was told; 0: they were not */
};

static bool run(struct retain *retain, const char *sql, const struct sql_parameter *parameters, size_t count,
                struct rows **ret_rows)
{
    return database_run(retain->database, "retain", sql, parameters, count, ret_rows, &retain->fault);
}

/* One at a time: a session's lock, which a killed one lets go of. */
static bool take_lock(struct retain *retain)
{
    struct rows *rows = NULL;
    if (!run(retain, "SELECT pg_catalog.pg_try_advisory_lock(" LOCK_KEY ")::int", NULL, 0, &rows))
        return false;
    const bool taken = rows_int(rows, 0, 0) == 1;
    rows_free(rows);
    if (!taken)
        fault_set(&retain->fault, STATUS_STOP, "retain",
                  "another winnow retain is at work in this database: let it end");
    return taken;
}

static bool read_plan(struct retain *retain, struct rows **ret_rows)
{
    const struct sql_parameter keep = sql_text(keep_text);
    return run(retain,
               "SELECT to_char(month, 'YYYY-MM'), month, event_count, amount_sum,"
               " (partition_name IS NOT NULL)::int,"
               " to_char(date_trunc('month', now() - $1::interval), 'YYYY-MM-DD'),"
               " (now() - $1::interval < now() - interval '1 month')::int"
               " FROM winnow.retention_plan($1::interval)",
               &keep, 1, ret_rows);
}

/* What is shorter than a month would drop months that are hardly over. */
static bool check_keep(struct retain *retain)
{
    struct rows *rows = NULL;
    const struct sql_parameter parameters[] = {sql_text(keep_text), sql_text(merge_text)};
    if (!run(retain,
             "SELECT ($1::interval >= interval '1 month')::int, ($2::interval >= interval '1 day')::int,"
             " to_char(date_trunc('month', now() - $1::interval), 'YYYY-MM-DD')",
             parameters, 2, &rows)) {
        return false;
    }
    const bool good = rows_int(rows, 0, 0) == 1 && rows_int(rows, 0, 1) == 1;
    (void)snprintf(retain->from, sizeof retain->from, "%s", rows_text(rows, 0, 2));
    if (!good)
        retain->refused = settings_refuse(
            "retain", "found --keep '%s' and --merge-after '%s', expected '1 month' and '1 day' at the least",
            keep_text, merge_text);
    rows_free(rows);
    return good;
}

static bool read_plan_and_tell(struct retain *retain, struct rows **ret_rows)
{
    if (!read_plan(retain, ret_rows)) return false;
    (void)printf("Events from %s on are kept; an older event that is sent again is no duplicate: it is "
                 "stored, and counted, again.\n",
                 retain->from);
    return true;
}

/* Others may hold the table for long: they go first, again and again, for a while. */
static bool retire(struct retain *retain, const char *month)
{
    struct backoff backoff;
    const struct sql_parameter parameter = sql_text(month);
    const int64_t end_ms = clock_now_ms() + LOCK_PATIENCE_S * INT64_C(1000);
    backoff_init(&backoff, 100, 5000, (uint64_t)clock_wall_ms() | 1);
    while (!run(retain, "SELECT winnow.retire_event_month($1::date)", &parameter, 1, NULL)) {
        const bool locked =
            strcmp(retain->fault.sqlstate, "55P03") == 0 || strcmp(retain->fault.sqlstate, "40P01") == 0;
        if (!locked || clock_now_ms() >= end_ms || signals_look_for_stop()) return false;
        (void)!signals_wait(NULL, 0, backoff_next_ms(&backoff));
    }
    return true;
}

static bool drop_retired(struct retain *retain)
{
    for (;;) {
        struct rows *rows = NULL;
        if (!run(retain,
                 "SELECT to_char(month, 'YYYY-MM'), event_count, amount_sum FROM winnow.drop_retired_month()",
                 NULL, 0, &rows)) {
            return false;
        }
        const bool dropped = !rows_is_null(rows, 0, 0);
        progress_hide(&retain->progress);
        if (dropped)
            (void)printf("%s: dropped %s %s with sum %s\n", rows_text(rows, 0, 0), rows_text(rows, 0, 1),
                         counted(rows_int(rows, 0, 1), "event", "events"), rows_text(rows, 0, 2));
        rows_free(rows);
        if (!dropped) return true;
    }
}

static bool drop_without_partition(struct retain *retain)
{
    const struct sql_parameter keep = sql_text(keep_text);
    int64_t total = 0;
    for (int64_t dropped = 1; dropped > 0; total += dropped) {
        struct rows *rows = NULL;
        if (signals_look_for_stop() ||
            !run(retain, "SELECT winnow.drop_default_events($1::interval, " ROWS_IN_ONE_GO ")", &keep, 1,
                 &rows)) {
            return false;
        }
        dropped = rows_int(rows, 0, 0);
        rows_free(rows);
    }
    progress_hide(&retain->progress);
    if (total > 0)
        (void)printf("dropped %" PRId64 " %s of months without a partition\n", total,
                     counted(total, "event", "events"));
    return true;
}

static bool drop_months(struct retain *retain, const struct rows *plan)
{
    if (!drop_retired(retain)) return false; /* what a killed run has left */
    for (size_t i = 0; i < rows_count(plan); i++) {
        if (rows_int(plan, i, 4) == 0) continue;
        progress_update(&retain->progress, (int64_t)i, (int64_t)i);
        if (signals_look_for_stop() || !retire(retain, rows_text(plan, i, 1)) || !drop_retired(retain))
            return false;
    }
    return drop_without_partition(retain);
}

/* The rows of one partition, a piece at a time. */
static bool merge_partition(struct retain *retain, const struct rows *rows, size_t row, int64_t *total)
{
    char from[24] = "0";
    for (bool more = true; more;) {
        struct rows *answer = NULL;
        const struct sql_parameter parameters[] = {sql_text(rows_text(rows, row, 0)),
                                                   sql_text(rows_text(rows, row, 1)), sql_text(from),
                                                   sql_text(merge_text)};
        if (signals_look_for_stop() ||
            !run(retain,
                 "SELECT next_from, removed FROM winnow.merge_batches($1::smallint, $2::integer, $3::bigint,"
                 " now() - $4::interval, " MERGE_IN_ONE_GO ")",
                 parameters, ARRAY_COUNT(parameters), &answer)) {
            return false;
        }
        more = !rows_is_null(answer, 0, 0);
        (void)snprintf(from, sizeof(from), "%s", rows_text(answer, 0, 0));
        *total += rows_int(answer, 0, 1);
        rows_free(answer);
    }
    return true;
}

static bool merge_account(struct retain *retain)
{
    struct rows *rows = NULL;
    int64_t total = 0;
    progress_note(&retain->progress, "merging the account");
    bool done =
        run(retain, "SELECT stream_id, partition FROM winnow.processing_log ORDER BY 1, 2", NULL, 0, &rows);
    for (size_t i = 0; done && i < rows_count(rows); i++) done = merge_partition(retain, rows, i, &total);
    if (done) rows_free(rows);
    progress_hide(&retain->progress);
    if (done) (void)printf("the account has %" PRId64 " %s fewer\n", total, counted(total, "row", "rows"));
    return done;
}

static bool tell_plan(struct retain *retain)
{
    struct rows *rows = NULL;
    const struct sql_parameter merge = sql_text(merge_text);
    if (!read_plan_and_tell(retain, &rows)) return false;
    for (size_t i = 0; i < rows_count(rows); i++)
        (void)printf("%s: %s %s with sum %s would be dropped\n", rows_text(rows, i, 0), rows_text(rows, i, 2),
                     counted(rows_int(rows, i, 2), "event", "events"), rows_text(rows, i, 3));
    if (rows_count(rows) == 0) (void)printf("no month would be dropped\n");
    rows_free(rows);
    if (!run(retain,
             "SELECT count(*), count(DISTINCT (stream_id, partition, date_trunc('day', committed_at)))"
             " FROM winnow.batch_log WHERE committed_at < now() - $1::interval AND lost = 0 AND skipped = 0",
             &merge, 1, &rows)) {
        return false;
    }
    if (rows_int(rows, 0, 0) == rows_int(rows, 0, 1))
        (void)printf("no row of the account would be merged\n");
    else
        (void)printf("%s rows of the account would be merged into %s or a few more\n", rows_text(rows, 0, 0),
                     rows_text(rows, 0, 1));
    rows_free(rows);
    return true;
}

static void show_progress(void *context)
{
    progress_tick(context);
}

static bool carry_out(struct retain *retain)
{
    struct rows *plan = NULL;
    if (!take_lock(retain) || !read_plan_and_tell(retain, &plan)) return false;
    progress_begin(&retain->progress, &(struct progress_options){.command = "retain",
                                                                 .unit = "months",
                                                                 .total = (int64_t)rows_count(plan),
                                                                 .quiet = quiet_asked != NULL});
    database_listen(retain->database,
                    &(struct database_listener){.waiting = show_progress, .context = &retain->progress});
    const bool done = drop_months(retain, plan) && merge_account(retain);
    progress_end(&retain->progress);
    rows_free(plan);
    return done;
}

static int complain(const struct retain *retain)
{
    const struct fault *fault = &retain->fault;
    if (retain->refused != 0) return retain->refused;
    if (strncmp(fault->sqlstate, "22", 2) == 0)
        return settings_refuse("retain",
                               "found --keep '%s' and --merge-after '%s', expected times such as '13 "
                               "months' (%s)",
                               keep_text, merge_text, fault->text);
    const bool stopped = signals_stop_asked();
    (void)fprintf(stderr, "winnow retain: %s%s%s\n",
                  stopped ? "interrupted; what is done is written down, run it again to go on" : fault->text,
                  !stopped && fault->sqlstate[0] != '\0' ? ", SQLSTATE " : "",
                  stopped ? "" : fault->sqlstate);
    if (stopped || strcmp(fault->sqlstate, "55P03") == 0) return EXIT_TEMPORARY;
    return fault->status == STATUS_RETRY ? EXIT_UNREACHABLE : EXIT_BAD_CONFIG;
}

static int retain_events(const struct settings *settings)
{
    struct retain retain = {0};
    const struct database_options options = {.conninfo = settings->database,
                                             .application_name = "winnow retain"};
    const bool done = database_open(&options, &retain.database, &retain.fault) && check_keep(&retain) &&
                      (dry_asked != NULL ? tell_plan(&retain) : carry_out(&retain));
    database_close(retain.database);
    return done ? EXIT_DRAINED : complain(&retain);
}

int command_retain(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_retain, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    const bool told = keep_text != NULL && keep_text[0] != '\0';
    if (rest < argc || !told) {
        exit_code = settings_refuse("retain", "found %s, expected --keep TIME, such as --keep '13 months'",
                                    rest < argc         ? argv[rest]
                                    : keep_text == NULL ? "no --keep"
                                                        : "an empty --keep");
    } else {
        exit_code = retain_events(&settings);
    }
    settings_done(&settings);
    return exit_code;
}
