/* How far a long statement of `winnow migrate` has come: what PostgreSQL tells of it to another session,
 * which is not much. The building of an index is told of (pg_stat_progress_create_index); everything else has
 * no estimate: up to version 15 what is read and written is counted at the end of the transaction alone.
 * These statements read a table once (rollup_hour, batch_log, dead_letter), and none rewrites one: 4 s at the
 * most with 10 million messages. A migration that needs longer has to find a way to tell. */
#ifndef WINNOW_MIGRATE_WATCH_H
#define WINNOW_MIGRATE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "database.h"

/* What was seen last. All zero: nothing is told. */
struct migrate_sight {
    char what[96]; /* "index of event, scanning table"; "": nothing */
    int64_t done;  /* in the step's own unit */
    int64_t total; /* 0: not known */
    int64_t partitions_done;
    int64_t partitions_total; /* 0: the table has none */
};

/* Zero it to begin with, and end it with migrate_watch_done(). */
struct migrate_watch {
    const char *conninfo; /* borrowed */
    int64_t pid;          /* of the session that is watched */
    struct database *observer;
    bool is_blind; /* there is no second session */
    int64_t looked_ms;
    struct migrate_sight last;
    int64_t begun_ms; /* of the step in hand, and how far it was then */
    int64_t begun_done;
};

/* Looks twice a second at the most, in a session that it opens at the first look. Prints what is left of the
 * step in hand: "index of event, scanning table: 34 %, 12 s left", or "no estimate". */
void migrate_watch_look(struct migrate_watch *watch, char *ret_text, size_t size);
void migrate_watch_done(struct migrate_watch *watch);

/* The text for a sight. What is left is told for a whole table only: partitions differ in size. */
void migrate_watch_print(struct migrate_watch *watch, const struct migrate_sight *sight, int64_t now_ms,
                         char *ret_text, size_t size);

#endif
