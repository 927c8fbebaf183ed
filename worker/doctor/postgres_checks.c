/* The server, the login, the database. */
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

#define ENTRY_SIZE (2 * SQL_NAME_SIZE + FAULT_TEXT_SIZE + 40)

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

/* Connections are used up: those of the role, of the database, or of the server, where some are kept for its
 * superuser. */
static void mend_full(const struct examination *examination, struct finding *finding)
{
    char word[WORD_SIZE];
    char sql[SQL_NAME_SIZE];
    const char *text = examination->database_fault.text;
    char *user = conninfo_value(examination->settings->database, "user");
    char *name = conninfo_value(examination->settings->database, "dbname");
    char *superuser = conninfo_for(examination->settings->database, SUPERUSER, "postgres");
    shell_quote(superuser, word, sizeof word);
    if (strstr(text, "for role") != NULL) {
        mend_psql(examination, finding, SUPERUSER, "postgres", "ALTER ROLE %s CONNECTION LIMIT -1",
                  sql_name(user, sql));
    } else if (strstr(text, "for database") != NULL) {
        mend_psql(examination, finding, SUPERUSER, "postgres", "ALTER DATABASE %s CONNECTION LIMIT -1",
                  sql_name(name, sql));
    } else {
        mend_run(finding,
                 "psql -d %s -Atc \"SELECT format('ALTER SYSTEM SET max_connections = %%s', "
                 "current_setting('max_connections')::int + 50)\" | psql -d %s",
                 word, word);
        mend_run(finding, "sudo systemctl restart postgresql");
    }
    free(user);
    free(name);
    free(superuser);
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
            mend_full(examination, ret_finding);
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

/* The line that lets us in, of: no pg_hba.conf entry for host "192.0.2.7", …, no encryption; or "[local]".
 * False: it says something else. */
static bool print_entry(const struct examination *examination, const char *user, char *ret_line, size_t size)
{
    static const char words[] = "no pg_hba.conf entry for host \"";
    char user_name[SQL_NAME_SIZE];
    char database_name[SQL_NAME_SIZE];
    const char *host = strstr(examination->database_fault.text, words);
    if (host == NULL) return false;
    host += sizeof words - 1;
    const int length = (int)strcspn(host, "\"");
    const bool sealed = strstr(host, ", SSL encryption") != NULL;
    char *name = conninfo_value(examination->settings->database, "dbname");
    (void)sql_name(name, database_name);
    (void)sql_name(user, user_name);
    free(name);
    if (strncmp(host, "[local]\"", strlen("[local]\"")) == 0)
        (void)snprintf(ret_line, size, "local %s %s scram-sha-256", database_name, user_name);
    else
        (void)snprintf(ret_line, size, "%s %s %s %.*s/%d scram-sha-256", sealed ? "hostssl" : "host",
                       database_name, user_name, length, host,
                       memchr(host, ':', (size_t)length) != NULL ? 128 : 32);
    return true;
}

static bool mend_missing_entry(struct examination *examination, struct finding *finding, const char *user)
{
    char line[ENTRY_SIZE];
    char line_word[WORD_SIZE];
    char address_word[WORD_SIZE];
    if (!print_entry(examination, user, line, sizeof line)) return false;
    char *superuser = conninfo_for(examination->settings->database, SUPERUSER, "postgres");
    shell_quote(line, line_word, sizeof line_word);
    shell_quote(superuser, address_word, sizeof address_word);
    free(superuser);
    mend_run(finding,
             "echo %s | sudo tee -a \"$(psql -d %s -Atc 'SHOW hba_file')\"   # where PostgreSQL runs",
             line_word, address_word);
    mend_psql(examination, finding, SUPERUSER, "postgres", "SELECT pg_reload_conf()");
    return true;
}

static void mend_login(struct examination *examination, struct finding *finding, const char *user)
{
    char name[SQL_NAME_SIZE];
    const char *const unchanged[] = {NULL}; /* but for the password, which would win */
    const char *conninfo = examination->settings->database;
    const struct fault *fault = &examination->database_fault;
    if (fault->sqlstate[0] == '\0' && strstr(fault->text, "certificate") != NULL)
        mend_database_certificate(examination, finding, fault);
    else if (mend_missing_entry(examination, finding, user))
        return;
    else if (strstr(fault->text, "does not exist") != NULL)
        mend_psql(examination, finding, SUPERUSER, "postgres", "CREATE ROLE %s LOGIN IN ROLE winnow_worker",
                  sql_name(user, name));
    else if (strstr(fault->text, "not permitted to log in") != NULL)
        mend_psql(examination, finding, SUPERUSER, "postgres", "ALTER ROLE %s LOGIN", sql_name(user, name));
    else if (strstr(fault->text, "password") != NULL && conninfo_has_password(conninfo))
        mend_conninfo(examination, finding, "", unchanged);
    else if (strstr(fault->text, "password") != NULL)
        mend_password(examination, finding);
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
    char word[WORD_SIZE];
    char address[WORD_SIZE];
    char name_sql[SQL_NAME_SIZE];
    char user_sql[SQL_NAME_SIZE];
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
        mend_psql(examination, ret_finding, SUPERUSER, "postgres", "GRANT CONNECT ON DATABASE %s TO %s",
                  sql_name(name, name_sql), sql_name(user, user_sql));
    }
    free(user);
    free(name);
}

/* A new one: an encoding cannot be changed. */
static void mend_encoding(const struct examination *examination, struct finding *finding, const char *name)
{
    char word[WORD_SIZE];
    char other[128];
    char address[WORD_SIZE];
    (void)snprintf(other, sizeof other, "%s_utf8", name);
    const char *const changes[] = {"dbname", other, NULL};
    char *superuser = conninfo_for(examination->settings->database, SUPERUSER, "postgres");
    shell_quote(superuser, address, sizeof address);
    shell_quote(other, word, sizeof word);
    free(superuser);
    mend_run(finding, "createdb --maintenance-db=%s -E UTF8 -T template0 %s", address, word);
    mend_conninfo(examination, finding, "", changes);
    mend_run(finding, "winnow migrate");
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

/* A superuser asks the standby. */
static void mend_to_primary(const struct examination *examination, struct finding *finding)
{
    char superuser_word[WORD_SIZE];
    char word[WORD_SIZE];
    const char *const changes[] = {"host", NULL, "hostaddr", NULL, "port", NULL, NULL};
    char *superuser = conninfo_for(examination->settings->database, SUPERUSER, "postgres");
    char *rest = conninfo_with(examination->settings->database, changes);
    shell_quote(superuser, superuser_word, sizeof superuser_word);
    shell_quote(rest, word, sizeof word);
    free(superuser);
    free(rest);
    mend_run(finding,
             "PRIMARY=$(psql -d %s -Atc \"SELECT format('host=%%s port=%%s', sender_host, sender_port) FROM "
             "pg_stat_wal_receiver\" | grep .) && export WINNOW_DATABASE=\"$PRIMARY \"%s%s",
             superuser_word, word, mend_flag_hint(examination, "database"));
    mend_lost_password(examination, finding);
}

/* Where the primary is, is told to members of pg_read_all_stats, which can be granted there alone: so a
 * superuser asks. The mend makes no second primary. */
static void tell_standby(struct examination *examination, struct finding *finding)
{
    static const char sql[] = "SELECT coalesce(sender_host, ''), coalesce(sender_port, 5432) FROM "
                              "pg_catalog.pg_stat_wal_receiver";
    struct rows *rows = NULL;
    if (!ask_database(examination, finding, sql, &rows)) return;
    finding_add(finding, CHECK_FAIL, "a standby, which takes no writes");
    if (rows_count(rows) == 1 && rows_text(rows, 0, 0)[0] != '\0') {
        const char *const changes[] = {
            "host", rows_text(rows, 0, 0), "port", rows_text(rows, 0, 1), "hostaddr", NULL, NULL};
        finding_add(finding, CHECK_FAIL, "it follows %s port %s", rows_text(rows, 0, 0),
                    rows_text(rows, 0, 1));
        mend_conninfo(examination, finding, "as the standby reaches it", changes);
    } else if (rows_count(rows) == 1) {
        mend_to_primary(examination, finding);
    } else {
        finding_add(
            finding, CHECK_FAIL,
            "it follows nobody at the moment: let it follow, or promote it, or name another server in -d");
        mend_psql(examination, finding, SUPERUSER, "postgres", "SELECT current_setting('primary_conninfo')");
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
        tell_standby(examination, ret_finding);
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
