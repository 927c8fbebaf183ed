/* winnow config: what the configuration is, and where each value comes from. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "database.h"
#include "exit_code.h"
#include "kafka_properties.h"
#include "log_events.h"
#include "reject.h"
#include "secret.h"
#include "settings_load.h"
#include "words.h"

#define NEEDED "brokers topic"

static const struct command_word words[] = {
    {"check", "read everything and say ok, or what is wrong (exit code 78)"},
    {"print", "the values in effect and where each comes from; passwords are masked"},
    {"example", "a file to begin with"},
    {"table", NULL},  /* of the README */
    {"events", NULL}, /* of OPERATIONS.md */
    {0},
};

const struct command_usage usage_config = {
    .synopsis = "winnow config check|print|example [options]",
    .summary = "check, print or begin a configuration",
    .description = "Flags win over the environment, and the environment over the file.",
    .example = "winnow config example > winnow.ini && winnow config check -c winnow.ini",
    .words = words,
};

static const char *origin_name(enum origin_kind kind)
{
    static const char *const names[] = {
        [ORIGIN_DEFAULT] = "",
        [ORIGIN_FILE] = "file ",
        [ORIGIN_ENVIRONMENT] = "environment ",
        [ORIGIN_FLAG] = "flag ",
    };
    return names[kind];
}

static int run_check(const struct settings_load *load)
{
    if (!settings_require(&load->settings, NEEDED)) return EXIT_BAD_CONFIG;
    /* What the libraries have to say about their parts. */
    struct fault kafka = {0};
    struct fault database = {0};
    bool names_service = false;
    bool good = kafka_check_properties(&load->settings, &kafka);
    bool readable = database_check_conninfo(load->settings.database, &names_service, &database);
    if (!good) (void)fprintf(stderr, "winnow: %s: %s\n", kafka.site, kafka.text);
    if (!readable) (void)fprintf(stderr, "winnow: database: %s\n", database.text);
    if (!good || !readable) return EXIT_BAD_CONFIG;
    (void)printf("ok\n");
    return EXIT_DRAINED;
}

/* A value, its name and its place as people can see them: control characters escaped. */
static void print_value(const char *name, struct slice value, const struct origin *origin)
{
    char shown_name[1024];
    char shown[1024];
    char shown_place[1024];
    const char *kind = origin->place != NULL ? origin_name(origin->kind) : "";
    const char *place = origin->place != NULL ? origin->place : "not given";
    (void)reject_escape(slice_of_text(name), shown_name, sizeof shown_name);
    (void)reject_escape(value, shown, sizeof shown);
    (void)reject_escape(slice_of_text(place), shown_place, sizeof shown_place);
    (void)printf("%-23s %-32s %s%s\n", shown_name, shown, kind, shown_place);
}

static int run_print(const struct settings_load *load)
{
    static char by_default[] = "default";
    const struct origin derived = {ORIGIN_DEFAULT, by_default};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct buffer value = {0};
        setting_print(&setting_table[i], &load->settings, &value);
        const bool derives = value.size == 0 && setting_table[i].derived != NULL;
        if (derives) setting_add(&value, "%s", setting_table[i].derived);
        print_value(setting_table[i].name, slice_of(value.data, value.size),
                    derives ? &derived : &load->origins[i]);
        buffer_done(&value);
    }
    if (load->settings.kafka_count > 0) (void)printf("[kafka]\n");
    for (size_t i = 0; i < load->settings.kafka_count; i++) {
        const struct kafka_property *property = &load->settings.kafka[i];
        const char *shown = kafka_property_is_secret(property->name) ? SECRET_MASK : property->value;
        print_value(property->name, slice_of_text(shown), &load->kafka_origins[i]);
    }
    return EXIT_DRAINED;
}

/* "batch_rows" with its sentence, limits and default, commented out unless it has no default. */
static void print_example_setting(const struct setting *setting)
{
    struct buffer expected = {0};
    if (setting->type == SETTING_INTEGER) setting_print_expected(setting, &expected);
    (void)printf("# %s%s%.*s\n", setting->help, expected.size > 0 ? "; " : "", (int)expected.size,
                 expected.data);
    buffer_done(&expected);
    bool needed = words_have_text(NEEDED, setting->name);
    const char *value = setting->example != NULL ? setting->example : setting->fallback;
    (void)printf("%s%s = %s\n", needed ? "" : "#", setting->name, value);
}

static int run_example(void)
{
    (void)printf(
        "# Configuration of winnow. Flags and WINNOW_... variables win over this file: batch_rows here is\n"
        "# --batch-rows 500 and WINNOW_BATCH_ROWS=500. Lines that begin with # or ; are comments; a comment\n"
        "# behind a value would be part of the value, and so would quotes. What is commented out shows the\n"
        "# default, or an example where there is none.\n");
    const char *group = "";
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(group, setting_table[i].group) != 0) (void)printf("\n## %s\n", setting_table[i].group);
        group = setting_table[i].group;
        print_example_setting(&setting_table[i]);
    }
    (void)printf(
        "\n# Properties of librdkafka, all but those that the guarantees depend on. In the environment\n"
        "# security.protocol is WINNOW_KAFKA_SECURITY_PROTOCOL, on the command line -X "
        "security.protocol=...\n"
        "[kafka]\n"
        "#security.protocol = SASL_SSL\n"
        "#sasl.mechanisms = PLAIN\n"
        "#sasl.username = winnow\n"
        "#sasl.password.file = /etc/winnow/sasl-password\n");
    return EXIT_DRAINED;
}

static void print_table_row(const struct setting *setting)
{
    char flag[SETTING_TEXT_SIZE];
    char variable[SETTING_TEXT_SIZE];
    char letter[8] = "";
    struct buffer expected = {0};
    setting_print_flag(setting, flag);
    setting_print_variable(setting, variable);
    if (setting->letter != 0) (void)snprintf(letter, sizeof letter, "`-%c`, ", setting->letter);
    if (setting->type == SETTING_INTEGER) setting_print_expected(setting, &expected);
    const char *fallback = setting->derived != NULL ? setting->derived : setting->fallback;
    const char *quote = fallback != NULL && fallback[0] != '\0' ? "`" : "";
    (void)printf("| `%s` | %s`%s` | `%s` | %s%s%s | %s%s%.*s |\n", setting->name, letter, flag, variable,
                 quote, fallback != NULL ? fallback : "", quote, setting->help, expected.size > 0 ? "; " : "",
                 (int)expected.size, expected.data);
    buffer_done(&expected);
}

/* The table of the README. */
static int run_table(void)
{
    (void)printf("| Setting | Flag | Environment | Default | Meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < SETTING_COUNT; i++) print_table_row(&setting_table[i]);
    return EXIT_DRAINED;
}

static int run_events(void)
{
    log_events_print_markdown();
    return EXIT_DRAINED;
}

enum { WORD_CHECK, WORD_PRINT, WORD_EXAMPLE, WORD_TABLE, WORD_EVENTS };

/* A broken configuration must not keep those from answering that need none. */
static int run_word(int word, int argc, char **argv)
{
    struct settings_load load;
    int rest;
    int exit_code;
    if (word == WORD_EXAMPLE) return run_example();
    if (word == WORD_TABLE) return run_table();
    if (word == WORD_EVENTS) return run_events();
    if (!settings_load_read(&usage_config, argc, argv, &load, &rest, &exit_code)) return exit_code;
    exit_code = word == WORD_CHECK ? run_check(&load) : run_print(&load);
    settings_load_done(&load);
    return exit_code;
}

int command_config(int argc, char **argv)
{
    int rest;
    int exit_code;
    if (!settings_read_arguments(&usage_config, argc, argv, &rest, &exit_code)) return exit_code;
    if (argc - rest > 1) {
        return settings_refuse("config", "found %s behind %s, expected nothing", argv[rest + 1], argv[rest]);
    }
    int word = settings_find_word("config", &usage_config, rest < argc ? argv[rest] : NULL);
    return word >= 0 ? run_word(word, argc, argv) : EXIT_BAD_USAGE;
}
