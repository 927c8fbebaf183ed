/* POST /api/v1/faults/database-outage. */
#include "console/body.h"
#include "console/call_state.h"
#include "console/console.h"
#include "console/outage.h"
#include "console/routes.h"
#include "instant.h"
#include "json.h"

static void answer(struct call *call, int64_t until_ms)
{
    char when[INSTANT_TEXT_SIZE];
    struct buffer out = {0};
    (void)instant_print(until_ms * 1000, when);
    json_open(&out, '{');
    json_text(&out, "until", when);
    json_close(&out, '}');
    call_answer_json(call, 202, &out);
    buffer_done(&out);
}

void handle_outage(struct call *call)
{
    struct fault fault;
    struct buffer texts = {0};
    int64_t until_ms;
    struct body_member seconds = {.name = "seconds", .type = BODY_INTEGER, .min = 1, .max = 30, .number = 10};
    if (call->console->outage == NULL) {
        call_refuse(call, &(struct refusal){.problem = PROBLEM_NOT_FOUND,
                                            .detail = "this console runs without --allow-fault-injection"});
        return;
    }
    bool good = body_read(call, &seconds, 1, &texts);
    buffer_done(&texts);
    if (!good) return;
    if (outage_begin(call->console->outage, seconds.number, &until_ms, &fault))
        answer(call, until_ms);
    else if (fault.status == STATUS_REJECT)
        call_refuse(call, &(struct refusal){.problem = PROBLEM_CONFLICT, .detail = fault.text});
    else
        call_fail(call, PROBLEM_DATABASE, &fault);
}
