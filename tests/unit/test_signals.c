/* Signals of real processes: each test forks one, sends it signals and looks at how it ends. */
// link: worker/signals.c worker/clock.c
#include <CUnit/Basic.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "exit_code.h"
#include "signals.h"

#define PATIENCE_MS 60000
#define NEVER_MS    600000

/* Runs `body` in a child. It tells by a byte in *ret_fd that it is ready; the caller may answer in *ret_fd.
 */
static pid_t start(void (*body)(int fd), int *ret_fd)
{
    int pair[2];
    if (pipe(pair) != 0) abort();
    const pid_t pid = fork();
    if (pid < 0) abort();
    if (pid == 0) {
        close(pair[0]);
        body(pair[1]);
        _exit(99);
    }
    close(pair[1]);
    *ret_fd = pair[0];
    return pid;
}

static void say(int fd)
{
    if (write(fd, "+", 1) != 1) _exit(98);
}

static void hear(int fd)
{
    struct pollfd descriptor = {.fd = fd, .events = POLLIN};
    char byte;
    if (poll(&descriptor, 1, PATIENCE_MS) != 1 || read(fd, &byte, 1) != 1) CU_FAIL("the child is not ready");
}

/* The exit code, or 1000 + the signal; -1 when it had not ended in time and was killed. Sends `number` (0:
 * none) again and again. */
static int end_of(pid_t pid, int fd, int number)
{
    const int64_t end_ms = clock_now_ms() + PATIENCE_MS;
    int status = 0;
    bool late = false;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        late = clock_now_ms() >= end_ms;
        kill(pid, late ? SIGKILL : number);
        (void)poll(NULL, 0, 10);
    }
    close(fd);
    if (late) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void await(int number)
{
    while (!signals_wait(NULL, 0, -1) || signals_next() != number) continue;
}

static void hang(void)
{
    for (;;) (void)pause();
}

static void reads_signals(int fd)
{
    static const int order[] = {SIGHUP, SIGTTIN, SIGTTOU, SIGQUIT};
    signals_init(false);
    raise(SIGPIPE);
    for (unsigned i = 0; i < ARRAY_COUNT(order); i++) {
        if (signals_next() != 0 || signals_stop_asked()) _exit(1);
        if (signals_wait(NULL, 0, 1)) _exit(2);
        say(fd);
        await(order[i]);
    }
    _exit(signals_stop_asked() ? 0 : 3);
}

static void test_signals_are_read(void)
{
    static const int order[] = {SIGHUP, SIGTTIN, SIGTTOU, SIGQUIT};
    int fd;
    const pid_t pid = start(reads_signals, &fd);
    for (unsigned i = 0; i < ARRAY_COUNT(order); i++) {
        hear(fd);
        kill(pid, order[i]);
    }
    CU_ASSERT_EQUAL(end_of(pid, fd, 0), 0);
}

static void hangs_at_deadline(int fd)
{
    signals_init(false);
    say(fd);
    await(SIGTERM);
    signals_arm_deadline(50);
    signals_arm_deadline(NEVER_MS); /* changes nothing */
    hang();
}

static void test_deadline_ends_what_hangs(void)
{
    int fd;
    const pid_t pid = start(hangs_at_deadline, &fd);
    hear(fd);
    kill(pid, SIGTERM);
    CU_ASSERT_EQUAL(end_of(pid, fd, 0), EXIT_TEMPORARY);
}

/* Reads no signal at all; what else is waiting to be read does not hide the request. */
static void hangs_at_once(int fd)
{
    signals_init(false);
    signals_limit_stop(50);
    say(fd);
    hang();
}

static void test_deadline_ends_what_reads_no_signal(void)
{
    int fd;
    const pid_t pid = start(hangs_at_once, &fd);
    hear(fd);
    kill(pid, SIGHUP);
    kill(pid, SIGTERM);
    CU_ASSERT_EQUAL(end_of(pid, fd, 0), EXIT_TEMPORARY);
}

static void reads_and_hangs(int fd)
{
    signals_init(false);
    signals_limit_stop(50);
    say(fd);
    await(SIGTERM);
    hang();
}

static void test_who_reads_the_request_has_the_deadline(void)
{
    int fd;
    const pid_t pid = start(reads_and_hangs, &fd);
    hear(fd);
    kill(pid, SIGTERM);
    CU_ASSERT_EQUAL(end_of(pid, fd, 0), EXIT_TEMPORARY);
}

static void hangs_long(int fd)
{
    signals_init(false);
    say(fd);
    await(SIGTERM);
    signals_arm_deadline(NEVER_MS);
    say(fd);
    hang();
}

static void test_second_request_ends_at_once(void)
{
    int fd;
    const pid_t pid = start(hangs_long, &fd);
    hear(fd);
    kill(pid, SIGTERM);
    hear(fd);
    CU_ASSERT_EQUAL(end_of(pid, fd, SIGINT), EXIT_TEMPORARY);
}

/* Stays for a time much longer than a burst; then it ends by itself, drained. */
static void drains_after_burst(int fd)
{
    signals_init(false);
    say(fd);
    while (!signals_stop_asked()) {
        if (signals_wait(NULL, 0, -1)) (void)signals_next();
    }
    signals_arm_deadline(NEVER_MS);
    say(fd);
    const int64_t end_ms = clock_now_ms() + 3 * SIGNALS_BURST_MS;
    while (clock_now_ms() < end_ms) {
        if (signals_wait(NULL, 0, end_ms - clock_now_ms()) && signals_next() != 0) _exit(1);
    }
    _exit(EXIT_DRAINED);
}

/* They come while it is stopped: on a busy machine more than a burst may lie between two that are sent. */
static void test_burst_is_one_request(void)
{
    int fd;
    int status = 0;
    const pid_t pid = start(drains_after_burst, &fd);
    hear(fd);
    kill(pid, SIGSTOP);
    CU_ASSERT_EQUAL(waitpid(pid, &status, WUNTRACED), pid);
    CU_ASSERT_TRUE(WIFSTOPPED(status));
    kill(pid, SIGTERM);
    kill(pid, SIGINT);
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
    CU_ASSERT_EQUAL(end_of(pid, fd, 0), EXIT_DRAINED);
}

static void reads_bursts(int fd)
{
    signals_init(false);
    say(fd);
    raise(SIGTERM);
    raise(SIGINT);
    raise(SIGHUP);
    if (signals_next() != SIGHUP || signals_next() != SIGINT || signals_next() != 0) _exit(1);
    const int64_t end_ms = clock_now_ms() + SIGNALS_BURST_MS;
    while (clock_now_ms() <= end_ms) (void)poll(NULL, 0, 5);
    raise(SIGINT);
    _exit(signals_next() == SIGINT ? 0 : 2);
}

static void test_bursts_are_read_once(void)
{
    int fd;
    const pid_t pid = start(reads_bursts, &fd);
    CU_ASSERT_EQUAL(end_of(pid, fd, 0), 0);
}

static void is_supervised(int fd)
{
    signals_init(false);
    signals_supervised();
    say(fd);
    await(SIGTERM);
    signals_arm_deadline(NEVER_MS);
    const int64_t end_ms = clock_now_ms() + 5 * SIGNALS_BURST_MS;
    while (clock_now_ms() < end_ms) (void)poll(NULL, 0, (int)SIGNALS_BURST_MS);
    _exit(EXIT_DRAINED);
}

static void test_supervised_drains_all_the_same(void)
{
    int fd;
    const pid_t pid = start(is_supervised, &fd);
    hear(fd);
    CU_ASSERT_EQUAL(end_of(pid, fd, SIGTERM), EXIT_DRAINED);
}

static void ignores_hangup(int fd)
{
    signal(SIGHUP, SIG_IGN);
    signals_init(false);
    say(fd);
    while (!signals_stop_asked()) {
        if (signals_wait(NULL, 0, -1) && signals_next() == SIGHUP) _exit(1);
    }
    _exit(0);
}

static void test_nohup_is_honoured(void)
{
    int fd;
    const pid_t pid = start(ignores_hangup, &fd);
    hear(fd);
    kill(pid, SIGHUP);
    kill(pid, SIGTERM);
    CU_ASSERT_EQUAL(end_of(pid, fd, 0), 0);
}

static void resets(int fd)
{
    signals_init(true);
    signals_reset();
    say(fd);
    hang();
}

static void test_reset_restores_the_default(void)
{
    int fd;
    const pid_t pid = start(resets, &fd);
    hear(fd);
    CU_ASSERT_EQUAL(end_of(pid, fd, SIGTERM), 1000 + SIGTERM);
}

static void waits_on_descriptors(int fd)
{
    int pair[2];
    if (pipe(pair) != 0) _exit(1);
    signals_init(false);
    struct pollfd descriptors[2] = {{.fd = -1, .events = POLLIN}, {.fd = pair[0], .events = POLLIN}};
    if (signals_wait(descriptors, 2, 1) || descriptors[1].revents != 0) _exit(2);
    say(pair[1]);
    if (!signals_wait(descriptors, 2, -1) || descriptors[1].revents != POLLIN) _exit(3);
    say(fd);
    _exit(0);
}

static void test_descriptors_are_waited_for(void)
{
    int fd;
    const pid_t pid = start(waits_on_descriptors, &fd);
    CU_ASSERT_EQUAL(end_of(pid, fd, 0), 0);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("signals", NULL, NULL);
    CU_add_test(suite, "signals are read", test_signals_are_read);
    CU_add_test(suite, "the deadline ends what hangs", test_deadline_ends_what_hangs);
    CU_add_test(suite, "the deadline ends what reads no signal", test_deadline_ends_what_reads_no_signal);
    CU_add_test(suite, "who reads the request has the deadline", test_who_reads_the_request_has_the_deadline);
    CU_add_test(suite, "a second request ends at once", test_second_request_ends_at_once);
    CU_add_test(suite, "a burst is one request", test_burst_is_one_request);
    CU_add_test(suite, "bursts are read once", test_bursts_are_read_once);
    CU_add_test(suite, "a supervised process drains all the same", test_supervised_drains_all_the_same);
    CU_add_test(suite, "nohup is honoured", test_nohup_is_honoured);
    CU_add_test(suite, "reset restores the default", test_reset_restores_the_default);
    CU_add_test(suite, "descriptors are waited for", test_descriptors_are_waited_for);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
