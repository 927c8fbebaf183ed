/* The loop: read signals, bury the dead, note who has joined, do what the roster says, wait. All state that
 * another process could see is in the shared page (slot.h); all decisions are in the roster. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "counted.h"
#include "exit_code.h"
#include "log.h"
#include "roster.h"
#include "signals.h"
#include "slot.h"
#include "supervisor_state.h"

#define RESERVE_MS_MAX   500
#define JOINED_LOOK_MS   20 /* how often the shared page is looked at while someone has not joined */
#define EXTRA_COUNT_MAX  4  /* arguments between the role and the options */
#define NUMBER_TEXT_SIZE 12

static_assert(ROSTER_MEMBER_COUNT_MAX == SLOT_COUNT_MAX, "a member's index is its slot");

/* In the child: to be told of the parent's death, also of one that has happened already. */
static void child_follow_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) _exit(EXIT_TEMPORARY);
}

static pid_t spawn(const struct supervisor_options *options, const char *const *arguments)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid != 0) return pid;
    signals_reset();
    child_follow_parent(parent);
    if (setpgid(0, 0) != 0) _exit(EXIT_TEMPORARY);
    execve(options->program, (char *const *)(uintptr_t)arguments,
           options->environment != NULL ? options->environment : environ);
    log_line(LOG_LEVEL_ERROR, "exec_failed", "cannot execute %s: %s", options->program, strerror(errno));
    _exit(EXIT_TEMPORARY);
}

/* Runs the program in a role; `extra` (up to EXTRA_COUNT_MAX) stands in front of the options. -1 on failure.
 */
static pid_t spawn_role(const struct supervisor_options *options, const char *role, const char *const *extra,
                        unsigned extra_count)
{
    assert(extra_count <= EXTRA_COUNT_MAX);
    size_t option_count = 0;
    while (options->options[option_count] != NULL) option_count++;
    const char **arguments = calloc(2 + EXTRA_COUNT_MAX + option_count + 1, sizeof(*arguments));
    if (arguments == NULL) abort();
    size_t count = 0;
    arguments[count++] = "winnow";
    arguments[count++] = role;
    for (unsigned i = 0; i < extra_count; i++) arguments[count++] = extra[i];
    for (size_t i = 0; i < option_count; i++) arguments[count++] = options->options[i];
    const pid_t pid = spawn(options, arguments);
    if (pid < 0) log_line(LOG_LEVEL_ERROR, "fork_failed", "cannot start a %s: %s", role, strerror(errno));
    free(arguments);
    return pid;
}

static bool worker_start(struct supervisor *supervisor, unsigned slot)
{
    char fd_text[NUMBER_TEXT_SIZE];
    char slot_text[NUMBER_TEXT_SIZE];
    snprintf(fd_text, sizeof(fd_text), "%d", supervisor->page_fd);
    snprintf(slot_text, sizeof(slot_text), "%u", slot);
    const char *const extra[] = {"--slot-fd", fd_text, "--slot", slot_text};
    slot_reset(&supervisor->page->slots[slot], clock_now_ms());
    if (supervisor->page->used <= slot) supervisor->page->used = slot + 1;
    const pid_t pid = spawn_role(&supervisor->options, "worker", extra, ARRAY_COUNT(extra));
    if (pid < 0) return false;
    supervisor->pids[slot] = pid;
    log_line(LOG_LEVEL_INFO, "worker_started", "worker %u started, pid %d", slot, (int)pid);
    return true;
}

/* The meaning of an exit code is told in exit_code.h; a worker never ends with EXIT_FINDING, but sanitizers
 * do. One that dies of TERM had not come as far as reading signals, so there was nothing to drain. */
static enum death_kind death_kind(int status)
{
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGTERM ? DEATH_DRAINED : DEATH_CRASHED;
    switch (WEXITSTATUS(status)) {
    case EXIT_DRAINED:
        return DEATH_DRAINED;
    case EXIT_UNREACHABLE:
    case EXIT_TEMPORARY:
        return DEATH_ENDED;
    case EXIT_BAD_CONFIG:
        return DEATH_REFUSED;
    case EXIT_BAD_USAGE:
    case EXIT_BROKEN:
        return DEATH_FINAL;
    default:
        return DEATH_CRASHED;
    }
}

static const char *final_reason(int exit_code)
{
    switch (exit_code) {
    case EXIT_BAD_USAGE:
        return "its command line is wrong";
    case EXIT_BAD_CONFIG:
        return "its configuration or the schema is wrong";
    default:
        return "the integrity of the data is in doubt";
    }
}

static void status_print(int status, char *text, size_t text_size)
{
    if (WIFSIGNALED(status)) {
        snprintf(text, text_size, "was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else {
        snprintf(text, text_size, "ended with exit code %d", WEXITSTATUS(status));
    }
}

static void log_death(unsigned slot, pid_t pid, int status, const struct roster_verdict *verdict)
{
    char how[80];
    char next[40] = "it is not started again";
    status_print(status, how, sizeof(how));
    if (verdict->restart_in_ms >= 0) {
        snprintf(next, sizeof(next), "restart in %" PRId64 " ms", verdict->restart_in_ms);
    }
    const bool expected = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DRAINED;
    log_line(expected ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "worker_ended",
             "worker %u, pid %d, %s after %" PRId64 " ms; %s", slot, (int)pid, how, verdict->lived_ms, next);
    if (verdict->stops_renewal) {
        log_line(LOG_LEVEL_ERROR, "renewal_stopped",
                 "worker %u cannot start any more, so the others are not replaced: mend what its last "
                 "message tells, "
                 "then send HUP again",
                 slot);
    }
    if (verdict->stops_pool) {
        log_line(
            LOG_LEVEL_ERROR, "pool_stopping",
            "worker %u ended because %s; starting it again would not help, so the pool stops: mend what its "
            "last message tells, then start the pool again",
            slot, final_reason(WEXITSTATUS(status)));
    }
}

static void suspect(struct supervisor *supervisor, const struct roster_death *death,
                    const struct roster_verdict *verdict)
{
    if (verdict->deaths == 0) return;
    log_line(LOG_LEVEL_WARNING, "message_suspected",
             "the message at partition %" PRId32 " offset %" PRId64 " was in hand; workers dead by it: %u",
             death->partition, death->offset, verdict->deaths);
    if (!verdict->quarantine) return;
    slot_page_quarantine(supervisor->page, death->partition, death->offset);
    log_line(LOG_LEVEL_ERROR, "message_quarantined",
             "the message at partition %" PRId32 " offset %" PRId64
             " is quarantined: it becomes a dead letter crashed_worker without being looked into",
             death->partition, death->offset);
}

static void bury_worker(struct supervisor *supervisor, unsigned slot, int status)
{
    struct slot *page_slot = &supervisor->page->slots[slot];
    const struct roster_death death = {
        .kind = death_kind(status),
        .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
        .in_hand = atomic_load(&page_slot->offset) != SLOT_NO_MESSAGE,
        .partition = atomic_load(&page_slot->partition),
        .offset = atomic_load(&page_slot->offset),
    };
    if (slot_has_reached(page_slot, SLOT_JOINED)) roster_joined(&supervisor->roster, slot);
    const struct roster_verdict verdict = roster_died(&supervisor->roster, slot, &death, clock_now_ms());
    supervisor_monitor_death(supervisor, &death);
    metrics_release(slot_metrics(page_slot));
    log_death(slot, supervisor->pids[slot], status, &verdict);
    if (death.kind != DEATH_DRAINED) supervisor->restarts++;
    suspect(supervisor, &death, &verdict);
    supervisor->pids[slot] = 0;
}

/* Told by the housekeeper itself, unless it had no chance to. */
static void bury_housekeeper(struct supervisor *supervisor, int status)
{
    supervisor->housekeeper = 0;
    if (!WIFSIGNALED(status) || supervisor->roster.stopping) return;
    log_line(LOG_LEVEL_WARNING, "housekeeper_ended",
             "housekeeping was ended by signal %d (%s); it runs again later", WTERMSIG(status),
             strsignal(WTERMSIG(status)));
}

/* Also of processes that others left behind, which the first process of a container inherits. */
static void reap(struct supervisor *supervisor)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == supervisor->housekeeper) bury_housekeeper(supervisor, status);
        for (unsigned slot = 0; slot < SLOT_COUNT_MAX; slot++) {
            if (pid != supervisor->pids[slot]) continue;
            bury_worker(supervisor, slot, status);
            break;
        }
    }
}

void supervisor_stop(struct supervisor *supervisor, const char *why)
{
    const bool again = supervisor->roster.stop_asked;
    roster_stop(&supervisor->roster);
    if (again) {
        log_line(LOG_LEVEL_WARNING, "pool_killing", "%s again: workers are killed", why);
        return;
    }
    log_line(LOG_LEVEL_INFO, "pool_stopping", "%s: workers have %" PRId64 " ms to drain", why,
             supervisor->options.drain_timeout_ms);
    if (supervisor->housekeeper > 0) kill(supervisor->housekeeper, SIGTERM);
}

static void on_stop_signal(struct supervisor *supervisor, int number)
{
    char why[64];
    (void)snprintf(why, sizeof(why), "signal %d (%s)", number, strsignal(number));
    supervisor_stop(supervisor, why);
}

static void on_size_signal(struct supervisor *supervisor, int number)
{
    const bool grow = number == SIGTTIN;
    const bool changed = grow ? roster_grow(&supervisor->roster) : roster_shrink(&supervisor->roster);
    const unsigned count = roster_wanted_count(&supervisor->roster);
    if (changed) {
        log_line(LOG_LEVEL_INFO, "pool_resized", "one worker %s: %u now", grow ? "more" : "fewer", count);
    } else {
        log_line(LOG_LEVEL_WARNING, "pool_not_resized",
                 "the pool stays at %u %s (1 to %d, not while drained or stopping)", count,
                 counted(count, "worker", "workers"), SLOT_COUNT_MAX);
    }
}

static void on_hangup(struct supervisor *supervisor)
{
    struct buffer told = {0};
    (void)supervisor_reload(supervisor, &told); /* which logs it */
    buffer_done(&told);
}

static void on_signal(struct supervisor *supervisor, int number)
{
    switch (number) {
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
        on_stop_signal(supervisor, number);
        break;
    case SIGTTIN:
    case SIGTTOU:
        on_size_signal(supervisor, number);
        break;
    case SIGHUP:
        on_hangup(supervisor);
        break;
    default:
        break; /* CHLD only wakes */
    }
}

/* The shared page tells who has joined. */
static void look_for_joined(struct supervisor *supervisor)
{
    for (unsigned slot = 0; slot < SLOT_COUNT_MAX; slot++) {
        const bool alive = supervisor->pids[slot] > 0;
        if (alive && slot_has_reached(&supervisor->page->slots[slot], SLOT_CHECKED))
            roster_checked(&supervisor->roster);
        if (alive && slot_has_reached(&supervisor->page->slots[slot], SLOT_JOINED))
            roster_joined(&supervisor->roster, slot);
    }
    const unsigned wanted = roster_wanted_count(&supervisor->roster);
    if (wanted == 0 || wanted == supervisor->announced_count) return;
    if (roster_joined_count(&supervisor->roster) < wanted || roster_is_renewing(&supervisor->roster)) return;
    supervisor->announced_count = wanted;
    log_line(LOG_LEVEL_INFO, "pool_joined", "%s%u %s joined", counted(wanted, "", "all "), wanted,
             counted(wanted, "worker", "workers"));
}

static void perform(struct supervisor *supervisor, const struct roster_action *action)
{
    const pid_t pid = supervisor->pids[action->slot];
    if (action->kind == ROSTER_START) {
        if (worker_start(supervisor, action->slot)) return;
        const struct roster_death death = {.kind = DEATH_ENDED};
        (void)roster_died(&supervisor->roster, action->slot, &death, clock_now_ms());
        return;
    }
    assert(pid > 0);
    if (action->kind == ROSTER_KILL) {
        log_line(LOG_LEVEL_WARNING, "worker_killed", "worker %u, pid %d, did not end; it is killed",
                 action->slot, (int)pid);
    }
    kill(pid, action->kind == ROSTER_KILL ? SIGKILL : SIGTERM);
}

/* Does all that is to be done now. Returns ROSTER_WAIT or ROSTER_FINISH. */
static struct roster_action perform_all(struct supervisor *supervisor)
{
    for (;;) {
        const struct roster_action action = roster_step(&supervisor->roster, clock_now_ms());
        if (action.kind == ROSTER_WAIT || action.kind == ROSTER_FINISH) return action;
        perform(supervisor, &action);
    }
}

/* Not before the first worker has found the database right: one complaint is enough. */
static bool housekeeping_is_on(const struct supervisor *supervisor)
{
    return supervisor->roster.checked && !supervisor->roster.stopping;
}

static void housekeep_when_due(struct supervisor *supervisor)
{
    const int64_t now_ms = clock_now_ms();
    if (!housekeeping_is_on(supervisor) || now_ms < supervisor->housekeep_due_ms) return;
    supervisor->housekeep_due_ms = now_ms + supervisor->options.housekeep_interval_ms;
    if (supervisor->housekeeper > 0) return;
    const pid_t pid = spawn_role(&supervisor->options, "housekeep", NULL, 0);
    supervisor->housekeeper = pid < 0 ? 0 : pid;
}

static int64_t earlier(int64_t one_ms, int64_t other_ms)
{
    return one_ms < other_ms ? one_ms : other_ms;
}

static void wait_for_more(const struct supervisor *supervisor, int64_t until_ms)
{
    struct pollfd descriptors[CONTROL_DESCRIPTORS_MAX + 1];
    unsigned count = control_descriptors(supervisor->options.control, descriptors);
    const struct roster *roster = &supervisor->roster;
    const int64_t now_ms = clock_now_ms();
    if (housekeeping_is_on(supervisor)) until_ms = earlier(until_ms, supervisor->housekeep_due_ms);
    until_ms = earlier(until_ms, control_deadline_ms(supervisor->options.control));
    until_ms = earlier(until_ms, pool_report_due_ms(&supervisor->report));
    const bool joining = roster_joined_count(roster) < roster_wanted_count(roster);
    if (joining) until_ms = earlier(until_ms, now_ms + JOINED_LOOK_MS);
    until_ms = supervisor_monitor_wait(supervisor, until_ms, descriptors, &count);
    const int64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    (void)!signals_wait(descriptors, count, until_ms == INT64_MAX ? -1 : left_ms);
}

static void serve(struct supervisor *supervisor)
{
    for (;;) {
        int number;
        while ((number = signals_next()) != 0) on_signal(supervisor, number);
        reap(supervisor);
        look_for_joined(supervisor);
        control_serve(supervisor->options.control, clock_now_ms(), supervisor_answer, supervisor);
        const struct roster_action rest = perform_all(supervisor);
        if (rest.kind == ROSTER_FINISH) return;
        housekeep_when_due(supervisor);
        supervisor_monitor_serve(supervisor);
        supervisor_report(supervisor);
        wait_for_more(supervisor, rest.wait_until_ms);
    }
}

static void end_housekeeper(const struct supervisor *supervisor)
{
    if (supervisor->housekeeper <= 0) return;
    kill(supervisor->housekeeper, SIGKILL);
    (void)waitpid(supervisor->housekeeper, NULL, 0);
}

int64_t supervisor_reserve_ms(int64_t drain_timeout_ms)
{
    return drain_timeout_ms / 10 < RESERVE_MS_MAX ? drain_timeout_ms / 10 : RESERVE_MS_MAX;
}

int64_t supervisor_worker_drain_ms(int64_t drain_timeout_ms)
{
    return drain_timeout_ms - 2 * supervisor_reserve_ms(drain_timeout_ms);
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
    if (supervisor == NULL) abort();
    supervisor->options = *options;
    supervisor->begun_ms = clock_now_ms();
    supervisor->page = slot_page_new(&supervisor->page_fd);
    supervisor_monitor_init(supervisor);
    supervisor->housekeep_due_ms = options->housekeep_interval_ms > 0 ? clock_now_ms() : INT64_MAX;
    const uint64_t seed = ((uint64_t)getpid() << 32) ^ (uint64_t)clock_wall_ms();
    const struct roster_options roster = {
        .count = options->worker_count,
        .drain_ms = options->drain_timeout_ms - supervisor_reserve_ms(options->drain_timeout_ms),
        .rejoin_ms = options->rejoin_ms,
        .hold_ms = options->hold_ms,
        .seed = seed,
    };
    roster_init(&supervisor->roster, &roster);
    pool_report_init(&supervisor->report);
    serve(supervisor);
    end_housekeeper(supervisor);
    const int result = roster_result(&supervisor->roster);
    const int exit_code = result < 0 ? EXIT_TEMPORARY : result;
    log_line(LOG_LEVEL_INFO, "pool_stopped", "all workers have ended; exit code %d", exit_code);
    slot_page_free(supervisor->page);
    close(supervisor->page_fd);
    free(supervisor);
    return exit_code;
}
