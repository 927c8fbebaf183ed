/* A pool's configuration and its renewal, with a file of our own. */
// link: worker/reload.c worker/settings.c worker/settings_table.c worker/settings_check.c
// link: worker/settings_value.c worker/settings_load.c worker/settings_environment.c worker/settings_file.c
// link: worker/settings_flags.c worker/settings_help.c worker/wrap.c worker/nearest.c worker/secret.c
// link: worker/kafka_properties.c worker/listen_address.c
#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reload.h"
#include "settings_load.h"

static char path[] = "/tmp/winnow_reload_XXXXXX";
static const struct command_usage usage = {.synopsis = "winnow test", .description = ""};
static struct reload *reload;
static struct reload_report report;
static bool fit; /* what is read is fit for workers */

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_TRUE(fputs(text, file) >= 0);
    CU_ASSERT_EQUAL(fclose(file), 0);
}

static bool check(const struct settings *settings)
{
    (void)settings;
    return fit;
}

static void begin(const char *text)
{
    static char program[] = "winnow";
    static char flag[] = "--config";
    static char *argv[] = {program, flag, path, NULL};
    int rest;
    int exit_code;
    fit = true;
    write_file(text);
    CU_ASSERT_TRUE_FATAL(reload_open(&usage, 3, argv, &reload, &rest, &exit_code));
}

static bool again(const char *text)
{
    reload_report_done(&report);
    write_file(text);
    return reload_again(reload, check, &report);
}

static void end(void)
{
    reload_report_done(&report);
    reload_close(reload);
}

/* What a worker that starts now would read. */
static const char *copy(void)
{
    static char text[256];
    const char *const *options = reload_options(reload);
    const char *last = "";
    for (; *options != NULL; options++) last = *options;
    FILE *file = fopen(last, "r");
    const size_t size = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    if (file != NULL) (void)fclose(file);
    return text;
}

static bool tells(const struct buffer *list, const char *text)
{
    return list->size == strlen(text) && memcmp(list->data, text, list->size) == 0;
}

static bool is_in_environment(const char *entry)
{
    for (char *const *at = reload_environment(reload); *at != NULL; at++) {
        if (strcmp(*at, entry) == 0) return true;
    }
    return false;
}

static void test_a_bad_file_keeps_the_old_one(void)
{
    begin("batch_rows = 500\n");
    CU_ASSERT_FALSE(again("batch_rows = many\n"));
    CU_ASSERT_EQUAL(reload_settings(reload)->batch_rows, 500);
    CU_ASSERT_STRING_EQUAL(copy(), "batch_rows = 500\n");
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_FALSE(reload_again(reload, check, &report));
    CU_ASSERT_EQUAL(reload_settings(reload)->batch_rows, 500);
    CU_ASSERT_TRUE(again("batch_rows = 7\n"));
    CU_ASSERT_EQUAL(reload_settings(reload)->batch_rows, 7);
    CU_ASSERT_TRUE(tells(&report.in_force, "batch_rows 500 -> 7"));
    end();
}

static void test_what_is_no_file_is_refused_at_once(void)
{
    begin("batch_rows = 500\n");
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
    CU_ASSERT_FALSE(reload_again(reload, check, &report));
    CU_ASSERT_EQUAL(unlink(path), 0);
    write_file("");
    CU_ASSERT_EQUAL_FATAL(truncate(path, (off_t)RELOAD_BYTES_MAX + 1), 0);
    CU_ASSERT_FALSE(reload_again(reload, check, &report));
    CU_ASSERT_STRING_EQUAL(copy(), "batch_rows = 500\n");
    CU_ASSERT_TRUE(again("batch_rows = 7\n"));
    end();
}

static const char *told;

static void listen(const char *text)
{
    if (strstr(text, "expected a whole number") != NULL) told = "the mistake";
}

/* A pool must not wait for whoever reads standard error. */
static void test_mistakes_go_to_the_listener(void)
{
    begin("batch_rows = 500\n");
    settings_load_listen(listen);
    CU_ASSERT_FALSE(again("batch_rows = many\n"));
    settings_load_listen(NULL);
    CU_ASSERT_STRING_EQUAL(told, "the mistake");
    end();
}

/* Every setting of it is well-formed, and yet no worker could start with it. */
static void test_what_workers_would_refuse_is_refused(void)
{
    begin("batch_rows = 500\n");
    fit = false;
    CU_ASSERT_FALSE(again("batch_rows = 7\n"));
    CU_ASSERT_EQUAL(reload_settings(reload)->batch_rows, 500);
    CU_ASSERT_STRING_EQUAL(copy(), "batch_rows = 500\n");
    end();
}

/* What an editor has left half done is nothing for a worker that is started again. */
static void test_workers_read_what_was_looked_at(void)
{
    begin("batch_rows = 500\n");
    write_file("batch_rows = ma");
    CU_ASSERT_STRING_EQUAL(copy(), "batch_rows = 500\n");
    CU_ASSERT_TRUE(again("batch_rows = 7\n"));
    write_file("");
    CU_ASSERT_STRING_EQUAL(copy(), "batch_rows = 7\n");
    end();
}

/* The topic is what the pool as a whole stands for. */
static void test_what_needs_a_restart_stays(void)
{
    begin("topic = events\nbatch_rows = 500\n");
    CU_ASSERT_TRUE(again("topic = elsewhere\nbatch_rows = 7\n"));
    CU_ASSERT_STRING_EQUAL(reload_settings(reload)->topic, "events");
    CU_ASSERT_EQUAL(reload_settings(reload)->batch_rows, 7);
    CU_ASSERT_TRUE(is_in_environment("WINNOW_TOPIC=events"));
    CU_ASSERT_TRUE(tells(&report.needs_restart,
                         "topic events -> elsewhere, dead_letter_topic events.dlq -> elsewhere.dlq"));
    end();
}

int main(void)
{
    const int quiet = open("/dev/null", O_WRONLY);
    const int made = mkstemp(path);
    if (quiet < 0 || made < 0 || dup2(quiet, STDERR_FILENO) < 0 || CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("reload", NULL, NULL);
    CU_add_test(suite, "a bad file keeps the old one", test_a_bad_file_keeps_the_old_one);
    CU_add_test(suite, "what is no file is refused at once", test_what_is_no_file_is_refused_at_once);
    CU_add_test(suite, "mistakes go to the listener", test_mistakes_go_to_the_listener);
    CU_add_test(suite, "what workers would refuse is refused", test_what_workers_would_refuse_is_refused);
    CU_add_test(suite, "workers read what was looked at", test_workers_read_what_was_looked_at);
    CU_add_test(suite, "what needs a restart stays", test_what_needs_a_restart_stays);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    (void)close(made);
    (void)unlink(path);
    return failures != 0;
}
