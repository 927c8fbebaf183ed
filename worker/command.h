/* The commands of the winnow binary. Each gets the arguments behind its name (argv[0] is the name) and
 * returns an exit code (exit_code.h). cli.c holds the table of them. */
#ifndef WINNOW_COMMAND_H
#define WINNOW_COMMAND_H

/* The settings of a worker, and so of the pool that passes its own on. */
#define WORKER_SETTINGS \
    "brokers topic group stall_timeout_ms dead_letter_topic database statement_timeout_ms batch_rows " \
    "batch_bytes batch_age_ms event_bytes_max breaker_window breaker_percent workers drain_timeout_ms " \
    "log_level allow_fault_injection"

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

#endif
