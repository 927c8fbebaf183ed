/* The commands of the winnow binary, in one table: the front door (cli.c), `winnow help`, --help, the man
 * page and shell completion go by it. */
#ifndef WINNOW_COMMAND_H
#define WINNOW_COMMAND_H

#include <stdbool.h>

#include "settings.h"

/* The settings of a worker, and so of the pool that passes its own on. */
#define WORKER_SETTINGS \
    "brokers topic group database workers dead_letter_topic batch_rows batch_bytes batch_age_ms " \
    "statement_timeout_ms drain_timeout_ms stall_timeout_ms event_bytes_max breaker_window breaker_percent " \
    "control_socket metrics_listen log_level log_format allow_fault_injection"

/* Its `run` gets the arguments behind the name and returns an exit code (exit_code.h); argv[0] is the name,
 * of a subcommand both words ("dlq replay"), for messages. */
struct command {
    const char *name;                  /* "submit"; of a subcommand the last word: "replay" */
    int (*run)(int argc, char **argv); /* NULL: it has subcommands */
    const struct command_usage *usage; /* its summary is NULL: hidden, run by other processes */
    bool is_first;                     /* of those that `winnow` alone shows */
    const struct command
        *subcommands; /* each with options of its own; ends with a zeroed entry; may be NULL */
};

extern const struct command command_table[]; /* ends with a zeroed entry */

#define COMMAND_PATH_SIZE 64

/* Calls back with each command that people may run, and with its subcommands behind it. The path is what
 * stands behind "winnow": "dlq", "dlq replay"; it lives for the call. */
void command_each(void (*tell)(void *context, const char *path, const struct command *command),
                  void *context);

int command_worker(int argc, char **argv);
int command_pool(int argc, char **argv);
int command_housekeep(int argc, char **argv); /* hidden: a pool runs it hourly */
int command_migrate(int argc, char **argv);
int command_submit(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_status(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_console(int argc, char **argv);
int command_config(int argc, char **argv);
int command_seek(int argc, char **argv);
int command_resume(int argc, char **argv);
int command_retain(int argc, char **argv);
int command_completion(int argc, char **argv);
int command_manual(int argc, char **argv); /* hidden: `make install` runs it */

extern const struct command_usage usage_worker;
extern const struct command_usage usage_pool;
extern const struct command_usage usage_housekeep;
extern const struct command_usage usage_migrate;
extern const struct command_usage usage_submit;
extern const struct command_usage usage_explain;
extern const struct command_usage usage_status;
extern const struct command_usage usage_seek;
extern const struct command_usage usage_resume;
extern const struct command_usage usage_retain;
extern const struct command_usage usage_doctor;
extern const struct command_usage usage_console;
extern const struct command_usage usage_config;
extern const struct command_usage usage_completion;
extern const struct command_usage usage_manual;

#endif
