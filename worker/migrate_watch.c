#include "migrate_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "clock.h"
#include "progress.h"

#define LOOK_MS   INT64_C(500)
#define ANSWER_MS 1000
#define SPEED_MS  INT64_C(500) /* a speed over less is noise */

/* Blocks while the table is scanned, tuples while what was found is sorted in. */
static const char sight_sql[] = "SELECT 'index of ' || coalesce(c.relname, 'a new table') || ', ' ||"
                                "  regexp_replace(p.phase, '^building index: ', ''),"
                                "  CASE WHEN p.tuples_total > 0 THEN p.tuples_done ELSE p.blocks_done END,"
                                "  CASE WHEN p.tuples_total > 0 THEN p.tuples_total ELSE p.blocks_total END,"
                                "  p.partitions_done, p.partitions_total"
                                " FROM pg_catalog.pg_stat_progress_create_index AS p LEFT JOIN "
                                "pg_catalog.pg_class AS c ON c.oid = p.relid"
                                " WHERE p.pid = $1::integer";

static bool is_same_step(const struct migrate_sight *one, const struct migrate_sight *other)
{
    return strcmp(one->what, other->what) == 0 && one->total == other->total &&
           one->partitions_done == other->partitions_done && other->done >= one->done;
}

static int64_t left_s(const struct migrate_watch *watch, const struct migrate_sight *sight, int64_t now_ms)
{
    const int64_t took_ms = now_ms - watch->begun_ms;
    const int64_t did = sight->done - watch->begun_done;
    if (took_ms < SPEED_MS || did <= 0 || sight->partitions_total > 0) return -1;
    return (int64_t)((double)(sight->total - sight->done) * (double)took_ms / (double)did / 1000 + 0.5);
}

void migrate_watch_print(struct migrate_watch *watch, const struct migrate_sight *sight, int64_t now_ms,
                         char *ret_text, size_t size)
{
    char partition[64] = "";
    char left[48] = "";
    if (!is_same_step(&watch->last, sight)) {
        watch->begun_ms = now_ms;
        watch->begun_done = sight->done;
    }
    watch->last = *sight;
    if (sight->what[0] == '\0' || sight->total <= 0) {
        (void)snprintf(ret_text, size, "%s%sno estimate", sight->what, sight->what[0] != '\0' ? ": " : "");
        return;
    }
    if (sight->partitions_total > 0)
        (void)snprintf(partition, sizeof partition, "partition %" PRId64 " of %" PRId64 " ",
                       sight->partitions_done + 1, sight->partitions_total);
    const int64_t seconds = left_s(watch, sight, now_ms);
    if (seconds >= 0) progress_print_duration(seconds, left, sizeof left);
    const int64_t done = sight->done < sight->total ? sight->done : sight->total;
    (void)snprintf(ret_text, size, "%s: %s%d %%%s%s%s", sight->what, partition,
                   (int)(100 * (double)done / (double)sight->total), left[0] != '\0' ? ", " : "", left,
                   left[0] != '\0' ? " left" : "");
}

static void open_observer(struct migrate_watch *watch)
{
    struct fault ignored; /* without a second session there is no estimate, and nothing else is amiss */
    const struct database_options options = {
        .conninfo = watch->conninfo, .application_name = "winnow migrate", .statement_timeout_ms = ANSWER_MS};
    if (watch->observer != NULL || watch->is_blind) return;
    watch->is_blind = !database_open(&options, &watch->observer, &ignored);
}

static void read_sight(struct migrate_watch *watch, struct migrate_sight *ret_sight)
{
    char pid[24];
    struct rows *rows = NULL;
    struct fault ignored; /* as above */
    (void)snprintf(pid, sizeof pid, "%" PRId64, watch->pid);
    const struct sql_parameter parameter = sql_text(pid);
    if (!database_run(watch->observer, "look", sight_sql, &parameter, 1, &rows, &ignored)) {
        watch->is_blind = true;
        return;
    }
    if (rows_count(rows) > 0) {
        (void)snprintf(ret_sight->what, sizeof ret_sight->what, "%s", rows_text(rows, 0, 0));
        ret_sight->done = rows_int(rows, 0, 1);
        ret_sight->total = rows_int(rows, 0, 2);
        ret_sight->partitions_done = rows_int(rows, 0, 3);
        ret_sight->partitions_total = rows_int(rows, 0, 4);
    }
    rows_free(rows);
}

void migrate_watch_look(struct migrate_watch *watch, char *ret_text, size_t size)
{
    const int64_t now_ms = clock_now_ms();
    struct migrate_sight sight = {0};
    if (watch->looked_ms != 0 && now_ms - watch->looked_ms < LOOK_MS) {
        sight = watch->last;
    } else {
        watch->looked_ms = now_ms;
        open_observer(watch);
        if (!watch->is_blind) read_sight(watch, &sight);
    }
    migrate_watch_print(watch, &sight, now_ms, ret_text, size);
}

void migrate_watch_done(struct migrate_watch *watch)
{
    database_close(watch->observer);
    *watch = (struct migrate_watch){0};
}
