#include "console/failed_answer.h"

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
