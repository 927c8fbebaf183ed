#include "status_words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "counted.h"
#include "progress.h"
#include "reject.h"
#include "shell_quote.h"

#define TOLD_ONE_BY_ONE 3   /* partitions; of more only the number is told */
#define STUCK_S         30  /* without a commit although messages wait */
#define GROWTH_LEAST    1.0 /* messages a second */
#define LAG_LEAST       1000
#define COUNT_SIZE      32
#define GROUP_WORD_SIZE 300

static void say(struct words *words, const char *format, ...) PRINTF_LIKE(2, 3);

/* What servers say may hold anything: control characters are shown and not sent to the terminal. */
static void say(struct words *words, const char *format, ...)
{
    char text[WORDS_SIZE];
    va_list values;
    if (words->count == WORDS_MAX) return;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    (void)reject_escape(slice_of_text(text), words->lines[words->count++], WORDS_SIZE);
}

static void say_away(const struct outlook *outlook, struct words *words)
{
    char duration[COUNT_SIZE];
    if (outlook->away == NULL) return;
    progress_print_duration(outlook->away_ms / 1000, duration, sizeof duration);
    say(words, "Waiting for the database for %s: %s. Workers wait too, and nothing is lost.", duration,
        outlook->away->text);
}

static void say_halted(const struct status_report *report, struct words *words)
{
    size_t halted = 0;
    for (size_t i = 0; i < report->partition_count; i++) {
        const struct partition_status *partition = &report->partitions[i];
        if (!partition->halted || halted++ >= TOLD_ONE_BY_ONE) continue;
        say(words, "Partition %" PRId32 " is halted: %s: %s", partition->partition, partition->halt_reason,
            partition->halt_detail);
    }
    if (halted == 0) return;
    char group[GROUP_WORD_SIZE];
    shell_quote(report->settings->group, group, sizeof group);
    say(words,
        "%zu of %zu %s %s nothing: mend the cause, then run winnow resume %s "
        "-g %s --at next, or --at earliest where the topic was recreated or truncated; with psql alone: "
        "SELECT winnow.resume_partition('%s', PARTITION, '%s').",
        halted, report->partition_count, counted((int64_t)report->partition_count, "partition", "partitions"),
        counted((int64_t)halted, "is halted and reads", "are halted and read"), report->settings->topic,
        group, report->settings->topic, report->settings->group);
}

static void say_workers(const struct status_report *report, const struct outlook *outlook,
                        struct words *words)
{
    if (report->workers < 0) return;
    if (report->workers == 0 && (report->total.started || report->total.lag > 0))
        say(words, "No worker is in group %s: nothing is read until a pool %s.", report->settings->group,
            report->pool.state[0] != '\0' ? "works" : "runs (winnow pool)");
    else if (report->workers < outlook->workers_seen)
        say(words, "%" PRId64 " of the %" PRId64 " %s here %s in the group.", report->workers,
            outlook->workers_seen, counted(outlook->workers_seen, "worker that was", "workers that were"),
            counted(report->workers, "is", "are"));
}

static void say_pool(const struct status_report *report, struct words *words)
{
    const char *group = report->settings->group;
    if (strcmp(report->pool.state, "quiet") == 0)
        say(words,
            "The pool of group %s on this machine is quiet: its workers keep their partitions and take "
            "nothing "
            "new, until winnow pool resume.",
            group);
    else if (strncmp(report->pool.state, "drain", strlen("drain")) == 0)
        say(words,
            "The pool of group %s on this machine is %s: it gives its partitions to others and starts no "
            "worker, until winnow pool resume.",
            group, report->pool.state);
}

/* Whose worker hangs, or has died and is still waited for. */
static void say_stuck(const struct status_report *report, struct words *words)
{
    size_t stuck = 0;
    char duration[COUNT_SIZE];
    const struct partition_status *worst = NULL;
    if (report->workers == 0 || strcmp(report->pool.state, "quiet") == 0) return; /* is told */
    for (size_t i = 0; i < report->partition_count; i++) {
        const struct partition_status *partition = &report->partitions[i];
        if (!partition->started || partition->halted || partition->lag <= 0 || partition->idle_s < STUCK_S)
            continue;
        if (stuck++ == 0 || partition->idle_s > worst->idle_s) worst = partition;
    }
    if (worst == NULL) return;
    progress_print_duration(worst->idle_s, duration, sizeof duration);
    say(words,
        "Messages wait in %zu %s that nobody has read from for a while: in partition %" PRId32 " %" PRId64
        " for %s; it belongs to %s.",
        stuck, counted((int64_t)stuck, "partition", "partitions"), worst->partition, worst->lag, duration,
        worst->owner[0] == '\0' ? "nobody" : worst->owner);
}

static void say_growth(const struct status_report *report, const struct outlook *outlook, struct words *words)
{
    char growth[COUNT_SIZE];
    char come[COUNT_SIZE];
    char read[COUNT_SIZE];
    if (!outlook->has_rate || outlook->lag_growth < GROWTH_LEAST || report->total.lag < LAG_LEAST) return;
    progress_print_count((int64_t)outlook->lag_growth, growth, sizeof growth);
    progress_print_count((int64_t)(outlook->rate + outlook->lag_growth), come, sizeof come);
    progress_print_count((int64_t)outlook->rate, read, sizeof read);
    say(words,
        "The lag grows by %s a second: %s come in, %s are read. More workers help as long as there are "
        "partitions for "
        "them.",
        growth, come, read);
}

static void say_letters(const struct status_report *report, struct words *words)
{
    if (report->unpublished == 0) return;
    if (report->publish_error[0] != '\0')
        say(words, "%" PRId64 " %s not in topic %s yet: %s. %s kept and tried again.", report->unpublished,
            counted(report->unpublished, "dead letter is", "dead letters are"),
            report->settings->dead_letter_topic, report->publish_error,
            counted(report->unpublished, "It is", "They are"));
    else
        say(words, "%" PRId64 " %s not in topic %s yet.", report->unpublished,
            counted(report->unpublished, "dead letter is", "dead letters are"),
            report->settings->dead_letter_topic);
}

static void say_lag(const struct status_report *report, struct words *words)
{
    char lag[COUNT_SIZE];
    char duration[COUNT_SIZE];
    if (report->lag_fault.status != STATUS_OK) {
        say(words, "The lag is not known: %s", report->lag_fault.text);
    } else if (report->total.lag > 0 && report->total.lag_seconds >= 0) {
        progress_print_count(report->total.lag, lag, sizeof lag);
        progress_print_duration((int64_t)report->total.lag_seconds, duration, sizeof duration);
        say(words, "%s %s, the oldest for %s.", lag,
            counted(report->total.lag, "message waits", "messages wait"), duration);
    }
}

void status_words(const struct status_report *report, const struct outlook *outlook, struct words *ret_words)
{
    *ret_words = (struct words){0};
    say_away(outlook, ret_words);
    if (report->settings == NULL) return; /* nothing was ever seen */
    say_halted(report, ret_words);
    say_pool(report, ret_words);
    say_workers(report, outlook, ret_words);
    say_stuck(report, ret_words);
    say_growth(report, outlook, ret_words);
    if (report->total.lost > 0)
        say(ret_words,
            "Kafka deleted %" PRId64
            " %s unread: a longer retention.ms keeps them; the range is in winnow.batch_log.",
            report->total.lost, counted(report->total.lost, "message", "messages"));
    say_letters(report, ret_words);
    say_lag(report, ret_words);
}
