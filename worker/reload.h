/* The configuration of a pool, and its renewal while the pool runs.
 *
 * Workers must not read a file that nobody has looked at: one that is started again after a crash would take
 * what an editor has left half done. So the pool reads the file, keeps a copy in memory (memfd_create(2)) and
 * gives its workers that. Settings that the pool as a whole stands for, as the topic, keep their value until
 * it is started anew; its processes get the old value by their environment. */
#ifndef WINNOW_RELOAD_H
#define WINNOW_RELOAD_H

#include <stddef.h>

#include "attr.h"
#include "buffer.h"
#include "settings.h"

#define RELOAD_BYTES_MAX ((size_t)1024 * 1024) /* of the file */

struct reload;

/* What a renewal came to: lists such as "batch_age_ms 20 -> 50, workers 4 -> 6", passwords masked. */
struct reload_report {
    struct buffer in_force;      /* changed, and given to new processes */
    struct buffer needs_restart; /* changed in the file, but not for this pool */
};
void reload_report_done(struct reload_report *report);

/* Reads flags, environment and file. A file is one of at most RELOAD_BYTES_MAX; nothing that would have to be
 * waited for, such as a pipe, is read. Returns false with an exit code when the process is to end, as
 * settings_read() does. *ret_rest: the index of the first argument that is no option. The usage and argv are
 * borrowed. */
MUST_CHECK bool reload_open(const struct command_usage *usage, int argc, char **argv,
                            struct reload **ret_reload, int *ret_rest, int *ret_exit_code);
void reload_close(struct reload *reload); /* takes NULL */

/* Whether settings are fit to be in force; tells what is wrong. */
typedef bool (*reload_check)(const struct settings *settings);

/* Reads them again. False, and everything as before, after a mistake was told (settings_load_listen()) or the
 * check has said no. */
MUST_CHECK bool reload_again(struct reload *reload, reload_check check, struct reload_report *ret_report);

/* Borrowed until the next reload_again(): the settings in force; the options for a process of the pool,
 * ending with NULL; its environment, likewise. */
const struct settings *reload_settings(const struct reload *reload);
const char *const *reload_options(const struct reload *reload);
char *const *reload_environment(const struct reload *reload);

#endif
