/* GET /api/v1/status, /workers and /completeness. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/call_state.h"
#include "console/console.h"
#include "console/progress.h"
#include "console/progress_print.h"
#include "console/routes.h"
#include "json.h"

/* False when the call is answered: the database was not seen a moment ago. */
static bool read_snapshot(struct call *call, struct progress_snapshot *ret_snapshot)
{
    progress_read(call->console->progress, ret_snapshot);
    if (ret_snapshot->fault.status == STATUS_OK) return true;
    call_fail(call, PROBLEM_DATABASE, &ret_snapshot->fault);
    progress_snapshot_done(ret_snapshot);
    return false;
}

void handle_status(struct call *call)
{
    struct buffer out = {0};
    struct progress_snapshot snapshot;
    if (!read_snapshot(call, &snapshot)) return;
    const struct progress_total total = progress_sum(&snapshot);
    json_open(&out, '{');
    json_text(&out, "group", call_settings(call)->group);
    json_text(&out, "topic", call_settings(call)->topic);
    json_bool(&out, "complete", total.complete);
    json_bool(&out, "halted", total.halted);
    json_int(&out, "unpublished_dead_letters", snapshot.unpublished);
    json_text(&out, "lag_error", snapshot.lag_fault.status == STATUS_OK ? NULL : snapshot.lag_fault.text);
    json_name(&out, "total");
    progress_print_total(&total, &out);
    json_name(&out, "partitions");
    json_open(&out, '[');
    for (size_t i = 0; i < snapshot.count; i++) progress_print_partition(&snapshot.partitions[i], &out);
    json_close(&out, ']');
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
    progress_snapshot_done(&snapshot);
}

static bool is_first_of_owner(const struct progress_snapshot *snapshot, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(snapshot->partitions[i].owner, snapshot->partitions[index].owner) == 0) return false;
    }
    return snapshot->partitions[index].owner[0] != '\0';
}

static void print_worker(const struct progress_snapshot *snapshot, const char *owner, struct buffer *out)
{
    int64_t lag = 0;
    const char *last = "";
    json_open(out, '{');
    json_text(out, "owner", owner);
    json_name(out, "partitions");
    json_open(out, '[');
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct progress_partition *partition = &snapshot->partitions[i];
        if (strcmp(partition->owner, owner) != 0) continue;
        progress_print_partition(partition, out);
        lag = lag < 0 || partition->lag < 0 ? -1 : lag + partition->lag;
        if (strcmp(partition->updated_at, last) > 0) last = partition->updated_at;
    }
    json_close(out, ']');
    json_known(out, "lag", lag);
    json_text(out, "last_commit_at", last[0] == '\0' ? NULL : last);
    json_close(out, '}');
}

void handle_workers(struct call *call)
{
    struct buffer out = {0};
    struct progress_snapshot snapshot;
    if (!read_snapshot(call, &snapshot)) return;
    json_open(&out, '{');
    json_name(&out, "workers");
    json_open(&out, '[');
    for (size_t i = 0; i < snapshot.count; i++) {
        if (is_first_of_owner(&snapshot, i)) print_worker(&snapshot, snapshot.partitions[i].owner, &out);
    }
    json_close(&out, ']');
    json_name(&out, "unowned");
    json_open(&out, '[');
    for (size_t i = 0; i < snapshot.count; i++) {
        if (snapshot.partitions[i].owner[0] == '\0') progress_print_partition(&snapshot.partitions[i], &out);
    }
    json_close(&out, ']');
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
    progress_snapshot_done(&snapshot);
}

/* One statement, so that the verdicts and the figures are of one moment. The sentences are those of
 * analytics.completeness_verdict, which is about all streams at once; a test compares. */
static const char completeness_sql[] =
    "WITH account AS MATERIALIZED (SELECT *, consumer_group = $1 AND topic = $2 AS own"
    " FROM analytics.completeness),"
    " verdict AS (SELECT own, coalesce(bool_and(a.complete), true) AS complete,"
    " CASE WHEN count(a.topic) = 0 THEN 'Nothing has been read yet.'"
    " WHEN bool_and(a.complete) THEN format('Complete: %s offsets read in %s partitions = %s stored + "
    "%s duplicate + %s dead-lettered + %s gap + %s lost%s.', sum(a.offsets_read), count(*), sum(a.stored), "
    "sum(a.duplicate), sum(a.dead), sum(a.gap), sum(a.lost), "
    "CASE WHEN sum(a.skipped) > 0 THEN format(' + %s skipped', sum(a.skipped)) END)"
    " ELSE format('INCOMPLETE: %s of %s partitions do not add up, the first is %s/%s; see "
    "winnow.invariant_violation().', count(*) FILTER (WHERE NOT a.complete), count(*),"
    " (array_agg(a.topic ORDER BY a.topic, a.partition) FILTER (WHERE NOT a.complete))[1],"
    " (array_agg(a.partition ORDER BY a.topic, a.partition) FILTER (WHERE NOT a.complete))[1])"
    " END AS sentence FROM (VALUES (true), (false)) AS side (own) LEFT JOIN account AS a USING (own)"
    " GROUP BY own)"
    " SELECT json_build_object('complete', mine.complete, 'sentence', mine.sentence,"
    " 'elsewhere', CASE WHEN NOT other.complete THEN other.sentence END,"
    " 'partitions', coalesce((SELECT json_agg(json_build_object('group', c.consumer_group, 'topic', c.topic,"
    " 'partition', c.partition, 'start_offset', c.start_offset, 'next_offset', c.next_offset,"
    " 'offsets_read', c.offsets_read, 'stored', c.stored, 'duplicate', c.duplicate, 'dead', c.dead,"
    " 'gap', c.gap, 'lost', c.lost, 'skipped', c.skipped, 'dead_letters', c.dead_letters, 'complete', "
    "c.complete)"
    " ORDER BY c.partition) FROM account AS c WHERE c.own), '[]'))"
    " FROM verdict AS mine, verdict AS other WHERE mine.own AND NOT other.own";

void handle_completeness(struct call *call)
{
    struct rows *rows = NULL;
    struct buffer out = {0};
    const struct settings *settings = call_settings(call);
    const struct sql_parameter parameters[] = {sql_text(settings->group), sql_text(settings->topic)};
    if (!call_run(call, SESSION_READ, completeness_sql, parameters, ARRAY_COUNT(parameters), &rows)) return;
    json_raw(&out, NULL, rows_text(rows, 0, 0));
    call_answer_json(call, 200, &out);
    buffer_done(&out);
    rows_free(rows);
}
