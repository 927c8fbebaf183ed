/* The supervisor with real processes. This program is its own pool and its own workers: the supervisor
 * executes it again with the role `worker` or `housekeep`, and what such a dummy does is told by its one
 * option. Pools write their log into a memory file, where the tests follow what happened. */
// link: worker/supervisor.c worker/supervisor_control.c worker/control.c worker/slot.c worker/signals.c
// link: worker/json.c worker/print_json.c worker/log.c worker/clock.c worker/pool_report.c worker/monitor.c
// link: worker/service_notify.c worker/metrics.c worker/metrics_text.c worker/metrics_process.c
// link: worker/readiness.c worker/listen_address.c worker/supervisor_monitor.c worker/descriptors.c
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "exit_code.h"
#include "log.h"
#include "signals.h"
#include "slot.h"
#include "supervisor.h"

#define PATIENCE_MS   60000
#define LONG_DRAIN_MS 60000
#define LOG_SIZE      65536

/* ---- the dummies ---- */

static int drain(struct slot *slot)
{
    slot_reach(slot, SLOT_JOINED);
    while (!signals_stop_asked()) {
        if (signals_wait(NULL, 0, -1)) (void)signals_next();
    }
    return EXIT_DRAINED;
}

static int dummy_stubborn(struct slot *slot)
{
    slot_reach(slot, SLOT_JOINED);
    while (poll(NULL, 0, -1) <= 0) continue; /* TERM is blocked */
    return EXIT_FINDING;
}

/* Dies with (3, 42) in hand unless it is quarantined. */
static int dummy_poisoned(struct slot *slot)
{
    if (slot_is_quarantined(slot, 3, 42)) return drain(slot);
    slot_take(slot, 3, 42);
    raise(SIGSEGV);
    return EXIT_FINDING;
}

/* Dies each time with another message in hand. */
static int dummy_wandering(struct slot *slot)
{
    if (slot_is_quarantined(slot, 3, getpid())) log_line(LOG_LEVEL_ERROR, "wrong", "wrongly quarantined");
    slot_take(slot, 3, getpid());
    raise(SIGKILL);
    return EXIT_FINDING;
}

/* Takes a message in hand when it gets a HUP, and keeps it. */
static int dummy_holding(struct slot *slot)
{
    slot_reach(slot, SLOT_JOINED);
    while (!signals_stop_asked()) {
        if (!signals_wait(NULL, 0, -1) || signals_next() != SIGHUP) continue;
        slot_take(slot, 3, 7);
        log_line(LOG_LEVEL_INFO, "took", "took a message");
    }
    return EXIT_DRAINED;
}

/* Leaves a grandchild behind, which ends once it has been adopted. */
static int dummy_orphaning(struct slot *slot)
{
    const pid_t child = fork();
    if (child == 0) {
        const pid_t middle = getpid();
        if (fork() != 0) _exit(0);
        while (getppid() == middle) (void)poll(NULL, 0, 5);
        log_line(LOG_LEVEL_INFO, "orphaned", "orphan, pid %d", (int)getpid());
        _exit(0);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child) return EXIT_BROKEN;
    return drain(slot);
}

static int dummy_worker(const char *behaviour, struct slot *slot)
{
    if (strcmp(behaviour, "stubborn") == 0) return dummy_stubborn(slot);
    if (strcmp(behaviour, "poisoned") == 0) return dummy_poisoned(slot);
    if (strcmp(behaviour, "wandering") == 0) return dummy_wandering(slot);
    if (strcmp(behaviour, "orphaning") == 0) return dummy_orphaning(slot);
    if (strcmp(behaviour, "holding") == 0) return dummy_holding(slot);
    const bool first = slot->index == 0;
    if (strncmp(behaviour, "first-ends:", 11) == 0 && first) return atoi(behaviour + 11);
    return drain(slot);
}

/* worker --slot-fd FD --slot INDEX BEHAVIOUR, or housekeep BEHAVIOUR. */
static int dummy(int argc, char **argv)
{
    signals_init(false);
    signals_supervised();
    log_init(LOG_LEVEL_INFO, argv[1]);
    if (argc == 3 && strcmp(argv[1], "housekeep") == 0) {
        log_line(LOG_LEVEL_INFO, "housekept", "housekeeping, pid %d", (int)getpid());
        return EXIT_DRAINED;
    }
    const bool fits = argc == 7 && strcmp(argv[1], "worker") == 0 && strcmp(argv[2], "--slot-fd") == 0 &&
                      strcmp(argv[4], "--slot") == 0;
    return fits ? dummy_worker(argv[6], slot_attach(atoi(argv[3]), (unsigned)atoi(argv[5]))) : EXIT_BROKEN;
}

/* ---- pools and what they log ---- */

struct pool {
    pid_t pid; /* of the supervisor; in a PID namespace it takes itself for 1 */
    int log_fd;
};

struct pool_options {
    const char *behaviour;
    unsigned workers;
    int64_t drain_timeout_ms;
    int64_t hold_ms;
    int64_t housekeep_interval_ms;
    bool subreaper; /* orphans come to it, as to a process 1 */
};

static int pool_main(const struct pool_options *pool)
{
    const char *options[] = {pool->behaviour, NULL};
    const struct supervisor_options supervisor = {
        .program = "/proc/self/exe",
        .options = options,
        .worker_count = pool->workers,
        .drain_timeout_ms = pool->drain_timeout_ms,
        .hold_ms = pool->hold_ms,
        .housekeep_interval_ms = pool->housekeep_interval_ms,
    };
    if (pool->subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return 99;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) return 99;
    signals_init(true);
    log_init(LOG_LEVEL_INFO, "pool");
    return supervisor_run(&supervisor);
}

static struct pool pool_start(const struct pool_options *options)
{
    struct pool pool = {.log_fd = memfd_create("log", MFD_CLOEXEC)};
    if (pool.log_fd < 0 || fcntl(pool.log_fd, F_SETFL, O_APPEND) != 0) abort();
    pool.pid = fork();
    if (pool.pid < 0) abort();
    if (pool.pid == 0) {
        if (dup2(pool.log_fd, STDERR_FILENO) < 0) _exit(99);
        _exit(pool_main(options));
    }
    return pool;
}

/* The log so far; valid until the next call. */
static const char *log_text(const struct pool *pool)
{
    static char text[LOG_SIZE];
    const ssize_t size = pread(pool->log_fd, text, sizeof(text) - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;
    while ((text = strstr(text, part)) != NULL) {
        count++;
        text++;
    }
    return count;
}

static unsigned log_count(const struct pool *pool, const char *part)
{
    return count_of(log_text(pool), part);
}

/* Waits until the log holds `part` so often. */
static bool log_reaches(const struct pool *pool, const char *part, unsigned count)
{
    const int64_t end_ms = clock_now_ms() + PATIENCE_MS;
    while (log_count(pool, part) < count) {
        if (clock_now_ms() >= end_ms) {
            fprintf(stderr, "not %u times \"%s\" in:\n%s", count, part, log_text(pool));
            return false;
        }
        (void)poll(NULL, 0, 10);
    }
    return true;
}

/* The pid behind the nth (from 0) occurrence of `part` in the log; 0 when there is none. */
static pid_t log_pid(const struct pool *pool, const char *part, unsigned nth)
{
    const char *at = strstr(log_text(pool), part);
    while (at != NULL && nth-- > 0) at = strstr(at + 1, part);
    if (at == NULL || (at = strstr(at, "pid ")) == NULL) return 0;
    return (pid_t)atoi(at + 4);
}

/* Waits for the end of a process and gives its exit code, or 1000 + the signal. Sends `number` (0: none)
 * again and again. -1 when it had not ended in time and was killed. */
static int end_of(pid_t pid, int number)
{
    const int64_t end_ms = clock_now_ms() + PATIENCE_MS;
    int status = 0;
    bool late = false;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        late = clock_now_ms() >= end_ms;
        kill(pid, late ? SIGKILL : number);
        (void)poll(NULL, 0, 10);
    }
    if (late) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void check_stop(const struct pool *pool)
{
    kill(pool->pid, SIGTERM);
    CU_ASSERT_EQUAL(end_of(pool->pid, 0), EXIT_DRAINED);
    close(pool->log_fd);
}

/* ---- tests ---- */

static void test_term_drains(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "steady", .workers = 3, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "all 3 workers joined", 1));
    kill(pool.pid, SIGTERM);
    CU_ASSERT_EQUAL(end_of(pool.pid, 0), EXIT_DRAINED);
    CU_ASSERT_EQUAL(log_count(&pool, "ended with exit code 0"), 3);
    CU_ASSERT_EQUAL(log_count(&pool, "event=worker_started"), 3);
    CU_ASSERT_EQUAL(log_count(&pool, "event=pool_joined"), 1);
    CU_ASSERT_EQUAL(log_count(&pool, "event=pool_stopped"), 1);
    close(pool.log_fd);
}

static void test_second_term_kills_at_once(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "stubborn", .workers = 2, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "all 2 workers joined", 1));
    CU_ASSERT_EQUAL(end_of(pool.pid, SIGINT), EXIT_TEMPORARY);
    CU_ASSERT_EQUAL(log_count(&pool, "ended by signal 9"), 2);
    close(pool.log_fd);
}

/* It is the whole pool's; workers end before it if they can. A busy machine may hold up one, not each. */
static void test_deadline_kills(void)
{
    int64_t took_ms = INT64_MAX;
    for (unsigned i = 0; i < 5 && took_ms > 2000; i++) {
        const struct pool pool = pool_start(
            &(struct pool_options){.behaviour = "stubborn", .workers = 4, .drain_timeout_ms = 2000});
        CU_ASSERT_TRUE(log_reaches(&pool, "all 4 workers joined", 1));
        const int64_t begin_ms = clock_now_ms();
        kill(pool.pid, SIGTERM);
        CU_ASSERT_EQUAL(end_of(pool.pid, 0), EXIT_TEMPORARY);
        took_ms = clock_now_ms() - begin_ms;
        CU_ASSERT_EQUAL(log_count(&pool, "event=worker_killed"), 4);
        close(pool.log_fd);
    }
    CU_ASSERT(took_ms <= 2000);
    CU_ASSERT_EQUAL(supervisor_worker_drain_ms(100), 80);
    CU_ASSERT_EQUAL(supervisor_worker_drain_ms(600000), 599000);
}

static void test_dead_worker_is_started_again(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "steady", .workers = 2, .drain_timeout_ms = LONG_DRAIN_MS});
    for (unsigned death = 0; death < 4; death++) {
        CU_ASSERT_TRUE(log_reaches(&pool, "event=worker_started", 2 + death));
        kill(log_pid(&pool, "event=worker_started", 1 + death), SIGKILL); /* idle: nothing in hand */
        CU_ASSERT_TRUE(log_reaches(&pool, "ended by signal 9", 1 + death));
    }
    CU_ASSERT_TRUE(log_reaches(&pool, "event=worker_started", 6));
    CU_ASSERT_EQUAL(log_count(&pool, "event=message_suspected"), 0);
    CU_ASSERT_EQUAL(log_count(&pool, "event=message_quarantined"), 0);
    check_stop(&pool);
}

static void test_temporary_end_is_started_again(void)
{
    const struct pool pool = pool_start(&(struct pool_options){
        .behaviour = "first-ends:75", .workers = 2, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "worker 0 started", 4));
    CU_ASSERT_EQUAL(log_count(&pool, "worker 1 started"), 1);
    check_stop(&pool);
}

/* The others are held back until the first one is there, or one might find all right before. */
static void check_final(const char *behaviour, int exit_code)
{
    const struct pool pool = pool_start(&(struct pool_options){
        .behaviour = behaviour, .workers = 3, .drain_timeout_ms = LONG_DRAIN_MS, .hold_ms = PATIENCE_MS});
    CU_ASSERT_EQUAL(end_of(pool.pid, 0), exit_code);
    CU_ASSERT_EQUAL(log_count(&pool, "worker 0 started"), 1);
    CU_ASSERT_EQUAL(log_count(&pool, "event=pool_stopping"), 1);
    close(pool.log_fd);
}

static void test_final_ends_stop_the_pool(void)
{
    check_final("first-ends:64", EXIT_BAD_USAGE);
    check_final("first-ends:70", EXIT_BROKEN);
    check_final("first-ends:78", EXIT_BAD_CONFIG);
}

static void test_killing_message_is_quarantined(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "poisoned", .workers = 1, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "1 worker joined", 1));
    CU_ASSERT_EQUAL(log_count(&pool, "event=worker_started"), 4);
    CU_ASSERT_EQUAL(log_count(&pool, "partition 3 offset 42 is quarantined"), 1);
    check_stop(&pool);
}

static void test_changing_messages_are_not_quarantined(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "wandering", .workers = 4, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "event=message_suspected", 16));
    CU_ASSERT_EQUAL(log_count(&pool, "event=message_quarantined"), 0);
    CU_ASSERT_EQUAL(log_count(&pool, "event=wrong"), 0);
    check_stop(&pool);
}

/* What a dead worker had in hand is not held against the next one in its slot. */
static void test_a_new_worker_has_nothing_in_hand(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "holding", .workers = 1, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "1 worker joined", 1));
    kill(log_pid(&pool, "event=worker_started", 0), SIGHUP);
    CU_ASSERT_TRUE(log_reaches(&pool, "event=took", 1));
    for (unsigned death = 0; death < 3; death++) {
        kill(log_pid(&pool, "event=worker_started", death), SIGKILL);
        CU_ASSERT_TRUE(log_reaches(&pool, "event=worker_started", 2 + death));
    }
    CU_ASSERT_EQUAL(log_count(&pool, "event=message_suspected"), 1);
    CU_ASSERT_EQUAL(log_count(&pool, "workers dead by it: 1"), 1);
    check_stop(&pool);
}

static void test_ttin_and_ttou(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "steady", .workers = 1, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "1 worker joined", 1));
    kill(pool.pid, SIGTTIN);
    CU_ASSERT_TRUE(log_reaches(&pool, "all 2 workers joined", 1));
    const pid_t second = log_pid(&pool, "event=worker_started", 1);
    kill(pool.pid, SIGTTOU);
    CU_ASSERT_TRUE(log_reaches(&pool, "event=worker_ended", 1));
    CU_ASSERT_EQUAL(log_pid(&pool, "event=worker_ended", 0), second);
    CU_ASSERT_EQUAL(log_count(&pool, "it is not started again"), 1);
    kill(pool.pid, SIGTTOU);
    CU_ASSERT_TRUE(log_reaches(&pool, "event=pool_not_resized", 1));
    check_stop(&pool);
}

static void test_hup_replaces_one_after_the_other(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "steady", .workers = 3, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "all 3 workers joined", 1));
    kill(pool.pid, SIGHUP);
    CU_ASSERT_TRUE(log_reaches(&pool, "all 3 workers joined", 2));
    const char *at = strstr(log_text(&pool), "event=pool_renewing");
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    for (unsigned slot = 0; slot < 3; slot++) { /* ended, started, ended, started, … */
        const char *ended = strstr(at, "event=worker_ended");
        const char *started = strstr(at, "event=worker_started");
        CU_ASSERT_TRUE_FATAL(ended != NULL && started != NULL && ended < started);
        at = started + 1;
        CU_ASSERT_TRUE(count_of(ended, "event=worker_ended") == 3 - slot);
    }
    check_stop(&pool);
}

/* Whatever kills the supervisor, its workers drain. We adopt them, and so learn how they ended. */
static void test_workers_follow_a_killed_supervisor(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "steady", .workers = 2, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "all 2 workers joined", 1));
    CU_ASSERT_EQUAL(end_of(pool.pid, SIGKILL), 1000 + SIGKILL);
    CU_ASSERT_EQUAL(end_of(log_pid(&pool, "event=worker_started", 0), 0), EXIT_DRAINED);
    CU_ASSERT_EQUAL(end_of(log_pid(&pool, "event=worker_started", 1), 0), EXIT_DRAINED);
    close(pool.log_fd);
}

static void test_workers_are_out_of_reach_of_ctrl_c(void)
{
    const struct pool pool = pool_start(
        &(struct pool_options){.behaviour = "steady", .workers = 1, .drain_timeout_ms = LONG_DRAIN_MS});
    CU_ASSERT_TRUE(log_reaches(&pool, "1 worker joined", 1));
    const pid_t worker = log_pid(&pool, "event=worker_started", 0);
    CU_ASSERT_EQUAL(getpgid(worker), worker);
    CU_ASSERT_NOT_EQUAL(getpgid(pool.pid), worker);
    check_stop(&pool);
}

static void test_orphans_are_reaped(void)
{
    const struct pool pool = pool_start(&(struct pool_options){
        .behaviour = "orphaning", .workers = 1, .drain_timeout_ms = LONG_DRAIN_MS, .subreaper = true});
    CU_ASSERT_TRUE(log_reaches(&pool, "event=orphaned", 1));
    const pid_t orphan = log_pid(&pool, "event=orphaned", 0);
    const int64_t end_ms = clock_now_ms() + PATIENCE_MS;
    while (kill(orphan, 0) == 0 && clock_now_ms() < end_ms) (void)poll(NULL, 0, 10);
    CU_ASSERT_EQUAL(kill(orphan, 0), -1);
    CU_ASSERT_EQUAL(errno, ESRCH);
    check_stop(&pool);
}

static void test_housekeeping_comes_again(void)
{
    const struct pool pool = pool_start(&(struct pool_options){
        .behaviour = "steady", .workers = 1, .drain_timeout_ms = LONG_DRAIN_MS, .housekeep_interval_ms = 50});
    CU_ASSERT_TRUE(log_reaches(&pool, "event=housekept", 3));
    CU_ASSERT_TRUE(log_reaches(&pool, "1 worker joined", 1));
    CU_ASSERT_EQUAL(log_count(&pool, "event=worker_ended"), 0);
    check_stop(&pool);
}

/* As process 1 of a PID namespace; TERM comes from within, where the kernel is strictest. */
static void test_works_as_process_1(void)
{
    const pid_t outer = fork();
    if (outer == 0) {
        if (unshare(CLONE_NEWPID) != 0) _exit(errno == EPERM ? 77 : 98);
        const struct pool pool = pool_start(&(struct pool_options){
            .behaviour = "orphaning", .workers = 2, .drain_timeout_ms = LONG_DRAIN_MS});
        if (!log_reaches(&pool, "all 2 workers joined", 1)) _exit(97);
        const pid_t sender = fork();
        if (sender == 0) _exit(log_count(&pool, "pid 1 ") == 0 && kill(1, SIGTERM) == 0 ? 0 : 1);
        const int sent = end_of(sender, 0); /* the kernel kills all with process 1 */
        if (sent != 0 && sent != 1000 + SIGKILL) _exit(96);
        _exit(end_of(pool.pid, 0));
    }
    const int exit_code = end_of(outer, 0);
    if (exit_code == 77) fprintf(stderr, "(not allowed to make a PID namespace: not tested) ");
    CU_ASSERT_TRUE(exit_code == EXIT_DRAINED || exit_code == 77);
}

static CU_TestInfo tests[] = {
    {"TERM drains", test_term_drains},
    {"a second TERM or INT kills at once", test_second_term_kills_at_once},
    {"the deadline kills", test_deadline_kills},
    {"a dead worker is started again", test_dead_worker_is_started_again},
    {"a temporary end is started again", test_temporary_end_is_started_again},
    {"64, 70 and 78 stop the pool", test_final_ends_stop_the_pool},
    {"a message that kills is quarantined", test_killing_message_is_quarantined},
    {"changing messages are not quarantined", test_changing_messages_are_not_quarantined},
    {"a new worker has nothing in hand", test_a_new_worker_has_nothing_in_hand},
    {"TTIN and TTOU", test_ttin_and_ttou},
    {"HUP replaces one after the other", test_hup_replaces_one_after_the_other},
    {"workers follow a killed supervisor", test_workers_follow_a_killed_supervisor},
    {"workers are out of reach of Ctrl-C", test_workers_are_out_of_reach_of_ctrl_c},
    {"orphans are reaped", test_orphans_are_reaped},
    {"housekeeping comes again", test_housekeeping_comes_again},
    {"works as process 1", test_works_as_process_1},
    CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    if (argc > 1) return dummy(argc, argv);
    CU_SuiteInfo suites[] = {{"supervisor", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return EXIT_FAILURE;
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) {
        return EXIT_FAILURE;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
