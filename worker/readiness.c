#include "readiness.h"

#include <inttypes.h>
#include <stdlib.h>

#include "clock.h"
#include "exit_code.h"
#include "metrics_text.h"

struct report {
    struct buffer *text;
    const struct pool_state *state;
    unsigned reasons;
};

static void begin_reason(struct report *report, const char *reason)
{
    metrics_line(report->text, "%s{\"reason\":\"%s\"", report->reasons > 0 ? "," : "", reason);
    report->reasons++;
}

static void end_reason(struct report *report, const char *detail)
{
    metrics_line(report->text, ",\"detail\":\"%s\"}", detail);
}

static void tell(struct report *report, const char *reason, const char *detail)
{
    begin_reason(report, reason);
    end_reason(report, detail);
}

static const char *why_not_joined(const struct pool_state *state)
{
    switch (state->last_exit_code) {
    case EXIT_UNREACHABLE:
        return "workers end because a server does not answer: see the log, check that the brokers run";
    case EXIT_BAD_CONFIG:
        return "a worker found configuration, topic or schema wrong: the log says what to do";
    default:
        return "no worker has joined the consumer group yet: the log says what they wait for";
    }
}

static void tell_pool(struct report *report)
{
    static const char asked[] = "an operator asked for it: winnow pool resume goes on";
    const struct pool_state *state = report->state;
    if (state->stopping) tell(report, "draining", "the pool was asked to stop");
    if (state->quiet) tell(report, "quiet", asked);
    if (state->wanted == 0 && !state->stopping)
        tell(report, "drained", asked);
    else if (state->joined == 0)
        tell(report, "no_worker_joined", why_not_joined(state));
}

/* The longest outage that a worker knows of; false: none does. */
static bool is_away(const struct slot_page *page, size_t link_at, size_t since_at, double *ret_seconds)
{
    bool away = false;
    int64_t since_ms = INT64_MAX;
    for (size_t slot = 0; slot < page->used; slot++) {
        const char *metrics = (const char *)&page->metrics[slot];
        if (metrics_get((const _Atomic int64_t *)(const void *)(metrics + link_at)) != LINK_DOWN) continue;
        int64_t since = metrics_get((const _Atomic int64_t *)(const void *)(metrics + since_at));
        away = true;
        if (since < since_ms) since_ms = since;
    }
    int64_t age_ms = away ? clock_wall_ms() - since_ms : 0;
    *ret_seconds = age_ms > 0 ? (double)age_ms / 1000 : 0;
    return away;
}

static void tell_servers(struct report *report)
{
    double seconds;
    const struct slot_page *page = report->state->page;
    if (is_away(page, offsetof(struct metrics, database), offsetof(struct metrics, database_since_ms),
                &seconds)) {
        begin_reason(report, "database_away");
        metrics_line(report->text, ",\"since_seconds\":%.1f", seconds);
        end_reason(report,
                   "a worker cannot use PostgreSQL: nothing is lost, it tries again; the log says what the "
                   "server answers");
    }
    if (is_away(page, offsetof(struct metrics, broker), offsetof(struct metrics, broker_since_ms),
                &seconds)) {
        begin_reason(report, "broker_away");
        metrics_line(report->text, ",\"since_seconds\":%.1f", seconds);
        end_reason(report,
                   "a worker reaches no broker of Kafka: nothing is lost, it goes on when one answers");
    }
}

static void tell_halted(struct report *report, const struct metrics_partition *const *list, size_t count)
{
    unsigned halted = 0;
    for (size_t i = 0; i < count; i++) {
        if (atomic_load(&list[i]->held) == 0 || atomic_load(&list[i]->halted) == 0) continue;
        if (halted == 0) begin_reason(report, "partition_halted");
        metrics_line(report->text, "%s%" PRId32, halted == 0 ? ",\"partitions\":[" : ",",
                     atomic_load(&list[i]->partition));
        halted++;
    }
    if (halted == 0) return;
    metrics_line(report->text, "]");
    end_reason(report, "an operator has to look: winnow status tells why it stands still and how to go on");
}

static unsigned count_held(const struct metrics_partition *const *list, size_t count)
{
    unsigned held = 0;
    for (size_t i = 0; i < count; i++) held += atomic_load(&list[i]->held) == 1 ? 1 : 0;
    return held;
}

bool readiness_print(struct buffer *text, const struct pool_state *state)
{
    size_t count;
    struct buffer reasons = {0};
    struct report report = {.text = &reasons, .state = state};
    const struct metrics_partition **list = metrics_newest(state->page, &count);
    unsigned held = count_held(list, count);
    tell_pool(&report);
    tell_servers(&report);
    if (state->joined > 0 && held == 0)
        tell(&report, "no_partitions",
             "no partition is claimed: the group is rebalancing, the database is away, or there are more "
             "workers than partitions");
    tell_halted(&report, list, count);
    free((void *)list);
    bool ready = report.reasons == 0;
    metrics_line(text,
                 "{\"ready\":%s,\"workers\":{\"wanted\":%u,\"running\":%u,\"joined\":%u},\"partitions\":%u,",
                 ready ? "true" : "false", state->wanted, state->running, state->joined, held);
    metrics_line(text, "\"reasons\":[");
    if (!ready) (void)buffer_add(text, reasons.data, reasons.size);
    metrics_line(text, "]}\n");
    buffer_done(&reasons);
    return ready;
}
