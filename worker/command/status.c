/* winnow status: how far each partition is, and whether anything is missing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "command.h"
#include "database.h"
#include "exit_code.h"
#include "kafka_offsets.h"
#include "log.h"
#include "settings.h"
#include "signals.h"
#include "status_report.h"

#define BROKER_TIMEOUT_MS 5000
#define POLL_EVERY_MS     INT64_C(200)
#define WAIT_S_MAX        86400

static const char *json_asked;
static const char *drain_text;

static const struct command_option options[] = {
    {0, "json", NULL, "print one object of JSON", &json_asked},
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
    .settings = "database topic group brokers dead_letter_topic statement_timeout_ms log_level",
};

struct look {
    const struct settings *settings;
    struct database *database;
    struct kafka_offsets *offsets; /* NULL: no brokers are configured */
    int64_t wait_ms;               /* 0: do not wait for the lag to go */
    struct status_report report;
};

static int complain(const struct fault *fault)
{
    (void)fprintf(stderr, "winnow status: %s%s%s\n", fault->text,
                  fault->sqlstate[0] != '\0' ? ", SQLSTATE " : "", fault->sqlstate);
    return fault->status == STATUS_RETRY ? EXIT_UNREACHABLE : EXIT_BAD_CONFIG;
}

static bool open_database(struct look *look, struct fault *ret_fault)
{
    if (look->database != NULL && database_is_alive(look->database)) return true;
    database_close(look->database);
    look->database = NULL;
    const struct database_options database = {
        .read_only = true,
        .conninfo = look->settings->database,
        .application_name = "winnow status",
        .statement_timeout_ms = look->settings->statement_timeout_ms,
    };
    return database_open(&database, &look->database, ret_fault);
}

static void add_lag(struct look *look, int timeout_ms)
{
    struct partition_range *ranges = NULL;
    int32_t count = 0;
    struct fault *fault = &look->report.lag_fault;
    if (look->offsets == NULL) {
        fault_set(fault, STATUS_RETRY, "brokers", "no brokers are configured (-b)");
        return;
    }
    if (!kafka_offsets_read(look->offsets, timeout_ms, &ranges, &count, fault)) return;
    fault->status = STATUS_OK;
    status_report_add_lag(&look->report, ranges, count);
    free(ranges);
}

static bool take_look(struct look *look, int timeout_ms, struct fault *ret_fault)
{
    status_report_done(&look->report);
    if (!open_database(look, ret_fault) ||
        !status_report_read(look->database, look->settings, &look->report, ret_fault))
        return false;
    add_lag(look, timeout_ms);
    return true;
}

static bool is_drained(const struct status_report *report)
{
    return report->lag_fault.status == STATUS_OK && report->total.started && report->total.lag == 0;
}

/* Looks again and again, also through outages, until nothing waits or the time is over. */
static bool wait_drained(struct look *look, struct fault *ret_fault)
{
    int64_t deadline_ms = clock_now_ms() + look->wait_ms;
    for (;;) {
        bool looked = take_look(look, BROKER_TIMEOUT_MS, ret_fault);
        if (looked && is_drained(&look->report)) return true;
        if (!looked && ret_fault->status != STATUS_RETRY) return false;
        if (clock_now_ms() >= deadline_ms || signals_stop_asked()) return looked;
        if (signals_wait(NULL, 0, POLL_EVERY_MS))
            while (signals_next() != 0) continue;
    }
}

static int verdict_of(const struct look *look)
{
    const struct status_report *report = &look->report;
    if (report->lag_fault.status == STATUS_STOP) return EXIT_BAD_CONFIG;
    if (look->wait_ms > 0 && !is_drained(report)) return EXIT_TEMPORARY;
    return status_report_is_good(report) ? EXIT_DRAINED : EXIT_FINDING;
}

static int look_around(struct look *look)
{
    struct fault fault = {0};
    bool looked = look->wait_ms > 0 ? wait_drained(look, &fault) : take_look(look, BROKER_TIMEOUT_MS, &fault);
    if (!looked) return complain(&fault);
    if (look->report.lag_fault.status == STATUS_STOP && !look->report.total.started)
        return complain(&look->report.lag_fault);
    if (json_asked != NULL)
        status_report_print_json(&look->report);
    else
        status_report_print(&look->report);
    return verdict_of(look);
}

static bool read_wait(int64_t *ret_wait_ms)
{
    char *end;
    if (drain_text == NULL) return true;
    errno = 0;
    long seconds = strtol(drain_text, &end, 10);
    if (end == drain_text || *end != '\0' || errno != 0 || seconds < 1 || seconds > WAIT_S_MAX) {
        (void)fprintf(stderr, "winnow status: --wait-drained: found %s, expected seconds from 1 to %d\n",
                      drain_text, WAIT_S_MAX);
        return false;
    }
    *ret_wait_ms = seconds * INT64_C(1000);
    return true;
}

static int status(const struct settings *settings)
{
    struct look look = {.settings = settings};
    struct fault fault;
    if (!read_wait(&look.wait_ms)) return EXIT_BAD_USAGE;
    if (!settings_require(settings, look.wait_ms > 0 ? "topic brokers" : "topic")) return EXIT_BAD_CONFIG;
    log_init_quiet(settings->log_level, "status");
    if (settings->brokers != NULL && !kafka_offsets_open(settings, &look.offsets, &fault))
        return complain(&fault);
    int exit_code = look_around(&look);
    status_report_done(&look.report);
    kafka_offsets_free(look.offsets);
    database_close(look.database);
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
        (void)fprintf(stderr, "winnow status: found %s after the options, expected nothing\n", argv[rest]);
        exit_code = EXIT_BAD_USAGE;
    } else {
        exit_code = status(&settings);
    }
    settings_done(&settings);
    return exit_code;
}
