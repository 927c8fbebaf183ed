/* The command line of one command: its own options, and the settings it takes. Private to the settings_*.c
 * files, and to what is made of them for people: command/manual.c and command/completion.c. */
#ifndef WINNOW_SETTINGS_FLAGS_H
#define WINNOW_SETTINGS_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "settings.h"
#include "settings_table.h"

/* A setting that was given as a flag. */
struct flag {
    const struct setting *setting; /* NULL: -X */
    const char *value;             /* borrowed from argv */
};

struct flags {
    struct flag *given; /* in order; owned */
    size_t count;
    const char *file; /* -c; NULL: not given */
    bool help_asked;  /* nothing behind --help was read */
    int rest;         /* index of the first argument that is no option */
};

/* Reads the arguments and moves those that are no options behind the others, in order; `--` ends the options.
 * The command's own options are stored where they belong. False after one line on standard error. */
MUST_CHECK bool flags_read(const struct command_usage *usage, int argc, char **argv, struct flags *ret_flags);
void flags_done(struct flags *flags);

/* Whether the command takes the setting. Properties of librdkafka (-X) go with "brokers", and
 * SETTING_PASSWORD_FILE with "database". */
bool flags_takes(const struct command_usage *usage, const char *setting);

/* Calls back with each setting of the command, the most important ones first. */
void flags_each_setting(const struct command_usage *usage,
                        void (*tell)(void *context, const struct setting *setting), void *context);

#endif
