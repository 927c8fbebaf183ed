/* How much space is left for the database, and what winnow itself can make free. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "database_conninfo.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "shell_quote.h"

#define GIB (INT64_C(1) << 30)

struct space {
    const char *path;
    int64_t free_bytes;
    int64_t all_bytes;
};

static void print_size(int64_t bytes, char *ret_text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < ARRAY_COUNT(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(ret_text, size, "%.1f %s", value, units[unit]);
}

static int64_t percent_free(int64_t free_bytes, int64_t all_bytes)
{
    return all_bytes > 0 ? free_bytes / (all_bytes / 100 + 1) : 0;
}

static enum verdict judge(int64_t free_bytes, int64_t all_bytes)
{
    int64_t percent = percent_free(free_bytes, all_bytes);
    if (percent < 3 && free_bytes < 5 * GIB) return CHECK_FAIL;
    if (percent < 10 && free_bytes < 50 * GIB) return CHECK_WARN;
    return CHECK_OK;
}

/* Of the months that `winnow retain` may drop, the oldest first: how many months to keep, the first of these,
 * and what the partitions of all that are older take. */
static const char months_sql[] =
    "SELECT (12 * (extract(year FROM t.this) - extract(year FROM p.month)) + extract(month FROM t.this) - "
    "extract(month FROM p.month) - 1)::int, to_char(p.month + interval '1 month', 'YYYY-MM'), "
    "sum(p.bytes) OVER (ORDER BY p.month)::bigint FROM (SELECT date_trunc('month', now() AT TIME ZONE "
    "'UTC')) "
    "AS t (this) CROSS JOIN (SELECT to_date(substr(c.relname, 8), 'YYYY\"m\"MM'), "
    "pg_total_relation_size(c.oid) FROM pg_catalog.pg_inherits AS h JOIN pg_catalog.pg_class AS c "
    "ON c.oid = h.inhrelid WHERE h.inhparent IN ('winnow.event'::regclass, 'winnow.event_retired'::regclass) "
    "AND c.relname ~ '^event_y\\d{4}m\\d\\d$') AS p (month, bytes) "
    "WHERE p.month < t.this - interval '1 month' ORDER BY p.month";

/* Drops no more than is needed, and all that may be dropped where that is not enough. */
static void mend_by_retaining(struct examination *examination, struct finding *finding,
                              const struct space *space, const struct rows *months)
{
    char word[WORD_SIZE];
    char text[32];
    size_t row = 0;
    if (rows_count(months) == 0) return;
    while (row + 1 < rows_count(months) &&
           judge(space->free_bytes + rows_int(months, row, 2), space->all_bytes) != CHECK_OK)
        row++;
    char *address = conninfo_for(examination->settings->database, examination->owner, NULL);
    shell_quote(address, word, sizeof word);
    free(address);
    print_size(rows_int(months, row, 2), text, sizeof text);
    mend_run(finding, "winnow retain -d %s --keep '%s months'   # drops what is before %s: %s", word,
             rows_text(months, row, 0), rows_text(months, row, 1), text);
}

static void mend_space(struct examination *examination, struct finding *finding, const struct space *space)
{
    char word[WORD_SIZE];
    struct rows *months = NULL;
    shell_quote(space->path, word, sizeof word);
    mend_run(finding, "sudo du -xah %s | sort -h | tail -20   # what takes the space", word);
    if (examination->owner[0] == '\0' || !ask_database(examination, finding, months_sql, &months)) return;
    mend_by_retaining(examination, finding, space, months);
    rows_free(months);
}

static void judge_space(struct examination *examination, struct finding *finding, const char *path,
                        const struct statvfs *found)
{
    char text[32];
    const struct space space = {.path = path,
                                .free_bytes = (int64_t)found->f_bavail * (int64_t)found->f_frsize,
                                .all_bytes = (int64_t)found->f_blocks * (int64_t)found->f_frsize};
    enum verdict verdict = judge(space.free_bytes, space.all_bytes);
    print_size(space.free_bytes, text, sizeof text);
    finding_add(finding, verdict, "%s of its disk are free, %" PRId64 " %%", text,
                percent_free(space.free_bytes, space.all_bytes));
    if (verdict != CHECK_OK) mend_space(examination, finding, &space);
}

/* On another machine than ours, whose shell reads the command once more. */
static void tell_elsewhere(struct finding *finding, const char *host, const char *path)
{
    char host_word[WORD_SIZE];
    char path_word[WORD_SIZE];
    char word[WORD_SIZE];
    shell_quote(host, host_word, sizeof host_word);
    shell_quote(path, path_word, sizeof path_word);
    shell_quote(path_word, word, sizeof word);
    finding_add(finding, CHECK_SKIP, "how much is left can only be seen on its own machine");
    mend_run(finding, "ssh %s df -h %s", host_word, word);
}

/* No statement tells how much space is left: only who stands on the same machine, and is told the directory,
 * can look. */
void examine_disk(struct examination *examination, struct finding *ret_finding)
{
    static const char sql[] =
        "SELECT pg_database_size(current_database()), coalesce(nullif((SELECT "
        "pg_tablespace_location(dattablespace) FROM pg_catalog.pg_database WHERE datname "
        "= current_database()), ''), (SELECT setting FROM "
        "pg_catalog.pg_settings WHERE "
        "name = 'data_directory'), ''), "
        "coalesce(host(inet_server_addr()), ''), "
        "coalesce(inet_server_addr() = inet_client_addr(), true)::int, current_user";
    struct rows *rows = NULL;
    struct statvfs space;
    char text[32];
    char name[SQL_NAME_SIZE];
    if (!ask_database(examination, ret_finding, sql, &rows)) return;
    const char *path = rows_text(rows, 0, 1);
    print_size(rows_int(rows, 0, 0), text, sizeof text);
    finding_add(ret_finding, CHECK_OK, "the database takes %s", text);
    if (path[0] == '\0') {
        finding_add(ret_finding, CHECK_SKIP, "where it lies is told to members of pg_monitor only");
        mend_psql(examination, ret_finding, SUPERUSER, NULL, "GRANT pg_monitor TO %s",
                  sql_name(rows_text(rows, 0, 4), name));
    } else if (rows_int(rows, 0, 3) == 0) {
        tell_elsewhere(ret_finding, rows_text(rows, 0, 2), path);
    } else if (statvfs(path, &space) != 0) {
        finding_add(ret_finding, CHECK_SKIP, "%s cannot be looked at from here", path);
    } else {
        judge_space(examination, ret_finding, path, &space);
    }
    rows_free(rows);
}
