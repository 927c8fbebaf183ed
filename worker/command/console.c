/* winnow console: serves the HTTP API and its page until TERM. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "command.h"
#include "console/console.h"
#include "console/live.h"
#include "console/outage.h"
#include "console/outcomes.h"
#include "console/progress.h"
#include "console/raw.h"
#include "console/server.h"
#include "console/submitter.h"
#include "console/tokens.h"
#include "console/upkeep.h"
#include "console/work.h"
#include "exit_code.h"
#include "log.h"
#include "service_notify.h"
#include "signals.h"

#define WORK_THREADS   6
#define TIDY_EVERY_MS  1000
#define STOP_WITHIN_MS 15000

const struct command_usage usage_console = {
    .synopsis = "winnow console [options]",
    .summary = "serve the HTTP API and its page",
    .description =
        "Serves the HTTP API and the page of the console: submit events and learn what became of them, look "
        "through what was stored and what failed, mend and retry failures, watch the totals. The contract is "
        "at /openapi.json, its reference at /docs. On a loopback address no token is needed; any other needs "
        "--token-file, and a proxy that ends TLS in front of it.",
    .example = "winnow console -b localhost:9092 -t events -d dbname=winnow",
    .settings =
        "brokers topic group database listen token_file read_only cors_origins connections_per_address "
        "dead_letter_topic event_bytes_max log_level log_format allow_fault_injection",
};

static int complain(const struct fault *fault)
{
    (void)fprintf(stderr, "winnow console: %s\n", fault->text);
    return fault->status == STATUS_RETRY ? EXIT_UNREACHABLE : EXIT_BAD_CONFIG;
}

/* Streams begin anew, so that nobody reads on with a token that is gone. */
static void reload(const struct console *console)
{
    if (console->tokens == NULL) {
        log_line(LOG_LEVEL_INFO, "nothing_to_reload",
                 "HUP reads the file of tokens again, and there is none");
    } else if (tokens_reload(console->tokens)) {
        log_line(LOG_LEVEL_INFO, "tokens_reloaded", "the file of tokens is read again");
        live_end_all(console->live);
    } else {
        log_line(
            LOG_LEVEL_ERROR, "tokens_kept",
            "the file of tokens is not good, see the line before: the tokens read earlier stay in force");
    }
}

static void serve_until_stopped(const struct console *console, struct server *server)
{
    while (!signals_stop_asked()) {
        if (signals_wait(NULL, 0, TIDY_EVERY_MS))
            for (int number; (number = signals_next()) != 0;)
                if (number == SIGHUP) reload(console);
        server_tidy(server);
    }
}

/* A login's soft limit is often 1,024, and each connection takes one. A lower hard limit is the operator's
 * wish. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_line(LOG_LEVEL_WARNING, "descriptor_limit", "the limit of open files could not be raised");
}

static void tell_address(const struct listen_address *address, const struct server *server)
{
    bool six = strchr(address->host, ':') != NULL;
    (void)printf("console: http://%s%s%s:%u/\n", six ? "[" : "", address->host, six ? "]" : "",
                 (unsigned)server_port(server));
    (void)fflush(stdout);
}

/* What answers requests. */
static bool begin(struct console *console, struct fault *ret_fault)
{
    if (!submitter_new(console->settings, &console->submitter, ret_fault)) return false;
    console->outcomes = outcomes_new(console->settings);
    console->progress = progress_new(console->settings);
    console->upkeep = upkeep_new(console->settings);
    console->raw = raw_new(console->settings);
    console->live = live_new(console->settings, console->progress);
    if (setting_is_on(console->settings->allow_fault_injection))
        console->outage = outage_new(console->settings);
    console->work = work_new(console->settings, WORK_THREADS);
    return true;
}

/* Whoever waits for outcomes is answered at once, or the threads that do could not end. The rest in this
 * order: a submission goes from the submitter to the outcomes. */
static void end(struct console *console)
{
    outcomes_stop(console->outcomes);
    work_free(console->work);
    submitter_free(console->submitter);
    outcomes_free(console->outcomes);
    live_free(console->live);
    raw_free(console->raw);
    outage_free(console->outage);
    upkeep_free(console->upkeep);
    progress_free(console->progress);
}

static int serve(struct console *console, const struct listen_address *address)
{
    struct server *server = NULL;
    struct fault fault = {0};
    raise_descriptor_limit();
    if (!begin(console, &fault)) return complain(&fault);
    if (!server_open(console, address, &server, &fault)) {
        end(console);
        return complain(&fault);
    }
    tell_address(address, server);
    service_notify("READY=1\nSTATUS=listening on port %u", (unsigned)server_port(server));
    serve_until_stopped(console, server);
    service_notify("STOPPING=1");
    signals_arm_deadline(STOP_WITHIN_MS);
    server_quiesce(server);
    end(console);
    server_close(server);
    return EXIT_DRAINED;
}

static int console(const struct settings *settings)
{
    struct listen_address address;
    if (!settings_require(settings, "brokers topic")) return EXIT_BAD_CONFIG;
    if (!listen_address_read(settings->listen, &address))
        return EXIT_BAD_CONFIG; /* it was checked when it was read */
    log_init_named(settings->log_level, settings->log_format, "console");
    struct console shared = {.settings = settings, .loopback_only = address.loopback};
    if (settings->token_file != NULL) {
        shared.tokens = tokens_read(settings->token_file);
        if (shared.tokens == NULL) return EXIT_BAD_CONFIG;
    } else if (!address.loopback) {
        (void)fprintf(
            stderr,
            "winnow console: found listen = %s, which others can reach, without token_file; expected "
            "--token-file FILE, or a loopback address such as 127.0.0.1:8077\n",
            settings->listen);
        return EXIT_BAD_CONFIG;
    }
    int exit_code = serve(&shared, &address);
    tokens_free(shared.tokens);
    return exit_code;
}

int command_console(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(false);
    service_notify_init();
    if (!settings_read(&usage_console, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    if (rest < argc) {
        exit_code = settings_refuse_argument("console", argv[rest]);
    } else {
        exit_code = console(&settings);
    }
    settings_done(&settings);
    return exit_code;
}
