/* The database's own list (winnow.schema_migration) is the truth about what was applied. Every difference
 * from the list in the binary is told apart, since each asks for something else of the operator. */
#include "migrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "clock.h"
#include "signals.h"

#define LOCK_KEY     "7164083951624937265" /* any number that no other program uses */
#define ATTEMPTS_MAX 5                     /* at a file */

static const char bookkeeping_sql[] =
    "DO $$ BEGIN IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN"
    "  RAISE EXCEPTION 'the database is encoded in %, and events are in UTF8: make another one by"
    " CREATE DATABASE name ENCODING ''UTF8'' TEMPLATE template0', pg_catalog.getdatabaseencoding();"
    "END IF; END $$;"
    "CREATE SCHEMA IF NOT EXISTS winnow;"
    "CREATE TABLE IF NOT EXISTS winnow.schema_migration ("
    "  version bigint PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
    "  applied_at timestamptz NOT NULL DEFAULT now(), applied_by text NOT NULL DEFAULT current_user,"
    "  execution_ms bigint NOT NULL);"
    "COMMENT ON TABLE winnow.schema_migration IS"
    "  'Migrations that were applied to this database, one row a file. Written by winnow migrate.';"
    "COMMENT ON COLUMN winnow.schema_migration.version IS 'Number in front of the file''s name.';"
    "COMMENT ON COLUMN winnow.schema_migration.name IS 'Name of the file, without .up.sql.';"
    "COMMENT ON COLUMN winnow.schema_migration.sha256 IS 'SHA-256 of the file as it was applied.';"
    "COMMENT ON COLUMN winnow.schema_migration.applied_at IS 'When it was applied.';"
    "COMMENT ON COLUMN winnow.schema_migration.applied_by IS 'The role that applied it.';"
    "COMMENT ON COLUMN winnow.schema_migration.execution_ms IS 'How long it took, in milliseconds.';";

static const char list_sql[] =
    "SELECT version, name, sha256, to_char(applied_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    " FROM winnow.schema_migration ORDER BY version";

const char *migration_state_name(enum migration_state state)
{
    static const char *const names[] = {
        [MIGRATION_APPLIED] = "applied",
        [MIGRATION_PENDING] = "pending",
        [MIGRATION_CHANGED] = "changed",
        [MIGRATION_UNKNOWN] = "unknown",
    };
    return names[state];
}

static char *copy(const char *text)
{
    char *copied = strdup(text);
    if (copied == NULL) abort();
    return copied;
}

static void add_line(struct migration_plan *plan, int64_t version, const char *name, const char *applied_at,
                     enum migration_state state)
{
    struct migration_line *lines = realloc(plan->lines, (plan->count + 1) * sizeof(*lines));
    if (lines == NULL) abort();
    lines[plan->count++] = (struct migration_line){
        .version = version, .name = copy(name), .applied_at = copy(applied_at), .state = state};
    plan->lines = lines;
}

static enum migration_state compare(const struct migration *migration, const char *sha256)
{
    return strcmp(migration->sha256, sha256) == 0 ? MIGRATION_APPLIED : MIGRATION_CHANGED;
}

/* Merges two sorted lists: the binary's, and the database's (rows NULL: it has none). */
static void merge(struct migration_plan *plan, const struct rows *rows)
{
    size_t row = 0;
    size_t row_count = rows == NULL ? 0 : rows_count(rows);
    for (size_t i = 0; i < migration_count || row < row_count;) {
        const int64_t ours = i < migration_count ? migrations[i].version : INT64_MAX;
        const int64_t theirs = row < row_count ? rows_int(rows, row, 0) : INT64_MAX;
        if (ours < theirs) {
            add_line(plan, ours, migrations[i++].name, "", MIGRATION_PENDING);
            continue;
        }
        enum migration_state state = MIGRATION_UNKNOWN;
        if (ours == theirs) state = compare(&migrations[i++], rows_text(rows, row, 2));
        add_line(plan, theirs, rows_text(rows, row, 1), rows_text(rows, row, 3), state);
        row++;
    }
}

static bool bookkeeping_exists(struct database *database, bool *ret_exists, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!database_run(database, "migrate", "SELECT (to_regclass('winnow.schema_migration') IS NOT NULL)::int",
                      NULL, 0, &rows, ret_fault)) {
        return false;
    }
    *ret_exists = rows_int(rows, 0, 0) == 1;
    rows_free(rows);
    return true;
}

bool migration_plan_read(struct database *database, struct migration_plan *ret_plan, struct fault *ret_fault)
{
    *ret_plan = (struct migration_plan){0};
    bool exists;
    struct rows *rows = NULL;
    if (!bookkeeping_exists(database, &exists, ret_fault)) return false;
    if (exists && !database_run(database, "migrate", list_sql, NULL, 0, &rows, ret_fault)) return false;
    merge(ret_plan, rows);
    rows_free(rows);
    return true;
}

void migration_plan_done(struct migration_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->lines[i].name);
        free(plan->lines[i].applied_at);
    }
    free(plan->lines);
    *plan = (struct migration_plan){0};
}

static const struct migration_line *find_state(const struct migration_plan *plan, enum migration_state state)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->lines[i].state == state) return &plan->lines[i];
    }
    return NULL;
}

/* "at version 2", or "empty". */
static void describe_version(const struct migration_plan *plan, char *out, size_t out_size)
{
    (void)snprintf(out, out_size, "empty");
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->lines[i].state == MIGRATION_PENDING) continue;
        (void)snprintf(out, out_size, "at version %" PRId64, plan->lines[i].version);
    }
}

bool migration_plan_check(const struct migration_plan *plan, bool pending_allowed, struct fault *ret_fault)
{
    const struct migration_line *changed = find_state(plan, MIGRATION_CHANGED);
    const struct migration_line *unknown = find_state(plan, MIGRATION_UNKNOWN);
    const int64_t newest = migration_count == 0 ? 0 : migrations[migration_count - 1].version;
    char version[64];
    describe_version(plan, version, sizeof(version));
    if (changed != NULL) {
        fault_set(
            ret_fault, STATUS_STOP, "migrate",
            "migration %s is not the file that was applied to this database on %s; files are never changed "
            "once applied: run the winnow that applied it, see `winnow migrate status`",
            changed->name, changed->applied_at);
    } else if (unknown != NULL) {
        fault_set(ret_fault, STATUS_STOP, "migrate",
                  "the database's schema is %s (%s) and newer than this winnow, which knows version %" PRId64
                  ": run a newer winnow, see `winnow migrate status`",
                  version, unknown->name, newest);
    } else if (!pending_allowed && find_state(plan, MIGRATION_PENDING) != NULL) {
        fault_set(ret_fault, STATUS_STOP, "migrate",
                  "the database's schema is %s and this winnow needs version %" PRId64
                  ": run `winnow migrate`",
                  version, newest);
    } else {
        return true;
    }
    return false;
}

bool migrate_check(struct database *database, struct fault *ret_fault)
{
    struct migration_plan plan;
    const bool good =
        migration_plan_read(database, &plan, ret_fault) && migration_plan_check(&plan, false, ret_fault);
    migration_plan_done(&plan);
    return good;
}

static bool run(struct database *database, const char *site, const char *sql, struct fault *ret_fault)
{
    return database_run(database, site, sql, NULL, 0, NULL, ret_fault);
}

static bool write_down(struct database *database, const struct migration *migration, int64_t ms,
                       struct fault *ret_fault)
{
    char version[24];
    char execution_ms[24];
    (void)snprintf(version, sizeof(version), "%" PRId64, migration->version);
    (void)snprintf(execution_ms, sizeof(execution_ms), "%" PRId64, ms);
    const struct sql_parameter parameters[] = {
        {.type = SQL_INT8, .data = version},
        {.type = SQL_TEXT, .data = migration->name},
        {.type = SQL_TEXT, .data = migration->sha256},
        {.type = SQL_INT8, .data = execution_ms},
    };
    return database_run(database, migration->name,
                        "INSERT INTO winnow.schema_migration (version, name, sha256, execution_ms)"
                        " VALUES ($1, $2, $3, $4)",
                        parameters, ARRAY_COUNT(parameters), NULL, ret_fault);
}

static bool apply_once(struct database *database, const struct migration *migration, int64_t start_ms,
                       struct fault *ret_fault)
{
    const char *site = migration->name;
    if (!run(database, site, "BEGIN", ret_fault)) return false;
    const bool done = run(database, site, (const char *)migration->sql, ret_fault) &&
                      write_down(database, migration, clock_now_ms() - start_ms, ret_fault) &&
                      run(database, site, "COMMIT", ret_fault);
    struct fault ignored; /* the first one is told */
    if (!done && database_is_alive(database) && !run(database, site, "ROLLBACK", &ignored)) return false;
    return done;
}

/* Roles belong to the whole cluster. While another of its databases is migrated, a role that is there for
 * queries may still be missing for GRANT (undefined_object), or a row of theirs be in somebody else's hands:
 * both are over a moment later. */
static bool is_of_neighbours(const struct fault *fault)
{
    return strcmp(fault->sqlstate, "42704") == 0 ||
           (strcmp(fault->sqlstate, "XX000") == 0 && strstr(fault->text, "concurrently") != NULL);
}

bool migrate_apply(struct database *database, const struct migration *migration, int64_t *ret_ms,
                   struct fault *ret_fault)
{
    const int64_t start_ms = clock_now_ms();
    struct backoff backoff;
    bool exists;
    if (!bookkeeping_exists(database, &exists, ret_fault)) return false;
    if (!exists && !run(database, migration->name, bookkeeping_sql, ret_fault)) return false;
    backoff_init(&backoff, BACKOFF_SERVER_FLOOR_MS, BACKOFF_SERVER_CEILING_MS, (uint64_t)start_ms | 1);
    while (!apply_once(database, migration, start_ms, ret_fault)) {
        if (!is_of_neighbours(ret_fault) || !database_is_alive(database) ||
            backoff.attempts >= ATTEMPTS_MAX - 1)
            return false;
        (void)!signals_wait(NULL, 0, backoff_next_ms(&backoff));
    }
    *ret_ms = clock_now_ms() - start_ms;
    return true;
}

bool migrate_lock(struct database *database, bool wait, bool *ret_taken, struct fault *ret_fault)
{
    struct rows *rows = NULL;
    const char *sql = wait ? "SET lock_timeout = '5min'; SELECT pg_advisory_lock(" LOCK_KEY ");"
                             " SET lock_timeout = '10s'; SELECT 1"
                           : "SELECT pg_try_advisory_lock(" LOCK_KEY ")::int";
    if (!database_run(database, "lock", sql, NULL, 0, &rows, ret_fault)) return false;
    *ret_taken = rows_int(rows, 0, 0) == 1;
    rows_free(rows);
    return true;
}
