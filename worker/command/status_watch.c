#include "status_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "counted.h"
#include "exit_code.h"
#include "print_json.h"
#include "progress.h"
#include "signals.h"
#include "status_words.h"

#define BROKER_TIMEOUT_MS 2000
#define HISTORY           64
#define RATE_MS           INT64_C(5000)  /* rates are over so long */
#define GROWTH_MS         INT64_C(10000) /* the least over which the lag is said to grow */
#define REST_SHARE        4              /* a look may take a fifth of the time */
#define COUNT_SIZE        32
#define TIME_SIZE         16

/* What was seen at one look. */
struct mark {
    int64_t at_ms;
    int64_t read;
    int64_t stored;
    int64_t duplicate;
    int64_t dead;
    int64_t lag; /* LAG_UNKNOWN: not known */
};

struct watch {
    struct look *look;
    struct screen *screen; /* NULL: lines */
    const struct watch_options *options;
    struct mark marks[HISTORY]; /* a ring */
    size_t count;               /* of all marks so far */
    int64_t away_since_ms;      /* 0: the database answers */
    struct fault away;
    struct outlook outlook;
    struct words words;
    struct words told; /* on a pipe: those printed last */
};

/* ---- what the time shows ------------------------------------------------------------------------------ */

static const struct mark *mark_back(const struct watch *watch, size_t back)
{
    return &watch->marks[(watch->count - 1 - back) % HISTORY];
}

/* The newest mark that is at least so old, or the oldest that there is; NULL: there is only one, or none. */
static const struct mark *mark_before(const struct watch *watch, int64_t age_ms)
{
    size_t kept = watch->count < HISTORY ? watch->count : HISTORY;
    for (size_t back = 1; back < kept; back++) {
        if (mark_back(watch, 0)->at_ms - mark_back(watch, back)->at_ms >= age_ms)
            return mark_back(watch, back);
    }
    return kept > 1 ? mark_back(watch, kept - 1) : NULL;
}

static void add_mark(struct watch *watch)
{
    const struct partition_status *total = &watch->look->report.total;
    watch->marks[watch->count++ % HISTORY] = (struct mark){
        .at_ms = clock_now_ms(),
        .read = total->offsets_read,
        .stored = total->stored,
        .duplicate = total->duplicate,
        .dead = total->dead,
        .lag = watch->look->report.lag_fault.status == STATUS_OK ? total->lag : LAG_UNKNOWN,
    };
}

static double per_second(int64_t difference, const struct mark *now, const struct mark *before)
{
    return (double)difference * 1000 / (double)(now->at_ms - before->at_ms);
}

static void judge_course(struct watch *watch)
{
    const struct mark *now = mark_back(watch, 0);
    const struct mark *before = mark_before(watch, RATE_MS);
    const struct mark *earlier = mark_before(watch, GROWTH_MS);
    struct outlook *outlook = &watch->outlook;
    outlook->has_rate = before != NULL && now->at_ms > before->at_ms;
    if (outlook->has_rate) outlook->rate = per_second(now->read - before->read, now, before);
    bool known = outlook->has_rate && now->lag != LAG_UNKNOWN && earlier->lag != LAG_UNKNOWN &&
                 now->at_ms - earlier->at_ms >= GROWTH_MS;
    outlook->lag_growth = known ? per_second(now->lag - earlier->lag, now, earlier) : 0;
    if (watch->look->report.workers > outlook->workers_seen)
        outlook->workers_seen = watch->look->report.workers;
}

/* False when there is no sense in looking again. */
static bool take_look(struct watch *watch)
{
    struct fault fault;
    if (look_take(watch->look, BROKER_TIMEOUT_MS, &fault)) {
        watch->away_since_ms = 0;
        add_mark(watch);
        judge_course(watch);
    } else {
        if (watch->count == 0 && fault.status != STATUS_RETRY) {
            watch->away = fault;
            return false;
        }
        if (watch->away_since_ms == 0) watch->away_since_ms = clock_now_ms();
        watch->away = fault;
        watch->outlook.has_rate = false;
    }
    watch->outlook.away = watch->away_since_ms == 0 ? NULL : &watch->away;
    watch->outlook.away_ms = watch->away_since_ms == 0 ? 0 : clock_now_ms() - watch->away_since_ms;
    status_words(&watch->look->report, &watch->outlook, &watch->words);
    return true;
}

/* ---- as text ------------------------------------------------------------------------------------------ */

static void print_time(char ret_text[TIME_SIZE])
{
    struct tm parts;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    (void)localtime_r(&now, &parts);
    (void)strftime(ret_text, TIME_SIZE, "%H:%M:%S", &parts);
}

static void print_behind(double seconds, char ret_text[COUNT_SIZE])
{
    if (seconds < 0)
        (void)snprintf(ret_text, COUNT_SIZE, "?");
    else if (seconds < 60)
        (void)snprintf(ret_text, COUNT_SIZE, "%.1f s", seconds);
    else
        progress_print_duration((int64_t)seconds, ret_text, COUNT_SIZE);
}

/* "stored 95.0 %  duplicate 4.9 %  dead 0.1 %", of what was read lately, or ever when nothing was. */
static void print_shares(const struct watch *watch, char *ret_text, size_t size)
{
    static const struct mark nothing;
    const struct mark *now = mark_back(watch, 0);
    const struct mark *before = mark_before(watch, RATE_MS);
    if (before == NULL ||
        now->stored + now->duplicate + now->dead == before->stored + before->duplicate + before->dead)
        before = &nothing;
    double stored = (double)(now->stored - before->stored);
    double duplicate = (double)(now->duplicate - before->duplicate);
    double dead = (double)(now->dead - before->dead);
    double all = stored + duplicate + dead > 0 ? (stored + duplicate + dead) / 100 : 1;
    (void)snprintf(ret_text, size, "stored %.1f %%  duplicate %.1f %%  dead %.1f %%", stored / all,
                   duplicate / all, dead / all);
}

/* "1,234/s  lag 56 (0.3 s)  stored …  4 workers" */
static void print_line(const struct watch *watch, char *ret_text, size_t size)
{
    char rate[COUNT_SIZE] = "-";
    char lag[COUNT_SIZE] = "?";
    char behind[COUNT_SIZE];
    char shares[100];
    char workers[COUNT_SIZE] = "";
    const struct status_report *report = &watch->look->report;
    if (watch->count == 0) {
        (void)snprintf(ret_text, size, "nothing seen yet");
        return;
    }
    if (watch->outlook.has_rate)
        progress_print_count((int64_t)(watch->outlook.rate + 0.5), rate, sizeof rate);
    if (report->lag_fault.status == STATUS_OK) progress_print_count(report->total.lag, lag, sizeof lag);
    print_behind(report->total.lag_seconds, behind);
    print_shares(watch, shares, sizeof shares);
    if (report->workers >= 0)
        (void)snprintf(workers, sizeof workers, "  %" PRId64 " %s", report->workers,
                       counted(report->workers, "worker", "workers"));
    (void)snprintf(ret_text, size, "%s/s  lag %s (%s)  %s%s", rate, lag, behind, shares, workers);
}

/* ---- on the screen ------------------------------------------------------------------------------------ */

static void draw_partition(struct screen *screen, const struct status_report *report,
                           const struct partition_status *partition)
{
    char lag[COUNT_SIZE] = "?";
    char behind[COUNT_SIZE];
    char stored[COUNT_SIZE];
    char dead[COUNT_SIZE];
    const char *state = status_state_name(report, partition);
    const char *owner = status_owner_name(report, partition);
    if (partition->lag != LAG_UNKNOWN) progress_print_count(partition->lag, lag, sizeof lag);
    print_behind(partition->lag_seconds, behind);
    progress_print_count(partition->stored, stored, sizeof stored);
    progress_print_count(partition->dead, dead, sizeof dead);
    screen_line(screen, partition->halted ? COLOUR_RED : COLOUR_NONE,
                "%9" PRId32 " %12s %12s %13s %8s  %-11s %s", partition->partition, lag, behind, stored, dead,
                state, owner);
}

/* Those that do not fit are counted. */
static void draw_partitions(struct watch *watch)
{
    const struct status_report *report = &watch->look->report;
    struct screen *screen = watch->screen;
    screen_line(screen, COLOUR_DIM, "%9s %12s %12s %13s %8s  %-11s %s", "partition", "lag", "behind",
                "stored", "dead", "state", "owner");
    for (size_t i = 0; i < report->partition_count; i++) {
        if (screen_room(screen) == 1 && i + 1 < report->partition_count) {
            screen_line(screen, COLOUR_DIM, "%9s %zu more", "", report->partition_count - i);
            return;
        }
        draw_partition(screen, report, &report->partitions[i]);
    }
}

static void draw(struct watch *watch)
{
    char now[TIME_SIZE];
    char line[200];
    struct screen *screen = watch->screen;
    const struct settings *settings = watch->look->settings;
    print_time(now);
    print_line(watch, line, sizeof line);
    screen_begin(screen);
    screen_line(screen, COLOUR_BOLD, "group %s, topic %s  %s  (q ends)", settings->group, settings->topic,
                now);
    screen_line(screen, COLOUR_NONE, "%s", line);
    for (size_t i = 0; i < watch->words.count; i++)
        screen_line(screen, COLOUR_YELLOW, "%s", watch->words.lines[i]);
    if (watch->count > 0 && !watch->look->report.total.complete)
        screen_line(screen, COLOUR_RED,
                    "INCOMPLETE: partitions do not add up; see winnow.invariant_violation().");
    screen_line(screen, COLOUR_NONE, "%s", "");
    if (watch->count > 0) draw_partitions(watch);
    screen_end(screen);
}

/* ---- on a pipe ---------------------------------------------------------------------------------------- */

static bool was_told(const struct watch *watch, const char *line)
{
    for (size_t i = 0; i < watch->told.count; i++) {
        if (strcmp(watch->told.lines[i], line) == 0) return true;
    }
    return false;
}

static void print_lines(struct watch *watch)
{
    char now[TIME_SIZE];
    char line[200];
    print_time(now);
    print_line(watch, line, sizeof line);
    (void)printf("%s  %s\n", now, line);
    for (size_t i = 0; i < watch->words.count; i++) {
        if (!was_told(watch, watch->words.lines[i])) (void)printf("%s  %s\n", now, watch->words.lines[i]);
    }
    watch->told = watch->words;
}

static void print_object(const struct watch *watch)
{
    const struct status_report *report = &watch->look->report;
    (void)printf("{\"at_ms\":%" PRId64 ",\"database_away_ms\":%" PRId64, clock_wall_ms(),
                 watch->outlook.away_ms);
    if (watch->outlook.has_rate)
        (void)printf(",\"rate\":%.1f,", watch->outlook.rate);
    else
        (void)fputs(",\"rate\":null,", stdout);
    if (watch->count > 0) {
        status_report_print_json(report, &watch->words);
    } else {
        (void)fputs("\"words\":[", stdout);
        for (size_t i = 0; i < watch->words.count; i++) {
            if (i > 0) (void)fputs(",", stdout);
            print_json_string(stdout, slice_of_text(watch->words.lines[i]));
        }
        (void)fputs("]", stdout);
    }
    (void)puts("}");
}

static void show(struct watch *watch)
{
    if (watch->screen != NULL)
        draw(watch);
    else if (watch->options->json)
        print_object(watch);
    else
        print_lines(watch);
}

/* ---- the loop ----------------------------------------------------------------------------------------- */

/* True to go on. */
static bool rest(struct watch *watch, int64_t until_ms)
{
    while (clock_now_ms() < until_ms) {
        int64_t left_ms = until_ms - clock_now_ms();
        if (watch->screen == NULL) {
            bool ready = signals_wait(NULL, 0, left_ms);
            if (ready && signals_look_for_stop()) return false;
            continue;
        }
        enum screen_event event = screen_wait(watch->screen, (long)left_ms);
        if (event == SCREEN_QUIT) return false;
        if (event == SCREEN_RESIZED) draw(watch);
    }
    return !signals_look_for_stop();
}

int status_watch(struct look *look, struct screen *screen, const struct watch_options *options)
{
    struct watch watch = {.look = look, .screen = screen, .options = options};
    int64_t next_ms;
    do {
        int64_t begin_ms = clock_now_ms();
        if (!take_look(&watch)) {
            screen_close(screen);
            (void)fprintf(stderr, "winnow status: %s\n", watch.away.text);
            return EXIT_BAD_CONFIG;
        }
        if (signals_look_for_stop()) break;
        show(&watch);
        if (fflush(stdout) != 0) break; /* whoever read it is gone: told at the end */
        int64_t took_ms = clock_now_ms() - begin_ms;
        next_ms = begin_ms + options->every_ms;
        if (next_ms < begin_ms + took_ms * (1 + REST_SHARE)) next_ms = begin_ms + took_ms * (1 + REST_SHARE);
        if (watch.outlook.away != NULL) next_ms = clock_now_ms() + options->every_ms;
    } while (rest(&watch, next_ms));
    screen_close(screen);
    if (screen != NULL && watch.count > 0) print_lines(&watch); /* what was seen last stays */
    return EXIT_DRAINED;
}
