/* POST /api/v1/events: the bytes go to Kafka as they are; the answer comes with Kafka's acknowledgement or,
 * when it is waited for, with what a worker made of them. No thread waits: the call travels with the parcel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "console/call_state.h"
#include "console/console.h"
#include "console/outcomes.h"
#include "console/parcel.h"
#include "console/routes.h"
#include "console/submitter.h"
#include "headers.h"
#include "identity.h"
#include "json.h"
#include "simulate.h"

struct submit_call {
    struct call *call;
    int64_t wait_ms;
    int64_t begun_ms;
    bool several;  /* NDJSON: the answer is a list */
    bool answered; /* before Kafka acknowledged it */
    struct buffer headers;
};

static void refuse_body(struct call *call, const char *expected)
{
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_BODY,
                                        .parameter = "the body",
                                        .in = "body",
                                        .expected = expected});
}

/* The lines that are not empty, without any \r before their end. At most `max` are stored. */
static size_t split_lines(struct slice body, struct slice *lines, size_t max)
{
    size_t count = 0;
    while (body.size > 0) {
        const char *end = memchr(body.data, '\n', body.size);
        size_t size = end != NULL ? (size_t)(end - body.data) : body.size;
        struct slice line = slice_of(body.data, size);
        while (line.size > 0 && line.data[line.size - 1] == '\r') line.size--;
        if (line.size > 0 && count++ < max) lines[count - 1] = line;
        body.data += end != NULL ? size + 1 : size;
        body.size -= end != NULL ? size + 1 : size;
    }
    return count;
}

/* NULL when the call is answered. */
static struct parcel *pack(struct call *call, bool several)
{
    struct slice lines[PARCEL_ITEMS_MAX];
    struct slice body = call_body(call);
    size_t count = several ? split_lines(body, lines, PARCEL_ITEMS_MAX) : body.size > 0;
    if (count == 0) {
        refuse_body(call, several ? "one event a line, 1 to 1000 of them" : "one event");
        return NULL;
    }
    if (count > PARCEL_ITEMS_MAX) {
        refuse_body(call, "at most 1000 events, one a line");
        return NULL;
    }
    struct parcel *parcel = parcel_new(count);
    for (size_t i = 0; i < count; i++) {
        parcel->items[i].value = several ? lines[i] : body;
        parcel->items[i].key_from_value = true;
    }
    return parcel;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

static void refuse_failed(struct call *call, const struct parcel_item *item)
{
    struct buffer members = {0};
    json_text(&members, "reason", item->reason);
    parcel_item_print(item, call_settings(call)->topic, &members, "submission");
    (void)buffer_add(&members, "", 1);
    call_refuse(call, &(struct refusal){
                          .problem = PROBLEM_EVENT_FAILED, .detail = item->detail, .members = members.data});
    buffer_done(&members);
}

static void point_to_event(struct call *call, const struct parcel_item *item)
{
    char url[100];
    char hash[IDENTITY_TEXT_SIZE];
    identity_print(item->hash, hash);
    (void)snprintf(url, sizeof url, "/api/v1/events/%s", hash);
    call_answer_header(call, "Location", url);
}

static void answer_one(struct call *call, const struct parcel_item *item)
{
    int status = 202;
    struct buffer out = {0};
    if (item->known && item->state == STATE_FAILED) {
        refuse_failed(call, item);
        return;
    }
    if (item->known && item->state == STATE_DUPLICATE) status = 200;
    if (item->known && item->state == STATE_COMPLETED) {
        status = 201;
        point_to_event(call, item);
    }
    parcel_item_print(item, call_settings(call)->topic, &out, NULL);
    call_answer_json(call, status, &out);
    buffer_done(&out);
}

static void answer_several(struct call *call, const struct parcel *parcel)
{
    struct buffer out = {0};
    bool known = true;
    json_open(&out, '{');
    json_name(&out, "submissions");
    json_open(&out, '[');
    for (size_t i = 0; i < parcel->count; i++) {
        known &= parcel->items[i].known;
        parcel_item_print(&parcel->items[i], call_settings(call)->topic, &out, NULL);
    }
    json_close(&out, ']');
    json_close(&out, '}');
    call_answer_json(call, known ? 200 : 202, &out);
    buffer_done(&out);
}

static void end(struct parcel *parcel)
{
    struct submit_call *submit = parcel->context;
    struct call *call = submit->call;
    const bool answered = submit->answered;
    buffer_done(&submit->headers);
    free(submit);
    parcel_free(parcel);
    if (!answered) call_done(call);
    call_release(call);
}

static void answer(struct parcel *parcel)
{
    struct submit_call *submit = parcel->context;
    if (submit->several)
        answer_several(submit->call, parcel);
    else
        answer_one(submit->call, parcel->items);
    end(parcel);
}

/* Kafka did with each item what it did. A message that was not acknowledged may still have arrived. */
static void on_sent(struct parcel *parcel)
{
    struct submit_call *submit = parcel->context;
    const struct fault *fault = parcel_fault(parcel);
    if (submit->answered) {
        end(parcel);
    } else if (fault != NULL) {
        call_fail_sending(submit->call, fault);
        end(parcel);
    } else if (submit->wait_ms > 0) {
        parcel->done = answer;
        parcel->deadline_ms = submit->begun_ms + submit->wait_ms;
        outcomes_watch(submit->call->console->outcomes, parcel);
    } else {
        answer(parcel);
    }
}

/* Whoever waits for the outcome has said how long. What was sent stays here until Kafka did with it what it
 * does: the call, whose bytes they are, is kept so long. */
static void on_late(struct parcel *parcel)
{
    struct submit_call *submit = parcel->context;
    submit->answered = true;
    call_fail_late(submit->call, clock_now_ms() - submit->begun_ms);
    call_done(submit->call);
}

/* ---- the request --------------------------------------------------------------------------------------- */

/* Only where failures may be simulated: elsewhere the header means nothing. */
static bool read_simulation(struct call *call, struct submit_call *submit, struct parcel *parcel)
{
    const char *wanted = call_header(call, "Winnow-Simulate-Failure");
    if (wanted == NULL || !setting_is_on(call_settings(call)->allow_fault_injection)) return true;
    if (strcmp(wanted, "database") != 0) {
        call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                            .parameter = "Winnow-Simulate-Failure",
                                            .in = "header",
                                            .found = slice_of_text(wanted),
                                            .expected = "database"});
        return false;
    }
    headers_add(&submit->headers, slice_of_text(SIMULATE_FAILURE_HEADER), slice_of_text("database"));
    for (size_t i = 0; i < parcel->count; i++)
        parcel->items[i].headers = slice_of(submit->headers.data, submit->headers.size);
    return true;
}

static void discard(struct parcel *parcel, struct submit_call *submit)
{
    buffer_done(&submit->headers);
    free(submit);
    parcel_free(parcel);
}

static bool begin(struct call *call, int64_t wait_ms)
{
    bool several = strncasecmp(call_header(call, "Content-Type"), "application/x-ndjson", 20) == 0;
    struct parcel *parcel = pack(call, several);
    if (parcel == NULL) return false;
    struct submit_call *submit = calloc(1, sizeof *submit);
    if (submit == NULL) abort();
    *submit = (struct submit_call){
        .call = call, .wait_ms = wait_ms, .begun_ms = clock_now_ms(), .several = several};
    parcel->context = submit;
    parcel->done = on_sent;
    parcel->late = on_late;
    if (wait_ms > 0) parcel->send_by_ms = submit->begun_ms + wait_ms + PARCEL_ACKNOWLEDGE_MS;
    if (!read_simulation(call, submit, parcel)) {
        discard(parcel, submit);
        return false;
    }
    call_hold(call);
    if (submitter_send(call->console->submitter, parcel)) return true;
    discard(parcel, submit);
    call_answer_header(call, "Retry-After", "1");
    call_refuse(call, &(struct refusal){.problem = PROBLEM_TOO_MANY,
                                        .detail = "16 MiB of events wait for Kafka's acknowledgement"});
    call_release(call);
    return false;
}

void handle_submit(struct call *call)
{
    int64_t wait_ms = 0;
    if (!call_query_wait(call, "wait", &wait_ms) || !begin(call, wait_ms)) call_done(call);
}
