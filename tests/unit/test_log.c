// link: worker/log.c worker/clock.c
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static int ends[2]; /* of a pipe in the place of standard error */
static char line[8192];

/* What was logged since the last call. */
static const char *logged(void)
{
    ssize_t size = read(ends[0], line, sizeof line - 1);
    line[size > 0 ? size : 0] = '\0';
    return line;
}

/* The line behind its time. */
static const char *behind_time(void)
{
    const char *space = strchr(logged(), ' ');
    return space != NULL ? space + 1 : "";
}

static void test_line(void)
{
    log_init(LOG_LEVEL_INFO, "worker 3");
    log_line(LOG_LEVEL_WARNING, "claim_lost", "partition %d is \"gone\"\\\n\x1b[31m\xc2\x9b\xc3\xa9", 7);
    CU_ASSERT_STRING_EQUAL(behind_time(),
                           "level=warning role=\"worker 3\" event=claim_lost "
                           "msg=\"partition 7 is \\\"gone\\\"\\\\\\n\\x1b[31m\\u009b\xc3\xa9\"\n");
    log_init(LOG_LEVEL_INFO, "pool");
    log_line(LOG_LEVEL_INFO, "started", "x");
    CU_ASSERT_STRING_EQUAL(behind_time(), "level=info role=pool event=started msg=\"x\"\n");
    log_init(LOG_LEVEL_INFO, "");
    log_line(LOG_LEVEL_INFO, "started", "x");
    CU_ASSERT_STRING_EQUAL(behind_time(), "level=info event=started msg=\"x\"\n");
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
    CU_ASSERT_STRING_EQUAL(behind_time(), "level=error role=pool event=shown msg=\"x\"\n");
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
    CU_ASSERT_STRING_EQUAL(line + size - 4, "\\\"\"\n");
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
    CU_add_test(suite, "errno is kept", test_errno_is_kept);
    CU_add_test(suite, "journal", test_journal);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    (void)dup2(before, STDERR_FILENO);
    return failures != 0;
}
