/* `winnow manual 1` and `winnow manual 5`: the pages for man(1), in mdoc(7), from the tables that --help is
 * made from. Hidden: `make install` runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "exit_code.h"
#include "settings_flags.h"
#include "utf8.h"
#include "version.h"

static const struct command_word words[] = {
    {"1", "winnow(1)"},
    {"5", "winnow.conf(5)"},
    {0},
};

const struct command_usage usage_manual = {
    .synopsis = "winnow manual 1|5",
    .description = "Prints a page of the manual, for man(1).",
    .words = words,
    .settings = "",
};

/* ---- mdoc ---------------------------------------------------------------------------------------------- */

/* The code point of a well-formed character of `size` bytes. */
static unsigned code_point(const char *at, size_t size)
{
    static const unsigned char masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned code = (unsigned char)at[0] & masks[size];
    for (size_t i = 1; i < size; i++) code = code << 6 | ((unsigned char)at[i] & 0x3Fu);
    return code;
}

/* Prints text within a line: backslashes, quotes and what is not ASCII as roff wants them. */
static void print_text(const char *text, size_t text_size)
{
    const char *end = text + text_size;
    for (size_t size; text < end; text += size) {
        size = utf8_size(text, end);
        if (size == 0) abort(); /* the text is ours */
        if (*text == '\\')
            (void)fputs("\\e", stdout);
        else if (*text == '-')
            (void)fputs("\\-", stdout);
        else if (*text == '"')
            (void)fputs("\\(dq", stdout);
        else if (size == 1)
            (void)putchar(*text);
        else
            (void)printf("\\[u%04X]", code_point(text, size));
    }
}

static void print_word(const char *word)
{
    print_text(word, strlen(word));
}

/* The size of the first sentence, without the space behind it: roff wants each on a line of its own. */
static size_t sentence_size(const char *text)
{
    const size_t line = strcspn(text, "\n");
    for (size_t i = 1; i < line; i++) {
        if (text[i] == ' ' && strchr(".!?", text[i - 1]) != NULL) return i;
    }
    return line;
}

/* Sentences, each on a line of its own; \n begins a paragraph. */
static void print_lines(const char *text)
{
    while (*text != '\0') {
        const size_t size = sentence_size(text);
        if (*text == '.' || *text == '\'') (void)fputs("\\&", stdout); /* else a request */
        print_text(text, size);
        (void)putchar('\n');
        text += size;
        if (*text == '\0') return;
        if (*text == '\n') (void)puts(".Pp");
        text++;
    }
}

/* Reproducible builds give the date (SOURCE_DATE_EPOCH). */
static void print_date(void)
{
    const char *given = getenv("SOURCE_DATE_EPOCH");
    const time_t now = given != NULL ? (time_t)strtoll(given, NULL, 10) : time(NULL);
    struct tm date;
    char month[16];
    if (gmtime_r(&now, &date) == NULL) abort();
    if (strftime(month, sizeof month, "%B", &date) == 0) abort();
    (void)printf(".Dd %s %d, %d\n", month, date.tm_mday, 1900 + date.tm_year);
}

static void print_head(const char *title, const char *section)
{
    print_date();
    (void)printf(".Dt %s %s\n.Os winnow ", title, section);
    print_word(WINNOW_VERSION);
    (void)putchar('\n');
}

static void print_item(char letter, const char *name, const char *value)
{
    (void)printf(".It ");
    if (letter != 0) (void)printf("Fl %c%s", letter, name != NULL ? " , " : "");
    if (name != NULL) {
        (void)fputs("Fl \\-", stdout);
        print_word(name);
    }
    if (value != NULL) {
        (void)fputs(" Ar ", stdout);
        print_word(value);
    }
    (void)putchar('\n');
}

/* A line of its own in bold, as people type it. */
static void print_example(const char *example)
{
    (void)fputs(".Pp\n.Dl $ ", stdout);
    print_lines(example);
}

/* ---- winnow(1) ----------------------------------------------------------------------------------------- */

static void print_words(const struct command_word *word)
{
    if (word == NULL || word->name == NULL) return;
    (void)puts(".Pp\n.Bl -tag -width example -compact");
    for (; word->name != NULL; word++) {
        if (word->summary == NULL) continue;
        (void)fputs(".It Cm ", stdout);
        print_word(word->name);
        (void)putchar('\n');
        print_lines(word->summary);
    }
    (void)puts(".El");
}

static void print_own_options(const struct command_option *option)
{
    bool any = false;
    for (; option != NULL && option->text != NULL; option++) {
        if (option->help == NULL) continue;
        if (!any) (void)puts(".Pp\n.Bl -tag -width Ds -compact");
        any = true;
        print_item(option->letter, option->name, option->value);
        print_lines(option->help);
    }
    if (any) (void)puts(".El");
}

static void print_setting_name(void *context, const struct setting *setting)
{
    const char **separator = context;
    char flag[SETTING_TEXT_SIZE];
    setting_print_flag(setting, flag);
    (void)printf("%s\n.Fl ", *separator);
    print_word(flag + 1);
    *separator = " ,";
}

static void print_command(void *context, const char *path, const struct command *command)
{
    (void)context;
    const struct command_usage *usage = command->usage;
    const char *separator = "Settings:";
    (void)fputs(".Ss winnow ", stdout);
    print_word(path);
    (void)putchar('\n');
    (void)fputs(".Dl ", stdout);
    print_lines(usage->synopsis);
    (void)puts(".Pp");
    print_lines(usage->description);
    print_words(usage->words);
    print_own_options(usage->options);
    if (command->run != NULL && (usage->settings == NULL || usage->settings[0] != '\0')) {
        (void)puts(".Pp");
        flags_each_setting(usage, print_setting_name, &separator);
        (void)puts(" ;\nsee\n.Xr winnow.conf 5 .");
    }
    if (usage->example != NULL) print_example(usage->example);
}

static void print_options_of_all(void)
{
    (void)puts(".Sh OPTIONS\nEach command has options of its own, and takes some of the settings of\n"
               ".Xr winnow.conf 5\nas options.\nAll that take settings know these:\n"
               ".Bl -tag -width Ds");
    print_item('c', "config", "FILE");
    (void)puts("reads settings from a file, as the variable\n.Ev WINNOW_CONFIG\ndoes.");
    print_item('X', NULL, "PROPERTY=VALUE");
    (void)puts("gives a property to librdkafka, for commands that know\n.Fl \\-brokers .");
    print_item('h', "help", NULL);
    (void)puts("tells what a command does, and its options.\n.El");
}

static void print_exit_status(void)
{
    static const struct {
        enum exit_code code;
        const char *meaning;
    } codes[] = {
        {EXIT_DRAINED, "Done, or drained after a request to end."},
        {EXIT_FINDING, "The answer of the command is no."},
        {EXIT_BAD_USAGE, "An unknown command or option, or a value that cannot be."},
        {EXIT_UNREACHABLE, "A server did not answer in time."},
        {EXIT_BROKEN, "The database reports damage."},
        {EXIT_TEMPORARY, "A deadline passed, or the command was interrupted."},
        {EXIT_BAD_CONFIG, "Configuration, topic or schema is wrong; the line before tells what to do."},
    };
    (void)puts(".Sh EXIT STATUS\n.Bl -tag -width Ds -compact");
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        (void)printf(".It %d\n%s\n", codes[i].code, codes[i].meaning);
    (void)puts(".El");
}

static void print_commands_page(void)
{
    print_head("WINNOW", "1");
    (void)puts(
        ".Sh NAME\n.Nm winnow\n.Nd store each JSON event of a Kafka topic exactly once in PostgreSQL\n"
        ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar options\n.Nm\n.Cm help\n.Op Ar command | Cm settings | Cm "
        "events | Ar event\n"
        ".Sh DESCRIPTION\n"
        "A pool of worker processes reads the loose JSON events of many clients from a topic, normalizes "
        "and\n"
        "hashes them, and stores each one once.\nEvery offset of the topic ends as stored, duplicate or\n"
        "dead\\-lettered.\n.Sh COMMANDS");
    command_each(print_command, NULL);
    print_options_of_all();
    (void)puts(
        ".Sh ENVIRONMENT\nEach setting has a variable, such as\n.Ev WINNOW_BATCH_ROWS\nfor\n"
        ".Fl \\-batch\\-rows .\nThose of\n.Xr psql 1\nreach PostgreSQL's client library, and\n.Ev NO_COLOR\n"
        "turns colours off.\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa /etc/winnow/winnow.conf\n"
        "the configuration of the service\n.It Pa /etc/winnow/winnow.env\n"
        "variables of the service, one a line\n.It Pa /etc/winnow/retain.env\n"
        "the same of\n.Pa winnow-retain.service ;\n.Ev RETAIN_KEEP\nis how much it keeps\n.El");
    print_exit_status();
    (void)puts(".Sh SEE ALSO\n.Xr psql 1 ,\n.Xr systemctl 1 ,\n.Xr winnow.conf 5");
}

/* ---- winnow.conf(5) ------------------------------------------------------------------------------------ */

static void print_setting(const struct setting *setting)
{
    char flag[SETTING_TEXT_SIZE];
    char variable[SETTING_TEXT_SIZE];
    struct buffer expected = {0};
    const char *fallback = setting->derived != NULL ? setting->derived : setting->fallback;
    setting_print_flag(setting, flag);
    setting_print_variable(setting, variable);
    (void)fputs(".It Ic ", stdout);
    print_word(setting->name);
    (void)fputs(" No = Ar ", stdout);
    print_word(setting->value_name != NULL ? setting->value_name : "no|yes");
    (void)putchar('\n');
    print_lines(setting->help);
    if (setting->type == SETTING_INTEGER) setting_print_expected(setting, &expected);
    if (expected.size > 0) (void)printf(".br\n%.*s\n", (int)expected.size, expected.data);
    buffer_done(&expected);
    if (fallback != NULL && fallback[0] != '\0') {
        (void)fputs(".br\nDefault:\n.Ql ", stdout);
        print_lines(fallback);
    }
    (void)puts(".br");
    if (setting->letter != 0) (void)printf(".Fl %c ,\n", setting->letter);
    (void)fputs(".Fl ", stdout);
    print_word(flag + 1);
    (void)printf(" ,\n.Ev %s\n", variable);
}

static void print_settings(void)
{
    const char *group = "";
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (strcmp(group, setting->group) != 0) {
            if (group[0] != '\0') (void)puts(".El");
            (void)printf(".Ss %s\n.Bl -tag -width Ds\n", setting->group);
        }
        group = setting->group;
        print_setting(setting);
    }
    (void)puts(".El");
}

static void print_settings_page(void)
{
    print_head("WINNOW.CONF", "5");
    (void)puts(
        ".Sh NAME\n.Nm winnow.conf\n.Nd configuration of winnow\n.Sh DESCRIPTION\n"
        "A file of lines\n.Ic name No = Ar value ,\nwhich\n.Xr winnow 1\nreads when\n.Fl \\-config\nor\n"
        ".Ev WINNOW_CONFIG\nnames it.\nOptions win over the environment, and the environment over the file.\n"
        "A line that begins with # or ; is a comment.\nBehind a value neither is one, and quotes are part "
        "of\n"
        "the value.\nWhat is unknown or given twice is a mistake.\n.Pp\nTo begin with one, and to check it:\n"
        ".Dl $ winnow config example\n.Dl $ winnow config check \\-c winnow.conf\n.Sh SETTINGS");
    print_settings();
    (void)puts(".Sh PROPERTIES OF LIBRDKAFKA\nBelow a line\n.Ic [kafka]\nstand properties of librdkafka by "
               "their own\n"
               "names.\nIn the environment security.protocol is\n.Ev WINNOW_KAFKA_SECURITY_PROTOCOL ,\namong "
               "the options\n"
               ".Fl X Cm security.protocol= .\nThose on which the guarantees rest are refused, with the "
               "reason.\n.Pp\n"
               "The value of a secret one may stand alone in a file:\n.Ic sasl.password.file No = Ar PATH .\n"
               ".Sh SEE ALSO\n.Xr winnow 1");
}

int command_manual(int argc, char **argv)
{
    int rest;
    int exit_code;
    if (!settings_read_arguments(&usage_manual, argc, argv, &rest, &exit_code)) return exit_code;
    switch (settings_find_word("manual", &usage_manual, rest < argc ? argv[rest] : NULL)) {
    case 0:
        print_commands_page();
        return EXIT_DRAINED;
    case 1:
        print_settings_page();
        return EXIT_DRAINED;
    default:
        return EXIT_BAD_USAGE;
    }
}
