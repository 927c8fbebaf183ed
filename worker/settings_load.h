/* Reading settings from their sources, from the weakest to the strongest: defaults, file, environment, flags.
 * Each source gives texts; this puts them in place, remembers where each came from, and tells of every
 * mistake in one line on standard error. Private to the settings_*.c files and to the commands config and
 * doctor. */
#ifndef WINNOW_SETTINGS_LOAD_H
#define WINNOW_SETTINGS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "attr.h"
#include "settings.h"
#include "settings_table.h"

enum origin_kind { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct origin {
    enum origin_kind kind;
    char *place; /* "winnow.ini:12", "WINNOW_TOPIC", "--topic", "default"; owned; NULL: nothing was given */
};

/* Opens the configuration file for reading; NULL, and why, when it cannot be. */
struct settings_opener {
    FILE *(*open)(void *context, const char *path, struct buffer *ret_problem);
    void *context;
};

struct settings_load {
    struct settings settings;
    struct origin origins[SETTING_COUNT]; /* by index in setting_table */
    struct origin *kafka_origins;         /* by index in settings.kafka */
    size_t kafka_origin_count;
    const char *file; /* that was read; NULL: none. Borrowed from argv or the environment */
    struct settings_opener opener;
    int exit_code; /* of the first complaint; 0: none so far */
};

/* Zeroes it and puts the defaults in place. */
void settings_load_init(struct settings_load *load);
void settings_load_done(struct settings_load *load);

/* Tells a mistake, without a newline at its end: "winnow: <text>" and a newline on standard error, unless a
 * listener takes it, as in a program that runs and must not wait for a reader. NULL: none. */
void settings_load_listen(void (*listener)(const char *text));
void settings_load_tell(const char *format, ...) PRINTF_LIKE(1, 2);

/* Tells a mistake: "<place>: <text>". The exit code is 64 for flags and 78 for everything else. */
void settings_load_complain(struct settings_load *load, struct origin origin, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Put one text in place; complain when it is not acceptable, or when the same file has given it before. The
 * place is copied. */
void settings_load_assign(struct settings_load *load, const struct setting *setting, const char *text,
                          struct origin origin);
void settings_load_assign_kafka(struct settings_load *load, const char *name, const char *value,
                                struct origin origin);

/* The sources. */
void settings_load_file(struct settings_load *load, const char *path, const char *asked_by);
void settings_load_environment(struct settings_load *load);

/* As settings_read(), and tells where each value came from; end it with settings_load_done(). */
MUST_CHECK bool settings_load_read(const struct command_usage *usage, int argc, char **argv,
                                   struct settings_load *ret_load, int *ret_rest, int *ret_exit_code);

/* The same with a file that is opened otherwise. */
MUST_CHECK bool settings_load_read_by(const struct command_usage *usage, int argc, char **argv,
                                      struct settings_opener opener, struct settings_load *ret_load,
                                      int *ret_rest, int *ret_exit_code);

/* What follows from other settings, and what they must not be together. */
void settings_load_finish(struct settings_load *load);

#endif
