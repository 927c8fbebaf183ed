/* POST /api/v1/failed…/discard and …/undo: dead letters are put aside, one or a group, and taken back. */
#include "console/body.h"
#include "console/call.h"
#include "console/failed_answer.h"
#include "console/failed_group.h"
#include "console/progress_print.h"
#include "console/routes.h"
#include "console/rows_json.h"
#include "dead_letter_work.h"
#include "json.h"

static void answer_deed(struct call *call, int64_t partition, int64_t offset, const struct rows *rows)
{
    struct buffer out = {0};
    json_open(&out, '{');
    json_cell_raw(&out, "action_id", (struct cell){rows, 0, DEED_ACTION_ID});
    json_int(&out, "partition", partition);
    json_int(&out, "offset", offset);
    json_cell_text(&out, "action", (struct cell){rows, 0, DEED_NAME});
    json_cell_time(&out, "at", (struct cell){rows, 0, DEED_AT});
    json_cell_text(&out, "actor", (struct cell){rows, 0, DEED_ACTOR});
    json_cell_text(&out, "note", (struct cell){rows, 0, DEED_NOTE});
    json_null(&out, "sent_to");
    json_null(&out, "outcome");
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
}

static void do_and_answer(struct call *call, const struct letter_deed *deed)
{
    int64_t partition;
    int64_t offset;
    struct rows *rows = NULL;
    if (!failed_read_path(call, &partition, &offset) || !failed_do_one(call, partition, offset, deed, &rows))
        return;
    answer_deed(call, partition, offset, rows);
    rows_free(rows);
}

void handle_failed_discard(struct call *call)
{
    struct buffer texts = {0};
    struct body_member members[] = {
        {.name = "note", .type = BODY_TEXT, .required = true, .min = 1, .max = FAILED_NOTE_LENGTH_MAX}};
    if (body_read(call, members, ARRAY_COUNT(members), &texts))
        do_and_answer(call,
                      &(struct letter_deed){"discard", call_actor(call), body_text(&members[0], &texts)});
    buffer_done(&texts);
}

void handle_failed_undo(struct call *call)
{
    do_and_answer(call, &(struct letter_deed){"undo", call_actor(call), NULL});
}

static void discard_group(struct call *call, const struct failed_group *group)
{
    struct fault fault;
    struct buffer out = {0};
    const struct letter_scope scope = failed_scope(call);
    struct letter_range range;
    int64_t left = 0;
    struct database *database = call_database(call, SESSION_RETRY);
    if (database == NULL) return;
    if (!letters_discard(database, &scope, &group->filter, (size_t)group->limit, &group->deed, &range,
                         &fault)) {
        call_fail(call, PROBLEM_DATABASE, &fault);
        return;
    }
    if (!failed_group_count(call, group, &left)) return;
    json_open(&out, '{');
    json_int(&out, "discarded", range.count);
    json_int(&out, "remaining", left);
    json_known(&out, "first_action_id", range.count > 0 ? range.first_id : -1);
    json_known(&out, "last_action_id", range.count > 0 ? range.last_id : -1);
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
}

void handle_failed_group_discard(struct call *call)
{
    failed_group_do(call, "discard", discard_group);
}

static void undo_group(struct call *call, const struct failed_group *group)
{
    struct fault fault;
    struct buffer out = {0};
    const struct letter_scope scope = failed_scope(call);
    int64_t count = 0;
    struct database *database = call_database(call, SESSION_RETRY);
    if (database == NULL) return;
    if (!letters_undo(database, &scope, &group->filter, &group->range, (size_t)group->limit, &group->deed,
                      &count, &fault)) {
        call_fail(call, PROBLEM_DATABASE, &fault);
        return;
    }
    json_open(&out, '{');
    json_int(&out, "undone", count);
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
}

void handle_failed_group_undo(struct call *call)
{
    failed_group_do(call, "undo", undo_group);
}
