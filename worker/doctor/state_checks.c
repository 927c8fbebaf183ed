/* What winnow's own tables say of the pool's work. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counted.h"
#include "database_conninfo.h"
#include "doctor/examination.h"
#include "doctor/mend.h"
#include "shell_quote.h"

#define LETTER_AGE_S_MAX 60 /* until a letter that is not published is a finding */

/* ---- partitions of the table of events ---------------------------------------------------------------- */

void examine_months(struct examination *examination, struct finding *ret_finding)
{
    static const char sql[] = "SELECT to_char(m, 'YYYY-MM'), (to_regclass('winnow.event_' "
                              "|| "
                              "to_char(m, '\"y\"YYYY\"m\"MM')) IS NOT NULL)::int, (SELECT count(*) FROM "
                              "winnow.stream) "
                              "FROM generate_series(date_trunc('month', now()), "
                              "date_trunc('month', now()) + interval '2 months', "
                              "interval '1 month') "
                              "AS m ORDER BY m";
    struct rows *rows = NULL;
    if (!ask_database(examination, ret_finding, sql, &rows)) return;
    size_t months = rows_count(rows);
    for (size_t row = months; row > 0; row--) {
        if (rows_int(rows, row - 1, 1) == 1) continue;
        if (ret_finding->verdict == CHECK_OK)
            finding_add(ret_finding, CHECK_WARN, "the pool makes them hourly, if it runs; missing are");
        finding_add(ret_finding, row == 1 ? CHECK_FAIL : CHECK_WARN, "%s", rows_text(rows, row - 1, 0));
    }
    if (ret_finding->verdict == CHECK_OK) {
        finding_add(ret_finding, CHECK_OK, "made up to %s", rows_text(rows, months - 1, 0));
    } else if (rows_int(rows, 0, 2) == 0) {
        *ret_finding = (struct finding){.verdict = CHECK_OK};
        finding_add(ret_finding, CHECK_OK, "none yet: the pool makes them when it starts");
    } else {
        mend_psql(examination, ret_finding, NULL, NULL, "SELECT winnow.ensure_event_months_ahead()");
    }
    rows_free(rows);
}

/* Those that stand there although their month is within reach; older and later ones belong there. A month
 * without a partition of its own has its events, if any, in the DEFAULT one. */
void examine_default(struct examination *examination, struct finding *ret_finding)
{
    static const char sql[] =
        "SELECT count(*), to_char(min(m), 'YYYY-MM'), "
        "pg_relation_size('winnow.event_default') FROM generate_series("
        "date_trunc('month', now()) - interval '10 years', "
        "date_trunc('month', now()) + interval '2 months', "
        "interval '1 month') "
        "AS m WHERE to_regclass('winnow.event_' || to_char(m, "
        "'\"y\"YYYY\"m\"MM')) IS NULL AND EXISTS (SELECT FROM winnow.event AS e WHERE e.bucket "
        ">= m "
        "AND e.bucket < (m + interval '1 month'))";
    struct rows *rows = NULL;
    if (!ask_database(examination, ret_finding, sql, &rows)) return;
    if (rows_int(rows, 0, 0) == 0) {
        finding_add(ret_finding, CHECK_OK,
                    rows_int(rows, 0, 2) == 0 ? "empty" : "holds only months that are far off");
    } else {
        finding_add(ret_finding, CHECK_WARN, "holds events of %" PRId64 " %s, the first is %s",
                    rows_int(rows, 0, 0),
                    counted(rows_int(rows, 0, 0), "month that should have a partition of its own",
                            "months that should have partitions of their own"),
                    rows_text(rows, 0, 1));
        mend_psql(examination, ret_finding, examination->owner, NULL,
                  "SELECT m, winnow.ensure_event_month(m) FROM (SELECT DISTINCT date_trunc('month', bucket "
                  "AT TIME ZONE "
                  "'UTC')::date AS m FROM winnow.event_default) AS months");
    }
    rows_free(rows);
}

/* ---- progress ----------------------------------------------------------------------------------------- */

/* Offsets are kept for one cluster; those of another mean other messages. */
void examine_cluster(struct examination *examination, struct finding *ret_finding)
{
    struct rows *rows = NULL;
    const struct settings *settings = examination->settings;
    if (!ask_stream(examination, ret_finding,
                    "SELECT cluster_id FROM winnow.stream WHERE consumer_group = $1 AND topic "
                    "= $2",
                    &rows))
        return;
    if (rows_count(rows) == 0) {
        finding_add(ret_finding, CHECK_OK, "nothing has been read yet by group %s from topic %s",
                    settings->group, settings->topic);
    } else if (strcmp(rows_text(rows, 0, 0), examination->cluster.id) == 0) {
        finding_add(ret_finding, CHECK_OK, "the one that was read from before");
    } else {
        char group[300];
        finding_add(
            ret_finding, CHECK_FAIL,
            "this is cluster %s, and group %s has read from %s before: its offsets mean other messages",
            examination->cluster.id, settings->group, rows_text(rows, 0, 0));
        (void)snprintf(group, sizeof group, "%s-2", settings->group);
        mend_setting(examination, ret_finding, "group", group, "reads this cluster from its beginning");
    }
    rows_free(rows);
}

/* By an operator: what the schema's owner may do. Where the log is another one, all of it is read: what is
 * stored is a duplicate, and nothing is passed over. */
static void mend_halted(const struct examination *examination, struct finding *finding,
                        const struct rows *rows)
{
    char word[WORD_SIZE];
    char *address = conninfo_for(examination->settings->database, examination->owner, NULL);
    shell_quote(address, word, sizeof word);
    free(address);
    for (size_t i = 0; i < rows_count(rows); i++) {
        mend_run(finding, "winnow resume%s -d %s %s/%s --at %s --yes", examination->flags_resume, word,
                 examination->settings->topic, rows_text(rows, i, 1), rows_text(rows, i, 0));
    }
}

void examine_halted(struct examination *examination, struct finding *ret_finding)
{
    static const char sql[] =
        "SELECT CASE WHEN halt_reason IN ('topic_changed', 'offset_out_of_range') THEN 'earliest' ELSE "
        "'next' END AS place, string_agg(partition::text, ',' ORDER BY partition), count(*), "
        "(array_agg(format('%s: %s: %s', partition, halt_reason, halt_detail) ORDER BY partition))[1] "
        "FROM analytics.processing_status WHERE consumer_group = $1 AND topic = $2 AND state = 'halted' "
        "GROUP BY place ORDER BY min(partition)";
    struct rows *rows = NULL;
    if (!ask_stream(examination, ret_finding, sql, &rows)) return;
    int64_t halted = 0;
    for (size_t i = 0; i < rows_count(rows); i++) halted += rows_int(rows, i, 2);
    if (halted == 0) {
        finding_add(ret_finding, CHECK_OK, "no partition is halted");
    } else {
        finding_add(ret_finding, CHECK_FAIL, "%" PRId64 " %s halted and %s nothing, the first is %s", halted,
                    counted(halted, "is", "are"), counted(halted, "reads", "read"), rows_text(rows, 0, 3));
        mend_halted(examination, ret_finding, rows);
    }
    rows_free(rows);
}

void examine_dead_letters(struct examination *examination, struct finding *ret_finding)
{
    static const char sql[] =
        "SELECT count(*), date_part('epoch', now() - "
        "min(d.failed_at))::bigint, coalesce(max(d.publish_error), '') FROM "
        "winnow.dead_letter AS d "
        "JOIN winnow.stream AS s USING (stream_id) WHERE d.published_at IS NULL AND s.consumer_group "
        "= $1 AND s.topic = $2";
    struct rows *rows = NULL;
    if (!ask_stream(examination, ret_finding, sql, &rows)) return;
    int64_t count = rows_int(rows, 0, 0);
    const char *error = rows_text(rows, 0, 2);
    if (count == 0) {
        finding_add(ret_finding, CHECK_OK, "all are in their topic");
    } else if (rows_int(rows, 0, 1) <= LETTER_AGE_S_MAX) {
        finding_add(ret_finding, CHECK_OK, "%" PRId64 " %s to their topic", count,
                    counted(count, "is on its way", "are on their way"));
    } else {
        finding_add(ret_finding, CHECK_WARN,
                    "%" PRId64 " %s not in the topic yet, the oldest since %" PRId64 " s%s%s", count,
                    counted(count, "is", "are"), rows_int(rows, 0, 1), error[0] != '\0' ? ": " : "", error);
        if (error[0] == '\0') finding_add(ret_finding, CHECK_WARN, "no pool has tried: is one running?");
        mend_run(ret_finding, "winnow pool%s", examination->flags_pool);
    }
    rows_free(rows);
}
