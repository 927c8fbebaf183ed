#include "stuck_sessions.h"

#include "counted.h"
#include "log.h"

/* One that has executed a statement, and waits for the rest of its messages. Only our own role's sessions can
 * be seen and ended. */
static const char end_sql[] =
    "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a "
    "WHERE a.datname = current_database() AND a.usename = current_user "
    "  AND a.application_name = pg_catalog.current_setting('application_name') AND a.pid <> "
    "pg_catalog.pg_backend_pid() "
    "  AND a.state = 'active' AND a.wait_event = 'ClientRead' AND a.backend_xid IS NOT NULL "
    "  AND a.state_change < pg_catalog.clock_timestamp() - interval '5 s'";

void stuck_sessions_end(struct database *database, const char *what)
{
    struct fault fault;
    struct rows *rows = NULL;
    if (!database_run(database, "end stuck sessions", end_sql, NULL, 0, &rows, &fault)) return;
    if (rows_count(rows) > 0) {
        log_line(LOG_LEVEL_WARNING, "stuck_sessions_ended", "%zu %s in the middle of a statement held %s",
                 rows_count(rows),
                 counted((int64_t)rows_count(rows), "session of a worker that stopped",
                         "sessions of workers that stopped"),
                 what);
    }
    rows_free(rows);
}
