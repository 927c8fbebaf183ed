/* `winnow pool`: checks the configuration, which all workers share, and hands over to the supervisor. */
#include <stddef.h>

#include "command.h"
#include "exit_code.h"
#include "kafka_properties.h"
#include "log.h"
#include "service_notify.h"
#include "settings.h"
#include "signals.h"
#include "supervisor.h"

/* On top of two statements: Kafka's client may take so long for its part, more than once in a row. */
#define STUCK_MORE_MS INT64_C(30000)

#define HOLD_MS               5000
#define HOUSEKEEP_INTERVAL_MS INT64_C(3600000)

const struct command_usage usage_pool = {
    .synopsis = "winnow pool [options]",
    .summary = "read, normalize and store events with several workers",
    .description =
        "Runs worker processes and keeps them running: one that dies is started again. TERM or Ctrl-C drains "
        "them, a second one ends them at once. TTIN, TTOU: one worker more, one fewer. HUP replaces them one "
        "after the other, so that they read a changed configuration.",
    .example = "winnow pool -n 4 -b localhost:9092 -t events -d dbname=winnow",
    .settings = WORKER_SETTINGS,
};

static int supervise(const struct settings *settings, char **options)
{
    if (!settings_require(settings, "brokers topic")) return EXIT_BAD_CONFIG;
    const struct supervisor_options supervisor = {
        .program = "/proc/self/exe",
        .options = (const char *const *)options,
        .worker_count = (unsigned)settings->workers,
        .drain_timeout_ms = settings->drain_timeout_ms,
        .hold_ms = HOLD_MS,
        .rejoin_ms = kafka_session_timeout_ms(settings),
        .housekeep_interval_ms = HOUSEKEEP_INTERVAL_MS,
        .stuck_ms = 2 * settings->statement_timeout_ms + STUCK_MORE_MS,
    };
    return supervisor_run(&supervisor);
}

int command_pool(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(true);
    if (!settings_read(&usage_pool, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    enum log_level level = LOG_LEVEL_INFO;
    if (log_level_read(settings.log_level, &level)) log_init(level, "pool");
    if (rest < argc) {
        log_line(LOG_LEVEL_ERROR, "unexpected_argument",
                 "found \"%s\" after the options, expected nothing; see winnow pool --help", argv[rest]);
        exit_code = EXIT_BAD_USAGE;
    } else {
        service_notify_init();
        exit_code = supervise(&settings, argv + 1);
    }
    settings_done(&settings);
    return exit_code;
}
