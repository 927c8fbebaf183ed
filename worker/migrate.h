/* The schema's migrations: those in the binary, those in the database, and what lies between. */
#ifndef WINNOW_MIGRATE_H
#define WINNOW_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "database.h"
#include "status.h"

/* One file of migrations/, as embed.sh puts it into the binary; sorted by version, without gaps from 1. */
struct migration {
    int64_t version;
    const char *name;         /* the file's, without ".up.sql": "000001_tables" */
    const unsigned char *sql; /* NUL-terminated */
    const char *sha256;       /* of the file, 64 lower-case hex digits */
};

extern const struct migration migrations[];
extern const size_t migration_count;

enum migration_state {
    MIGRATION_APPLIED,
    MIGRATION_PENDING, /* in the binary only */
    MIGRATION_CHANGED, /* applied, but the file was another then */
    MIGRATION_UNKNOWN, /* in the database only: a newer winnow made it */
};

/* "applied", "pending", "changed", "unknown". */
const char *migration_state_name(enum migration_state state);

/* One line of the comparison. Texts are "" where there is nothing to tell. */
struct migration_line {
    int64_t version;
    char *name;
    char *applied_at; /* ISO 8601, UTC */
    enum migration_state state;
};

struct migration_plan {
    struct migration_line *lines; /* sorted by version */
    size_t count;
};

/* Compares the binary with the database; an empty database has everything pending. The caller gives the plan
 * to migration_plan_done(), whether or not this succeeds. */
MUST_CHECK bool migration_plan_read(struct database *database, struct migration_plan *ret_plan,
                                    struct fault *ret_fault);
void migration_plan_done(struct migration_plan *plan);

/* STATUS_STOP, with the command that mends it, when the plan holds a changed or unknown migration, or, unless
 * `pending_allowed`, a pending one. */
MUST_CHECK bool migration_plan_check(const struct migration_plan *plan, bool pending_allowed,
                                     struct fault *ret_fault);

/* For workers: whether the database has exactly the schema that this binary knows. STATUS_STOP when not. */
MUST_CHECK bool migrate_check(struct database *database, struct fault *ret_fault);

/* Applies one pending migration in a transaction of its own and writes it down. Tries again, a few times,
 * when roles were not to be had because another database of the cluster is migrated too. Hold the lock. */
MUST_CHECK bool migrate_apply(struct database *database, const struct migration *migration, int64_t *ret_ms,
                              struct fault *ret_fault);

/* Takes the lock that keeps two `winnow migrate` apart; it ends with the session. Returns true with
 * *ret_taken false when another holds it and `wait` is false; waiting ends after five minutes with
 * STATUS_RETRY. */
MUST_CHECK bool migrate_lock(struct database *database, bool wait, bool *ret_taken, struct fault *ret_fault);

#endif
