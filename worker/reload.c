#include "reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exit_code.h"
#include "kafka_properties.h"
#include "settings_load.h"

#define PATH_SIZE 48

struct reload {
    const struct command_usage *usage;
    int argc;
    char **argv;
    struct settings_load load; /* in force */
    int copy_fd;               /* of the file; -1: there is none */
    char copy_path[PATH_SIZE];
    const char **options;
    char **environment; /* owned, and so are its entries from `inherited` on */
    size_t inherited;
};

void reload_report_done(struct reload_report *report)
{
    buffer_done(&report->in_force);
    buffer_done(&report->needs_restart);
}

/* A reading of the configuration that is not in force yet. */
struct reading {
    struct settings_load load;
    int copy_fd;
    int rest;
};

static void reading_done(struct reading *reading)
{
    settings_load_done(&reading->load);
    if (reading->copy_fd >= 0) (void)close(reading->copy_fd);
}

static void print_copy_path(int fd, char ret_path[PATH_SIZE])
{
    ret_path[0] = '\0';
    if (fd >= 0) (void)snprintf(ret_path, PATH_SIZE, "/proc/self/fd/%d", fd);
}

static const char *copy_bytes(int from, int to)
{
    char block[4096];
    size_t size = 0;
    ssize_t got;
    while ((got = read(from, block, sizeof(block))) > 0) {
        size += (size_t)got;
        if (size > RELOAD_BYTES_MAX) return "it is longer than 1 MiB";
        if (write(to, block, (size_t)got) != got) return strerror(errno);
    }
    return got < 0 ? strerror(errno) : NULL;
}

/* What is no file could hold up a pool that runs, and a pipe gives what is in it once. */
static const char *copy_file(int from, int to)
{
    struct stat status;
    if (from < 0 || fstat(from, &status) != 0) return strerror(errno);
    if (!S_ISREG(status.st_mode)) return "it is no file, expected one, which a pool can read again";
    if (to < 0) return strerror(errno);
    return copy_bytes(from, to);
}

/* A settings_opener's: what is read is the copy, as the file may change in between. Children inherit its
 * descriptor. */
static FILE *open_copy(void *context, const char *path, struct buffer *ret_problem)
{
    struct reading *reading = context;
    char copy_path[PATH_SIZE];
    FILE *copy = NULL;
    const int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const int to = from < 0 ? -1 : memfd_create("winnow-config", 0);
    const char *problem = copy_file(from, to);
    print_copy_path(to, copy_path);
    if (problem == NULL) copy = fopen(copy_path, "re");
    if (problem == NULL && copy == NULL) problem = strerror(errno);
    if (problem != NULL) buffer_add_text(ret_problem, problem);
    if (from >= 0) (void)close(from);
    if (copy != NULL)
        reading->copy_fd = to;
    else if (to >= 0)
        (void)close(to);
    return copy;
}

/* The arguments behind the command's name, and the copy in the place of the file: of several -c the last one
 * counts. A `--` has nothing behind it, as the pool takes no other arguments. */
static const char **make_options(const struct reload *reload, int count)
{
    const char **options = calloc((size_t)count + 4, sizeof(*options));
    if (options == NULL) abort();
    size_t size = 0;
    for (int i = 1; i < count; i++) {
        if (strcmp(reload->argv[i], "--") != 0) options[size++] = reload->argv[i];
    }
    if (reload->copy_path[0] == '\0') return options;
    options[size++] = "--config";
    options[size++] = reload->copy_path;
    return options;
}

static bool read_all(const struct reload *reload, struct reading *ret_reading, int *ret_exit_code)
{
    const struct settings_opener opener = {open_copy, ret_reading};
    *ret_reading = (struct reading){.copy_fd = -1};
    if (settings_load_read_by(reload->usage, reload->argc, reload->argv, opener, &ret_reading->load,
                              &ret_reading->rest, ret_exit_code))
        return true;
    if (ret_reading->copy_fd >= 0) (void)close(ret_reading->copy_fd);
    return false;
}

static void add_change(struct buffer *list, const struct setting *setting, const struct settings *before,
                       const struct settings *after)
{
    setting_add(list, "%s%s ", list->size > 0 ? ", " : "", setting->name);
    setting_print(setting, before, list);
    setting_add(list, " -> ");
    setting_print(setting, after, list);
}

/* Properties of one that are not the same in the other; `both` names those that both have, too. */
static void add_properties(struct buffer *list, const struct settings *one, const struct settings *other,
                           bool both)
{
    for (size_t i = 0; i < one->kafka_count; i++) {
        const char *value = kafka_property_value(other, one->kafka[i].name);
        if (value != NULL && (!both || strcmp(value, one->kafka[i].value) == 0)) continue;
        setting_add(list, "%s%s", list->size > 0 ? ", " : "", one->kafka[i].name);
    }
}

/* Settings that wait for a restart change places, so that `after` is what is in force. */
static void compare(struct settings *before, struct settings *after, struct reload_report *report)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (setting_is_same(setting, before, after)) continue;
        add_change(setting->needs_restart ? &report->needs_restart : &report->in_force, setting, before,
                   after);
        if (setting->needs_restart) setting_swap(setting, before, after);
    }
    add_properties(&report->in_force, after, before, true);
    add_properties(&report->in_force, before, after, false);
}

static void free_environment(struct reload *reload)
{
    for (size_t i = reload->inherited; reload->environment != NULL && reload->environment[i] != NULL; i++)
        free(reload->environment[i]);
    free(reload->environment);
    reload->environment = NULL;
}

/* Ours, and behind it the settings that only a restart changes: the environment wins over the file. Where a
 * flag or the environment gives one, it cannot change. */
static void make_environment(struct reload *reload)
{
    size_t count = 0;
    free_environment(reload);
    while (environ[count] != NULL) count++;
    reload->environment = calloc(count + SETTING_COUNT + 1, sizeof(*reload->environment));
    if (reload->environment == NULL) abort();
    memcpy(reload->environment, environ, count * sizeof(*environ));
    reload->inherited = count;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        char variable[SETTING_TEXT_SIZE];
        struct buffer value = {0};
        const enum origin_kind kind = reload->load.origins[i].kind;
        const bool fixed = kind == ORIGIN_FLAG || kind == ORIGIN_ENVIRONMENT;
        if (!setting->needs_restart || fixed || !setting_is_given(setting, &reload->load.settings)) continue;
        setting_print_variable(setting, variable);
        setting_print(setting, &reload->load.settings, &value);
        if (asprintf(&reload->environment[count++], "%s=%.*s", variable, (int)value.size, value.data) < 0)
            abort();
        buffer_done(&value);
    }
}

static void put_in_force(struct reload *reload, struct reading *reading)
{
    settings_load_done(&reload->load);
    if (reload->copy_fd >= 0) (void)close(reload->copy_fd);
    reload->load = reading->load;
    reload->copy_fd = reading->copy_fd;
    print_copy_path(reload->copy_fd, reload->copy_path);
    free(reload->options);
    reload->options = make_options(reload, reading->rest);
    make_environment(reload);
}

bool reload_open(const struct command_usage *usage, int argc, char **argv, struct reload **ret_reload,
                 int *ret_rest, int *ret_exit_code)
{
    struct reading reading;
    struct reload *reload = calloc(1, sizeof(*reload));
    if (reload == NULL) abort();
    *reload = (struct reload){.usage = usage, .argc = argc, .argv = argv, .copy_fd = -1};
    if (!read_all(reload, &reading, ret_exit_code)) {
        free(reload);
        return false;
    }
    put_in_force(reload, &reading);
    *ret_rest = reading.rest;
    *ret_reload = reload;
    return true;
}

bool reload_again(struct reload *reload, reload_check check, struct reload_report *ret_report)
{
    struct reading reading;
    int unused;
    *ret_report = (struct reload_report){0};
    if (!read_all(reload, &reading, &unused)) return false;
    if (!check(&reading.load.settings)) {
        reading_done(&reading);
        return false;
    }
    compare(&reload->load.settings, &reading.load.settings, ret_report);
    put_in_force(reload, &reading);
    return true;
}

void reload_close(struct reload *reload)
{
    if (reload == NULL) return;
    settings_load_done(&reload->load);
    if (reload->copy_fd >= 0) (void)close(reload->copy_fd);
    free_environment(reload);
    free(reload->options);
    free(reload);
}

const struct settings *reload_settings(const struct reload *reload)
{
    return &reload->load.settings;
}

const char *const *reload_options(const struct reload *reload)
{
    return reload->options;
}

char *const *reload_environment(const struct reload *reload)
{
    return reload->environment;
}
