/* winnow status: how far each partition is, and whether anything is missing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "command.h"
#include "exit_code.h"
#include "log.h"
#include "settings.h"
#include "signals.h"
#include "status_look.h"
#include "status_watch.h"
#include "status_words.h"

#define BROKER_TIMEOUT_MS 5000
#define POLL_EVERY_MS     INT64_C(200)
#define WAIT_S_MAX        86400
#define WATCH_EVERY_S     2
#define WATCH_EVERY_S_MAX 3600

static const char *json_asked;
static const char *watch_asked;
static const char *every_text;
static const char *drain_text;

static const struct command_option options[] = {
    {0, "json", NULL, "print one object of JSON; one a line with --watch", &json_asked},
    {0, "watch", NULL, "look again and again, until q or Ctrl-C", &watch_asked},
    {0, "every", "SECONDS", "how often --watch looks [2]", &every_text},
    {0, "wait-drained", "SECONDS",
     "wait until nothing waits in the topic; exit code 75 when it is not so by then", &drain_text},
    {0},
};

const struct command_usage usage_status = {
    .synopsis = "winnow status [options]",
    .summary = "tell how far each partition is, and what is missing",
    .description =
        "Tells for each partition how far it is and what became of its messages, and whether it all adds up. "
        "Without brokers the lag is left out.\n"
        "Exit code 0: complete and nothing halted; 1: something is halted, incomplete, or unread; 69: the "
        "database cannot be reached; 78: schema or topic is missing.",
    .example = "winnow status -b localhost:9092 -t events -d dbname=winnow",
    .options = options,
    .settings =
        "database topic group brokers control_socket dead_letter_topic statement_timeout_ms log_level",
};

static int complain(const struct fault *fault)
{
    (void)fprintf(stderr, "winnow status: %s%s%s\n", fault->text,
                  fault->sqlstate[0] != '\0' ? ", SQLSTATE " : "", fault->sqlstate);
    return fault->status == STATUS_RETRY ? EXIT_UNREACHABLE : EXIT_BAD_CONFIG;
}

static bool is_drained(const struct status_report *report)
{
    return report->lag_fault.status == STATUS_OK && report->total.started && report->total.lag == 0;
}

/* Looks again and again, also through outages, until nothing waits or the time is over. */
static bool wait_drained(struct look *look, int64_t wait_ms, struct fault *ret_fault)
{
    int64_t deadline_ms = clock_now_ms() + wait_ms;
    for (;;) {
        bool looked = look_take(look, BROKER_TIMEOUT_MS, ret_fault);
        if (looked && is_drained(&look->report)) return true;
        if (!looked && ret_fault->status != STATUS_RETRY) return false;
        if (clock_now_ms() >= deadline_ms || signals_stop_asked()) return looked;
        if (signals_wait(NULL, 0, POLL_EVERY_MS))
            while (signals_next() != 0) continue;
    }
}

static int verdict_of(const struct look *look, int64_t wait_ms)
{
    const struct status_report *report = &look->report;
    if (report->lag_fault.status == STATUS_STOP) return EXIT_BAD_CONFIG;
    if (wait_ms > 0 && !is_drained(report)) return EXIT_TEMPORARY;
    return status_report_is_good(report) ? EXIT_DRAINED : EXIT_FINDING;
}

static void print_report(const struct status_report *report)
{
    static const struct outlook now;
    struct words words;
    status_words(report, &now, &words);
    if (json_asked == NULL) {
        status_report_print(report, &words);
        return;
    }
    (void)fputs("{", stdout);
    status_report_print_json(report, &words);
    (void)puts("}");
}

static int look_around(struct look *look, int64_t wait_ms)
{
    struct fault fault = {0};
    bool looked =
        wait_ms > 0 ? wait_drained(look, wait_ms, &fault) : look_take(look, BROKER_TIMEOUT_MS, &fault);
    if (!looked) return complain(&fault);
    if (look->report.lag_fault.status == STATUS_STOP && !look->report.total.started)
        return complain(&look->report.lag_fault);
    print_report(&look->report);
    return verdict_of(look, wait_ms);
}

/* Leaves *seconds alone when there is no text. */
static bool read_seconds(const char *option, const char *text, long most, int64_t *seconds)
{
    char *end;
    if (text == NULL) return true;
    errno = 0;
    long found = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || found < 1 || found > most) {
        (void)settings_refuse("status", "--%s: found %s, expected seconds from 1 to %ld", option,
                              settings_found(text), most);
        return false;
    }
    *seconds = found;
    return true;
}

static int watch(const struct settings *settings, int64_t every_s)
{
    struct look look;
    struct fault fault;
    const struct watch_options watched = {.every_ms = every_s * 1000, .json = json_asked != NULL};
    struct screen *screen = json_asked == NULL && screen_is_possible() ? screen_open() : NULL;
    if (!look_open(&look, settings, &fault)) {
        screen_close(screen);
        return complain(&fault);
    }
    int exit_code = status_watch(&look, screen, &watched);
    look_close(&look);
    return exit_code;
}

static int status(const struct settings *settings)
{
    struct look look;
    struct fault fault;
    int64_t wait_s = 0;
    int64_t every_s = WATCH_EVERY_S;
    if (!read_seconds("wait-drained", drain_text, WAIT_S_MAX, &wait_s) ||
        !read_seconds("every", every_text, WATCH_EVERY_S_MAX, &every_s))
        return EXIT_BAD_USAGE;
    if (watch_asked != NULL && wait_s > 0) {
        return settings_refuse("status", "found --watch and --wait-drained, expected one of them");
    }
    if (!settings_require(settings, wait_s > 0 ? "topic brokers" : "topic")) return EXIT_BAD_CONFIG;
    log_init_quiet(settings->log_level, "status");
    if (watch_asked != NULL) return watch(settings, every_s);
    if (!look_open(&look, settings, &fault)) return complain(&fault);
    int exit_code = look_around(&look, wait_s * 1000);
    look_close(&look);
    return exit_code;
}

int command_status(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_status, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    if (rest < argc) {
        exit_code = settings_refuse_argument("status", argv[rest]);
    } else {
        exit_code = status(&settings);
    }
    settings_done(&settings);
    return exit_code;
}
