/* The schema, and what the login may do in it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counted.h"
#include "database_conninfo.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "migrate.h"
#include "shell_quote.h"

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

/* Where the program runs from, when that is somebody's bin directory: "/usr/local". */
static bool read_prefix(char *ret_prefix, size_t size)
{
    static const char place[] = "/bin/winnow";
    ssize_t length = readlink("/proc/self/exe", ret_prefix, size - 1);
    if (length < (ssize_t)sizeof place) return false;
    ret_prefix[length] = '\0';
    char *end = ret_prefix + length - (sizeof place - 1);
    bool found = strcmp(end, place) == 0;
    *end = '\0';
    return found;
}

/* Nobody knows which winnow made the schema, but any that has its last migration will do. */
static void mend_older_program(struct finding *finding, const char *migration)
{
    char prefix[512];
    char word[WORD_SIZE] = "";
    bool installed = read_prefix(prefix, sizeof prefix);
    if (installed) shell_quote(prefix, word, sizeof word);
    mend_run(
        finding,
        "git pull && ls migrations/%s.up.sql && make%s%s   # in winnow's sources, or install a package of it",
        migration, installed ? " && sudo make install PREFIX=" : "", word);
}

/* The last one in the database that this program does not know; NULL: none. */
static const struct migration_line *find_newer(const struct migration_plan *plan)
{
    const struct migration_line *last = plan->count > 0 ? &plan->lines[plan->count - 1] : NULL;
    return last != NULL && last->state == MIGRATION_UNKNOWN ? last : NULL;
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
        char name[SQL_NAME_SIZE];
        char *user = conninfo_value(examination->settings->database, "user");
        finding_add(ret_finding, CHECK_FAIL, "this login may not see it: %s", fault.text);
        mend_psql(examination, ret_finding, examination->owner, NULL, "GRANT winnow_worker TO %s",
                  sql_name(user, name));
        free(user);
    } else if (read && find_newer(&plan) != NULL) {
        const struct migration_line *newer = find_newer(&plan);
        finding_add(ret_finding, CHECK_FAIL, "%s", fault.text);
        finding_add(ret_finding, CHECK_FAIL, "%s was applied on %s", newer->name, newer->applied_at);
        mend_older_program(ret_finding, newer->name);
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
    char name[SQL_NAME_SIZE];
    bool is_member = rows_int(roles, 0, 3) == 1;
    finding_add(ret_finding, CHECK_FAIL, "%s may not do what a worker does: %zu %s missing, the first is %s",
                rows_text(roles, 0, 1), rows_count(missing),
                counted((int64_t)rows_count(missing), "privilege is", "privileges are"),
                rows_text(missing, 0, 0));
    if (is_member)
        mend_psql(examination, ret_finding, examination->owner, NULL, "SELECT winnow.grant_privileges()");
    else
        mend_psql(examination, ret_finding, SUPERUSER, NULL, "GRANT winnow_worker TO %s",
                  sql_name(rows_text(roles, 0, 1), name));
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
