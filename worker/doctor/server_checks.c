/* The server beyond winnow's own tables: durability, connections, locks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/examination.h"
#include "doctor/mend.h"

#define CONNECTIONS_A_WORKER 2 /* one stores, one publishes dead letters */

void examine_durability(struct examination *examination, struct finding *ret_finding)
{
    static const struct {
        const char *name;
        enum verdict verdict;
        const char *text;
    } dangers[] = {
        {"full_page_writes", CHECK_WARN,
         "full_page_writes is off: a power failure can tear pages, unless the file system writes them whole"},
        {"synchronous_commit", CHECK_WARN,
         "synchronous_commit is off: a crash takes back what was just acknowledged; winnow reads it again, "
         "the console's "
         "answers are gone"},
        {"fsync", CHECK_FAIL, "fsync is off: a power failure can destroy the database"},
    };
    struct rows *rows = NULL;
    if (!ask_database(examination, ret_finding,
                      "SELECT name, setting, source FROM pg_catalog.pg_settings WHERE name = ANY "
                      "('{fsync,synchronous_commit,full_page_writes}')",
                      &rows))
        return;
    for (size_t i = 0; i < ARRAY_COUNT(dangers); i++) {
        for (size_t row = 0; row < rows_count(rows); row++) {
            if (strcmp(rows_text(rows, row, 0), dangers[i].name) != 0 ||
                strcmp(rows_text(rows, row, 1), "off") != 0)
                continue;
            finding_add(ret_finding, dangers[i].verdict, "%s", dangers[i].text);
            mend_server_setting(examination, ret_finding, dangers[i].name, "on", rows_text(rows, row, 2));
        }
    }
    if (ret_finding->verdict == CHECK_OK)
        finding_add(ret_finding, CHECK_OK, "fsync, synchronous_commit and full_page_writes are on");
    rows_free(rows);
}

/* Sessions of other roles cannot be told apart, but they can be counted. */
void examine_connections(struct examination *examination, struct finding *ret_finding)
{
    static const char sql[] = "SELECT current_setting('max_connections')::int "
                              "- current_setting('superuser_reserved_connections')::int, "
                              "(SELECT sum(numbackends) FROM pg_catalog.pg_stat_database), "
                              "(SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = "
                              "current_user "
                              "AND application_name ~ '^winnow worker'), "
                              "(SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user), "
                              "current_user";
    struct rows *rows = NULL;
    char name[SQL_NAME_SIZE];
    if (!ask_database(examination, ret_finding, sql, &rows)) return;
    int64_t room = rows_int(rows, 0, 0) - rows_int(rows, 0, 1);
    int64_t needed = examination->settings->workers * CONNECTIONS_A_WORKER - rows_int(rows, 0, 2);
    int64_t limit = rows_int(rows, 0, 3);
    finding_add(ret_finding, CHECK_OK,
                "%" PRId64 " of %" PRId64 " in use, a pool of %" PRId64 " takes up to %" PRId64,
                rows_int(rows, 0, 1), rows_int(rows, 0, 0), examination->settings->workers,
                examination->settings->workers * CONNECTIONS_A_WORKER);
    if (limit >= 0 && limit < examination->settings->workers * CONNECTIONS_A_WORKER) {
        finding_add(ret_finding, CHECK_WARN, "%s may have only %" PRId64, rows_text(rows, 0, 4), limit);
        mend_psql(examination, ret_finding, SUPERUSER, NULL, "ALTER ROLE %s CONNECTION LIMIT -1",
                  sql_name(rows_text(rows, 0, 4), name));
    } else if (room < needed) {
        finding_add(ret_finding, CHECK_WARN, "too few are left");
        mend_psql(examination, ret_finding, SUPERUSER, NULL, "ALTER SYSTEM SET max_connections = %" PRId64,
                  rows_int(rows, 0, 0) + needed + 10);
        mend_run(ret_finding, "sudo systemctl restart postgresql");
    }
    rows_free(rows);
}

/* ---- locks and old transactions ----------------------------------------------------------------------- */

/* Who keeps others waiting for a table of winnow. pg_locks shows everybody's. */
static const char waiting_sql[] =
    "SELECT w.relation::regclass::text, b.pid, coalesce(a.usename::text, '?'), "
    "coalesce(a.application_name, "
    "''), date_part('epoch', clock_timestamp() - "
    "w.waitstart)::bigint "
    "FROM pg_catalog.pg_locks AS w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) "
    "AS b (pid) "
    "LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid "
    "JOIN pg_catalog.pg_class AS c ON c.oid = w.relation "
    "WHERE NOT w.granted AND c.relnamespace = 'winnow'::regnamespace "
    "AND w.waitstart < clock_timestamp() - interval '1 "
    "second' "
    "ORDER BY w.waitstart LIMIT 1";

static const char oldest_sql[] =
    "SELECT pid, usename, application_name, state, date_part('epoch', clock_timestamp() - "
    "xact_start)::bigint "
    "FROM pg_catalog.pg_stat_activity WHERE datname = current_database() "
    "AND xact_start < clock_timestamp() - $1::int * interval '1 second' ORDER BY xact_start LIMIT 1";

static const char prepared_sql[] =
    "SELECT gid, quote_literal(gid), date_part('epoch', clock_timestamp() - prepared)::bigint "
    "FROM pg_catalog.pg_prepared_xacts WHERE database = current_database() "
    "AND prepared < clock_timestamp() - $1::int * interval '1 second' ORDER BY prepared LIMIT 1";

/* Autovacuum freezes what is older than its setting: at twice that it has been kept from it for long. */
static const char horizon_sql[] =
    "SELECT age(datfrozenxid) / 1000, current_setting('autovacuum_freeze_max_age')::bigint / 1000, "
    "pg_has_role('pg_read_all_stats', 'USAGE')::int FROM pg_catalog.pg_database "
    "WHERE datname = current_database()";

static void tell_waiting(struct examination *examination, struct finding *finding)
{
    struct rows *rows = NULL;
    if (!ask_database(examination, finding, waiting_sql, &rows)) return;
    if (rows_count(rows) > 0) {
        finding_add(finding, CHECK_FAIL,
                    "%s is locked by process %s of %s (%s), for which others wait since %s s",
                    rows_text(rows, 0, 0), rows_text(rows, 0, 1), rows_text(rows, 0, 2),
                    rows_text(rows, 0, 3), rows_text(rows, 0, 4));
        mend_psql(examination, finding, SUPERUSER, NULL, "SELECT pg_terminate_backend(%s)",
                  rows_text(rows, 0, 1));
    }
    rows_free(rows);
}

static void tell_oldest(struct examination *examination, struct finding *finding)
{
    struct rows *rows = NULL;
    if (!ask_with_age(examination, finding, oldest_sql, &rows)) return;
    if (rows_count(rows) > 0) {
        finding_add(finding, CHECK_WARN,
                    "a transaction of %s (%s, %s) is open for %s s and keeps vacuum from its work",
                    rows_text(rows, 0, 1), rows_text(rows, 0, 2), rows_text(rows, 0, 3),
                    rows_text(rows, 0, 4));
        mend_psql(examination, finding, SUPERUSER, NULL, "SELECT pg_terminate_backend(%s)",
                  rows_text(rows, 0, 0));
    }
    rows_free(rows);
}

static void tell_prepared(struct examination *examination, struct finding *finding)
{
    struct rows *rows = NULL;
    if (!ask_with_age(examination, finding, prepared_sql, &rows)) return;
    if (rows_count(rows) > 0) {
        finding_add(finding, CHECK_WARN, "a prepared transaction, %s, waits for %s s to be ended",
                    rows_text(rows, 0, 0), rows_text(rows, 0, 2));
        mend_psql(examination, finding, SUPERUSER, NULL, "ROLLBACK PREPARED %s", rows_text(rows, 0, 1));
    }
    rows_free(rows);
}

static void tell_horizon(struct examination *examination, struct finding *finding)
{
    struct rows *rows = NULL;
    if (!ask_database(examination, finding, horizon_sql, &rows)) return;
    int64_t age = rows_int(rows, 0, 0);
    int64_t limit = rows_int(rows, 0, 1);
    if (age > limit * 2) {
        finding_add(finding, CHECK_WARN,
                    "%" PRId64 " thousand transactions since the database was frozen, which autovacuum does "
                    "after %" PRId64 " thousand; at 2,000,000 thousand it stops taking writes",
                    age, limit);
        mend_psql(examination, finding, SUPERUSER, NULL, "VACUUM FREEZE");
    }
    if (finding->verdict == CHECK_OK)
        finding_add(
            finding, CHECK_OK, "nobody waits for a lock; no transaction is old%s",
            rows_int(rows, 0, 2) == 1 ? "" : " (those of other roles are hidden without pg_read_all_stats)");
    rows_free(rows);
}

void examine_locks(struct examination *examination, struct finding *ret_finding)
{
    tell_waiting(examination, ret_finding);
    tell_oldest(examination, ret_finding);
    tell_prepared(examination, ret_finding);
    tell_horizon(examination, ret_finding);
}
