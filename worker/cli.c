#include "cli.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "command.h"
#include "exit_code.h"
#include "log_events.h"
#include "nearest.h"
#include "reject.h"
#include "version.h"

#define NAME_SIZE        64
#define SUBCOMMANDS_MAX  16
#define SUMMARY_OF_WORLD "winnow stores each JSON event of a Kafka topic exactly once in PostgreSQL.\n"

static bool is_shown(const struct command *command)
{
    return command->usage->summary != NULL;
}

/* What someone needs who is here for the first time. */
static void print_first(void)
{
    (void)printf(SUMMARY_OF_WORLD);
    for (const struct command *command = command_table; command->name != NULL; command++) {
        if (!command->is_first) continue;
        (void)printf("\n  %-9s %s\n            $ %s\n", command->name, command->usage->summary,
                     command->usage->example);
    }
    (void)printf("\nwinnow help: all commands. winnow help COMMAND: its options.\n");
}

static void print_all(void)
{
    (void)printf(SUMMARY_OF_WORLD "\n");
    for (const struct command *command = command_table; command->name != NULL; command++) {
        if (is_shown(command)) (void)printf("  %-10s  %s\n", command->name, command->usage->summary);
    }
    (void)printf("\n  winnow help COMMAND    its options, with an example; or winnow COMMAND --help\n"
                 "  winnow help settings   every setting: flag, environment, file\n"
                 "  winnow help events     the events of the log; winnow help EVENT: one of them\n"
                 "  winnow --version       the version\n");
}

/* Prints the help of a command; one with subcommands tells what these are. */
static void print_usage(const struct command *command, bool whole)
{
    struct command_word words[SUBCOMMANDS_MAX + 1] = {{0}};
    struct command_usage usage = *command->usage;
    size_t count = 0;
    for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) {
        if (is_shown(sub) && count < SUBCOMMANDS_MAX)
            words[count++] = (struct command_word){sub->name, sub->usage->summary};
    }
    if (count > 0) usage.words = words;
    settings_print_usage(&usage, whole);
}

static const struct command *find(const struct command *table, const char *name)
{
    for (const struct command *command = table; command != NULL && command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) return command;
    }
    return NULL;
}

static void offer(struct nearest *nearest, const struct command *table)
{
    for (const struct command *command = table; command->name != NULL; command++) {
        if (is_shown(command)) nearest_offer(nearest, command->name);
    }
}

/* The command that has the name among its subcommands, NULL when none has. */
static const struct command *find_parent(const char *name)
{
    for (const struct command *command = command_table; command->name != NULL; command++) {
        if (find(command->subcommands, name) != NULL) return command;
    }
    return NULL;
}

/* What was typed, as people can see it. */
static void show(const char *name, char *ret_shown, size_t size)
{
    (void)reject_escape(slice_of_text(name[0] != '\0' ? name : "''"), ret_shown, size);
}

/* Ends the line that was begun. `before` stands in front of what may be meant: "help ". */
static int tell_nearest(const char *before, const char *name, const struct nearest *nearest)
{
    const struct command *parent = find_parent(name);
    if (parent != NULL)
        (void)fprintf(stderr, ", did you mean winnow %s%s %s?\n", before, parent->name, name);
    else if (nearest->name != NULL)
        (void)fprintf(stderr, ", did you mean winnow %s%s?\n", before, nearest->name);
    else
        (void)fprintf(stderr, "; see: winnow --help\n");
    return EXIT_BAD_USAGE;
}

static int refuse(const char *name)
{
    char shown[100];
    struct nearest nearest = nearest_to(name);
    offer(&nearest, command_table);
    nearest_offer(&nearest, "help");
    nearest_offer(&nearest, "--help");
    nearest_offer(&nearest, "--version");
    show(name, shown, sizeof shown);
    (void)fprintf(stderr, "winnow: %s is no command", shown);
    return tell_nearest("", name, &nearest);
}

/* Of `winnow help`. */
static int refuse_topic(const char *name)
{
    char shown[100];
    struct nearest nearest = nearest_to(name);
    offer(&nearest, command_table);
    nearest_offer(&nearest, "settings");
    nearest_offer(&nearest, "events");
    for (const struct log_event *event = log_events; event->name != NULL; event++)
        nearest_offer(&nearest, event->name);
    show(name, shown, sizeof shown);
    (void)fprintf(stderr, "winnow help: %s is no command and no event of the log", shown);
    return tell_nearest("help ", name, &nearest);
}

/* Of a command, whether they are commands of their own or words of its. */
static int refuse_subcommand(const struct command *command, const char *name)
{
    char shown[100];
    struct nearest nearest = nearest_to(name);
    if (command->subcommands != NULL) offer(&nearest, command->subcommands);
    for (const struct command_word *word = command->usage->words; word != NULL && word->name != NULL;
         word++) {
        if (word->summary != NULL) nearest_offer(&nearest, word->name);
    }
    show(name, shown, sizeof shown);
    (void)fprintf(stderr, "winnow %s: %s is no command of it", command->name, shown);
    if (nearest.name != NULL)
        (void)fprintf(stderr, ", did you mean winnow %s %s?", command->name, nearest.name);
    (void)fprintf(stderr, "; see: winnow %s --help\n", command->name);
    return EXIT_BAD_USAGE;
}

/* Of `winnow help pool scale`: the help of pool tells of its words. */
static bool has_word(const struct command *command, const char *name)
{
    for (const struct command_word *word = command->usage->words; word != NULL && word->name != NULL;
         word++) {
        if (word->summary != NULL && strcmp(word->name, name) == 0) return true;
    }
    return false;
}

/* `winnow help submit` is `winnow submit --help`; with --all in front, more than a screen. */
static int help_command(int count, char **words)
{
    const bool whole = strcmp(words[0], "--all") == 0 && count > 1;
    if (whole) {
        words++;
        count--;
    }
    const struct command *command = find(command_table, words[0]);
    if (command == NULL) return refuse_topic(words[0]);
    if (count > 1 && !has_word(command, words[1])) {
        const struct command *sub = find(command->subcommands, words[1]);
        if (sub == NULL) return refuse_subcommand(command, words[1]);
        command = sub;
    }
    print_usage(command, whole);
    return EXIT_DRAINED;
}

static bool asks_for_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static int help(int argc, char **argv)
{
    const struct log_event *event = argc == 3 ? log_event_find(argv[2]) : NULL;
    if (argc < 3 || asks_for_help(argv[2]) || (argc == 3 && strcmp(argv[2], "--all") == 0))
        print_all();
    else if (strcmp(argv[2], "settings") == 0)
        settings_print_help();
    else if (strcmp(argv[2], "events") == 0)
        log_events_print();
    else if (event != NULL && find(command_table, argv[2]) == NULL)
        log_event_print(event);
    else
        return help_command(argc - 2, argv + 2);
    return EXIT_DRAINED;
}

/* argv[0] is the command. */
static int run_subcommand(const struct command *command, int argc, char **argv)
{
    static char name[NAME_SIZE]; /* messages name the command as it was called */
    if (argc < 2 || asks_for_help(argv[1])) {
        print_usage(command, false);
        return argc < 2 ? EXIT_BAD_USAGE : EXIT_DRAINED;
    }
    const struct command *sub = find(command->subcommands, argv[1]);
    if (sub == NULL) return refuse_subcommand(command, argv[1]);
    (void)snprintf(name, sizeof name, "%s %s", command->name, sub->name);
    argv[1] = name;
    return sub->run(argc - 1, argv + 1);
}

int cli_run(int argc, char **argv)
{
    if (argc < 2) {
        print_first();
        return EXIT_BAD_USAGE;
    }
    if (asks_for_help(argv[1])) {
        print_all();
        return EXIT_DRAINED;
    }
    if (strcmp(argv[1], "help") == 0) return help(argc, argv);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        (void)printf("winnow %s\n", WINNOW_VERSION);
        return EXIT_DRAINED;
    }
    const struct command *command = find(command_table, argv[1]);
    if (command == NULL) return refuse(argv[1]);
    if (command->run == NULL) return run_subcommand(command, argc - 1, argv + 1);
    return command->run(argc - 1, argv + 1);
}
