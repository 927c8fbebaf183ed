/* Steering a pool from outside: what the commands of its socket do, and reading the configuration again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "counted.h"
#include "json.h"
#include "log.h"
#include "supervisor_state.h"

void supervisor_report(struct supervisor *supervisor)
{
    pool_report_tell(&supervisor->report, &supervisor->roster, supervisor->page, supervisor->options.stuck_ms,
                     clock_now_ms());
}

bool supervisor_reload(struct supervisor *supervisor, struct buffer *ret_told)
{
    struct supervisor_options *options = &supervisor->options;
    const size_t begin = ret_told->size;
    if (supervisor->roster.stopping) {
        buffer_add_text(ret_told, "the pool is stopping");
        return false;
    }
    if (options->reload != NULL && !options->reload(options->context, options, ret_told)) {
        log_line(LOG_LEVEL_ERROR, "reload_refused",
                 "the configuration is wrong, as the lines before tell: the pool goes on with the one it "
                 "has, and so do workers that are started again; mend it, then reload again");
        buffer_add_text(ret_told,
                        "the configuration is wrong, the pool's log tells where; it goes on as it was");
        return false;
    }
    roster_set_options(&supervisor->roster, options->worker_count,
                       options->drain_timeout_ms - supervisor_reserve_ms(options->drain_timeout_ms),
                       options->rejoin_ms);
    log_line(LOG_LEVEL_INFO, "pool_renewing", "workers are replaced one after the other; %.*s",
             (int)(ret_told->size - begin), ret_told->data + begin);
    supervisor->announced_count = 0;
    roster_renew(&supervisor->roster);
    supervisor_report(supervisor);
    return true;
}

static unsigned count_alive(const struct supervisor *supervisor)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SLOT_COUNT_MAX; i++) count += supervisor->pids[i] > 0;
    return count;
}

static unsigned count_resting(const struct supervisor *supervisor)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SLOT_COUNT_MAX; i++) {
        const struct slot *slot = &supervisor->page->slots[i];
        count += supervisor->pids[i] > 0 && atomic_load(&slot->resting) != 0;
    }
    return count;
}

static const char *state_name(const struct supervisor *supervisor)
{
    const struct roster *roster = &supervisor->roster;
    if (roster->stopping) return "stopping";
    if (roster->drained) return count_alive(supervisor) > 0 ? "draining" : "drained";
    if (supervisor->quiet) return "quiet";
    if (roster_is_renewing(roster)) return "renewing";
    return roster_joined_count(roster) < roster_wanted_count(roster) ? "starting" : "running";
}

static const char *member_name(const struct supervisor *supervisor, unsigned i)
{
    const struct member *member = &supervisor->roster.members[i];
    switch (member->state) {
    case MEMBER_ABSENT:
    case MEMBER_STATE_COUNT:
        break;
    case MEMBER_WAITING:
        return "waiting to start";
    case MEMBER_RUNNING:
        if (atomic_load(&supervisor->page->slots[i].resting) != 0) return "quiet";
        return member->ready ? "running" : "joining";
    case MEMBER_LEAVING:
        return "draining";
    case MEMBER_RENEWING:
        return "being replaced";
    }
    return "absent";
}

static void add_workers(const struct supervisor *supervisor, struct buffer *out)
{
    const int64_t now_ms = clock_now_ms();
    json_name(out, "workers");
    json_open(out, '{');
    for (unsigned i = 0; i < ROSTER_MEMBER_COUNT_MAX; i++) {
        const struct member *member = &supervisor->roster.members[i];
        const pid_t pid = supervisor->pids[i];
        if (member->state == MEMBER_ABSENT && pid == 0) continue;
        char slot[12];
        (void)snprintf(slot, sizeof(slot), "%u", i);
        json_name(out, slot);
        json_open(out, '{');
        json_text(out, "state", member_name(supervisor, i));
        if (pid > 0) json_int(out, "pid", pid);
        if (pid > 0) json_int(out, "age_ms", now_ms - member->started_ms);
        if (pid == 0) json_int(out, "starts_in_ms", member->due_ms > now_ms ? member->due_ms - now_ms : 0);
        json_close(out, '}');
    }
    json_close(out, '}');
}

static void add_status(const struct supervisor *supervisor, struct buffer *out)
{
    const struct roster *roster = &supervisor->roster;
    json_text(out, "state", state_name(supervisor));
    json_int(out, "pid", getpid());
    json_int(out, "age_ms", clock_now_ms() - supervisor->begun_ms);
    json_int(out, "wanted", roster->drained ? roster->drained_count : roster_wanted_count(roster));
    json_int(out, "joined", roster_joined_count(roster));
    json_int(out, "alive", count_alive(supervisor));
    json_int(out, "resting", count_resting(supervisor));
    json_int(out, "restarts", supervisor->restarts);
    json_text(out, "needs_restart", supervisor->options.needs_restart);
    add_workers(supervisor, out);
}

/* What became of a command: NULL, or why not. */
typedef const char *(*steer)(struct supervisor *supervisor, const struct control_request *request,
                             struct buffer *ret_told);

static const char *steer_status(struct supervisor *supervisor, const struct control_request *request,
                                struct buffer *ret_told)
{
    (void)supervisor, (void)request, (void)ret_told;
    return NULL; /* every answer tells it */
}

static const char *steer_scale(struct supervisor *supervisor, const struct control_request *request,
                               struct buffer *ret_told)
{
    (void)ret_told;
    if (!request->has_count || request->count < 1 || request->count > SLOT_COUNT_MAX)
        return "expected a count from 1 to 256";
    if (!roster_resize(&supervisor->roster, (unsigned)request->count))
        return "the pool is drained or stopping: resume it first";
    log_line(LOG_LEVEL_INFO, "pool_resized", "asked for %" PRId64 " %s", request->count,
             counted(request->count, "worker", "workers"));
    return NULL;
}

static const char *steer_quiet(struct supervisor *supervisor, const struct control_request *request,
                               struct buffer *ret_told)
{
    (void)request, (void)ret_told;
    if (supervisor->roster.stopping) return "the pool is stopping";
    supervisor->quiet = true;
    slot_page_set_quiet(supervisor->page, true);
    log_line(LOG_LEVEL_WARNING, "pool_quiet",
             "workers keep their partitions and take nothing new, until `winnow pool resume`");
    return NULL;
}

static const char *steer_drain(struct supervisor *supervisor, const struct control_request *request,
                               struct buffer *ret_told)
{
    (void)request, (void)ret_told;
    if (!roster_drain(&supervisor->roster)) return "the pool is drained or stopping already";
    supervisor->announced_count = 0;
    log_line(LOG_LEVEL_WARNING, "pool_draining",
             "workers end when what they have in hand is done, and none is started until `winnow pool "
             "resume`; others of the group take their partitions over");
    return NULL;
}

static const char *steer_resume(struct supervisor *supervisor, const struct control_request *request,
                                struct buffer *ret_told)
{
    (void)request, (void)ret_told;
    const bool was_quiet = supervisor->quiet;
    supervisor->quiet = false;
    slot_page_set_quiet(supervisor->page, false);
    if (!roster_resume(&supervisor->roster) && !was_quiet) return "the pool is neither quiet nor drained";
    log_line(LOG_LEVEL_INFO, "pool_resumed", "the pool works again");
    return NULL;
}

static const char *steer_reload(struct supervisor *supervisor, const struct control_request *request,
                                struct buffer *ret_told)
{
    (void)request;
    return supervisor_reload(supervisor, ret_told) ? NULL : "";
}

static const char *steer_stop(struct supervisor *supervisor, const struct control_request *request,
                              struct buffer *ret_told)
{
    (void)request, (void)ret_told;
    supervisor_stop(supervisor, "asked by the control socket");
    return NULL;
}

static const struct {
    const char *name;
    steer steer;
} commands[] = {
    {"status", steer_status}, {"scale", steer_scale},   {"quiet", steer_quiet}, {"drain", steer_drain},
    {"resume", steer_resume}, {"reload", steer_reload}, {"stop", steer_stop},
};

void supervisor_answer(void *context, const struct control_request *request, struct buffer *ret_answer)
{
    struct supervisor *supervisor = context;
    struct buffer told = {0};
    const char *error = "found another command, expected status, scale, quiet, drain, resume, reload or stop";
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(commands[i].name, request->command) != 0) continue;
        error = commands[i].steer(supervisor, request, &told);
        break;
    }
    json_open(ret_answer, '{');
    json_bool(ret_answer, "ok", error == NULL);
    if (error != NULL && error[0] != '\0') json_text(ret_answer, "error", error);
    if (error != NULL && error[0] == '\0') json_slice(ret_answer, "error", slice_of(told.data, told.size));
    if (error == NULL && told.size > 0) json_slice(ret_answer, "told", slice_of(told.data, told.size));
    add_status(supervisor, ret_answer);
    json_close(ret_answer, '}');
    buffer_done(&told);
}
