#include "cli.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "command.h"
#include "exit_code.h"
#include "nearest.h"
#include "reject.h"
#include "version.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary; /* NULL: hidden, run by other processes */
    const char *example; /* NULL: the command is not in the short list */
} commands[] = {
    {"migrate", command_migrate, "bring the database's schema up to date", "winnow migrate -d dbname=winnow"},
    {"pool", command_pool, "read, normalize and store events with several workers",
     "winnow pool -n 4 -b localhost:9092 -t events -d dbname=winnow"},
    {"submit", command_submit, "send events to the topic",
     "winnow submit -b localhost:9092 -t events -f events.jsonl"},
    {"explain", command_explain, "tell what becomes of an event, rule by rule",
     "winnow explain '{\"client\":\"a\",\"type\":\"sale\",\"sum\":\"1,200.50\"}'"},
    {"status", command_status, "tell how far each partition is, and whether anything is missing",
     "winnow status -b localhost:9092 -t events -d dbname=winnow"},
    {"doctor", command_doctor, "find out what is wrong, and what mends it",
     "winnow doctor -b localhost:9092 -t events -d dbname=winnow"},
    {"console", command_console, "serve the HTTP API and its page",
     "winnow console -b localhost:9092 -t events -d dbname=winnow"},
    {"worker", command_worker, "run one worker in the foreground", NULL},
    {"config", command_config, "check, print or begin a configuration", NULL},
    {"housekeep", command_housekeep, NULL, NULL},
};

static void print_summary(void)
{
    (void)printf("winnow stores each JSON event of a Kafka topic exactly once in PostgreSQL.\n");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (commands[i].example == NULL) continue;
        (void)printf("\n  %-9s%s\n           $ %s\n", commands[i].name, commands[i].summary,
                     commands[i].example);
    }
    (void)printf("\nAlso:");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (commands[i].example == NULL && commands[i].summary != NULL)
            (void)printf(" %s (%s),", commands[i].name, commands[i].summary);
    }
    (void)printf("\n      --version. Each command has a --help.\n");
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    }
    return NULL;
}

static int refuse(const char *name)
{
    char shown[100];
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (commands[i].summary != NULL) nearest_offer(&nearest, commands[i].name);
    }
    nearest_offer(&nearest, "--help");
    nearest_offer(&nearest, "--version");
    (void)reject_escape(slice_of_text(name), shown, sizeof shown);
    (void)fprintf(stderr, "winnow: %s is no command", shown);
    if (nearest.name != NULL)
        (void)fprintf(stderr, ", did you mean %s?\n", nearest.name);
    else
        (void)fprintf(stderr, "; see: winnow --help\n");
    return EXIT_BAD_USAGE;
}

/* `winnow help submit` is `winnow submit --help`. */
static int help(int argc, char **argv)
{
    char help_flag[] = "--help";
    const struct command *command = argc > 2 ? find(argv[2]) : NULL;
    if (argc > 2 && command == NULL) return refuse(argv[2]);
    if (command == NULL) {
        print_summary();
        return EXIT_DRAINED;
    }
    char *arguments[] = {argv[2], help_flag, NULL};
    return command->run(2, arguments);
}

int cli_run(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_summary();
        return EXIT_DRAINED;
    }
    if (strcmp(argv[1], "help") == 0) return help(argc, argv);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        (void)printf("winnow %s\n", WINNOW_VERSION);
        return EXIT_DRAINED;
    }
    const struct command *command = find(argv[1]);
    if (command == NULL) return refuse(argv[1]);
    return command->run(argc - 1, argv + 1);
}
