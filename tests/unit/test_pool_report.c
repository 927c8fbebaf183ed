/* What the service manager is told of a pool, with a socket of our own in its place and times of our own. */
// link: worker/pool_report.c worker/service_notify.c worker/slot.c worker/log.c worker/clock.c
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pool_report.h"
#include "service_notify.h"

#define STUCK_MS    90000
#define WATCHDOG_MS 20000
#define BEGIN_MS    1000000

static int receiver;
static struct roster roster;
static struct slot_page *page;
static int page_fd;
static struct pool_report report;
static int64_t now_ms;
static int64_t stuck_ms;

/* All that was told since, joined by `;`. */
static const char *heard(void)
{
    static char text[1024];
    size_t size = 0;
    ssize_t got;
    while ((got = recv(receiver, text + size, sizeof(text) - size - 2, MSG_DONTWAIT)) > 0) {
        size += (size_t)got;
        text[size++] = ';';
    }
    text[size] = '\0';
    return text;
}

static const char *tell(int64_t later_ms)
{
    now_ms += later_ms;
    pool_report_tell(&report, &roster, page, stuck_ms, now_ms);
    return heard();
}

/* The service manager's side, on a name in the abstract namespace. */
static int set_up(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    char pid[16];
    const int size = snprintf(name, sizeof(name), "@winnow-test-%d", (int)getpid());
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, (size_t)size - 1);
    receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const socklen_t address_size = (socklen_t)(sizeof(address.sun_family) + (size_t)size);
    if (bind(receiver, (struct sockaddr *)&address, address_size) != 0) return 1;
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "20000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    service_notify_init();
    return 0;
}

static int tear_down(void)
{
    close(receiver);
    return 0;
}

/* A pool of two, of which nothing was told yet. */
static void begin(void)
{
    const struct roster_options options = {.count = 2, .drain_ms = 1000, .hold_ms = 1, .seed = 1};
    now_ms = BEGIN_MS;
    stuck_ms = STUCK_MS;
    (void)heard();
    roster_init(&roster, &options);
    page = slot_page_new(&page_fd);
    pool_report_init(&report);
    for (unsigned slot = 0; slot < 2; slot++) {
        roster.members[slot].state = MEMBER_RUNNING;
        slot_reset(&page->slots[slot], now_ms);
    }
}

static void end(void)
{
    slot_page_free(page);
    close(page_fd);
}

static void join(void)
{
    roster_checked(&roster);
    roster_joined(&roster, 0);
    roster_joined(&roster, 1);
}

static void test_environment_is_taken(void)
{
    CU_ASSERT_PTR_NULL(getenv("NOTIFY_SOCKET"));
    CU_ASSERT_PTR_NULL(getenv("WATCHDOG_USEC"));
    CU_ASSERT_PTR_NULL(getenv("WATCHDOG_PID"));
    CU_ASSERT_EQUAL(service_notify_watchdog_ms(), WATCHDOG_MS);
}

static void test_ready_when_checked(void)
{
    begin();
    CU_ASSERT_STRING_EQUAL(tell(0),
                           "WATCHDOG=1;STATUS=the first worker looks at configuration, topic and schema;");
    CU_ASSERT_STRING_EQUAL(tell(1), "");
    roster_checked(&roster);
    CU_ASSERT_STRING_EQUAL(tell(1), "READY=1;STATUS=0 of 2 workers have joined the group;");
    roster_joined(&roster, 1);
    CU_ASSERT_STRING_EQUAL(tell(1), "STATUS=1 of 2 workers has joined the group;");
    CU_ASSERT_STRING_EQUAL(tell(1), "");
    end();
}

static void test_reload(void)
{
    begin();
    join();
    (void)tell(0);
    roster_renew(&roster);
    CU_ASSERT_PTR_NOT_NULL(strstr(tell(1), "RELOADING=1\nMONOTONIC_USEC="));
    CU_ASSERT_STRING_EQUAL(tell(1), "");
    for (unsigned slot = 0; slot < 2; slot++) roster.members[slot].renewal_due = false;
    roster.members[1].ready = false;
    CU_ASSERT_PTR_NULL(strstr(tell(1), "READY=1"));
    roster_joined(&roster, 1);
    CU_ASSERT_STRING_EQUAL(tell(1), "READY=1;STATUS=2 of 2 workers have joined the group;");
    end();
}

/* One that asks for a reload before it was ready would be told that the start is over. */
static void test_no_reload_before_ready(void)
{
    begin();
    roster_renew(&roster);
    CU_ASSERT_PTR_NULL(strstr(tell(0), "RELOADING"));
    end();
}

static void test_stop(void)
{
    begin();
    join();
    (void)tell(0);
    roster_stop(&roster);
    CU_ASSERT_STRING_EQUAL(tell(1), "STOPPING=1;STATUS=stopping: workers drain;");
    CU_ASSERT_STRING_EQUAL(tell(1), "");
    end();
}

static void test_signs_of_life(void)
{
    begin();
    join();
    (void)tell(0);
    CU_ASSERT_EQUAL(pool_report_due_ms(&report), now_ms + WATCHDOG_MS / 2);
    CU_ASSERT_STRING_EQUAL(tell(WATCHDOG_MS / 2 - 1), "");
    CU_ASSERT_STRING_EQUAL(tell(1), "WATCHDOG=1;");
    end();
}

static void test_no_sign_while_a_worker_hangs(void)
{
    begin();
    join();
    (void)tell(0);
    slot_beat(&page->slots[0], BEGIN_MS + STUCK_MS);
    CU_ASSERT_STRING_EQUAL(tell(STUCK_MS), "WATCHDOG=1;");
    slot_beat(&page->slots[0], now_ms + WATCHDOG_MS);
    CU_ASSERT_STRING_EQUAL(tell(WATCHDOG_MS), "STATUS=worker 1 hangs;");
    slot_beat(&page->slots[1], now_ms);
    CU_ASSERT_STRING_EQUAL(tell(WATCHDOG_MS), "WATCHDOG=1;STATUS=2 of 2 workers have joined the group;");
    end();
}

/* Statements may take longer from then on: who waits for one does not hang. */
static void test_limit_may_change(void)
{
    begin();
    join();
    (void)tell(0);
    CU_ASSERT_STRING_EQUAL(tell(STUCK_MS + 1), "STATUS=worker 0 hangs;");
    stuck_ms = 2 * STUCK_MS;
    CU_ASSERT_STRING_EQUAL(tell(WATCHDOG_MS), "WATCHDOG=1;STATUS=2 of 2 workers have joined the group;");
    end();
}

static void test_drained(void)
{
    begin();
    join();
    (void)tell(0);
    CU_ASSERT_TRUE(roster_drain(&roster));
    CU_ASSERT_STRING_EQUAL(tell(1), "STATUS=drained: no worker is started until `winnow pool resume`;");
    CU_ASSERT_TRUE(roster_resume(&roster));
    CU_ASSERT_STRING_EQUAL(tell(1), "STATUS=2 of 2 workers have joined the group;");
    end();
}

/* It has a deadline of its own, after which it is killed. */
static void test_who_leaves_may_hang(void)
{
    begin();
    join();
    (void)tell(0);
    roster.members[1].state = MEMBER_LEAVING;
    slot_beat(&page->slots[0], now_ms + STUCK_MS);
    CU_ASSERT_PTR_NOT_NULL(strstr(tell(STUCK_MS + 1), "WATCHDOG=1;"));
    end();
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("pool_report", set_up, tear_down);
    CU_add_test(suite, "the environment is taken", test_environment_is_taken);
    CU_add_test(suite, "ready when a worker has found all right", test_ready_when_checked);
    CU_add_test(suite, "a reload is told, and its end", test_reload);
    CU_add_test(suite, "no reload before ready", test_no_reload_before_ready);
    CU_add_test(suite, "a stop is told once", test_stop);
    CU_add_test(suite, "signs of life", test_signs_of_life);
    CU_add_test(suite, "no sign while a worker hangs", test_no_sign_while_a_worker_hangs);
    CU_add_test(suite, "how long a worker may take can change", test_limit_may_change);
    CU_add_test(suite, "a drained pool says so", test_drained);
    CU_add_test(suite, "a worker that leaves may hang", test_who_leaves_may_hang);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
