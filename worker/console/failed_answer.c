#include "console/failed_answer.h"

#include "console/rows_json.h"
#include "json.h"
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

void failed_add_action(struct buffer *out, const char *name, const struct rows *rows, size_t row)
{
    json_name(out, name);
    json_open(out, '{');
    json_cell_raw(out, "action_id", (struct cell){rows, row, ACTION_ID});
    json_cell_raw(out, "partition", (struct cell){rows, row, ACTION_PARTITION});
    json_cell_raw(out, "offset", (struct cell){rows, row, ACTION_OFFSET});
    json_cell_text(out, "action", (struct cell){rows, row, ACTION_NAME});
    json_cell_time(out, "at", (struct cell){rows, row, ACTION_AT});
    json_cell_text(out, "actor", (struct cell){rows, row, ACTION_ACTOR});
    json_cell_text(out, "note", (struct cell){rows, row, ACTION_NOTE});
    json_cell_origin(out, "sent_to", (struct cell){rows, row, ACTION_SENT_TOPIC});
    json_cell_text(out, "outcome", (struct cell){rows, row, ACTION_OUTCOME});
    json_close(out, '}');
}
