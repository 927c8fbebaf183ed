/* `winnow resume` and where it refuses to go on; what it would do is asked here. */
// link: worker/command/resume.c
#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "command.h"
#include "command/steer.h"
#include "exit_code.h"
#include "log.h"
#include "signals.h"

static const char *place;
static struct steer_partition partition;
static unsigned executed;

/* ---- in the places of settings, database and Kafka
 * ---------------------------------------------------------
 */

bool settings_read(const struct command_usage *usage, int argc, char **argv, struct settings *ret_settings,
                   int *ret_rest, int *ret_exit_code)
{
    static char level[] = "error";
    (void)argv, (void)ret_exit_code;
    *ret_settings = (struct settings){.log_level = level};
    *ret_rest = argc;
    for (const struct command_option *option = usage->options; option->name != NULL; option++) {
        if (strcmp(option->name, "at") == 0) *option->text = place;
        if (strcmp(option->name, "yes") == 0) *option->text = "";
    }
    return true;
}

bool ask_yes(FILE *out, const char *question, int *ret_exit_code)
{
    (void)out, (void)question, (void)ret_exit_code;
    CU_FAIL("--yes is given, and somebody is asked");
    return false;
}

int settings_refuse(const char *command, const char *format, ...)
{
    (void)command, (void)format;
    return EXIT_BAD_USAGE;
}

void settings_done(struct settings *settings)
{
    (void)settings;
}

void signals_init(bool children)
{
    (void)children;
}

void log_init_quiet(const char *level_name, const char *role)
{
    (void)level_name, (void)role;
}

int steer_begin(struct steer *steer, const char *word)
{
    (void)word;
    steer->partitions = &partition;
    steer->count = 1;
    return EXIT_DRAINED;
}

void steer_end(struct steer *steer)
{
    (void)steer;
}

int steer_plan(struct steer *steer)
{
    (void)steer;
    return EXIT_DRAINED;
}

int steer_execute(struct steer *steer)
{
    (void)steer;
    executed++;
    return EXIT_DRAINED;
}

int64_t steer_clamp(const struct steer_partition *of, int64_t target)
{
    (void)of;
    return target;
}

void steer_print(const struct steer *steer, bool done)
{
    (void)steer, (void)done;
}

bool steer_has_work(const struct steer *steer)
{
    (void)steer;
    return true;
}

int steer_check_note(const char *command, const char *text)
{
    (void)command;
    return text == NULL ? EXIT_DRAINED : EXIT_BAD_USAGE;
}

bool steer_read_number(const char *text, int64_t *ret_number)
{
    char *end;
    *ret_number = strtoll(text, &end, 10);
    return *end == '\0';
}

/* ---- tests
 * -------------------------------------------------------------------------------------------------
 */

/* The group stands at 100 of a log that ends at `high`. */
static int resume(const char *at, const char *reason, int64_t high)
{
    static char name[] = "resume";
    char *argv[] = {name, NULL};
    partition = (struct steer_partition){
        .chosen = true, .halted = reason != NULL, .next_offset = 100, .range = {.low = 0, .high = high}};
    if (reason != NULL) (void)snprintf(partition.halt_reason, sizeof partition.halt_reason, "%s", reason);
    place = at;
    executed = 0;
    return command_resume(1, argv);
}

/* It was made anew, and is shorter: there is nothing to go on with. */
static void test_next_behind_the_end_is_refused(void)
{
    CU_ASSERT_EQUAL(resume("next", "offset_out_of_range", 4), EXIT_FINDING);
    CU_ASSERT_EQUAL(resume("next", "offset_out_of_range", 99), EXIT_FINDING);
    CU_ASSERT_EQUAL(executed, 0);
    CU_ASSERT_EQUAL(resume("next", "circuit_breaker", 100), EXIT_DRAINED);
    CU_ASSERT_EQUAL(executed, 1);
    CU_ASSERT_TRUE(partition.stays);
    CU_ASSERT_FALSE(partition.is_new_log);
}

/* Offsets of the old log and of the new one are not in one account. */
static void test_another_log_is_told(void)
{
    CU_ASSERT_EQUAL(resume("earliest", "offset_out_of_range", 4), EXIT_DRAINED);
    CU_ASSERT_TRUE(partition.is_new_log);
    CU_ASSERT_EQUAL(resume("earliest", "topic_changed", 400), EXIT_DRAINED);
    CU_ASSERT_TRUE(partition.is_new_log);
    CU_ASSERT_EQUAL(resume("200", "circuit_breaker", 400), EXIT_DRAINED);
    CU_ASSERT_FALSE(partition.is_new_log);
    CU_ASSERT_EQUAL(partition.target, 200);
}

static void test_who_runs_is_not_resumed(void)
{
    CU_ASSERT_EQUAL(resume("next", NULL, 400), EXIT_DRAINED); /* not named: left alone */
    CU_ASSERT_FALSE(partition.chosen);
    CU_ASSERT_EQUAL(resume("soon", "topic_changed", 400), EXIT_BAD_USAGE);
    CU_ASSERT_EQUAL(executed, 0);
}

int main(void)
{
    const int quiet = open("/dev/null", O_WRONLY);
    if (quiet < 0 || dup2(quiet, STDERR_FILENO) < 0 || CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("resume", NULL, NULL);
    CU_add_test(suite, "next behind the end is refused", test_next_behind_the_end_is_refused);
    CU_add_test(suite, "another log is told", test_another_log_is_told);
    CU_add_test(suite, "who runs is not resumed", test_who_runs_is_not_resumed);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
