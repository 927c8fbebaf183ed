/* `winnow pool`: checks the configuration, which all workers share, and hands over to the supervisor; or,
 * with a command behind the options, talks to a pool that runs. */
#include <stddef.h>
#include <string.h>

#include "command.h"
#include "command/pool_control.h"
#include "control.h"
#include "control_path.h"
#include "database.h"
#include "exit_code.h"
#include "kafka_properties.h"
#include "listen_address.h"
#include "log.h"
#include "monitor.h"
#include "reload.h"
#include "service_notify.h"
#include "settings_load.h"
#include "signals.h"
#include "supervisor.h"

/* On top of two statements: Kafka's client may take so long for its part, more than once in a row. */
#define STUCK_MORE_MS INT64_C(30000)

#define HOLD_MS               5000
#define HOUSEKEEP_INTERVAL_MS INT64_C(3600000)

static const struct command_word pool_words[] = {
    {"status", "what the pool and each of its workers do"},
    {"scale", "run COUNT workers"},
    {"quiet", "keep the partitions, finish what is in hand, take nothing new"},
    {"drain", "give the partitions up and wait, with no worker"},
    {"resume", "go on after quiet or drain"},
    {"reload", "as HUP, and tell what is in force now and what needs a restart"},
    {"stop", "drain and end, as TERM"},
    {0},
};

const struct command_usage usage_pool = {
    .synopsis = "winnow pool [options] [COMMAND [COUNT]]",
    .summary = "read, normalize and store events with several workers",
    .description = "Runs workers; TERM: stop, HUP: reload, TTIN, TTOU: scale. Or asks a pool to:",
    .example = "winnow pool -n 4 -b localhost:9092 -t events -d dbname=winnow",
    .words = pool_words,
    .settings = WORKER_SETTINGS,
};

/* False when the endpoint was asked for and cannot be. At its default address, which another pool of this
 * machine may have, it is only missed. */
static bool open_monitor(const struct settings *settings, struct monitor **ret_monitor)
{
    struct fault fault;
    struct listen_address address;
    const bool asked = settings->metrics_listen != NULL;
    const char *text = asked ? settings->metrics_listen : METRICS_LISTEN_DEFAULT;
    *ret_monitor = NULL;
    if (!listen_address_read(text, &address))
        return true; /* off: what is neither was refused when it was read */
    if (monitor_open(&address, ret_monitor, &fault)) {
        log_line(LOG_LEVEL_INFO, "metrics_listening", "http://%s%s%s:%u/metrics, /livez and /readyz",
                 strchr(address.host, ':') == NULL ? "" : "[", address.host,
                 strchr(address.host, ':') == NULL ? "" : "]", (unsigned)monitor_port(*ret_monitor));
        return true;
    }
    log_line(asked ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "metrics_not_listening",
             "%s; %sgive this pool an address of its own (--metrics-listen HOST:PORT, port 0: any free one) "
             "or none "
             "(--metrics-listen off)",
             fault.text, asked ? "" : "the pool runs without /metrics: ");
    return !asked;
}

/* What the supervisor's options stand on. */
struct pool {
    struct reload *reload;
    struct buffer needs_restart;
};

static void take_settings(struct pool *pool, struct supervisor_options *options)
{
    const struct settings *settings = reload_settings(pool->reload);
    options->options = reload_options(pool->reload);
    options->environment = reload_environment(pool->reload);
    options->topic = settings->topic;
    options->drain_timeout_ms = settings->drain_timeout_ms;
    options->rejoin_ms = kafka_session_timeout_ms(settings);
    /* Workers that have the configuration before may be there for a while, so it never becomes shorter. */
    const int64_t stuck_ms = 2 * settings->statement_timeout_ms + STUCK_MORE_MS;
    if (stuck_ms > options->stuck_ms) options->stuck_ms = stuck_ms;
    log_init_named(settings->log_level, settings->log_format, "pool");
}

/* What workers would find wrong before they ask a server: told once here rather than by each of them. The
 * libraries judge their own parts. */
static bool check(const struct settings *settings, const char *event)
{
    bool names_service;
    struct fault fault;
    if (!settings_require(settings, "brokers topic")) return false;
    if (kafka_check_properties(settings, &fault) &&
        database_check_conninfo(settings->database, &names_service, &fault))
        return true;
    log_line(LOG_LEVEL_ERROR, event, "%s: %s", fault.site, fault.text);
    return false;
}

static void log_problem(const char *text)
{
    log_line(LOG_LEVEL_ERROR, "configuration_wrong", "%s", text);
}

static bool check_again(const struct settings *settings)
{
    return check(settings, "reload_refused");
}

static void tell(struct buffer *told, const struct reload_report *report)
{
    if (report->in_force.size == 0 && report->needs_restart.size == 0)
        setting_add(told, "nothing has changed in the configuration");
    if (report->in_force.size > 0)
        setting_add(told, "in force in every worker that is started from now on: %.*s",
                    (int)report->in_force.size, report->in_force.data);
    if (report->needs_restart.size > 0)
        setting_add(told, "%snot in force until the pool is stopped and started: %.*s",
                    report->in_force.size > 0 ? "; " : "", (int)report->needs_restart.size,
                    report->needs_restart.data);
}

static bool read_again(void *context, struct supervisor_options *options, struct buffer *ret_told)
{
    struct pool *pool = context;
    struct reload_report report;
    const int64_t workers = reload_settings(pool->reload)->workers;
    if (!reload_again(pool->reload, check_again, &report)) return false;
    take_settings(pool, options);
    if (reload_settings(pool->reload)->workers != workers)
        options->worker_count = (unsigned)reload_settings(pool->reload)->workers;
    tell(ret_told, &report);
    buffer_done(&pool->needs_restart);
    if (report.needs_restart.size > 0) {
        setting_add(&pool->needs_restart, "%.*s%c", (int)report.needs_restart.size, report.needs_restart.data,
                    0);
    }
    options->needs_restart = pool->needs_restart.data;
    reload_report_done(&report);
    return true;
}

/* Without one the pool still runs, unless one was asked for. */
static bool open_control(const struct settings *settings, struct control **ret_control)
{
    char path[CONTROL_PATH_SIZE];
    bool in_use = false;
    struct fault fault;
    *ret_control = NULL;
    if (!control_path_find(settings, false, path) || control_open(path, ret_control, &in_use, &fault))
        return true;
    const bool wrong = control_path_is_set(settings);
    log_line(wrong ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, wrong ? "cannot_start" : "no_control_socket",
             "control_socket: %s%s", fault.text, wrong ? "" : "; this pool takes signals only");
    return !wrong;
}

static int supervise(struct pool *pool)
{
    const struct settings *settings = reload_settings(pool->reload);
    struct supervisor_options options = {
        .program = "/proc/self/exe",
        .worker_count = (unsigned)settings->workers,
        .hold_ms = HOLD_MS,
        .housekeep_interval_ms = HOUSEKEEP_INTERVAL_MS,
        .reload = read_again,
        .context = pool,
    };
    take_settings(pool, &options);
    if (!check(settings, "cannot_start")) return EXIT_BAD_CONFIG;
    if (!open_control(settings, &options.control)) return EXIT_BAD_CONFIG;
    if (!open_monitor(settings, &options.monitor)) {
        control_close(options.control);
        return EXIT_BAD_CONFIG;
    }
    settings_load_listen(log_problem); /* from here on nothing may wait for whoever reads standard error */
    const int exit_code = supervisor_run(&options);
    monitor_close(options.monitor);
    control_close(options.control);
    return exit_code;
}

int command_pool(int argc, char **argv)
{
    struct pool pool = {0};
    int rest;
    int exit_code;
    signals_init(true);
    service_notify_init(); /* before the environment is copied */
    if (!reload_open(&usage_pool, argc, argv, &pool.reload, &rest, &exit_code)) return exit_code;
    if (rest < argc)
        exit_code = pool_control(reload_settings(pool.reload), argv + rest);
    else
        exit_code = supervise(&pool);
    buffer_done(&pool.needs_restart);
    reload_close(pool.reload);
    return exit_code;
}
