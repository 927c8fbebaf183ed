/* `winnow resume`: lets halted partitions go on, at a place that the operator chooses. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "command.h"
#include "command/steer.h"
#include "exit_code.h"
#include "log.h"
#include "signals.h"

static const char *place_text;
static const char *yes_asked;
static const char *note_text;

static const struct command_option own_options[] = {
    {0, "at", "PLACE", "next, earliest, latest or an offset", &place_text},
    {'y', "yes", NULL, "do not ask", &yes_asked},
    {0, "reason", "TEXT", "why, for winnow.steering", &note_text},
    {0},
};

const struct command_usage usage_resume = {
    .synopsis = "winnow resume [options] --at PLACE [TOPIC[/PARTITION,...]]",
    .summary = "let halted partitions go on, where you say",
    .description =
        "Without partitions: all that are halted. --at next goes on behind what is stored. Where the topic "
        "was "
        "recreated or truncated, the other places are those of the log that is there now, and the account of "
        "the partition begins anew. Tells what is skipped or read again, and asks.",
    .example = "winnow resume events/3 --at next",
    .options = own_options,
    .settings = "brokers topic group database statement_timeout_ms log_level",
};

static int complain_of_place(void)
{
    return settings_refuse("resume", "--at: found %s, expected next, earliest, latest or an offset",
                           settings_found(place_text));
}

/* Another log than the one that was read. */
static bool is_another_log(const struct steer_partition *partition)
{
    return strcmp(partition->halt_reason, "topic_changed") == 0 ||
           strcmp(partition->halt_reason, "offset_out_of_range") == 0;
}

static int wish_next(struct steer_partition *partition)
{
    partition->stays = true;
    partition->target = partition->next_offset;
    if (partition->next_offset <= partition->range.high) return EXIT_DRAINED;
    (void)fprintf(stderr,
                  "winnow resume: partition %" PRId32 ": the next offset is %" PRId64
                  ", but the log ends at %" PRId64
                  ", so that it would only halt again: choose --at earliest, "
                  "latest or an offset up to %" PRId64 "\n",
                  partition->number, partition->next_offset, partition->range.high, partition->range.high);
    return EXIT_FINDING;
}

static int wish_place(struct steer_partition *partition, int64_t offset)
{
    const struct partition_range *range = &partition->range;
    if (strcmp(place_text, "next") == 0) return wish_next(partition);
    if (strcmp(place_text, "earliest") == 0) offset = range->low;
    if (strcmp(place_text, "latest") == 0) offset = range->high;
    partition->target = steer_clamp(partition, offset);
    partition->is_new_log = is_another_log(partition);
    return EXIT_DRAINED;
}

/* Those that were not named and are not halted are left alone. */
static int wish(struct steer *steer, bool named, int64_t offset)
{
    size_t count = 0;
    for (size_t i = 0; i < steer->count; i++) {
        struct steer_partition *partition = &steer->partitions[i];
        if (!named && !partition->halted) partition->chosen = false;
        if (!partition->chosen) continue;
        if (!partition->halted) {
            (void)fprintf(stderr,
                          "winnow resume: partition %" PRId32
                          " is not halted; to move a running one: winnow seek\n",
                          partition->number);
            return EXIT_FINDING;
        }
        (void)printf("partition %" PRId32 ": halted: %s; the next offset is %" PRId64
                     ", the log holds %" PRId64 " to before %" PRId64 "\n",
                     partition->number, partition->halt_reason, partition->next_offset, partition->range.low,
                     partition->range.high);
        const int exit_code = wish_place(partition, offset);
        if (exit_code != EXIT_DRAINED) return exit_code;
        count++;
    }
    if (count == 0) (void)printf("No partition is halted.\n");
    return EXIT_DRAINED;
}

/* Only a person can be asked. */
static bool agrees(int *ret_exit_code)
{
    *ret_exit_code = EXIT_FINDING;
    if (yes_asked != NULL) return true;
    if (isatty(STDIN_FILENO) == 0) {
        (void)printf("Nothing was changed: add --yes to do it.\n");
        return false;
    }
    const bool yes = ask_yes(stdout, "Go on?", ret_exit_code);
    if (!yes) (void)printf("Nothing was changed.\n");
    return yes;
}

static int carry_out(struct steer *steer)
{
    int exit_code = steer_plan(steer);
    if (exit_code != EXIT_DRAINED || !steer_has_work(steer)) return exit_code;
    steer_print(steer, false);
    if (!agrees(&exit_code)) return exit_code;
    exit_code = steer_execute(steer);
    if (exit_code == EXIT_DRAINED) (void)printf("Done: a worker that has them goes on at once.\n");
    return exit_code;
}

static int resume(struct settings *settings, const char *word)
{
    static const char *const places[] = {"next", "earliest", "latest"};
    int64_t offset = 0;
    bool known = place_text != NULL && steer_read_number(place_text, &offset) && offset >= 0;
    for (size_t i = 0; place_text != NULL && i < ARRAY_COUNT(places); i++)
        known = known || strcmp(place_text, places[i]) == 0;
    if (!known) return complain_of_place();
    int exit_code = steer_check_note("resume", note_text);
    if (exit_code != EXIT_DRAINED) return exit_code;
    struct steer steer = {.command = "resume", .settings = settings, .note = note_text};
    log_init_quiet(settings->log_level, "resume");
    exit_code = steer_begin(&steer, word);
    if (exit_code == EXIT_DRAINED)
        exit_code = wish(&steer, word != NULL && strchr(word, '/') != NULL, offset);
    if (exit_code == EXIT_DRAINED) exit_code = carry_out(&steer);
    steer_end(&steer);
    return exit_code;
}

int command_resume(int argc, char **argv)
{
    struct settings settings;
    int rest;
    int exit_code;
    signals_init(false);
    if (!settings_read(&usage_resume, argc, argv, &settings, &rest, &exit_code)) return exit_code;
    if (argc - rest > 1) {
        exit_code = settings_refuse("resume", "found %s behind %s, expected nothing; several partitions: %s",
                                    argv[rest + 1], argv[rest], "events/0,1");
    } else {
        exit_code = resume(&settings, argv[rest]);
    }
    settings_done(&settings);
    return exit_code;
}
