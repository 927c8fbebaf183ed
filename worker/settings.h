/* The configuration of a process: flags over environment over file over defaults, read whole and checked
 * before anything starts. One table (settings_table.c) feeds the parser, --help, `config print`, `config
 * example` and the table in the README. */
#ifndef WINNOW_SETTINGS_H
#define WINNOW_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "status.h"

/* Properties of librdkafka in the order given: [kafka] in the file, WINNOW_KAFKA_… in the environment, -X.
 * The value of a secret one may stand in a file: sasl.password.file=PATH. */
struct kafka_property {
    char *name;
    char *value;
};

#define METRICS_LISTEN_DEFAULT "127.0.0.1:8078"

struct settings {
    char *brokers;            /* -b, WINNOW_BROKERS: host:port[,…]; no default */
    char *topic;              /* -t, WINNOW_TOPIC; no default */
    char *group;              /* -g, WINNOW_GROUP: "winnow" */
    int64_t stall_timeout_ms; /* 60000: of a partition's silence, until the client is suspected; 0: never */
    char *dead_letter_topic;  /* --dead-letter-topic: TOPIC.dlq */
    char *database;           /* -d, WINNOW_DATABASE: conninfo or URI; "": libpq's own PG* environment */
    char *database_password_file; /* the password of the database's user; none by default */
    int64_t workers;              /* -n: 4; of a pool */
    int64_t batch_rows;           /* 20000: rows in one statement at most */
    int64_t batch_bytes;          /* 4 MiB: copied bytes in a batch at most */
    int64_t batch_age_ms;     /* 20: a batch is written at that age at the latest when the database is free */
    int64_t event_bytes_max;  /* 1 MiB (rule M-2) */
    int64_t breaker_window;   /* 200 messages; 0 switches the circuit breaker off */
    int64_t breaker_percent;  /* 50: the partition halts when more than that of the window is dead */
    int64_t drain_timeout_ms; /* 10000: after SIGTERM, until a process ends itself */
    int64_t statement_timeout_ms; /* 30000 */
    char *control_socket;         /* of the pool, control_path.h; "" by default */
    char *metrics_listen;         /* of the pool: an address, or "off"; NULL: METRICS_LISTEN_DEFAULT */
    char *log_level;              /* error, warning, info, debug */
    char *log_format;             /* auto: journal where standard error is the journal, else logfmt; json */
    char *listen;                 /* of the console: 127.0.0.1:8077 */
    char *token_file;             /* console/tokens.h; none by default */
    char *cors_origins;           /* https://host[:port], separated by commas; none by default */
    int64_t connections_per_address; /* 512; 0: no such limit */
    char *read_only;                 /* "yes": the console takes no writes; "no" */
    char *allow_fault_injection;     /* "yes": failures may be simulated; "no" */
    struct kafka_property *kafka;
    size_t kafka_count;
};

/* Whether a switch ("no" or "yes") is on; NULL is no. */
static inline bool setting_is_on(const char *value)
{
    return value != NULL && value[0] == 'y';
}

/* An option that only one command knows, besides the settings. Ends with a zeroed entry. */
struct command_option {
    char letter;       /* 0: long only */
    const char *name;  /* "json" for --json */
    const char *value; /* its value's name in --help; NULL: a switch */
    const char *help;  /* one line; NULL: hidden */
    const char **text; /* where the value goes (switches: the option's name); borrowed from argv */
};

/* A word that a command takes as its first argument: `winnow migrate status`. Ends with a zeroed entry. */
struct command_word {
    const char *name;
    const char *summary; /* one line, without a full stop; NULL: hidden */
};

/* How a command is used. --help, `winnow help`, the man page and shell completion are made from this and from
 * the table of settings. */
struct command_usage {
    const char *synopsis;    /* "winnow submit [options] [EVENT]" */
    const char *summary;     /* what it does, for lists: at most 58 characters, no full stop, no capital */
    const char *description; /* a few sentences in lines of any length: they are broken where they are shown;
                              * \n ends a paragraph */
    const char *example;     /* "winnow submit -b localhost:9092 -t events -f events.jsonl" */
    const struct command_word *words;     /* may be NULL */
    const struct command_option *options; /* may be NULL */
    const char *settings; /* which settings the command takes, by name, space-separated, the most important
                           * ones first: those that do not fit on the screen are only named; NULL: all. What
                           * comes along with "brokers" and "database" is not named */
};

/* Reads flags, environment and file. Returns true with *ret_settings filled (the caller frees it) and
 * *ret_rest, the index of the first argument that is no option. Returns false with an exit code when the
 * process is to end: after --help (0), or after one clear line on standard error (64, 78). */
MUST_CHECK bool settings_read(const struct command_usage *usage, int argc, char **argv,
                              struct settings *ret_settings, int *ret_rest, int *ret_exit_code);
void settings_done(struct settings *settings);

/* Reads the arguments alone, no settings: for what must answer when the configuration is broken. Returns as
 * settings_read() does; the arguments can be read again. */
MUST_CHECK bool settings_read_arguments(const struct command_usage *usage, int argc, char **argv,
                                        int *ret_rest, int *ret_exit_code);

/* Prints all settings, by group, on standard output. */
void settings_print_help(void);

/* Prints the help of a command on standard output: at most 23 lines of 79 columns, what does not fit is only
 * named, or the whole of it. A command whose settings are "" takes none. */
void settings_print_usage(const struct command_usage *usage, bool whole);

/* Tells what is wrong with the arguments of a command, in one line on standard error that ends with where to
 * look: "winnow dlq show: found …, expected …; see: winnow dlq show --help". Returns EXIT_BAD_USAGE. */
int settings_refuse(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);

/* What was given, for "found …". */
static inline const char *settings_found(const char *text)
{
    return text == NULL || text[0] == '\0' ? "nothing" : text;
}

/* The same of an argument behind the options, where none is expected. */
int settings_refuse_argument(const char *command, const char *argument);

/* The index of the word among the usage's, -1 after one line on standard error that says what was expected;
 * word NULL: none was given. `command` is its name. */
MUST_CHECK int settings_find_word(const char *command, const struct command_usage *usage, const char *word);

/* One clear line when a setting without a default is missing ("topic", "brokers"), and false. */
MUST_CHECK bool settings_require(const struct settings *settings, const char *names);

#endif
