/* The help of a command, as it is read: on a terminal of 80 columns and 24 lines, one of which is the prompt.
 * Settings that would not fit are only named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings_flags.h"
#include "wrap.h"

#define LINES      23
#define WORD_WIDTH 12
#define OWN_MAX    64
#define LEFT_WIDTH 32

static size_t count_lines(const struct buffer *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->size; i++) count += text->data[i] == '\n' ? 1 : 0;
    return count;
}

/* "  left                 what it means" */
static void add_line(struct buffer *help, const char *left, const char *meaning)
{
    size_t width = strlen(left);
    int gap = width >= LEFT_WIDTH ? 2 : (int)(LEFT_WIDTH - width);
    setting_add(help, "%s%*s", left, gap, "");
    wrap_text(help, width + (size_t)gap, LEFT_WIDTH, meaning);
}

/* "  -b, --brokers HOST:PORT      help [default]" */
static void add_option(struct buffer *help, char letter, const char *flag, const char *value,
                       const char *meaning, const char *fallback)
{
    char left[128];
    char right[512];
    char short_flag[4] = "   ";
    if (letter != 0)
        (void)snprintf(short_flag, sizeof short_flag, "-%c%c", letter, flag[0] != '\0' ? ',' : ' ');
    (void)snprintf(left, sizeof left, "  %s %s%s%s", short_flag, flag,
                   flag[0] != '\0' && value != NULL ? " " : "", value != NULL ? value : "");
    bool told = fallback != NULL && fallback[0] != '\0';
    (void)snprintf(right, sizeof right, "%s%s%s%s", meaning, told ? " [" : "", told ? fallback : "",
                   told ? "]" : "");
    add_line(help, left, right);
}

static void add_setting(struct buffer *help, const struct setting *setting)
{
    char flag[SETTING_TEXT_SIZE];
    setting_print_flag(setting, flag);
    add_option(help, setting->letter, flag, setting->value_name, setting->help,
               setting->derived != NULL ? setting->derived : setting->fallback);
}

static void add_words(struct buffer *help, const struct command_word *words)
{
    if (words != NULL) setting_add(help, "\n");
    for (const struct command_word *word = words; word != NULL && word->name != NULL; word++) {
        if (word->summary == NULL) continue;
        setting_add(help, "  %-*s", WORD_WIDTH - 2, word->name);
        wrap_text(help, WORD_WIDTH, WORD_WIDTH, word->summary);
    }
}

/* "Also, told by `winnow help WHAT`:" and the names, which end with a space each. */
static void add_names(struct buffer *help, const char *what, int what_size, struct buffer *names)
{
    if (names->size == 0) return;
    names->data[names->size - 1] = '\0';
    setting_add(help, "Also, told by `winnow help %.*s`:\n  ", what_size, what);
    wrap_text(help, 2, 2, names->data);
}

/* The first `room` of the command's own options in full, the names of the others. */
static void add_own(struct buffer *help, const struct command_usage *usage, size_t room)
{
    static const char program[] = "winnow ";
    struct buffer names = {0};
    bool any = false;
    for (const struct command_option *own = usage->options; own != NULL && own->text != NULL; own++) {
        char flag[SETTING_TEXT_SIZE];
        if (own->help == NULL) continue;
        if (!any) setting_add(help, "\nOptions:\n");
        any = true;
        (void)snprintf(flag, sizeof flag, "--%s", own->name);
        if (room > 0)
            add_option(help, own->letter, flag, own->value, own->help, NULL);
        else
            setting_add(&names, "%s ", flag);
        if (room > 0) room--;
    }
    char what[SETTING_TEXT_SIZE];
    const char *name = usage->synopsis + strlen(program);
    int size = snprintf(what, sizeof what, "--all %.*s", (int)strcspn(name, "["), name);
    while (size > 0 && what[size - 1] == ' ') size--;
    add_names(help, what, size, &names);
    buffer_done(&names);
}

void flags_each_setting(const struct command_usage *usage,
                        void (*tell)(void *context, const struct setting *setting), void *context)
{
    for (size_t i = 0; usage->settings == NULL && i < SETTING_COUNT; i++) tell(context, &setting_table[i]);
    for (const char *name = usage->settings; name != NULL && *name != '\0';) {
        size_t size = strcspn(name, " ");
        const struct setting *setting = setting_find(name, size);
        if (setting == NULL) abort(); /* the command is wrong */
        tell(context, setting);
        name += size + (name[size] == ' ' ? 1 : 0);
    }
    if (usage->settings != NULL && flags_takes(usage, SETTING_PASSWORD_FILE))
        tell(context, setting_find(SETTING_PASSWORD_FILE, strlen(SETTING_PASSWORD_FILE)));
}

/* The first `room` settings in full, the names of the others. */
struct settings_help {
    size_t room;
    struct buffer full;
    struct buffer names;
};

static void tell_setting(void *context, const struct setting *setting)
{
    struct settings_help *help = context;
    char flag[SETTING_TEXT_SIZE];
    if (help->room > 0) {
        add_setting(&help->full, setting);
        help->room--;
        return;
    }
    setting_print_flag(setting, flag);
    setting_add(&help->names, "%s ", flag);
}

/* Where settings come from besides their flags. */
static void add_sources(struct buffer *to, bool kafka)
{
    if (kafka) add_option(to, 'X', "", "PROPERTY=VALUE", "a property of librdkafka, as in [kafka]", NULL);
    add_option(to, 'c', "--config", "FILE", "read settings from a file; or WINNOW_CONFIG", NULL);
}

static void add_settings(struct buffer *to, const struct command_usage *usage, size_t room, bool terse)
{
    static const char what[] = "settings";
    struct settings_help help = {.room = room};
    if (usage->settings != NULL && usage->settings[0] == '\0') return;
    flags_each_setting(usage, tell_setting, &help);
    if (terse) {
        setting_add(&help.names, "%s--config ", flags_takes(usage, "brokers") ? "-X " : "");
        setting_add(to, "\n");
        add_names(to, what, (int)strlen(what), &help.names);
        buffer_done(&help.names);
        return;
    }
    setting_add(to, "\nSettings (--batch-rows 500 is also WINNOW_BATCH_ROWS, or batch_rows in a file):\n%.*s",
                (int)help.full.size, help.full.data);
    add_sources(to, flags_takes(usage, "brokers"));
    add_names(to, what, (int)strlen(what), &help.names);
    buffer_done(&help.full);
    buffer_done(&help.names);
}

/* So much of the help is told in full. */
struct help_room {
    size_t own;
    size_t settings;
    bool terse; /* not even where settings come from */
};

static void add_help(struct buffer *help, const struct command_usage *usage, struct help_room room)
{
    setting_add(help, "Usage: %s\n\n", usage->synopsis);
    wrap_text(help, 0, 0, usage->description);
    add_words(help, usage->words);
    if (usage->example != NULL) setting_add(help, "\n  $ %s\n", usage->example);
    add_own(help, usage, room.own);
    add_settings(help, usage, room.settings, room.terse);
}

void settings_print_usage(const struct command_usage *usage, bool whole)
{
    struct buffer help = {0};
    struct help_room room = {.own = OWN_MAX, .settings = SETTING_COUNT};
    add_help(&help, usage, room);
    while (!whole && count_lines(&help) > LINES && room.own > 0) {
        if (room.settings > 0)
            room.settings--;
        else if (!room.terse)
            room.terse = true;
        else
            room.own--;
        buffer_clear(&help);
        add_help(&help, usage, room);
    }
    (void)printf("%.*s", (int)help.size, help.data);
    buffer_done(&help);
}

void settings_print_help(void)
{
    struct buffer help = {0};
    const char *group = "";
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (strcmp(group, setting->group) != 0) setting_add(&help, "\n%s:\n", setting->group);
        group = setting->group;
        add_setting(&help, setting);
    }
    setting_add(&help, "\nOthers:\n");
    add_sources(&help, true);
    (void)printf("Flags win over the environment (WINNOW_BATCH_ROWS=500), and that over a file\n"
                 "(-c FILE or WINNOW_CONFIG: batch_rows = 500); see `winnow config example`.\n%.*s",
                 (int)help.size, help.data);
    buffer_done(&help);
}
