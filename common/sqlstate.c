/* One table, most specific entry first: five characters name a condition, two a class. */
#include "sqlstate.h"

#include <stddef.h>
#include <string.h>

#include "attr.h"

struct rule {
    const char *prefix;
    enum status status;
    const char *advice; /* only for STATUS_STOP */
};

static const struct rule rules[] = {
    {"08", STATUS_RETRY, NULL},    /* connection exception */
    {"40", STATUS_RETRY, NULL},    /* serialization failure, deadlock */
    {"53", STATUS_RETRY, NULL},    /* disk full, out of memory, too many connections */
    {"55P03", STATUS_RETRY, NULL}, /* lock not available */
    {"57014", STATUS_RETRY, NULL}, /* statement timeout */
    {"57P0", STATUS_RETRY, NULL},  /* shutdown, crash, starting up, database dropped, idle session */
    {"25006", STATUS_RETRY, NULL}, /* read-only: a standby, or a failover under way */
    {"25P03", STATUS_RETRY, NULL}, /* idle in transaction for too long */
    {"58030", STATUS_RETRY, NULL}, /* I/O error */
    {"22", STATUS_REJECT, NULL},   /* data exception */
    {"23502", STATUS_REJECT, NULL},
    {"23503", STATUS_REJECT, NULL},
    {"23505", STATUS_REJECT, NULL},
    {"23P01", STATUS_REJECT, NULL},
    {"54", STATUS_REJECT, NULL}, /* program limit exceeded: index row too big */
    {"XX", STATUS_FATAL, NULL},
    {"58P01", STATUS_FATAL, NULL},
    {"58P02", STATUS_FATAL, NULL},
    {"23514", STATUS_STOP, "no partition of the table takes the row: run `winnow migrate`"},
    {"42501", STATUS_STOP,
     "grant winnow_worker to the user that a pool connects as, winnow_operator to one that moves, drops or "
     "mends, winnow_analyst to one that only looks; the user of `winnow migrate` owns the schema and may "
     "create in the database"},
    {"42P01", STATUS_STOP, "a table is missing: run `winnow migrate`"},
    {"42", STATUS_STOP, "the schema is not the one this winnow knows: run `winnow migrate status`"},
    {"28", STATUS_STOP, "check user and password (-d, PGUSER, PGPASSFILE) and the server's pg_hba.conf"},
    {"3D", STATUS_STOP, "create the database, or name another with -d"},
    {"3F", STATUS_STOP, "the schema is missing: run `winnow migrate`"},
    {"P0001", STATUS_STOP, ""}, /* raised by SQL of ours, which says itself what to do */
    {"0A", STATUS_STOP, "the server lacks a feature; winnow needs PostgreSQL 14 or later"},
};

static const struct rule *find_rule(const char *sqlstate)
{
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if (strncmp(sqlstate, rules[i].prefix, strlen(rules[i].prefix)) == 0) return &rules[i];
    }
    return NULL;
}

enum status sqlstate_status(const char *sqlstate, bool has_constraint_name)
{
    if (sqlstate == NULL || sqlstate[0] == '\0') return STATUS_RETRY;
    /* 23514 names its constraint when a CHECK failed; without a name no partition took the row. */
    if (strcmp(sqlstate, "23514") == 0 && has_constraint_name) return STATUS_REJECT;
    const struct rule *rule = find_rule(sqlstate);
    return rule == NULL ? STATUS_STOP : rule->status;
}

const char *sqlstate_advice(const char *sqlstate)
{
    const struct rule *rule = sqlstate == NULL ? NULL : find_rule(sqlstate);
    if (rule != NULL && rule->advice != NULL) return rule->advice;
    return "look up the SQLSTATE in the PostgreSQL manual, appendix A";
}
