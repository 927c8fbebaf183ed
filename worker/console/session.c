#include "console/session.h"

#define STATEMENT_TIMEOUT_MS INT64_C(20000)
#define OUTCOME_TIMEOUT_MS   INT64_C(2000) /* somebody waits for it, most often five seconds in all */
#define CONNECT_TIMEOUT_MS   INT64_C(3000)

/* A login that may do more is then as harmless as one that may not. Where the role was not granted the
 * login's own privileges hold. */
#define LESSER_ROLE(name) \
    "(SELECT pg_catalog.set_config('role', rolname, false) FROM pg_catalog.pg_roles WHERE rolname " \
    "OPERATOR(pg_catalog.=) '" name "' AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER'))"

/* What people filter by decides how a query is best answered. It takes some ten milliseconds; helpers would
 * have to be started first, and who comes next would miss them. Who asks for one all the same
 * (event_reader.c) knows better than the planner how much there is to do. */
#define PLAN_EACH \
    "pg_catalog.set_config('plan_cache_mode', 'force_custom_plan', false), " \
    "pg_catalog.set_config('max_parallel_workers_per_gather', '0', false), " \
    "pg_catalog.set_config('cpu_tuple_cost', '0.01', false), " \
    "pg_catalog.set_config('jit', 'off', false)"

#define SQL_READ \
    "SELECT pg_catalog.set_config('default_transaction_read_only', 'on', false), " PLAN_EACH \
    ", " LESSER_ROLE("winnow_console")

static const struct {
    const char *application_name;
    bool read_only;
    int64_t timeout_ms;
    const char *sql;
} kinds[SESSION_KIND_COUNT] = {
    [SESSION_READ] = {"winnow console", true, STATEMENT_TIMEOUT_MS, SQL_READ},
    [SESSION_OUTCOME] = {"winnow console outcome", true, OUTCOME_TIMEOUT_MS, SQL_READ},
    [SESSION_UPKEEP] = {"winnow console upkeep", false, STATEMENT_TIMEOUT_MS,
                        "SELECT " LESSER_ROLE("winnow_console")},
    [SESSION_RETRY] = {"winnow console retry", false, STATEMENT_TIMEOUT_MS,
                       "SELECT " LESSER_ROLE("winnow_retry")},
    [SESSION_FAULT] = {"winnow console fault", true, STATEMENT_TIMEOUT_MS, "SELECT"},
};

static bool open_session(const struct settings *settings, enum session_kind kind,
                         struct database **ret_database, struct fault *ret_fault)
{
    struct database *database = NULL;
    const struct database_options options = {
        .conninfo = settings->database,
        .application_name = kinds[kind].application_name,
        .read_only = kinds[kind].read_only,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = kinds[kind].timeout_ms,
    };
    if (!database_open(&options, &database, ret_fault)) return false;
    if (!database_run(database, "role", kinds[kind].sql, NULL, 0, NULL, ret_fault)) {
        database_close(database);
        return false;
    }
    *ret_database = database;
    return true;
}

/* The server's farewell comes first, and then the end of the connection. */
static bool was_lost(struct database *database)
{
    struct rows *rows = NULL; /* none: nothing was asked */
    struct fault fault;
    for (int look = 0; look < 2; look++) {
        if (database_poll(database, &rows, &fault) == DATABASE_FAILED) return true;
    }
    return !database_is_alive(database);
}

bool session_keep(const struct settings *settings, enum session_kind kind, struct database **database,
                  struct fault *ret_fault)
{
    if (*database != NULL && database_is_alive(*database) && !was_lost(*database)) return true;
    database_close(*database);
    *database = NULL;
    return open_session(settings, kind, database, ret_fault);
}
