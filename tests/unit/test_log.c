// link: worker/log.c
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

static int64_t now_ms = 1000000;

int64_t clock_now_ms(void)
{
    return now_ms;
}

int64_t clock_wall_ms(void)
{
    return INT64_C(1704067200000) + now_ms;
}

static size_t tear_next_write; /* 0: not; else so many of its bytes are taken */

/* In the place of the kernel, which takes what there is room for. */
ssize_t write(int fd, const void *bytes, size_t size)
{
    const struct iovec part = {.iov_base = (char *)(uintptr_t)bytes,
                               .iov_len = tear_next_write > 0 ? tear_next_write : size};
    tear_next_write = 0;
    return writev(fd, &part, 1);
}

static int ends[2]; /* of a pipe in the place of standard error */
static char line[262144];

/* What was logged since the last call. */
static const char *logged(void)
{
    ssize_t size = read(ends[0], line, sizeof line - 1);
    line[size > 0 ? size : 0] = '\0';
    return line;
}

/* The line behind the process's number. */
static const char *behind_pid(void)
{
    char own[32];
    (void)snprintf(own, sizeof own, " pid=%d ", (int)getpid());
    const char *at = strstr(logged(), own);
    return at != NULL ? at + strlen(own) : "";
}

static void test_line(void)
{
    log_init(LOG_LEVEL_INFO, "worker 3");
    log_line(LOG_LEVEL_WARNING, "claim_lost", "partition %d is \"gone\"\\\n\x1b[31m\xc2\x9b\xc3\xa9", 7);
    CU_ASSERT_STRING_EQUAL(behind_pid(),
                           "role=worker worker=3 event=claim_lost "
                           "msg=\"partition 7 is \\\"gone\\\"\\\\\\n\\x1b[31m\\u009b\xc3\xa9\"\n");
    log_init(LOG_LEVEL_INFO, "pool");
    log_line(LOG_LEVEL_INFO, "started", "x");
    CU_ASSERT_STRING_EQUAL(behind_pid(), "role=pool event=started msg=\"x\"\n");
    log_init(LOG_LEVEL_INFO, "");
    log_line(LOG_LEVEL_INFO, "started", "x");
    CU_ASSERT_STRING_EQUAL(behind_pid(), "event=started msg=\"x\"\n");
}

static void test_time(void)
{
    int year, month, day, hour, minute, second, millisecond, end = 0;
    log_line(LOG_LEVEL_INFO, "started", "x");
    int count = sscanf(logged(), "time=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour, &minute,
                       &second, &millisecond, &end);
    CU_ASSERT_EQUAL(count, 7);
    CU_ASSERT_EQUAL(end, (int)strlen("time=2024-01-01T00:00:00.000Z "));
    CU_ASSERT_TRUE(year >= 2024);
}

static void test_level(void)
{
    enum log_level level = LOG_LEVEL_INFO;
    CU_ASSERT_TRUE(log_level_read("warning", &level));
    CU_ASSERT_EQUAL(level, LOG_LEVEL_WARNING);
    CU_ASSERT_FALSE(log_level_read("warn", &level));
    log_init(level, "pool");
    log_line(LOG_LEVEL_INFO, "hidden", "x");
    log_line(LOG_LEVEL_ERROR, "shown", "x");
    CU_ASSERT_STRING_EQUAL(behind_pid(), "role=pool event=shown msg=\"x\"\n");
}

static void test_long_text_is_cut(void)
{
    char text[6000];
    memset(text, '"', sizeof text - 1); /* each takes two bytes */
    text[sizeof text - 1] = '\0';
    log_init(LOG_LEVEL_INFO, "pool");
    log_line(LOG_LEVEL_INFO, "long", "%s", text);
    size_t size = strlen(logged());
    CU_ASSERT_TRUE(size <= 4096 && size >= 4094);
    CU_ASSERT_STRING_EQUAL(line + size - 7, "\\\"\xe2\x80\xa6\"\n");
}

static void test_character_is_not_cut(void)
{
    char text[6000];
    for (size_t i = 0; i < sizeof text - 1; i++) text[i] = i % 2 == 0 ? '\xc3' : '\xa9';
    text[sizeof text - 1] = '\0';
    log_init(LOG_LEVEL_INFO, "pool");
    for (int shift = 0; shift < 2; shift++) {
        log_line(LOG_LEVEL_INFO, "long", "%s%s", shift == 0 ? "" : "x", text);
        CU_ASSERT_PTR_NOT_NULL(strstr(logged(), "\xc3\xa9\xe2\x80\xa6\"\n"));
        CU_ASSERT_PTR_NULL(strchr(line, '\\'));
    }
}

static void test_formats(void)
{
    char expected[200];
    log_init_named("info", "json", "worker 3");
    log_line(LOG_LEVEL_WARNING, "fenced", "a\n\"b\x80");
    (void)snprintf(expected, sizeof expected,
                   ",\"level\":\"warning\",\"pid\":%d,\"role\":\"worker\",\"worker\":3,\"event\":\"fenced\","
                   "\"msg\":\"a\\n\\\"b\\ufffd\"}\n",
                   (int)getpid());
    CU_ASSERT_STRING_EQUAL(logged() + strlen("{\"time\":\"2024-01-01T00:00:00.000Z\""), expected);
    log_init_named("info", "journal", "worker x");
    log_line(LOG_LEVEL_WARNING, "fenced", "b\x80");
    CU_ASSERT_PTR_NOT_NULL(strstr(logged(), " role=worker x event=fenced msg=\"b\\x80\"\n"));
    CU_ASSERT_EQUAL(strncmp(line, "<4>time=", 8), 0);
    log_init_named("debug", "logfmt", "");
    log_line(LOG_LEVEL_DEBUG, "batch", "c");
    CU_ASSERT_EQUAL(strncmp(logged(), "time=", 5), 0);
}

static void test_repeated_warnings_are_counted(void)
{
    log_init(LOG_LEVEL_INFO, "pool");
    for (int i = 0; i < 25; i++) log_line(LOG_LEVEL_WARNING, "again", "%d", i);
    size_t count = 0;
    for (const char *at = logged(); (at = strstr(at, "event=again")) != NULL; at++) count++;
    CU_ASSERT_EQUAL(count, 20);
    now_ms += 3000;
    log_line(LOG_LEVEL_WARNING, "again", "x");
    CU_ASSERT_STRING_EQUAL(behind_pid(), "role=pool event=again msg=\"x\" suppressed=5\n");
    log_line(LOG_LEVEL_WARNING, "again", "left out");
    now_ms += 60000; /* it does not come again, but something else does */
    log_line(LOG_LEVEL_INFO, "other", "y");
    CU_ASSERT_PTR_NOT_NULL(strstr(behind_pid(), "not told each time\" suppressed=1\n"));
}

/* Nobody reads: lines are lost, nothing waits, and what comes when there is room again tells how many. */
static void test_full_pipe_holds_nobody_up(void)
{
    char bytes[4096];
    CU_ASSERT_EQUAL(fcntl(ends[1], F_SETFL, 0), 0); /* a write that waits, as a worker's would */
    log_init(LOG_LEVEL_INFO, "pool");
    for (int i = 0; i < 200; i++) log_line(LOG_LEVEL_INFO, "long", "%1000d", i); /* more than a pipe holds */
    while (read(ends[0], bytes, sizeof bytes) > 0) continue;
    log_line(LOG_LEVEL_INFO, "after", "x");
    const char *found = strstr(logged(), " lost=");
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    CU_ASSERT_TRUE(atoi(found + strlen(" lost=")) > 100);
    log_line(LOG_LEVEL_INFO, "after", "x");
    CU_ASSERT_PTR_NULL(strstr(logged(), " lost="));
    CU_ASSERT_EQUAL(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* it is shared, and stays as it was */
}

/* As journald's: it fills up, and then its reader goes away. */
static void test_socket(void)
{
    int pair[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CU_ASSERT_TRUE(dup2(pair[1], STDERR_FILENO) >= 0);
    log_init(LOG_LEVEL_INFO, "pool");
    for (int i = 0; i < 1000; i++) log_line(LOG_LEVEL_INFO, "long", "%1000d", i);
    CU_ASSERT_EQUAL(close(pair[0]), 0);
    log_line(LOG_LEVEL_INFO, "after", "x"); /* EPIPE */
    CU_ASSERT_TRUE(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(pair[1]);
    log_init(LOG_LEVEL_INFO, "pool");
    log_line(LOG_LEVEL_INFO, "after", "x");
    CU_ASSERT_PTR_NOT_NULL(strstr(logged(), " lost="));
}

/* Other processes write there, too: a line that came in pieces could have theirs in it. */
static void test_a_line_is_one_write(void)
{
    int pair[2];
    char text[3000];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0); /* which keeps writes apart */
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CU_ASSERT_TRUE(dup2(pair[1], STDERR_FILENO) >= 0);
    log_init(LOG_LEVEL_INFO, "pool");
    for (int i = 0; i < 3; i++) log_line(LOG_LEVEL_INFO, "one", "%s", i == 0 ? "" : text);
    for (int i = 0; i < 3; i++) {
        const ssize_t size = recv(pair[0], line, sizeof line, MSG_DONTWAIT);
        CU_ASSERT_TRUE(size > 60 && line[0] == 't' && line[size - 1] == '\n');
    }
    CU_ASSERT_EQUAL(recv(pair[0], line, sizeof line, MSG_DONTWAIT), -1);
    CU_ASSERT_TRUE(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* What comes behind a line that was written in part begins a new one. */
static void test_a_torn_line_is_ended(void)
{
    int pair[2];
    char bytes[4096];
    CU_ASSERT_EQUAL_FATAL(pipe2(pair, O_NONBLOCK), 0);
    CU_ASSERT_TRUE(dup2(pair[1], STDERR_FILENO) >= 0);
    log_init(LOG_LEVEL_INFO, "pool");
    tear_next_write = 10;
    log_line(LOG_LEVEL_INFO, "torn", "x");
    log_line(LOG_LEVEL_INFO, "whole", "y");
    const ssize_t size = read(pair[0], bytes, sizeof bytes - 1);
    bytes[size > 0 ? size : 0] = '\0';
    CU_ASSERT_EQUAL(strncmp(bytes, "time=2024-\ntime=", 16), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(bytes, "event=whole msg=\"y\" lost=1\n"));
    CU_ASSERT_TRUE(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void test_errno_is_kept(void)
{
    CU_ASSERT_TRUE(dup2(ends[0], STDERR_FILENO) >= 0); /* not for writing */
    log_init(LOG_LEVEL_INFO, "pool");
    errno = EDOM;
    log_line(LOG_LEVEL_INFO, "lost", "x");
    CU_ASSERT_EQUAL(errno, EDOM);
    CU_ASSERT_TRUE(dup2(ends[1], STDERR_FILENO) >= 0);
}

static void test_journal(void)
{
    struct stat status;
    char stream[64];
    CU_ASSERT_EQUAL(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    log_init(LOG_LEVEL_DEBUG, "pool");
    static const char *const heads[] = {"<3>time=", "<4>time=", "<6>time=", "<7>time="};
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        log_line((enum log_level)level, "x", "x");
        CU_ASSERT_EQUAL(strncmp(logged(), heads[level], 8), 0);
    }
    (void)setenv("JOURNAL_STREAM", "1:1", 1); /* another stream than ours */
    log_init(LOG_LEVEL_INFO, "pool");
    log_line(LOG_LEVEL_INFO, "x", "x");
    CU_ASSERT_EQUAL(strncmp(logged(), "time=", 5), 0);
    (void)unsetenv("JOURNAL_STREAM");
}

int main(void)
{
    int before = dup(STDERR_FILENO);
    if (before < 0 || pipe2(ends, O_NONBLOCK) != 0 || dup2(ends[1], STDERR_FILENO) < 0) return EXIT_FAILURE;
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("log", NULL, NULL);
    CU_add_test(suite, "line", test_line);
    CU_add_test(suite, "time", test_time);
    CU_add_test(suite, "level", test_level);
    CU_add_test(suite, "long text is cut", test_long_text_is_cut);
    CU_add_test(suite, "character is not cut", test_character_is_not_cut);
    CU_add_test(suite, "formats", test_formats);
    CU_add_test(suite, "repeated warnings are counted", test_repeated_warnings_are_counted);
    CU_add_test(suite, "full pipe holds nobody up", test_full_pipe_holds_nobody_up);
    CU_add_test(suite, "socket", test_socket);
    CU_add_test(suite, "a line is one write", test_a_line_is_one_write);
    CU_add_test(suite, "a torn line is ended", test_a_torn_line_is_ended);
    CU_add_test(suite, "errno is kept", test_errno_is_kept);
    CU_add_test(suite, "journal", test_journal);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    (void)dup2(before, STDERR_FILENO);
    return failures != 0;
}
