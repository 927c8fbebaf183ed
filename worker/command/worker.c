/* `winnow worker`: one consumer in the foreground. Checks everything a person can get wrong before it joins
 * the group, so that each mistake is one clear line and an exit code; from then on it waits rather than ends.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "command.h"
#include "database.h"
#include "dead_letter_publisher.h"
#include "exit_code.h"
#include "log.h"
#include "migrate.h"
#include "settings.h"
#include "signals.h"
#include "sink_postgres.h"
#include "slot.h"
#include "source_kafka.h"
#include "supervisor.h"
#include "worker.h"

#define PUBLISHER_STOP_MS 2000
#define TELL_AGAIN_MS     60000 /* a wait that lasts is told that often */

static const char *slot_fd_text;
static const char *slot_text;

static char role[32]; /* "worker 3": as the log names us */

static const struct command_option options[] = {
    {.name = "slot-fd", .value = "FD", .text = &slot_fd_text}, /* given by the pool */
    {.name = "slot", .value = "INDEX", .text = &slot_text},
    {0},
};

const struct command_usage usage_worker = {
    .synopsis = "winnow worker [options]",
    .summary = "run one worker in the foreground",
    .description = "Runs one consumer in the foreground. TERM or Ctrl-C drains it, a second one ends it at "
                   "once. A worker without a pool sets no message aside that kills it.",
    .example = "winnow worker -b localhost:9092 -t events -d dbname=winnow",
    .options = options,
    .settings = WORKER_SETTINGS,
};

static int complain(const struct fault *fault)
{
    /* A database that does not answer is waited for: here it can only be the brokers. */
    bool unreachable = fault->status == STATUS_RETRY;
    log_line(LOG_LEVEL_ERROR, "cannot_start", "%s: %s%s", fault->site, fault->text,
             unreachable ? "; check -b/--brokers, security.protocol, and whether they run" : "");
    return unreachable ? EXIT_UNREACHABLE : EXIT_BAD_CONFIG;
}

static uint64_t make_seed(void)
{
    return (uint64_t)clock_wall_ms() * 1000003u + (uint64_t)getpid();
}

/* Waits for the schema to be there and known: a database that is down when a worker starts is no mistake. */
static int check_schema(const struct settings *settings, struct slot *slot)
{
    struct database_options database_options = {
        .conninfo = settings->database,
        .application_name = "winnow worker",
        .statement_timeout_ms = settings->statement_timeout_ms,
    };
    struct backoff backoff;
    backoff_init(&backoff, BACKOFF_SERVER_FLOOR_MS, BACKOFF_SERVER_CEILING_MS, make_seed());
    int64_t told_ms = 0;
    for (;;) {
        slot_beat(slot, clock_now_ms());
        struct fault fault;
        struct database *database = NULL;
        bool known = database_open(&database_options, &database, &fault) && migrate_check(database, &fault);
        database_close(database);
        if (known) return EXIT_DRAINED;
        metrics_database_fault(slot_metrics(slot), &fault, false);
        if (fault.status != STATUS_RETRY) return complain(&fault);
        int64_t wait_ms = backoff_next_ms(&backoff);
        bool tells = told_ms == 0 || clock_now_ms() - told_ms >= TELL_AGAIN_MS;
        if (tells) told_ms = clock_now_ms();
        log_line(tells ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "waiting_for_database",
                 "%s: %s; trying again in %" PRId64 " ms", fault.site, fault.text, wait_ms);
        (void)!signals_wait(NULL, 0, wait_ms);
        if (signals_look_for_stop()) return EXIT_DRAINED;
    }
}

static int consume(const struct settings *settings, struct slot *slot)
{
    struct fault fault;
    struct source *source = NULL;
    if (!source_open(settings, &source, &fault))
        return signals_stop_asked() ? EXIT_DRAINED : complain(&fault);
    struct worker_options worker = {
        .settings = settings,
        .source = source,
        .sink = sink_open(settings, source_cluster_id(source), slot_metrics(slot)),
        .publisher = publisher_start(settings, slot_metrics(slot)),
        .slot = slot,
        .seed = make_seed(),
    };
    /* What passes by itself is the worker's to wait for; what does not is told at once, and not at the first
     * claim. */
    bool connected = sink_connect(worker.sink, &fault);
    if (connected) slot_reach(slot, SLOT_CHECKED);
    int code = connected || fault.status == STATUS_RETRY ? worker_run(&worker) : complain(&fault);
    signals_arm_deadline(settings->drain_timeout_ms);
    sink_close(worker.sink);
    bool left = source_close(worker.source);
    bool stopped = publisher_stop(worker.publisher, PUBLISHER_STOP_MS);
    /* Threads that are still at it use the settings, and libraries that exit(3) would take down. */
    if (!left || !stopped) _exit(code);
    return code;
}

static int run(const struct settings *settings)
{
    int fd = slot_fd_text == NULL ? -1 : atoi(slot_fd_text);
    unsigned index = slot_text == NULL ? 0 : (unsigned)atoi(slot_text);
    struct slot *slot = slot_attach(fd, index);
    if (fd >= 0) signals_supervised();
    if (!settings_require(settings, "brokers topic")) return EXIT_BAD_CONFIG;
    int code = check_schema(settings, slot);
    return code == EXIT_DRAINED && !signals_stop_asked() ? consume(settings, slot) : code;
}

int command_worker(int argc, char **argv)
{
    struct settings settings;
    int rest = 0;
    int exit_code = EXIT_DRAINED;
    signals_init(false);
    if (!settings_read(&usage_worker, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    (void)snprintf(role, sizeof(role), "worker%s%s", slot_text == NULL ? "" : " ",
                   slot_text == NULL ? "" : slot_text);
    log_init_named(settings.log_level, settings.log_format, role);
    if (slot_fd_text != NULL)
        settings.drain_timeout_ms = supervisor_worker_drain_ms(settings.drain_timeout_ms);
    signals_limit_stop(settings.drain_timeout_ms);
    if (rest < argc) {
        log_line(LOG_LEVEL_ERROR, "unexpected_argument",
                 "found \"%s\" after the options, expected nothing; see winnow worker --help", argv[rest]);
        exit_code = EXIT_BAD_USAGE;
    } else {
        exit_code = run(&settings);
    }
    settings_done(&settings);
    return exit_code;
}
