#include "console/failed_answer.h"

#include <stdio.h>
#include <string.h>

#include "reject.h"

const char *failed_reasons(void)
{
#define REASON_WORD(symbol, name, sentence) " " name
    static const char words[] = REJECT_REASONS(REASON_WORD);
#undef REASON_WORD
    return words + 1;
}

struct letter_scope failed_scope(const struct call *call)
{
    const struct settings *settings = call_settings(call);
    return (struct letter_scope){.topic = settings->topic, .group = settings->group};
}

bool failed_read_path(struct call *call, int64_t *ret_partition, int64_t *ret_offset)
{
    return call_path_integer(call, 0, "partition", 0, INT32_MAX, ret_partition) &&
           call_path_integer(call, 1, "offset", 0, INT64_MAX, ret_offset);
}

void failed_refuse_unknown(struct call *call)
{
    call_refuse(call, &(struct refusal){.problem = PROBLEM_NOT_FOUND,
                                        .parameter = "offset",
                                        .in = "path",
                                        .found = slice_of_text(call_path(call, 1)),
                                        .expected = "the offset of a failed message in this partition"});
}

static const char *advice_about(const char *action, const char *state)
{
    if (strcmp(action, "undo") == 0) return ": only a discarded one can be taken back";
    if (strcmp(state, "discarded") == 0) return "; undo the discard first";
    if (strcmp(state, "in doubt") == 0)
        return ": winnow dlq replay is sending it, or was stopped while it did; run that again, it looks in "
               "the topic first";
    return "";
}

static void refuse_state(struct call *call, const char *action, const char *state)
{
    char detail[240];
    (void)snprintf(detail, sizeof detail, "the failure is %s, so that %s is not possible%s", state, action,
                   advice_about(action, state));
    call_refuse(call, &(struct refusal){.problem = PROBLEM_CONFLICT, .detail = detail});
}

bool failed_do_one(struct call *call, int64_t partition, int64_t offset, const struct letter_deed *deed,
                   struct rows **ret_rows)
{
    struct fault fault;
    const struct letter_scope scope = failed_scope(call);
    struct database *database = call_database(call, SESSION_RETRY);
    if (database == NULL) return false;
    if (!letter_do(database, &scope, partition, offset, deed, ret_rows, &fault)) {
        call_fail(call, PROBLEM_DATABASE, &fault);
        return false;
    }
    if (rows_count(*ret_rows) > 0 && !rows_is_null(*ret_rows, 0, DEED_ACTION_ID)) return true;
    if (rows_count(*ret_rows) == 0)
        failed_refuse_unknown(call);
    else
        refuse_state(call, deed->action, rows_text(*ret_rows, 0, DEED_STATE));
    rows_free(*ret_rows);
    *ret_rows = NULL;
    return false;
}
