// link: worker/settings.c worker/settings_table.c worker/settings_check.c worker/settings_value.c
// link: worker/settings_load.c worker/settings_environment.c worker/settings_file.c worker/settings_flags.c
// link: worker/settings_help.c worker/wrap.c worker/nearest.c worker/secret.c worker/kafka_properties.c
// link: worker/listen_address.c
#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "settings.h"
#include "settings_load.h"
#include "settings_table.h"

#define ARGUMENTS_MAX 16

static char path[] = "/tmp/winnow_settings_XXXXXX"; /* a configuration file */

static const char *file_given;
static const char *own_json;
static const char *own_hidden;
static const struct command_option options[] = {
    {'f', "file", "FILE", "read from a file", &file_given},
    {'j', "json", NULL, "a switch", &own_json},
    {0, "slot-fd", "FD", NULL, &own_hidden},
    {0},
};
static const struct command_usage usage = {.synopsis = "winnow test", .description = "", .options = options};
static const struct command_usage narrow = {
    .synopsis = "winnow test", .description = "", .settings = "topic group"};

/* What one reading gave. */
static struct settings settings;
static char *said; /* on standard error */
static char *arguments[ARGUMENTS_MAX];
static int argument_count;
static int rest;
static int exit_code;

static void forget(void)
{
    settings_done(&settings);
    free(said);
    said = NULL;
    file_given = own_json = own_hidden = NULL;
    rest = -1;
    exit_code = -1;
}

static bool read_with(const struct command_usage *how, va_list texts)
{
    static char command[] = "test";
    size_t size;
    forget();
    arguments[0] = command;
    argument_count = 1;
    while ((arguments[argument_count] = va_arg(texts, char *)) != NULL) argument_count++;
    FILE *before = stderr;
    stderr = open_memstream(&said, &size);
    bool good = settings_read(how, argument_count, arguments, &settings, &rest, &exit_code);
    (void)fclose(stderr);
    stderr = before;
    return good;
}

/* Reads settings from the arguments, which end with NULL. */
static bool read_narrow(const char *first, ...)
{
    (void)first;
    va_list texts;
    va_start(texts, first);
    bool good = read_with(&narrow, texts);
    va_end(texts);
    return good;
}

static bool read_all(const char *first, ...)
{
    (void)first;
    va_list texts;
    va_start(texts, first);
    bool good = read_with(&usage, texts);
    va_end(texts);
    return good;
}

#define READ(...)        read_all("", __VA_ARGS__, NULL)
#define READ_NARROW(...) read_narrow("", __VA_ARGS__, NULL)

static void write_bytes(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, size, file), size);
    CU_ASSERT_EQUAL(fclose(file), 0);
}

static void write_file(const char *text)
{
    write_bytes(text, strlen(text));
}

static bool has_said(const char *text)
{
    bool found = strstr(said, text) != NULL;
    if (!found) (void)printf("\n    expected: %s\n    said: %s", text, said);
    return found;
}

static size_t lines_said(void)
{
    size_t count = 0;
    for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++) count++;
    return count;
}

static const char *kafka_value(const char *name)
{
    for (size_t i = 0; i < settings.kafka_count; i++) {
        if (strcmp(settings.kafka[i].name, name) == 0) return settings.kafka[i].value;
    }
    return "(none)";
}

static void test_defaults(void)
{
    CU_ASSERT_TRUE(READ(NULL));
    CU_ASSERT_PTR_NULL(settings.brokers);
    CU_ASSERT_PTR_NULL(settings.topic);
    CU_ASSERT_PTR_NULL(settings.dead_letter_topic);
    CU_ASSERT_STRING_EQUAL(settings.group, "winnow");
    CU_ASSERT_STRING_EQUAL(settings.database, "");
    CU_ASSERT_STRING_EQUAL(settings.log_level, "info");
    CU_ASSERT_EQUAL(settings.workers, 4);
    CU_ASSERT_EQUAL(settings.batch_rows, 20000);
    CU_ASSERT_EQUAL(settings.batch_bytes, 4 * 1024 * 1024);
    CU_ASSERT_EQUAL(settings.batch_age_ms, 20);
    CU_ASSERT_EQUAL(settings.event_bytes_max, 1024 * 1024);
    CU_ASSERT_EQUAL(settings.breaker_window, 200);
    CU_ASSERT_EQUAL(settings.breaker_percent, 50);
    CU_ASSERT_EQUAL(settings.drain_timeout_ms, 10000);
    CU_ASSERT_EQUAL(settings.statement_timeout_ms, 30000);
    CU_ASSERT_EQUAL(settings.kafka_count, 0);
    CU_ASSERT_STRING_EQUAL(said, "");
    CU_ASSERT_EQUAL(rest, 1);
}

static void test_precedence(void)
{
    write_file("topic = from_file\ngroup = from_file\nbatch-rows = 7\n[kafka]\ndebug = file\nsasl.username = "
               "file\n");
    (void)setenv("WINNOW_TOPIC", "from_environment", 1);
    (void)setenv("WINNOW_GROUP", "from_environment", 1);
    (void)setenv("WINNOW_KAFKA_DEBUG", "environment", 1);
    CU_ASSERT_TRUE(READ("-c", path, "-tfrom_flag", "-X", "debug=flag"));
    CU_ASSERT_STRING_EQUAL(settings.topic, "from_flag");
    CU_ASSERT_STRING_EQUAL(settings.group, "from_environment");
    CU_ASSERT_EQUAL(settings.batch_rows, 7);
    CU_ASSERT_STRING_EQUAL(kafka_value("debug"), "flag");
    CU_ASSERT_STRING_EQUAL(kafka_value("sasl.username"), "file");
    CU_ASSERT_EQUAL(settings.kafka_count, 2);
    (void)setenv("WINNOW_TOPIC", "", 1); /* empty counts as none */
    (void)setenv("WINNOW_CONFIG", path, 1);
    CU_ASSERT_TRUE(READ(NULL));
    CU_ASSERT_STRING_EQUAL(settings.topic, "from_file");
    CU_ASSERT_STRING_EQUAL(kafka_value("debug"), "environment");
    (void)setenv("WINNOW_CONFIG", "/nonexistent", 1);
    CU_ASSERT_TRUE(READ("--config", path)); /* the flag wins */
    CU_ASSERT_STRING_EQUAL(settings.topic, "from_file");
    (void)unsetenv("WINNOW_CONFIG");
    (void)unsetenv("WINNOW_TOPIC");
    (void)unsetenv("WINNOW_GROUP");
    (void)unsetenv("WINNOW_KAFKA_DEBUG");
}

/* A file that is named must be there: the one in hand is as good as any. */
static const char *example_of(const struct setting *setting)
{
    if (setting->field == offsetof(struct settings, database_password_file)) return path;
    return setting->example != NULL ? setting->example : setting->fallback;
}

static void test_every_setting_has_all_three_names(void)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        char flag[SETTING_TEXT_SIZE];
        char variable[SETTING_TEXT_SIZE];
        CU_ASSERT_PTR_NOT_NULL_FATAL(setting->name);
        CU_ASSERT_PTR_EQUAL(setting_find(setting->name, strlen(setting->name)), setting);
        setting_print_flag(setting, flag);
        setting_print_variable(setting, variable);
        const char *value = example_of(setting);
        char line[256];
        (void)snprintf(line, sizeof line, "%s = %s\n", setting->name, value);
        write_file(line);
        CU_ASSERT_TRUE(READ(flag, value, "-c", path));
        (void)setenv(variable, value, 1);
        CU_ASSERT_TRUE(READ(NULL));
        (void)unsetenv(variable);
    }
}

static void try_number(const struct setting *setting, int64_t value, bool good)
{
    char flag[SETTING_TEXT_SIZE];
    char text[32];
    setting_print_flag(setting, flag);
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    CU_ASSERT_EQUAL(READ(flag, text), good);
    CU_ASSERT_EQUAL(exit_code, good ? -1 : 64);
    if (!good) CU_ASSERT_TRUE(has_said(flag) && has_said("expected a whole number from"));
}

static void test_limits(void)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (setting->type != SETTING_INTEGER) continue;
        try_number(setting, setting->min, true);
        try_number(setting, setting->max, true);
        try_number(setting, setting->min - 1, false);
        try_number(setting, setting->max + 1, false);
    }
    static const char *const wrong[] = {"", " 5", "5 ", "+5", "0x5", "5ms", "5.0", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) CU_ASSERT_FALSE(READ("--batch-rows", wrong[i]));
}

static void test_texts_are_checked(void)
{
    static const char *const good[] = {"a",          "a:1",   "a:9092,b:9092",
                                       "[::1]:9092", "[::1]", "PLAINTEXT://a:9092"};
    static const char *const bad[] = {"",   ",",   "a,",      ",a",  "a b:1",    ":9092",
                                      "a:", "a:0", "a:65536", "a:x", "a:9092 ,b"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) CU_ASSERT_TRUE(READ("-b", good[i]));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) CU_ASSERT_FALSE(READ("-b", bad[i]));
    CU_ASSERT_FALSE(READ("-t", "a/b"));
    CU_ASSERT_FALSE(READ("-t", ".."));
    CU_ASSERT_FALSE(READ("-t", ""));
    CU_ASSERT_FALSE(READ("-g", "two words"));
    CU_ASSERT_FALSE(READ("--log-level", "warn"));
    CU_ASSERT_FALSE(READ("-d", "\"password=hunter2\""));
    CU_ASSERT_PTR_NULL(strstr(said, "hunter2"));
}

static void test_dead_letter_topic(void)
{
    char name[250];
    memset(name, 'x', 249);
    name[249] = '\0';
    CU_ASSERT_TRUE(READ("-t", "events"));
    CU_ASSERT_STRING_EQUAL(settings.dead_letter_topic, "events.dlq");
    CU_ASSERT_FALSE(READ("-t", "events", "--dead-letter-topic", "events"));
    CU_ASSERT_TRUE(has_said("--dead-letter-topic: dead_letter_topic is the topic itself"));
    CU_ASSERT_FALSE(READ("-t", name)); /* with .dlq it is too long */
    CU_ASSERT_TRUE(READ("-t", name, "--dead-letter-topic", "other"));
}

static void test_file_tells_all_its_mistakes(void)
{
    write_file("topc = x\n"              /* 1 */
               "batch_rows = many\n"     /* 2 */
               "; a comment\n"           /* 3 */
               "just words\n"            /* 4 */
               "group = a\n"             /* 5 */
               "group = b\n"             /* 6 */
               "= nothing\n"             /* 7 */
               "security.protocol = x\n" /* 8 */
               "[kafka\n"                /* 9 */
               "[database]\n"            /* 10 */
               "host = x\n"              /* 11: told by line 10 */
               "[kafka]\n"               /* 12 */
               "group.id = x\n"          /* 13 */
               "workers = 3\n"           /* 14 */
               "log_level = 7\n"         /* 15: librdkafka's own */
               "last words");            /* 16 */
    CU_ASSERT_FALSE(READ("-c", path));
    CU_ASSERT_EQUAL(exit_code, 78);
    CU_ASSERT_TRUE(has_said(":1: no setting topc; did you mean topic?\n"));
    CU_ASSERT_TRUE(has_said(":2: batch_rows: found many, expected a whole number from 1 to 100000\n"));
    CU_ASSERT_TRUE(has_said(":4: expected a line like: name = value\n"));
    CU_ASSERT_TRUE(has_said(":6: group is given twice, before at /tmp/"));
    CU_ASSERT_TRUE(has_said(":5\n"));
    CU_ASSERT_TRUE(has_said(":7: expected a line like: name = value\n"));
    CU_ASSERT_TRUE(
        has_said(":8: no setting security.protocol; properties of librdkafka stand below a line [kafka]\n"));
    CU_ASSERT_TRUE(has_said(":9: found [ without ]"));
    CU_ASSERT_TRUE(has_said(":10: no such section"));
    CU_ASSERT_TRUE(has_said(":13: group.id is refused: it has a setting of its own"));
    CU_ASSERT_TRUE(has_said(":14: workers is a setting of winnow, expected it above [kafka]\n"));
    CU_ASSERT_TRUE(has_said(":16: expected a line like: name = value\n"));
    CU_ASSERT_EQUAL(lines_said(), 11);
}

static void test_file_keeps_values_whole(void)
{
    write_file("\xEF\xBB\xBFtopic: events\r\n"
               "   group = indented\r\n"
               "database = host=h password='a ;b#c' ; no comment\n"
               "\n[kafka]\n"
               "  sasl.password = a;b ;c #d = e\n");
    CU_ASSERT_TRUE(READ("-c", path));
    CU_ASSERT_STRING_EQUAL(settings.topic, "events");
    CU_ASSERT_STRING_EQUAL(settings.group, "indented");
    CU_ASSERT_STRING_EQUAL(settings.database, "host=h password='a ;b#c' ; no comment");
    CU_ASSERT_STRING_EQUAL(kafka_value("sasl.password"), "a;b ;c #d = e");
}

/* A line with as many bytes, its end included. */
static void write_long_line(size_t size)
{
    static const char head[] = "[kafka]\nssl.ca.pem=";
    char *text = malloc(sizeof head + size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    size_t line = sizeof head - 1 - strlen("[kafka]\n");
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'x', size - line);
    text[strlen("[kafka]\n") + size - 1] = '\n';
    write_bytes(text, strlen("[kafka]\n") + size);
    free(text);
}

static void test_file_lines_are_not_cut(void)
{
    write_long_line(65533);
    CU_ASSERT_TRUE(READ("-c", path));
    CU_ASSERT_EQUAL(strlen(kafka_value("ssl.ca.pem")), 65533 - strlen("ssl.ca.pem=\n"));
    write_long_line(65534);
    CU_ASSERT_FALSE(READ("-c", path));
    CU_ASSERT_TRUE(has_said(":2: the line is longer than 65533 bytes\n"));
    CU_ASSERT_EQUAL(lines_said(), 1);
    write_bytes("topic = a\0b\n", 12);
    CU_ASSERT_FALSE(READ("-c", path));
    CU_ASSERT_TRUE(has_said(":1: found a NUL byte, expected text in UTF-8\n"));
}

static void test_file_that_cannot_be_read(void)
{
    CU_ASSERT_FALSE(READ("-c", "/nonexistent/winnow.ini"));
    CU_ASSERT_EQUAL(exit_code, 78);
    CU_ASSERT_TRUE(
        has_said("winnow: --config: cannot read /nonexistent/winnow.ini: No such file or directory; "));
    CU_ASSERT_FALSE(READ("-c", "/tmp"));
    CU_ASSERT_TRUE(has_said("cannot read /tmp: Is a directory; `winnow config example` "));
}

static void test_environment(void)
{
    (void)setenv("WINNOW_TOPPIC", "x", 1);
    CU_ASSERT_FALSE(READ(NULL));
    CU_ASSERT_EQUAL(exit_code, 78);
    CU_ASSERT_TRUE(has_said("winnow: WINNOW_TOPPIC: no such setting; did you mean WINNOW_TOPIC?\n"));
    (void)unsetenv("WINNOW_TOPPIC");
    (void)setenv("WINNOW_\x1b[2J", "x", 1);
    CU_ASSERT_FALSE(READ(NULL));
    CU_ASSERT_TRUE(has_said("winnow: WINNOW_\\x1b[2J: no such setting")); /* not sent to the terminal */
    (void)unsetenv("WINNOW_\x1b[2J");
    (void)setenv("WINNOW_WORKERS", "0", 1);
    CU_ASSERT_FALSE(READ("-n", "3")); /* overridden, and wrong all the same */
    CU_ASSERT_EQUAL(exit_code, 78);
    CU_ASSERT_TRUE(has_said("winnow: WINNOW_WORKERS: found 0, expected"));
    (void)unsetenv("WINNOW_WORKERS");
    (void)setenv("WINNOW_KAFKA_SECURITY_PROTOCOL", "SASL_SSL", 1);
    (void)setenv("WINNOW_SERVICE_HOST", "10.0.0.1", 1); /* Kubernetes */
    (void)setenv("WINNOW_PORT_9092_TCP_ADDR", "10.0.0.1", 1);
    (void)setenv("WINNOW_KAFKA_PORT", "tcp://10.0.0.1:9092", 1);
    CU_ASSERT_TRUE(READ(NULL));
    CU_ASSERT_STRING_EQUAL(kafka_value("security.protocol"), "SASL_SSL");
    CU_ASSERT_EQUAL(settings.kafka_count, 1);
    (void)setenv("WINNOW_KAFKA_ACKS", "1", 1);
    CU_ASSERT_FALSE(READ(NULL));
    CU_ASSERT_EQUAL(exit_code, 78);
    CU_ASSERT_TRUE(has_said("WINNOW_KAFKA_ACKS: acks is refused: only acks=all"));
    (void)unsetenv("WINNOW_KAFKA_ACKS");
    (void)unsetenv("WINNOW_KAFKA_PORT");
    (void)unsetenv("WINNOW_PORT_9092_TCP_ADDR");
    (void)unsetenv("WINNOW_SERVICE_HOST");
    (void)unsetenv("WINNOW_KAFKA_SECURITY_PROTOCOL");
    write_file("secret\n");
    CU_ASSERT_TRUE(READ("--database-password-file", path));
    CU_ASSERT_STRING_EQUAL(getenv("PGPASSWORD"), "secret");
    CU_ASSERT_TRUE(READ("-t", "t")); /* as by a pool that reads its configuration again */
    CU_ASSERT_PTR_NULL(getenv("PGPASSWORD"));
}

static void test_flags(void)
{
    CU_ASSERT_TRUE(READ("one", "--topic=a=b", "-f", "x") ==
                   false); /* a=b is no topic, so flags were cut right */
    CU_ASSERT_TRUE(has_said("--topic: found a=b,"));
    CU_ASSERT_TRUE(
        READ("one", "-t", "t", "-", "--batch_rows", "5", "-j", "two", "--slot-fd", "9", "-fx", "--", "-t"));
    CU_ASSERT_STRING_EQUAL(settings.topic, "t");
    CU_ASSERT_EQUAL(settings.batch_rows, 5);
    CU_ASSERT_STRING_EQUAL(own_json, "json");
    CU_ASSERT_STRING_EQUAL(own_hidden, "9");
    CU_ASSERT_STRING_EQUAL(file_given, "x");
    CU_ASSERT_EQUAL_FATAL(argument_count - rest, 4);
    CU_ASSERT_STRING_EQUAL(arguments[rest], "one");
    CU_ASSERT_STRING_EQUAL(arguments[rest + 1], "-");
    CU_ASSERT_STRING_EQUAL(arguments[rest + 2], "two");
    CU_ASSERT_STRING_EQUAL(arguments[rest + 3], "-t");
    CU_ASSERT_TRUE(READ("-t", "a", "-t", "b")); /* the last one counts */
    CU_ASSERT_STRING_EQUAL(settings.topic, "b");
}

static void test_usage_errors(void)
{
    static const struct {
        const char *arguments[2];
        const char *text;
    } rows[] = {
        {{"--topc", "x"},
         "winnow test: --topc is no option, did you mean --topic?; see: winnow test --help\n"},
        {{"--batch-row=5", NULL}, "--batch-row is no option, did you mean --batch-rows?"},
        {{"--fil", "x"}, "--fil is no option, did you mean --file?"},
        {{"--wholly-unknown", NULL}, "--wholly-unknown is no option;"},
        {{"--slot-gd", NULL}, "--slot-gd is no option;"}, /* hidden options are not told of */
        {{"-Z", NULL}, "-Z is no option;"},
        {{"-t", NULL}, "-t needs a value;"},
        {{"--json=yes", NULL}, "--json takes no value;"},
        {{"-jx", NULL}, "-j takes no value;"},
        {{"-\xc3\xa9", NULL}, "winnow test: -\\xc3 is no option;"}, /* no half of a character */
        {{"-X", "nothing"}, "-X expects property=value;"},
        {{"-X=hunter2", NULL}, "-X expects property=value;"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CU_ASSERT_FALSE(READ(rows[i].arguments[0], rows[i].arguments[1]));
        CU_ASSERT_EQUAL(exit_code, 64);
        CU_ASSERT_TRUE(has_said(rows[i].text));
        CU_ASSERT_EQUAL(lines_said(), 1);
    }
    CU_ASSERT_TRUE(READ_NARROW("-t", "x", "--group", "g"));
    CU_ASSERT_FALSE(READ_NARROW("-n", "3"));
    CU_ASSERT_TRUE(has_said("winnow test: -n is not for this command"));
    CU_ASSERT_FALSE(READ_NARROW("-X", "debug=all"));
    CU_ASSERT_FALSE(READ_NARROW("--grop", "g"));
    CU_ASSERT_TRUE(has_said("did you mean --group?"));
    CU_ASSERT_FALSE(READ_NARROW("--worker", "4")); /* not for this command, so not meant either */
    CU_ASSERT_PTR_NULL(strstr(said, "--workers"));
    CU_ASSERT_FALSE(READ("-X", "sasl.password hunter2"));
    CU_ASSERT_PTR_NULL(strstr(said, "hunter2"));
}

static void test_require(void)
{
    CU_ASSERT_TRUE(READ("-t", "x"));
    size_t size;
    FILE *before = stderr;
    free(said);
    stderr = open_memstream(&said, &size);
    CU_ASSERT_TRUE(settings_require(&settings, "topic database workers"));
    CU_ASSERT_FALSE(settings_require(&settings, "brokers topic"));
    (void)fclose(stderr);
    stderr = before;
    CU_ASSERT_TRUE(has_said("winnow: no brokers given, expected -b/--brokers HOST:PORT, WINNOW_BROKERS or"));
    CU_ASSERT_EQUAL(lines_said(), 1);
}

static void test_refused_property_on_the_command_line(void)
{
    CU_ASSERT_FALSE(READ("-X", "acks=1"));
    CU_ASSERT_EQUAL(exit_code, 64);
    CU_ASSERT_TRUE(has_said("winnow: -X: acks is refused: only acks=all"));
}

int main(void)
{
    int file = mkstemp(path);
    if (file < 0 || CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    (void)close(file);
    CU_pSuite suite = CU_add_suite("settings", NULL, NULL);
    CU_add_test(suite, "defaults", test_defaults);
    CU_add_test(suite, "precedence", test_precedence);
    CU_add_test(suite, "every setting has all three names", test_every_setting_has_all_three_names);
    CU_add_test(suite, "limits", test_limits);
    CU_add_test(suite, "texts are checked", test_texts_are_checked);
    CU_add_test(suite, "dead letter topic", test_dead_letter_topic);
    CU_add_test(suite, "file tells all its mistakes", test_file_tells_all_its_mistakes);
    CU_add_test(suite, "file keeps values whole", test_file_keeps_values_whole);
    CU_add_test(suite, "file lines are not cut", test_file_lines_are_not_cut);
    CU_add_test(suite, "file that cannot be read", test_file_that_cannot_be_read);
    CU_add_test(suite, "environment", test_environment);
    CU_add_test(suite, "flags", test_flags);
    CU_add_test(suite, "usage errors", test_usage_errors);
    CU_add_test(suite, "require", test_require);
    CU_add_test(suite, "refused property on the command line", test_refused_property_on_the_command_line);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    forget();
    (void)unlink(path);
    return failures != 0;
}
