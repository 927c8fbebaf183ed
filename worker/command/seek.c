/* `winnow seek`: moves the next offset of partitions, as kafka-consumer-groups --reset-offsets does for other
 * consumers. Shows what it would do unless it is told to do it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "command/steer.h"
#include "exit_code.h"
#include "instant.h"
#include "log.h"
#include "signals.h"

static const char *earliest_asked;
static const char *latest_asked;
static const char *offset_text;
static const char *time_text;
static const char *shift_text;
static const char *execute_asked;
static const char *dry_asked;
static const char *note_text;

static const struct command_option own_options[] = {
    {0, "to-earliest", NULL, "to where the log begins", &earliest_asked},
    {0, "to-latest", NULL, "to where the log ends now", &latest_asked},
    {0, "to-offset", "OFFSET", "to this offset", &offset_text},
    {0, "to-datetime", "TIME", "to the first message of this time or later", &time_text},
    {0, "shift-by", "COUNT", "so many offsets on, or back (-100)", &shift_text},
    {0, "execute", NULL, "do it; without it only tell what would be done", &execute_asked},
    {0, "dry-run", NULL, "only tell what would be done (the default)", &dry_asked},
    {0, "reason", "TEXT", "why, for winnow.steering", &note_text},
    {0},
};

const struct command_usage usage_seek = {
    .synopsis = "winnow seek [options] [TOPIC[/PARTITION,...]]",
    .summary = "move the next offset of partitions",
    .description =
        "Moves partitions while workers run: forward, what lies between is skipped; back, it is read "
        "again, and what is stored is a duplicate.",
    .example = "winnow seek events/3 --shift-by -1000 --execute",
    .options = own_options,
    .settings = "brokers topic group database statement_timeout_ms log_level",
};

/* Exactly one of the five; the numbers are read. */
struct wish {
    int64_t offset;
    int64_t time_ms;
    int64_t shift;
};

static int complain(const char *option, const char *found, const char *expected)
{
    return settings_refuse("seek", "%s: found %s, expected %s", option, settings_found(found), expected);
}

static int read_wish(struct wish *ret_wish)
{
    static const struct client_rules rules = {0};
    const char *const given[] = {earliest_asked, latest_asked, offset_text, time_text, shift_text};
    unsigned count = 0;
    int64_t instant_us = 0;
    for (size_t i = 0; i < ARRAY_COUNT(given); i++) count += given[i] != NULL;
    if (count != 1) {
        return settings_refuse("seek",
                               "found %s, expected one: --to-earliest, --to-latest, --to-offset, "
                               "--to-datetime or --shift-by",
                               count == 0 ? "no target" : "more than one target");
    }
    if (offset_text != NULL && (!steer_read_number(offset_text, &ret_wish->offset) || ret_wish->offset < 0))
        return complain("--to-offset", offset_text, "an offset");
    if (shift_text != NULL && !steer_read_number(shift_text, &ret_wish->shift))
        return complain("--shift-by", shift_text, "a number of offsets such as 100 or -100");
    if (time_text != NULL && instant_parse_text(slice_of_text(time_text), &rules, &instant_us) != INSTANT_OK)
        return complain("--to-datetime", time_text, "a time such as 2024-01-31T12:00:00Z");
    ret_wish->time_ms = instant_us / 1000;
    if (execute_asked != NULL && dry_asked != NULL)
        return complain("--execute", "--dry-run too", "one of them");
    return EXIT_DRAINED;
}

/* The low ends become the offsets of the time. */
static int find_times(struct steer *steer, const struct wish *wish)
{
    struct fault fault;
    struct partition_range *ranges = NULL;
    int32_t count = 0;
    if (!kafka_offsets_read(steer->offsets, STEER_TIMEOUT_MS, &ranges, &count, &fault))
        return steer_complain(steer, &fault);
    const bool found =
        kafka_offsets_at_time(steer->offsets, wish->time_ms, STEER_TIMEOUT_MS, ranges, count, &fault);
    for (size_t i = 0; found && i < steer->count; i++) {
        struct steer_partition *partition = &steer->partitions[i];
        if (partition->number < count) partition->target = ranges[partition->number].low;
    }
    free(ranges);
    return found ? EXIT_DRAINED : steer_complain(steer, &fault);
}

static void set_targets(struct steer *steer, const struct wish *wish)
{
    for (size_t i = 0; i < steer->count; i++) {
        struct steer_partition *partition = &steer->partitions[i];
        int64_t target = partition->target;
        if (earliest_asked != NULL) target = partition->range.low;
        if (latest_asked != NULL) target = partition->range.high;
        if (offset_text != NULL) target = wish->offset;
        if (shift_text != NULL) target = partition->next_offset + wish->shift;
        partition->target = partition->chosen ? steer_clamp(partition, target) : 0;
    }
}

static int seek(struct settings *settings, const char *word)
{
    struct wish wish = {0};
    struct steer steer = {.command = "seek", .settings = settings, .note = note_text};
    int exit_code = read_wish(&wish);
    if (exit_code == EXIT_DRAINED) exit_code = steer_check_note("seek", note_text);
    if (exit_code != EXIT_DRAINED) return exit_code;
    log_init_quiet(settings->log_level, "seek");
    exit_code = steer_begin(&steer, word);
    if (exit_code == EXIT_DRAINED && time_text != NULL) exit_code = find_times(&steer, &wish);
    if (exit_code == EXIT_DRAINED) set_targets(&steer, &wish);
    if (exit_code == EXIT_DRAINED) exit_code = steer_plan(&steer);
    const bool does = execute_asked != NULL && steer_has_work(&steer);
    if (exit_code == EXIT_DRAINED && does) exit_code = steer_execute(&steer);
    if (exit_code == EXIT_DRAINED) {
        steer_print(&steer, does);
        if (execute_asked == NULL && steer_has_work(&steer))
            (void)printf("Nothing was changed: add --execute to do it.\n");
    }
    steer_end(&steer);
    return exit_code;
}

int command_seek(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_seek, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    if (argc - rest > 1) {
        exit_code = settings_refuse("seek", "found %s behind %s, expected nothing; several partitions: %s",
                                    argv[rest + 1], argv[rest], "events/0,1");
    } else {
        exit_code = seek(&settings, argv[rest]);
    }
    settings_done(&settings);
    return exit_code;
}
