// link: worker/settings.c worker/settings_table.c worker/settings_check.c worker/settings_value.c
// link: worker/settings_load.c worker/settings_environment.c worker/settings_file.c worker/settings_flags.c
// link: worker/settings_help.c worker/wrap.c worker/nearest.c worker/secret.c worker/kafka_properties.c
// link: worker/listen_address.c
/* A configuration from all its sources: a file, the environment and the command line. What is accepted is
 * within its limits, comes from where it says, and written down as `winnow config print` shows it is read as
 * the same; what is not is told in lines that name the place and the key, and never a secret. */
#include <ctype.h>
#include <libpq-fe.h>
#include <string.h>
#include <unistd.h>

#include "kafka_properties.h"
#include "require.h"
#include "secret.h"
#include "settings_check.h"
#include "settings_input.h"
#include "settings_load.h"
#include "words.h"

#define SECRET      "hunter2" /* in the inputs, wherever a password may stand */
#define LINE_MAX_OK 60000     /* lines that inih takes whole */

struct outcome {
    bool good;
    int exit_code;
    struct settings_load load; /* when it is good */
    char *said;                /* on standard error */
    char *helped;              /* on standard output */
};

static const char *own_file;
static const char *own_switch;
static const struct command_option own_options[] = {
    {'f', "file", "FILE", "read from a file", &own_file}, {'j', "json", NULL, "a switch", &own_switch}, {0}};
static const struct command_usage usage = {
    .synopsis = "winnow fuzz", .description = "", .options = own_options};

/* --- reading --- */

static void read_settings(const struct input *input, struct outcome *outcome)
{
    size_t size;
    int rest;
    struct texts arguments = input->arguments; /* reading changes their order */
    struct texts variables = input->variables;
    char **before = environ;
    FILE *err = stderr;
    FILE *out = stdout;
    *outcome = (struct outcome){.exit_code = -1};
    environ = variables.texts;
    stderr = open_memstream(&outcome->said, &size);
    stdout = open_memstream(&outcome->helped, &size);
    outcome->good = settings_load_read(&usage, arguments.count, arguments.texts, &outcome->load, &rest,
                                       &outcome->exit_code);
    (void)fclose(stderr);
    (void)fclose(stdout);
    stderr = err;
    stdout = out;
    environ = before;
    if (outcome->good) REQUIRE(rest >= 1 && rest <= arguments.count);
}

static void forget(struct outcome *outcome)
{
    if (outcome->good) settings_load_done(&outcome->load);
    free(outcome->said);
    free(outcome->helped);
}

/* --- what was refused --- */

/* The line of that number, from 1; data NULL when there is none. A byte order mark is no part of it. */
static struct slice line_of(struct slice text, long number)
{
    if (text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
        text = slice_of(text.data + 3, text.size - 3);
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
        if (--number == 0) return slice_of(text.data, size);
        size_t taken = end != NULL ? size + 1 : size;
        text = slice_of(text.data + taken, text.size - taken);
    }
    return slice_of(NULL, 0);
}

/* What stands before the sign of a line; data NULL when there is none. */
static struct slice key_of(struct slice line, struct slice *ret_value)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != '=' && line.data[i] != ':') continue;
        *ret_value = slice_of(line.data + i + 1, line.size - i - 1);
        return slice_trim(slice_of(line.data, i));
    }
    return slice_of(NULL, 0);
}

/* A complaint about a line with a setting in it names the setting, whatever is wrong with it. */
static void check_names_key(struct slice line, const char *complaint)
{
    struct slice value;
    if (line.size > LINE_MAX_OK || memchr(line.data, '\0', line.size) != NULL) return;
    struct slice key = key_of(line, &value);
    const struct setting *setting = key.data != NULL ? setting_find(key.data, key.size) : NULL;
    if (setting == NULL) return;
    /* In [kafka] the spelling is the user's. */
    char written[SETTING_TEXT_SIZE];
    (void)snprintf(written, sizeof written, "%.*s", (int)key.size, key.data);
    REQUIRE(strstr(complaint, setting->name) != NULL || strstr(complaint, written) != NULL);
}

static bool is_flag(const char *place, size_t size)
{
    char flag[SETTING_TEXT_SIZE];
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        setting_print_flag(&setting_table[i], flag);
        if (strlen(flag) == size && memcmp(flag, place, size) == 0) return true;
    }
    return size == 2 && memcmp(place, "-X", 2) == 0;
}

/* "<place>: <text>" */
static void check_place(const struct input *input, const char *place)
{
    size_t path_size = strlen(input->path);
    const char *colon = strstr(place, ": ");
    REQUIRE(colon != NULL && colon > place && colon[2] != '\0');
    if (strncmp(place, "WINNOW_", 7) == 0 || strncmp(place, "default: ", 9) == 0) return;
    if (strncmp(place, input->path, path_size) != 0) {
        REQUIRE(is_flag(place, (size_t)(colon - place)));
        return;
    }
    REQUIRE(place[path_size] == ':');
    struct slice line = line_of(input->file, strtol(place + path_size + 1, NULL, 10));
    REQUIRE(line.data != NULL);
    check_names_key(line, colon);
}

static void check_line(const struct input *input, const char *line, const char *end)
{
    REQUIRE(end > line && is_printable(line, end));
    char *copy = strndup(line, (size_t)(end - line));
    if (copy == NULL) abort();
    if (strncmp(copy, "winnow: ", 8) == 0)
        check_place(input, copy + 8);
    else
        REQUIRE(strncmp(copy, "winnow fuzz: -", 14) == 0 &&
                strstr(copy, "; see: winnow fuzz --help") != NULL);
    free(copy);
}

static void check_refused(const struct input *input, const struct outcome *outcome)
{
    if (outcome->exit_code == 0) { /* --help */
        REQUIRE(outcome->said[0] == '\0' && outcome->helped[0] != '\0');
        return;
    }
    REQUIRE(outcome->exit_code == 64 || outcome->exit_code == 78);
    REQUIRE(outcome->said[0] != '\0' && outcome->helped[0] == '\0');
    for (const char *line = outcome->said; *line != '\0';) {
        const char *end = strchr(line, '\n');
        REQUIRE(end != NULL);
        check_line(input, line, end);
        line = end + 1;
    }
}

/* --- secrets --- */

/* Settings whose values are told when they are wrong. */
static bool is_open(const struct setting *setting)
{
    return setting != NULL && !setting->has_secret;
}

static bool file_may_show(struct slice file)
{
    for (long number = 1; line_of(file, number).data != NULL; number++) {
        struct slice line = line_of(file, number);
        struct slice value = {0};
        if (memmem(line.data, line.size, SECRET, strlen(SECRET)) == NULL) continue;
        struct slice key = key_of(line, &value);
        bool in_value = key.data != NULL && memmem(value.data, value.size, SECRET, strlen(SECRET)) != NULL &&
                        memmem(key.data, key.size, SECRET, strlen(SECRET)) == NULL;
        bool no_setting = key.data == NULL && (line.size == 0 || line.data[0] != '[');
        if (!(in_value && !is_open(setting_find(key.data, key.size))) && !no_setting) return true;
    }
    return false;
}

static bool variables_may_show(const struct texts *variables)
{
    for (int i = 0; i < variables->count; i++) {
        const char *text = variables->texts[i];
        char variable[SETTING_TEXT_SIZE];
        size_t name_size = strcspn(text, "=");
        if (memmem(text, name_size, SECRET, strlen(SECRET)) != NULL) return true;
        for (size_t j = 0; j < SETTING_COUNT; j++) {
            setting_print_variable(&setting_table[j], variable);
            bool same = strlen(variable) == name_size && memcmp(variable, text, name_size) == 0;
            if (same && is_open(&setting_table[j]) && strstr(text, SECRET) != NULL) return true;
        }
    }
    return false;
}

/* The setting that an argument begins with, as -t or --topic. */
static const struct setting *setting_of(const char *argument)
{
    if (argument[0] != '-' || argument[1] == '\0') return NULL;
    if (argument[1] != '-') return setting_find_letter(argument[1]);
    return setting_find(argument + 2, strcspn(argument + 2, "="));
}

static bool arguments_may_show(const struct texts *arguments)
{
    for (int i = 1; i < arguments->count; i++) {
        const char *text = arguments->texts[i];
        const char *found = strstr(text, SECRET);
        if (found == NULL) continue;
        if (is_open(setting_of(text)) || is_open(setting_of(arguments->texts[i - 1]))) return true;
        bool in_name = strncmp(text, "--", 2) == 0 && found < text + strcspn(text, "=");
        bool in_property = strcspn(text, "=") > (size_t)(found - text); /* -X hunter2=x names the property */
        if (in_name || in_property) return true;
    }
    return false;
}

static void check_secret(const struct input *input, const struct outcome *outcome)
{
    if (strstr(outcome->said, SECRET) == NULL) return;
    REQUIRE(file_may_show(input->file) || variables_may_show(&input->variables) ||
            arguments_may_show(&input->arguments));
}

static int count_of(const char *text, const char *wanted)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++) count++;
    return count;
}

/* What libpq takes for a password is not shown. */
static void check_masked(const char *database)
{
    char *masked = secret_mask_conninfo(database);
    PQconninfoOption *options = PQconninfoParse(database, NULL);
    for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        bool secret = strcmp(option->dispchar, "*") == 0 && option->val != NULL;
        if (!secret || strlen(option->val) < 6 || count_of(database, option->val) != 1) continue;
        REQUIRE(strstr(masked, option->val) == NULL);
    }
    PQconninfoFree(options);
    free(masked);
}

/* --- what was accepted --- */

static const char *text_value(const struct setting *setting, const struct settings *settings)
{
    return *(char *const *)((const char *)settings + setting->field);
}

static int64_t integer_value(const struct setting *setting, const struct settings *settings)
{
    return *(const int64_t *)((const char *)settings + setting->field);
}

static void check_value(const struct setting *setting, const struct settings *settings)
{
    if (setting->type == SETTING_INTEGER) {
        int64_t value = integer_value(setting, settings);
        REQUIRE(value >= setting->min && value <= setting->max);
        return;
    }
    const char *text = text_value(setting, settings);
    if (text == NULL) return;
    if (setting->wrong != NULL) REQUIRE(setting->wrong(text) == NULL);
    if (setting->choices != NULL) REQUIRE(words_have_text(setting->choices, text));
}

/* The value is that of the place it is said to come from. */
static void check_origin(const struct input *input, const struct outcome *outcome, size_t index)
{
    const struct setting *setting = &setting_table[index];
    const struct origin *origin = &outcome->load.origins[index];
    if (origin->place == NULL) {
        REQUIRE(!setting_is_given(setting, &outcome->load.settings));
        return;
    }
    if (origin->kind != ORIGIN_ENVIRONMENT) return;
    const char *value = NULL;
    size_t size = strlen(origin->place);
    for (int i = 0; i < input->variables.count; i++) {
        const char *text = input->variables.texts[i];
        if (strncmp(text, origin->place, size) == 0 && text[size] == '=' && text[size + 1] != '\0')
            value = text + size + 1; /* the last one counts */
    }
    REQUIRE(value != NULL);
    if (setting->type == SETTING_INTEGER)
        REQUIRE(strtoll(value, NULL, 10) == integer_value(setting, &outcome->load.settings));
    else
        REQUIRE(strcmp(value, text_value(setting, &outcome->load.settings)) == 0);
}

static void check_properties(const struct settings *settings)
{
    for (size_t i = 0; i < settings->kafka_count; i++) {
        const struct kafka_property *property = &settings->kafka[i];
        REQUIRE(kafka_property_refusal(property->name, property->value) == NULL);
        for (size_t j = 0; j < i; j++) REQUIRE(strcmp(property->name, settings->kafka[j].name) != 0);
    }
}

/* --- written down and read again --- */

static bool stands_in_line(const char *text)
{
    size_t size = strlen(text);
    if (size == 0) return true;
    return size < LINE_MAX_OK / 2 && strchr(text, '\n') == NULL && !isspace((unsigned char)text[0]) &&
           !isspace((unsigned char)text[size - 1]);
}

/* Arguments and variables may name properties that no file can. */
static bool names_property(const char *name)
{
    const struct setting *setting = setting_find(name, strlen(name));
    return name[0] != '\0' && stands_in_line(name) && strpbrk(name, "=:") == NULL &&
           strchr("[;#", name[0]) == NULL && (setting == NULL || strcmp(setting->name, "log_level") == 0);
}

static bool can_be_written(const struct settings *settings)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *text =
            setting_table[i].type == SETTING_TEXT ? text_value(&setting_table[i], settings) : NULL;
        if (text != NULL && !stands_in_line(text)) return false;
    }
    for (size_t i = 0; i < settings->kafka_count; i++)
        if (!names_property(settings->kafka[i].name) || !stands_in_line(settings->kafka[i].value))
            return false;
    return true;
}

static void write_settings(const struct settings *settings, struct buffer *out)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (!setting_is_given(setting, settings)) continue;
        setting_add(out, "%s = ", setting->name);
        if (setting->has_secret) /* shown masked */
            setting_add(out, "%s", text_value(setting, settings));
        else
            setting_print(setting, settings, out);
        setting_add(out, "\n");
    }
    setting_add(out, "[kafka]\n");
    for (size_t i = 0; i < settings->kafka_count; i++)
        setting_add(out, "%s = %s\n", settings->kafka[i].name, settings->kafka[i].value);
}

static void require_same(const struct settings *a, const struct settings *b)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (setting->type == SETTING_INTEGER) {
            REQUIRE(integer_value(setting, a) == integer_value(setting, b));
            continue;
        }
        const char *one = text_value(setting, a);
        const char *other = text_value(setting, b);
        REQUIRE((one == NULL) == (other == NULL) && (one == NULL || strcmp(one, other) == 0));
    }
    REQUIRE(a->kafka_count == b->kafka_count);
    for (size_t i = 0; i < a->kafka_count; i++) {
        REQUIRE(strcmp(a->kafka[i].name, b->kafka[i].name) == 0);
        REQUIRE(strcmp(a->kafka[i].value, b->kafka[i].value) == 0);
    }
}

static void check_again(const struct settings *settings)
{
    struct buffer text = {0};
    struct input input;
    struct outcome outcome;
    if (!can_be_written(settings)) return;
    write_settings(settings, &text);
    cut_input(slice_of("", 0), &input);
    put_file(slice_of(text.data, text.size), input.path);
    add_text(&input.arguments, "-c", 2);
    add_text(&input.arguments, input.path, strlen(input.path));
    read_settings(&input, &outcome);
    REQUIRE(outcome.good && outcome.said[0] == '\0');
    require_same(settings, &outcome.load.settings);
    forget(&outcome);
    free_texts(&input.arguments);
    buffer_done(&text);
}

static void check_accepted(const struct input *input, const struct outcome *outcome)
{
    const struct settings *settings = &outcome->load.settings;
    REQUIRE(outcome->said[0] == '\0' && outcome->helped[0] == '\0');
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        check_value(&setting_table[i], settings);
        check_origin(input, outcome, i);
    }
    if (settings->topic != NULL) REQUIRE(strcmp(settings->topic, settings->dead_letter_topic) != 0);
    check_properties(settings);
    check_masked(settings->database);
    check_again(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input;
    struct outcome outcome;
    cut_input(slice_of(size > 0 ? (const char *)data : "", size), &input);
    read_settings(&input, &outcome);
    check_secret(&input, &outcome);
    if (outcome.good)
        check_accepted(&input, &outcome);
    else
        check_refused(&input, &outcome);
    forget(&outcome);
    free_texts(&input.variables);
    free_texts(&input.arguments);
    return 0;
}
