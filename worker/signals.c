/* Blocking instead of handling: a handler may run between any two instructions of a library, a readable
 * descriptor is looked at when the loop has time. The one exception is the end of a process that was already
 * asked to stop: there the main thread may hang in a library call and never look again, so the deadline and a
 * second request come as handlers that do nothing but _exit(2). Where it hangs before it has read the first
 * request, a thread that does nothing else has seen the request waiting. */
#include "signals.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"
#include "exit_code.h"

#define WAIT_DESCRIPTORS_MAX 16
#define LOOK_AGAIN_MS        100 /* while some other signal waits to be read */

static int descriptor = -1;
static atomic_bool stop_asked; /* other threads ask, too */
static int64_t stop_asked_ms;  /* of the first request in this burst, or the last one that counted */
static bool deadline_armed;
static int64_t stop_timeout_ms; /* 0: no limit */
static sigset_t mask_before;
static volatile pid_t supervisor_pid; /* 0: nobody supervises this process */

static void set_disposition(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    if (sigaction(number, &action, NULL) != 0) abort();
}

/* A signal that is ignored is queued all the same while it is blocked, so nohup(1) has to be honoured here.
 */
static bool hangup_is_ignored(void)
{
    struct sigaction action;
    if (sigaction(SIGHUP, NULL, &action) != 0) abort();
    return action.sa_handler == SIG_IGN;
}

void signals_init(bool children)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGTTIN, SIGTTOU};
    assert(descriptor < 0);
    sigset_t mask;
    sigemptyset(&mask);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) sigaddset(&mask, numbers[i]);
    if (!hangup_is_ignored()) sigaddset(&mask, SIGHUP);
    if (children) {
        sigaddset(&mask, SIGCHLD);
        set_disposition(SIGCHLD, SIG_DFL); /* inherited as ignored, the kernel would reap for us */
    }
    set_disposition(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &mask, &mask_before) != 0) abort();
    descriptor = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (descriptor < 0) abort();
}

void signals_reset(void)
{
    if (descriptor < 0) return;
    close(descriptor);
    descriptor = -1;
    stop_asked = false;
    set_disposition(SIGPIPE, SIG_DFL);
    if (sigprocmask(SIG_SETMASK, &mask_before, NULL) != 0) abort();
}

void signals_end_at_once(bool at_once)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGQUIT);
    if (pthread_sigmask(at_once ? SIG_UNBLOCK : SIG_BLOCK, &mask, NULL) != 0) abort();
}

void signals_supervised(void)
{
    supervisor_pid = getppid();
}

int signals_fd(void)
{
    return descriptor;
}

static bool is_same_burst(void)
{
    return stop_asked && clock_now_ms() - stop_asked_ms < SIGNALS_BURST_MS;
}

int signals_next(void)
{
    struct signalfd_siginfo info;
    while (descriptor >= 0 && read(descriptor, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        const int number = (int)info.ssi_signo;
        if (number != SIGTERM && number != SIGINT && number != SIGQUIT) return number;
        if (is_same_burst()) continue;
        stop_asked = true;
        stop_asked_ms = clock_now_ms();
        if (stop_timeout_ms > 0) signals_arm_deadline(stop_timeout_ms);
        return number;
    }
    return 0;
}

bool signals_stop_asked(void)
{
    return stop_asked;
}

bool signals_look_for_stop(void)
{
    while (signals_next() != 0) continue;
    return stop_asked;
}

bool signals_stop_arrived(void)
{
    sigset_t pending;
    if (stop_asked) return true;
    if (sigpending(&pending) != 0) abort();
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1 ||
           sigismember(&pending, SIGQUIT) == 1;
}

static void on_deadline(int number)
{
    (void)number;
    _exit(EXIT_TEMPORARY);
}

static void on_second_request(int number)
{
    (void)number;
    const bool supervised = supervisor_pid != 0 && getppid() == supervisor_pid;
    if (!supervised && !is_same_burst()) _exit(EXIT_TEMPORARY);
}

void signals_arm_deadline(int64_t timeout_ms)
{
    if (deadline_armed) return;
    deadline_armed = true;
    set_disposition(SIGALRM, on_deadline);
    set_disposition(SIGTERM, on_second_request);
    set_disposition(SIGINT, on_second_request);
    if (timeout_ms < 1) timeout_ms = 1; /* zero would disarm the timer */
    const struct itimerval timer = {
        .it_value = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000}};
    if (setitimer(ITIMER_REAL, &timer, NULL) != 0) abort();
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGALRM);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    if (sigprocmask(SIG_UNBLOCK, &mask, NULL) != 0) abort();
}

/* Takes no signal away: whoever reads the first request arms the deadline as well, so that either of the two
 * sees it. */
static void *watch_for_stop(void *unused)
{
    struct pollfd waiting = {.fd = descriptor, .events = POLLIN};
    while (!signals_stop_arrived()) {
        if (poll(&waiting, 1, -1) > 0 && !signals_stop_arrived()) (void)poll(NULL, 0, LOOK_AGAIN_MS);
    }
    const int64_t deadline_ms = clock_now_ms() + stop_timeout_ms;
    for (int64_t left_ms; (left_ms = deadline_ms - clock_now_ms()) > 0;) (void)poll(NULL, 0, (int)left_ms);
    _exit(EXIT_TEMPORARY);
    return unused;
}

void signals_limit_stop(int64_t timeout_ms)
{
    pthread_t thread;
    assert(descriptor >= 0 && timeout_ms > 0);
    stop_timeout_ms = timeout_ms;
    if (pthread_create(&thread, NULL, watch_for_stop, NULL) != 0) abort();
    (void)pthread_detach(thread);
}

/* What poll(2) takes: -1 for no limit, else the milliseconds left, at most what fits. */
static int poll_timeout(int64_t deadline_ms)
{
    if (deadline_ms < 0) return -1;
    const int64_t left_ms = deadline_ms - clock_now_ms();
    if (left_ms <= 0) return 0;
    return left_ms > 1000000 ? 1000000 : (int)left_ms;
}

bool signals_wait(struct pollfd *descriptors, unsigned count, int64_t timeout_ms)
{
    assert(count <= WAIT_DESCRIPTORS_MAX);
    struct pollfd all[WAIT_DESCRIPTORS_MAX + 1] = {{.fd = descriptor, .events = POLLIN}};
    if (count > 0) memcpy(all + 1, descriptors, count * sizeof(*all));
    const int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_now_ms() + timeout_ms;
    int ready;
    do {
        ready = poll(all, count + 1, poll_timeout(deadline_ms));
        if (ready < 0 && errno != EINTR) abort();
    } while (ready < 0 || (ready == 0 && (deadline_ms < 0 || clock_now_ms() < deadline_ms)));
    if (count > 0) memcpy(descriptors, all + 1, count * sizeof(*all));
    return ready > 0;
}
