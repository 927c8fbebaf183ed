/* getopt_long(3) is not used: its options would have to be made from two tables first, it takes abbreviations
 * for names, and its messages can neither name the nearest option nor say which command has the option. */
#include "settings_flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "reject.h"
#include "utf8.h"
#include "words.h"

/* An option as it stands on the command line. */
struct written {
    const char *command;
    const char *text; /* the argument, for messages */
    const char *name; /* behind the hyphens; a single letter for -x */
    size_t name_size;
    const char *value; /* in the same argument; NULL: none */
};

/* What an option turned out to be: exactly one member is set. */
struct known {
    const struct command_option *own;
    const struct setting *setting;
    bool help;
    bool file;
    bool property;
};

bool flags_takes(const struct command_usage *usage, const char *setting)
{
    if (strcmp(setting, SETTING_PASSWORD_FILE) == 0) setting = "database";
    return usage->settings == NULL || words_have_text(usage->settings, setting);
}

static bool is_letter(const struct written *option)
{
    return option->text[1] != '-';
}

static bool is_named(const struct written *option, char letter, const char *name)
{
    if (is_letter(option)) return letter == option->name[0];
    return name != NULL && setting_name_equals(name, option->name, option->name_size);
}

static struct known find(const struct command_usage *usage, const struct written *option)
{
    struct known known = {0};
    for (const struct command_option *own = usage->options; own != NULL && own->text != NULL; own++) {
        if (is_named(option, own->letter, own->name)) return (struct known){.own = own};
    }
    known.help = is_named(option, 'h', "help");
    known.file = is_named(option, 'c', "config");
    known.property = is_named(option, 'X', NULL);
    known.setting = is_letter(option) ? setting_find_letter(option->name[0])
                                      : setting_find(option->name, option->name_size);
    return known;
}

static bool complain(const struct written *option, const char *problem)
{
    /* Only the name: the value may be secret. */
    int size = is_letter(option) ? 2 : (int)strcspn(option->text, "=");
    (void)settings_refuse(option->command, "%.*s %s", size, option->text, problem);
    return false;
}

static bool complain_unknown(const struct command_usage *usage, const struct written *option)
{
    char name[SETTING_TEXT_SIZE];
    char problem[SETTING_TEXT_SIZE + 64];
    (void)snprintf(name, sizeof name, "%.*s", (int)option->name_size, option->name);
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < SETTING_COUNT && !is_letter(option); i++) {
        if (flags_takes(usage, setting_table[i].name)) nearest_offer(&nearest, setting_table[i].name);
    }
    for (const struct command_option *own = usage->options; own != NULL && own->text != NULL; own++) {
        if (own->help != NULL && !is_letter(option)) nearest_offer(&nearest, own->name);
    }
    if (!is_letter(option)) nearest_offer(&nearest, "config");
    if (!is_letter(option)) nearest_offer(&nearest, "help");
    if (nearest.name == NULL) return complain(option, "is no option");
    (void)snprintf(problem, sizeof problem, "is no option, did you mean --%s?", nearest.name);
    for (char *c = problem; *c != '\0'; c++) {
        if (*c == '_') *c = '-';
    }
    return complain(option, problem);
}

static void add_flag(struct flags *flags, const struct setting *setting, const char *value)
{
    flags->given = reallocarray(flags->given, flags->count + 1, sizeof *flags->given);
    if (flags->given == NULL) abort();
    flags->given[flags->count++] = (struct flag){setting, value};
}

static bool takes_value(const struct known *known)
{
    return !known->help && (known->own == NULL || known->own->value != NULL);
}

/* Gives the option its value: the rest of its argument, or the next argument, which is then taken off. */
static bool find_value(const struct known *known, struct written *option, char **argv, int argc, int *index)
{
    if (!takes_value(known)) return option->value == NULL || complain(option, "takes no value");
    if (option->value != NULL) return true;
    if (known->own == NULL && known->setting != NULL && known->setting->is_switch) {
        option->value = "yes";
        return true;
    }
    if (*index + 1 >= argc) return complain(option, "needs a value");
    option->value = argv[++*index];
    return true;
}

/* What PostgreSQL is asked with, or people read; only a file's name may be any bytes. */
static bool own_value_is_text(const struct command_option *own, const char *value)
{
    return strcmp(own->value, "FILE") == 0 || utf8_is_valid(value, strlen(value));
}

static bool store(const struct command_usage *usage, const struct known *known, const struct written *option,
                  struct flags *flags)
{
    if (known->own != NULL && known->own->value != NULL && !own_value_is_text(known->own, option->value))
        return complain(option, "expects text in UTF-8");
    if (known->own != NULL)
        *known->own->text = known->own->value != NULL ? option->value : known->own->name;
    else if (known->help)
        flags->help_asked = true;
    else if (known->file)
        flags->file = option->value;
    else if (!flags_takes(usage, known->property ? "brokers" : known->setting->name))
        return complain(option, "is not for this command");
    else if (known->property && (option->value[0] == '=' || strchr(option->value, '=') == NULL))
        return complain(option, "expects property=value");
    else
        add_flag(flags, known->setting, option->value);
    return true;
}

/* Cuts `--name=value`, `--name`, `-xvalue` or `-x` into its parts. */
static struct written cut(const char *command, const char *text)
{
    if (text[1] != '-') {
        const char *value = text[2] != '\0' ? text + 2 : NULL;
        return (struct written){command, text, text + 1, 1, value};
    }
    size_t size = strcspn(text + 2, "=");
    return (struct written){command, text, text + 2, size, text[2 + size] == '=' ? text + 3 + size : NULL};
}

static bool read_option(const struct command_usage *usage, int argc, char **argv, int *index,
                        struct flags *flags)
{
    struct written option = cut(argv[0], argv[*index]);
    struct known known = find(usage, &option);
    if (known.own == NULL && known.setting == NULL && !known.help && !known.file && !known.property)
        return complain_unknown(usage, &option);
    return find_value(&known, &option, argv, argc, index) && store(usage, &known, &option, flags);
}

/* Moves the arguments argv[begin .. end) in front of the `count` ones that stand before them. */
static void move_up(char **argv, int begin, int end, int count)
{
    for (int i = begin; i < end; i++) {
        char *moved = argv[i];
        memmove(&argv[i - count + 1], &argv[i - count], (size_t)count * sizeof *argv);
        argv[i - count] = moved;
    }
}

bool flags_read(const struct command_usage *usage, int argc, char **argv, struct flags *ret_flags)
{
    struct flags flags = {0};
    int others = 0; /* arguments that are no options, in front of argv[i] */
    bool ended = false;
    int i = 1;
    while (i < argc && !ended && !flags.help_asked) {
        int begin = i;
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            others++;
            i++;
            continue;
        }
        ended = strcmp(argv[i], "--") == 0;
        if (!ended && !read_option(usage, argc, argv, &i, &flags)) {
            flags_done(&flags);
            return false;
        }
        i++;
        move_up(argv, begin, i, others);
    }
    flags.rest = i - others;
    *ret_flags = flags;
    return true;
}

void flags_done(struct flags *flags)
{
    free(flags->given);
    *flags = (struct flags){0};
}

/* "check, print or example" */
static void list_words(const struct command_word *words, struct buffer *ret_list)
{
    const struct command_word *last = NULL;
    const char *separator = "";
    for (const struct command_word *word = words; word->name != NULL; word++) {
        if (word->summary == NULL) continue;
        if (last != NULL) setting_add(ret_list, "%s%s", separator, last->name);
        separator = last != NULL ? ", " : "";
        last = word;
    }
    if (last != NULL) setting_add(ret_list, "%s%s", ret_list->size > 0 ? " or " : "", last->name);
}

int settings_find_word(const char *command, const struct command_usage *usage, const char *word)
{
    struct nearest nearest = nearest_to(word != NULL ? word : "");
    for (int i = 0; usage->words[i].name != NULL; i++) {
        if (word != NULL && strcmp(usage->words[i].name, word) == 0) return i;
        if (usage->words[i].summary != NULL) nearest_offer(&nearest, usage->words[i].name);
    }
    struct buffer expected = {0};
    list_words(usage->words, &expected);
    (void)settings_refuse(command, "found %s, expected %.*s%s%s%s", word != NULL ? word : "nothing",
                          (int)expected.size, expected.data, nearest.name != NULL ? ", did you mean " : "",
                          nearest.name != NULL ? nearest.name : "", nearest.name != NULL ? "?" : "");
    buffer_done(&expected);
    return -1;
}
