// link: worker/progress.c worker/terminal_size.c
#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "progress.h"
#include "utf8.h"

/* ---- the clock, and the places that standard error goes to --------------------------------------------- */

static int64_t now_ms = 1000000;
static int pipe_ends[2];
static int master = -1;
static int terminal = -1;
static char shown[65536];

int64_t clock_now_ms(void)
{
    return now_ms;
}

int64_t clock_wall_ms(void)
{
    return now_ms;
}

/* What was shown since the last call. */
static const char *seen(int fd)
{
    size_t size = 0;
    for (ssize_t got; (got = read(fd, shown + size, sizeof shown - 1 - size)) > 0;) size += (size_t)got;
    shown[size] = '\0';
    return shown;
}

static void on_pipe(void)
{
    CU_ASSERT_TRUE(dup2(pipe_ends[1], STDERR_FILENO) >= 0);
}

static void on_terminal(unsigned short columns)
{
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    CU_ASSERT_EQUAL(ioctl(terminal, TIOCSWINSZ, &size), 0);
    CU_ASSERT_EQUAL(setenv("TERM", "xterm", 1), 0);
    CU_ASSERT_TRUE(dup2(terminal, STDERR_FILENO) >= 0);
}

static struct progress begin(int64_t total, bool quiet)
{
    struct progress progress;
    progress_begin(&progress, &(struct progress_options){"submit", "events", total, quiet});
    return progress;
}

/* As many steps of a tenth of a second, each doing as much. */
static void go_on(struct progress *progress, int steps, int64_t done_each)
{
    for (int i = 0; i < steps; i++) {
        now_ms += 100;
        progress_update(progress, progress->done + done_each, progress->position + done_each);
    }
}

/* ---- tests -------------------------------------------------------------------------------------------- */

static void test_nothing_below_two_seconds(void)
{
    on_terminal(80);
    struct progress progress = begin(1000, false);
    go_on(&progress, 19, 10);
    progress_end(&progress);
    CU_ASSERT_STRING_EQUAL(seen(master), "");
    on_pipe();
    progress = begin(1000, false);
    go_on(&progress, 99, 10);
    progress_end(&progress);
    CU_ASSERT_STRING_EQUAL(seen(pipe_ends[0]), "");
}

static void test_line_is_redrawn_and_erased(void)
{
    on_terminal(80);
    struct progress progress = begin(100000, false);
    go_on(&progress, 20, 1000);
    CU_ASSERT_STRING_EQUAL(seen(master), "\rwinnow submit: 20,000 events, 20 %, 10,000/s, 8 s left\x1b[K");
    go_on(&progress, 2, 1000);
    CU_ASSERT_STRING_EQUAL(seen(master), ""); /* not so soon */
    go_on(&progress, 1, 1000);
    CU_ASSERT_STRING_EQUAL(seen(master), "\rwinnow submit: 23,000 events, 23 %, 10,000/s, 8 s left\x1b[K");
    progress_hide(&progress);
    CU_ASSERT_STRING_EQUAL(seen(master), "\r\x1b[K");
    go_on(&progress, 1, 1000); /* at once, as there is none */
    CU_ASSERT_PTR_NOT_NULL(strstr(seen(master), "24,000 events"));
    progress_end(&progress);
    CU_ASSERT_STRING_EQUAL(seen(master), "\r\x1b[K");
    progress_end(&progress);
    go_on(&progress, 100, 1);
    CU_ASSERT_STRING_EQUAL(seen(master), "");
}

static void test_line_is_not_wider_than_the_terminal(void)
{
    on_terminal(20);
    struct progress progress = begin(100000, false);
    go_on(&progress, 20, 1000);
    CU_ASSERT_STRING_EQUAL(seen(master), "\rwinnow submit: 20,0\x1b[K");
    progress_end(&progress);
    CU_ASSERT_STRING_EQUAL(seen(master), "\r\x1b[K");
}

/* A character of two bytes is as wide as one, and is shown whole or not at all. */
static void test_characters_are_not_torn(void)
{
    char note[200] = "a";
    on_terminal(40);
    struct progress progress;
    progress_begin(&progress, &(struct progress_options){"migrate", NULL, 0, false});
    for (size_t i = 1; i + 2 < sizeof note; i += 2) memcpy(note + i, "\xC3\xA9", 3);
    progress_note(&progress, note);
    CU_ASSERT_EQUAL(strlen(progress.note), 127);
    CU_ASSERT_STRING_EQUAL(progress.note + 125, "\xC3\xA9");
    note[0] = '\0';
    for (size_t i = 0; i + 2 < sizeof note; i += 2) memcpy(note + i, "\xC3\xA9", 3);
    progress_note(&progress, note);
    CU_ASSERT_EQUAL(strlen(progress.note), 126);
    go_on(&progress, 21, 0);
    const char *line = seen(master);
    CU_ASSERT_TRUE(utf8_is_valid(line, strlen(line)));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "winnow migrate: \xC3\xA9"));
    CU_ASSERT_EQUAL(utf8_count(line, strlen(line)), 39 + strlen("\r\x1b[K"));
    progress_end(&progress);
    (void)seen(master);
}

static void test_lines_on_a_pipe(void)
{
    on_pipe();
    struct progress progress = begin(1000, false);
    go_on(&progress, 250, 1);
    CU_ASSERT_STRING_EQUAL(seen(pipe_ends[0]), "winnow submit: 100 events, 10 %, 10/s, 1 min 30 s left\n"
                                               "winnow submit: 200 events, 20 %, 10/s, 1 min 20 s left\n");
    progress_end(&progress);
    CU_ASSERT_STRING_EQUAL(seen(pipe_ends[0]), "");
}

static void test_lines_on_a_dumb_terminal(void)
{
    on_terminal(80);
    CU_ASSERT_EQUAL(setenv("TERM", "dumb", 1), 0);
    struct progress progress = begin(0, false);
    go_on(&progress, 100, 1);
    progress_end(&progress);
    CU_ASSERT_STRING_EQUAL(seen(master), "winnow submit: 100 events, 10/s\r\n"); /* \r: the terminal's own */
}

static void test_quiet(void)
{
    on_terminal(80);
    struct progress progress = begin(1000, true);
    go_on(&progress, 500, 1);
    progress_end(&progress);
    CU_ASSERT_STRING_EQUAL(seen(master), "");
}

static void test_rate_is_that_of_the_last_seconds(void)
{
    on_pipe();
    struct progress progress = begin(1000000, false);
    progress_update(&progress, 500000, 500000); /* done before */
    go_on(&progress, 99, 1000);
    go_on(&progress, 100, 20);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen(pipe_ends[0]), " 599,020 events, 59 %,"));
    go_on(&progress, 100, 20);
    CU_ASSERT_STRING_EQUAL(seen(pipe_ends[0]),
                           "winnow submit: 601,020 events, 60 %, 200/s, 33 min 15 s left\n");
    go_on(&progress, 100, 0);
    (void)seen(pipe_ends[0]);
    go_on(&progress, 100, 0); /* nothing moves: nobody knows how long */
    CU_ASSERT_STRING_EQUAL(seen(pipe_ends[0]), "winnow submit: 603,000 events, 60 %, 0/s\n");
    progress_end(&progress);
}

static void test_share_never_exceeds_the_whole(void)
{
    on_pipe();
    struct progress progress = begin(50, false);
    go_on(&progress, 100, 1); /* the file grew */
    CU_ASSERT_STRING_EQUAL(seen(pipe_ends[0]), "winnow submit: 100 events, 100 %, 10/s\n");
    progress_end(&progress);
}

static void test_notes(void)
{
    on_pipe();
    struct progress progress;
    progress_begin(&progress, &(struct progress_options){.command = "migrate"});
    progress_note(&progress, "000010_speed (2 of 3)");
    go_on(&progress, 120, 0);
    CU_ASSERT_STRING_EQUAL(seen(pipe_ends[0]), "winnow migrate: 000010_speed (2 of 3), 10 s\n");
    progress_end(&progress);
    progress = begin(0, false);
    progress_note(&progress, "2 failed");
    go_on(&progress, 100, 0);
    CU_ASSERT_STRING_EQUAL(seen(pipe_ends[0]), "winnow submit: 0 events, 0/s, 2 failed\n");
    progress_end(&progress);
}

static void test_texts(void)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } durations[] = {{0, "0 s"},           {59, "59 s"},
                     {60, "1 min 00 s"},   {3599, "59 min 59 s"},
                     {3600, "1 h 00 min"}, {172799, "47 h 59 min"},
                     {172800, "2 d 0 h"},  {273600, "3 d 4 h"}};
    static const struct {
        int64_t count;
        const char *text;
    } counts[] = {{0, "0"},
                  {999, "999"},
                  {1000, "1,000"},
                  {1234567, "1,234,567"},
                  {-1000, "-1,000"},
                  {-100, "-100"},
                  {INT64_MAX, "9,223,372,036,854,775,807"}};
    char text[32];
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        progress_print_duration(durations[i].seconds, text, sizeof text);
        CU_ASSERT_STRING_EQUAL(text, durations[i].text);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        progress_print_count(counts[i].count, text, sizeof text);
        CU_ASSERT_STRING_EQUAL(text, counts[i].text);
    }
}

static bool open_places(void)
{
    master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return false;
    terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    return terminal >= 0 && pipe2(pipe_ends, O_NONBLOCK) == 0;
}

int main(void)
{
    int before = dup(STDERR_FILENO);
    if (before < 0 || !open_places() || CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("progress", NULL, NULL);
    CU_add_test(suite, "nothing below two seconds", test_nothing_below_two_seconds);
    CU_add_test(suite, "line is redrawn and erased", test_line_is_redrawn_and_erased);
    CU_add_test(suite, "line is not wider than the terminal", test_line_is_not_wider_than_the_terminal);
    CU_add_test(suite, "characters are not torn", test_characters_are_not_torn);
    CU_add_test(suite, "lines on a pipe", test_lines_on_a_pipe);
    CU_add_test(suite, "lines on a dumb terminal", test_lines_on_a_dumb_terminal);
    CU_add_test(suite, "quiet", test_quiet);
    CU_add_test(suite, "rate is that of the last seconds", test_rate_is_that_of_the_last_seconds);
    CU_add_test(suite, "share never exceeds the whole", test_share_never_exceeds_the_whole);
    CU_add_test(suite, "notes", test_notes);
    CU_add_test(suite, "texts", test_texts);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    (void)dup2(before, STDERR_FILENO);
    return failures != 0;
}
