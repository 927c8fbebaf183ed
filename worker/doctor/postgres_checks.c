/* The server, the login, the database, the schema. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counted.h"
#include "database_conninfo.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "migrate.h"
#include "shell_quote.h"

/* Opens it at the first call; the fault tells why there is none. */
static void open_once(struct examination *examination)
{
    const struct database_options options = {
        .conninfo = examination->settings->database,
        .application_name = "winnow doctor",
        .read_only = true,
        .connect_timeout_ms = examination->timeout_ms,
        .statement_timeout_ms = examination->timeout_ms,
    };
    if (examination->database_asked) return;
    examination->database_asked = true;
    if (!database_open(&options, &examination->database, &examination->database_fault))
        examination->database = NULL;
}

static bool sqlstate_is(const struct fault *fault, const char *sqlstate)
{
    return strncmp(fault->sqlstate, sqlstate, strlen(sqlstate)) == 0;
}

/* The server let us as far as to ask who we are. */
static bool has_answered(const struct fault *fault)
{
    return sqlstate_is(fault, "28") || sqlstate_is(fault, "3D") || sqlstate_is(fault, "42") ||
           (fault->sqlstate[0] == '\0' && fault->status == STATUS_STOP);
}

/* "host=… port=…", as far as it is told. */
static void print_address(const struct examination *examination, char *ret_text, size_t size)
{
    char *host = conninfo_value(examination->settings->database, "host");
    char *port = conninfo_value(examination->settings->database, "port");
    (void)snprintf(ret_text, size, "%s port %s", host == NULL ? "the local socket" : host,
                   port == NULL ? "5432" : port);
    free(host);
    free(port);
}

/* A session that was lost is told by the check that lost it. */
static bool ask_with(struct examination *examination, struct finding *finding, const char *sql,
                     const struct sql_parameter *parameters, size_t count, struct rows **ret_rows)
{
    struct fault fault;
    if (!database_is_alive(examination->database)) {
        finding_add(finding, CHECK_SKIP, "the connection to PostgreSQL was lost before");
        return false;
    }
    if (database_run(examination->database, "doctor", sql, parameters, count, ret_rows, &fault)) return true;
    finding_add(finding, CHECK_FAIL, "%s%s%s", fault.text, fault.sqlstate[0] != '\0' ? ", SQLSTATE " : "",
                fault.sqlstate);
    return false;
}

bool ask_database(struct examination *examination, struct finding *finding, const char *sql,
                  struct rows **ret_rows)
{
    return ask_with(examination, finding, sql, NULL, 0, ret_rows);
}

bool ask_with_age(struct examination *examination, struct finding *finding, const char *sql,
                  struct rows **ret_rows)
{
    char seconds[32];
    (void)snprintf(seconds, sizeof seconds, "%" PRId64, examination->transaction_age_s);
    const struct sql_parameter age = sql_text(seconds);
    return ask_with(examination, finding, sql, &age, 1, ret_rows);
}

bool ask_stream(struct examination *examination, struct finding *finding, const char *sql,
                struct rows **ret_rows)
{
    const struct sql_parameter parameters[] = {sql_text(examination->settings->group),
                                               sql_text(examination->settings->topic)};
    return ask_with(examination, finding, sql, parameters, ARRAY_COUNT(parameters), ret_rows);
}

void examine_postgresql(struct examination *examination, struct finding *ret_finding)
{
    char address[512];
    const struct fault *fault = &examination->database_fault;
    open_once(examination);
    print_address(examination, address, sizeof address);
    if (examination->database == NULL && !has_answered(fault)) {
        finding_add(ret_finding, CHECK_FAIL, "%s", fault->text);
        if (sqlstate_is(fault, "53"))
            mend_psql(examination, ret_finding, SUPERUSER, NULL,
                      "SELECT pid, usename, application_name, state, state_change FROM pg_stat_activity "
                      "ORDER BY 5");
        else
            mend_run(ret_finding, "sudo systemctl start postgresql   # on %s", address);
        return;
    }
    struct rows *rows = NULL;
    if (examination->database == NULL) {
        finding_add(ret_finding, CHECK_OK, "answers at %s", address);
    } else if (ask_database(examination, ret_finding, "SELECT current_setting('server_version')", &rows)) {
        finding_add(ret_finding, CHECK_OK, "%s at %s", rows_text(rows, 0, 0), address);
        rows_free(rows);
    }
}

/* One that stands in the conninfo would win. */
static void mend_password(struct examination *examination, struct finding *finding, const char *user)
{
    char word[1024];
    if (examination->settings->database_password_file != NULL) {
        shell_quote(examination->settings->database_password_file, word, sizeof word);
        mend_run(finding, "read -rs PASSWORD && printf %%s \"$PASSWORD\" > %s   # type the password of %s",
                 word, user);
        return;
    }
    char *address = conninfo_for(examination->settings->database, NULL, NULL);
    bool holds_one = strstr(examination->settings->database, "password") != NULL ||
                     strstr(examination->settings->database, "://") != NULL;
    shell_quote(address, word, sizeof word);
    free(address);
    mend_run(finding, "read -rs PGPASSWORD && export PGPASSWORD%s%s   # type the password of %s",
             holds_one ? " WINNOW_DATABASE=" : "", holds_one ? word : "", user);
}

static void mend_login(struct examination *examination, struct finding *finding, const char *user)
{
    const struct fault *fault = &examination->database_fault;
    if (strstr(fault->text, "does not exist") != NULL)
        mend_psql(examination, finding, SUPERUSER, "postgres",
                  "CREATE ROLE \"%s\" LOGIN IN ROLE winnow_worker", user);
    else if (strstr(fault->text, "not permitted to log in") != NULL)
        mend_psql(examination, finding, SUPERUSER, "postgres", "ALTER ROLE \"%s\" LOGIN", user);
    else if (strstr(fault->text, "password") != NULL)
        mend_password(examination, finding, user);
    else
        mend_psql(examination, finding, SUPERUSER, "postgres", "SELECT * FROM pg_hba_file_rules");
}

void examine_login(struct examination *examination, struct finding *ret_finding)
{
    const struct fault *fault = &examination->database_fault;
    char *user = conninfo_value(examination->settings->database, "user");
    bool refused = examination->database == NULL && !sqlstate_is(fault, "3D") && !sqlstate_is(fault, "42");
    if (refused) {
        finding_add(ret_finding, CHECK_FAIL, "%s", fault->text);
        mend_login(examination, ret_finding, user == NULL ? "" : user);
    } else {
        finding_add(ret_finding, CHECK_OK, "as %s", user == NULL ? "?" : user);
    }
    free(user);
}

static void tell_no_database(struct examination *examination, struct finding *ret_finding)
{
    char word[256];
    char address[1024];
    const struct fault *fault = &examination->database_fault;
    char *user = conninfo_value(examination->settings->database, "user");
    char *name = conninfo_value(examination->settings->database, "dbname");
    finding_add(ret_finding, CHECK_FAIL, "%s", fault->text);
    if (sqlstate_is(fault, "3D")) {
        char *superuser = conninfo_for(examination->settings->database, SUPERUSER, "postgres");
        shell_quote(superuser, address, sizeof address);
        shell_quote(name == NULL ? "winnow" : name, word, sizeof word);
        mend_run(ret_finding, "createdb --maintenance-db=%s -E UTF8 -T template0 %s", address, word);
        free(superuser);
    } else {
        mend_psql(examination, ret_finding, SUPERUSER, "postgres",
                  "GRANT CONNECT ON DATABASE \"%s\" TO \"%s\"", name == NULL ? "" : name,
                  user == NULL ? "" : user);
    }
    free(user);
    free(name);
}

/* A new one: an encoding cannot be changed. */
static void mend_encoding(const struct examination *examination, struct finding *finding, const char *name)
{
    char word[256];
    char other[128];
    char address[512];
    char other_address[512];
    (void)snprintf(other, sizeof other, "%s_utf8", name);
    char *superuser = conninfo_for(examination->settings->database, SUPERUSER, "postgres");
    char *ours = conninfo_for(examination->settings->database, NULL, other);
    shell_quote(superuser, address, sizeof address);
    shell_quote(other, word, sizeof word);
    shell_quote(ours, other_address, sizeof other_address);
    mend_run(finding,
             "createdb --maintenance-db=%s -E UTF8 -T template0 %s && winnow migrate -d %s && export "
             "WINNOW_DATABASE=%s",
             address, word, other_address, other_address);
    free(superuser);
    free(ours);
}

void examine_database(struct examination *examination, struct finding *ret_finding)
{
    struct rows *rows = NULL;
    if (examination->database == NULL) {
        tell_no_database(examination, ret_finding);
        return;
    }
    if (!ask_database(examination, ret_finding,
                      "SELECT current_database(), current_setting('server_encoding')", &rows))
        return;
    if (strcmp(rows_text(rows, 0, 1), "UTF8") == 0) {
        finding_add(ret_finding, CHECK_OK, "%s, UTF8", rows_text(rows, 0, 0));
    } else {
        finding_add(ret_finding, CHECK_FAIL,
                    "%s is in %s, expected UTF8: an encoding cannot be changed, so make another",
                    rows_text(rows, 0, 0), rows_text(rows, 0, 1));
        mend_encoding(examination, ret_finding, rows_text(rows, 0, 0));
    }
    rows_free(rows);
}

void examine_writable(struct examination *examination, struct finding *ret_finding)
{
    struct rows *rows = NULL;
    static const char sql[] = "SELECT pg_is_in_recovery()::int, "
                              "current_setting('default_transaction_read_only'), s.source "
                              "FROM pg_catalog.pg_settings AS s WHERE s.name = "
                              "'default_transaction_read_only'";
    if (!ask_database(examination, ret_finding, sql, &rows)) return;
    if (rows_int(rows, 0, 0) == 1) {
        finding_add(ret_finding, CHECK_FAIL,
                    "a standby, which takes no writes: name the primary, or all hosts, in -d");
        mend_psql(examination, ret_finding, SUPERUSER, "postgres",
                  "SELECT sender_host, sender_port FROM pg_stat_wal_receiver");
    } else if (strcmp(rows_text(rows, 0, 1), "on") != 0) {
        finding_add(ret_finding, CHECK_OK, "takes writes");
    } else {
        finding_add(ret_finding, CHECK_FAIL, "default_transaction_read_only is on, by the %s",
                    rows_text(rows, 0, 2));
        mend_server_setting(examination, ret_finding, "default_transaction_read_only", "off",
                            rows_text(rows, 0, 2));
    }
    rows_free(rows);
}

static void read_owner(struct examination *examination, struct finding *ret_finding)
{
    struct rows *rows = NULL;
    if (!ask_database(examination, ret_finding,
                      "SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname "
                      "= 'winnow'",
                      &rows))
        return;
    if (rows_count(rows) == 1)
        (void)snprintf(examination->owner, sizeof examination->owner, "%s", rows_text(rows, 0, 0));
    rows_free(rows);
}

void examine_schema(struct examination *examination, struct finding *ret_finding)
{
    struct fault fault = {0};
    struct migration_plan plan = {0};
    read_owner(examination, ret_finding);
    bool read = migration_plan_read(examination->database, &plan, &fault);
    if (read && migration_plan_check(&plan, false, &fault)) {
        finding_add(ret_finding, CHECK_OK, "version %" PRId64 ", owned by %s",
                    plan.lines[plan.count - 1].version, examination->owner);
    } else if (!read && strcmp(fault.sqlstate, "42501") == 0) {
        char *user = conninfo_value(examination->settings->database, "user");
        finding_add(ret_finding, CHECK_FAIL, "this login may not see it: %s", fault.text);
        mend_psql(examination, ret_finding, examination->owner, NULL, "GRANT winnow_worker TO \"%s\"",
                  user == NULL ? "" : user);
        free(user);
    } else {
        finding_add(ret_finding, CHECK_FAIL, "%s", fault.text);
        bool older = read && migration_plan_check(&plan, true, &fault);
        mend_run(ret_finding, older ? "winnow migrate%s" : "winnow migrate status%s",
                 examination->flags_migrate);
    }
    migration_plan_done(&plan);
}

/* What a worker does, and what lets it; one row for each privilege that is missing. */
static const char privileges_sql[] =
    "SELECT p || ' on winnow.' || w.name FROM (VALUES ('event', '{SELECT,INSERT}'), "
    "('stream', '{SELECT,INSERT,UPDATE}'), ('processing_log', '{SELECT,INSERT,UPDATE}'), "
    "('rollup_hour', '{SELECT,INSERT,UPDATE}'), ('rollup_day', '{SELECT,INSERT,UPDATE}'), "
    "('rollup_client', '{SELECT,INSERT,UPDATE}'), ('rollup_metric', '{SELECT,INSERT,UPDATE}'), "
    "('dead_letter_count', '{SELECT,INSERT,UPDATE}'), ('batch_log', '{INSERT}'), "
    "('dead_letter', '{SELECT,INSERT}'), ('schema_migration', '{SELECT}')) AS w (name, privileges) "
    "CROSS JOIN unnest(w.privileges::text[]) AS p WHERE NOT has_table_privilege('winnow.' || w.name, p) "
    "UNION ALL SELECT 'UPDATE of published_at on winnow.dead_letter' "
    "WHERE NOT has_column_privilege('winnow.dead_letter', 'published_at', 'UPDATE') "
    "UNION ALL SELECT 'EXECUTE on ' || f FROM unnest(ARRAY['winnow.ensure_event_month(date)', "
    "'winnow.ensure_event_months_ahead()', 'winnow.count_outcomes(smallint, integer[])']) AS f "
    "WHERE NOT has_function_privilege(f, 'EXECUTE') "
    "UNION ALL SELECT 'SELECT on analytics.completeness' "
    "WHERE NOT has_table_privilege('analytics.completeness', 'SELECT')";

static const char roles_sql[] =
    "SELECT r.name, current_user, coalesce((SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname "
    "= current_user), false)::int, coalesce(pg_has_role(p.oid, 'MEMBER'), "
    "false)::int, "
    "(p.oid IS NULL)::int FROM (VALUES (1, 'winnow_worker'), (2, 'winnow_operator'), (3, 'winnow_analyst'), "
    "(4, 'winnow_console'), (5, 'winnow_retry')) AS r (place, name) LEFT JOIN pg_catalog.pg_roles AS p ON "
    "p.rolname "
    "= r.name::name ORDER BY r.place";

static bool tell_missing_role(struct examination *examination, struct finding *ret_finding,
                              const struct rows *roles)
{
    for (size_t row = 0; row < rows_count(roles); row++) {
        if (rows_int(roles, row, 4) == 0) continue;
        finding_add(ret_finding, CHECK_WARN, "the role %s is missing", rows_text(roles, row, 0));
        mend_psql(examination, ret_finding, SUPERUSER, NULL, "SELECT winnow.grant_privileges()");
        return true;
    }
    return false;
}

static void tell_missing_privilege(struct examination *examination, struct finding *ret_finding,
                                   const struct rows *missing, const struct rows *roles)
{
    bool is_member = rows_int(roles, 0, 3) == 1;
    finding_add(ret_finding, CHECK_FAIL, "%s may not do what a worker does: %zu %s missing, the first is %s",
                rows_text(roles, 0, 1), rows_count(missing),
                counted((int64_t)rows_count(missing), "privilege is", "privileges are"),
                rows_text(missing, 0, 0));
    if (is_member)
        mend_psql(examination, ret_finding, examination->owner, NULL, "SELECT winnow.grant_privileges()");
    else
        mend_psql(examination, ret_finding, SUPERUSER, NULL, "GRANT winnow_worker TO \"%s\"",
                  rows_text(roles, 0, 1));
}

void examine_privileges(struct examination *examination, struct finding *ret_finding)
{
    struct rows *missing = NULL;
    struct rows *roles = NULL;
    if (ask_database(examination, ret_finding, privileges_sql, &missing) &&
        ask_database(examination, ret_finding, roles_sql, &roles)) {
        bool complete = rows_count(missing) == 0;
        if (complete && !tell_missing_role(examination, ret_finding, roles))
            finding_add(ret_finding, CHECK_OK, "%s may do what a worker does%s", rows_text(roles, 0, 1),
                        rows_int(roles, 0, 2) == 1 ? ", being a superuser; workers need only winnow_worker"
                                                   : "");
        if (!complete) tell_missing_privilege(examination, ret_finding, missing, roles);
    }
    rows_free(missing);
    rows_free(roles);
}
