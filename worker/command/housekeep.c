/* `winnow housekeep`: what a pool does for the schema, in a process of its own because a pool itself opens no
 * connection. Creates the partitions of the table `event` for the months ahead, and ends. Not listed in
 * --help. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "backoff.h"
#include "clock.h"
#include "command.h"
#include "database.h"
#include "exit_code.h"
#include "log.h"
#include "settings.h"
#include "signals.h"

#define RETRY_FLOOR_MS   500
#define RETRY_CEILING_MS 30000
#define GIVE_UP_MS       INT64_C(1800000) /* the pool starts the next run within the hour */

const struct command_usage usage_housekeep = {
    .synopsis = "winnow housekeep [options]",
    .description = "Creates the partitions for the months ahead. A pool does that by itself, every hour.",
    .example = "winnow housekeep -d dbname=winnow",
};

static bool housekeep_once(const struct settings *settings, struct fault *ret_fault)
{
    const struct database_options options = {
        .conninfo = settings->database,
        .application_name = "winnow housekeep",
        .statement_timeout_ms = settings->statement_timeout_ms,
    };
    struct database *database = NULL;
    if (!database_open(&options, &database, ret_fault)) return false;
    const bool done = database_run(database, "housekeep", "SELECT winnow.ensure_event_months_ahead()", NULL,
                                   0, NULL, ret_fault);
    database_close(database);
    return done;
}

/* Workers refuse to start without the schema, and tell how to get it: nobody needs to hear it twice. */
static bool schema_is_missing(const struct fault *fault)
{
    return strcmp(fault->sqlstate, "3F000") == 0 || strcmp(fault->sqlstate, "42883") == 0;
}

/* Waits; false when the process is asked to stop. */
static bool rest(int64_t delay_ms)
{
    const int64_t end_ms = clock_now_ms() + delay_ms;
    while (!signals_look_for_stop()) {
        const int64_t left_ms = end_ms - clock_now_ms();
        if (left_ms <= 0) return true;
        if (signals_wait(NULL, 0, left_ms)) continue;
    }
    return false;
}

/* A database that is down is no news here: the workers tell. */
static int housekeep(const struct settings *settings)
{
    struct backoff backoff;
    backoff_init(&backoff, RETRY_FLOOR_MS, RETRY_CEILING_MS, (uint64_t)clock_wall_ms() | 1);
    const int64_t end_ms = clock_now_ms() + GIVE_UP_MS;
    struct fault fault;
    while (!housekeep_once(settings, &fault)) {
        if (signals_look_for_stop()) return EXIT_DRAINED;
        if (schema_is_missing(&fault)) return EXIT_BAD_CONFIG;
        if (fault.status != STATUS_RETRY || clock_now_ms() >= end_ms) {
            log_line(LOG_LEVEL_WARNING, "housekeep_failed",
                     "partitions for the months ahead were not created (%s); workers create them on demand, "
                     "and the pool tries again within the hour: %s",
                     fault.sqlstate[0] != '\0' ? fault.sqlstate : "no answer", fault.text);
            return EXIT_UNREACHABLE;
        }
        if (!rest(backoff_next_ms(&backoff))) return EXIT_DRAINED;
    }
    return EXIT_DRAINED;
}

int command_housekeep(int argc, char **argv)
{
    struct settings settings;
    int first;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_housekeep, argc, argv, &settings, &first, &exit_code)) return exit_code;
    log_init_named(settings.log_level, settings.log_format, "housekeeper");
    exit_code = housekeep(&settings);
    settings_done(&settings);
    return exit_code;
}
