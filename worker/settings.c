#include "settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_code.h"
#include "reject.h"
#include "settings_flags.h"
#include "settings_load.h"
#include "words.h"

static void load_file(struct settings_load *load, const char *flag)
{
    static const char config_flag[] = "--config";
    static const char config_variable[] = "WINNOW_CONFIG";
    const char *path = getenv(config_variable);
    if (path != NULL && path[0] != '\0') load->file = path;
    if (flag != NULL) load->file = flag;
    if (load->file != NULL)
        settings_load_file(load, load->file, flag != NULL ? config_flag : config_variable);
}

static void load_property(struct settings_load *load, const char *text)
{
    char place[] = "-X";
    const char *sign = strchr(text, '='); /* flags_read() has seen to it that there is one */
    char *name = strndup(text, (size_t)(sign - text));
    if (name == NULL) abort();
    settings_load_assign_kafka(load, name, sign + 1, (struct origin){ORIGIN_FLAG, place});
    free(name);
}

static void load_flags(struct settings_load *load, const struct flags *flags)
{
    for (size_t i = 0; i < flags->count; i++) {
        const struct flag *flag = &flags->given[i];
        char place[SETTING_TEXT_SIZE];
        if (flag->setting == NULL) {
            load_property(load, flag->value);
            continue;
        }
        setting_print_flag(flag->setting, place);
        settings_load_assign(load, flag->setting, flag->value, (struct origin){ORIGIN_FLAG, place});
    }
}

/* False with an exit code when the process is to end: after a mistake, or after --help. */
static bool read_flags(const struct command_usage *usage, int argc, char **argv, struct flags *ret_flags,
                       int *ret_exit_code)
{
    struct flags flags;
    if (!flags_read(usage, argc, argv, &flags)) {
        *ret_exit_code = EXIT_BAD_USAGE;
        return false;
    }
    if (flags.help_asked) {
        settings_print_usage(usage, false);
        flags_done(&flags);
        *ret_exit_code = EXIT_DRAINED;
        return false;
    }
    *ret_flags = flags;
    return true;
}

bool settings_read_arguments(const struct command_usage *usage, int argc, char **argv, int *ret_rest,
                             int *ret_exit_code)
{
    struct flags flags;
    if (!read_flags(usage, argc, argv, &flags, ret_exit_code)) return false;
    *ret_rest = flags.rest;
    flags_done(&flags);
    return true;
}

bool settings_load_read_by(const struct command_usage *usage, int argc, char **argv,
                           struct settings_opener opener, struct settings_load *ret_load, int *ret_rest,
                           int *ret_exit_code)
{
    struct flags flags;
    if (!read_flags(usage, argc, argv, &flags, ret_exit_code)) return false;
    struct settings_load load;
    settings_load_init(&load);
    load.opener = opener;
    load_file(&load, flags.file);
    settings_load_environment(&load);
    load_flags(&load, &flags);
    settings_load_finish(&load);
    int rest = flags.rest;
    flags_done(&flags);
    if (load.exit_code != 0) {
        *ret_exit_code = load.exit_code;
        settings_load_done(&load);
        return false;
    }
    load.opener = (struct settings_opener){0}; /* its context may end here */
    *ret_load = load;
    *ret_rest = rest;
    return true;
}

static FILE *open_simply(void *context, const char *path, struct buffer *ret_problem)
{
    (void)context;
    FILE *file = fopen(path, "re");
    if (file == NULL) buffer_add_text(ret_problem, strerror(errno));
    return file;
}

bool settings_load_read(const struct command_usage *usage, int argc, char **argv,
                        struct settings_load *ret_load, int *ret_rest, int *ret_exit_code)
{
    return settings_load_read_by(usage, argc, argv, (struct settings_opener){open_simply, NULL}, ret_load,
                                 ret_rest, ret_exit_code);
}

bool settings_read(const struct command_usage *usage, int argc, char **argv, struct settings *ret_settings,
                   int *ret_rest, int *ret_exit_code)
{
    struct settings_load load;
    if (!settings_load_read(usage, argc, argv, &load, ret_rest, ret_exit_code)) return false;
    *ret_settings = load.settings;
    load.settings = (struct settings){0};
    settings_load_done(&load);
    return true;
}

void settings_done(struct settings *settings)
{
    settings_clear(settings);
}

int settings_refuse(const char *command, const char *format, ...)
{
    char text[1024];
    char shown[2048];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    (void)reject_escape(slice_of_text(text), shown, sizeof shown);
    (void)fprintf(stderr, "winnow %s: %s; see: winnow %s --help\n", command, shown, command);
    return EXIT_BAD_USAGE;
}

int settings_refuse_argument(const char *command, const char *argument)
{
    return settings_refuse(command, "found %s behind the options, expected nothing", argument);
}

static void complain_missing(const struct setting *setting)
{
    char letter[4] = "";
    char flag[SETTING_TEXT_SIZE];
    char variable[SETTING_TEXT_SIZE];
    setting_print_flag(setting, flag);
    setting_print_variable(setting, variable);
    if (setting->letter != 0) (void)snprintf(letter, sizeof letter, "-%c/", setting->letter);
    settings_load_tell("no %s given, expected %s%s %s, %s or a line `%s = ...` in a file", setting->name,
                       letter, flag, setting->value_name, variable, setting->name);
}

bool settings_require(const struct settings *settings, const char *names)
{
    bool complete = true;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (!words_have_text(names, setting->name) || setting_is_given(setting, settings)) continue;
        complain_missing(setting);
        complete = false;
    }
    return complete;
}
