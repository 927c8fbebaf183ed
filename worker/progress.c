#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "terminal_size.h"
#include "utf8.h"

#define SILENT_MS   INT64_C(2000)
#define REDRAW_MS   INT64_C(250)
#define LINES_MS    INT64_C(10000)
#define MARK_MS     INT64_C(1000)
#define RATE_MIN_MS INT64_C(200) /* a rate over less is noise */

/* Redrawing takes a terminal that knows how to erase: a "dumb" one (of an editor) does not. */
static enum progress_style style_of_stderr(void)
{
    const char *terminal = getenv("TERM");
    if (isatty(STDERR_FILENO) == 0) return PROGRESS_LINES;
    if (terminal == NULL || strcmp(terminal, "") == 0 || strcmp(terminal, "dumb") == 0) return PROGRESS_LINES;
    return PROGRESS_REDRAWN;
}

void progress_begin(struct progress *progress, const struct progress_options *options)
{
    int64_t now_ms = clock_now_ms();
    *progress = (struct progress){.options = *options, .begun_ms = now_ms, .shown_ms = now_ms};
    progress->style = options->quiet ? PROGRESS_NONE : style_of_stderr();
}

void progress_print_duration(int64_t seconds, char *ret_text, size_t size)
{
    int64_t minutes = seconds / 60;
    int64_t hours = minutes / 60;
    if (minutes == 0)
        (void)snprintf(ret_text, size, "%" PRId64 " s", seconds);
    else if (hours == 0)
        (void)snprintf(ret_text, size, "%" PRId64 " min %02" PRId64 " s", minutes, seconds % 60);
    else if (hours < 48)
        (void)snprintf(ret_text, size, "%" PRId64 " h %02" PRId64 " min", hours, minutes % 60);
    else
        (void)snprintf(ret_text, size, "%" PRId64 " d %" PRId64 " h", hours / 24, hours % 24);
}

void progress_print_count(int64_t count, char *ret_text, size_t size)
{
    char digits[24];
    size_t used = 0;
    int length = snprintf(digits, sizeof digits, "%" PRId64, count);
    for (int i = 0; i < length && used + 2 < size; i++) {
        ret_text[used++] = digits[i];
        int behind = length - 1 - i;
        if (behind > 0 && behind % 3 == 0 && digits[i] != '-') ret_text[used++] = ',';
    }
    ret_text[used] = '\0';
}

/* A rate is taken between now and the oldest mark, so that it follows changes but does not flicker. */
static void keep_mark(struct progress *progress, int64_t now_ms)
{
    if (progress->mark_count > 0 && now_ms - progress->marks[progress->newest].at_ms < MARK_MS) return;
    if (progress->mark_count > 0) progress->newest = (progress->newest + 1) % PROGRESS_MARKS;
    if (progress->mark_count < PROGRESS_MARKS) progress->mark_count++;
    progress->marks[progress->newest] =
        (struct progress_mark){.at_ms = now_ms, .done = progress->done, .position = progress->position};
}

static const struct progress_mark *oldest_mark(const struct progress *progress)
{
    size_t oldest = (progress->newest + PROGRESS_MARKS + 1 - progress->mark_count) % PROGRESS_MARKS;
    return &progress->marks[oldest];
}

static void add(char *line, const char *separator, const char *text, const char *unit)
{
    size_t used = strlen(line);
    (void)snprintf(line + used, PROGRESS_LINE_SIZE - used, "%s%s%s", separator, text, unit);
    utf8_mend_end(line);
}

static void add_count(struct progress *progress, char *line)
{
    char count[32];
    progress_print_count(progress->done, count, sizeof count);
    add(line, " ", count, " ");
    add(line, "", progress->options.unit, "");
    if (progress->options.total <= 0) return;
    double share = (double)progress->position / (double)progress->options.total;
    (void)snprintf(count, sizeof count, "%d", (int)(100 * (share < 1 ? share : 1)));
    add(line, ", ", count, " %");
}

/* Nothing is said about what is left where nothing moves: it would be a guess without end. */
static void add_rate(const struct progress *progress, char *line, int64_t now_ms)
{
    const struct progress_mark *mark = oldest_mark(progress);
    char text[32];
    if (progress->mark_count == 0 || now_ms - mark->at_ms < RATE_MIN_MS) return;
    double seconds = (double)(now_ms - mark->at_ms) / 1000;
    double rate = (double)(progress->done - mark->done) / seconds;
    if (rate > 0 && rate < 10)
        (void)snprintf(text, sizeof text, "%.1f", rate);
    else
        progress_print_count((int64_t)rate, text, sizeof text);
    add(line, ", ", text, "/s");
    double speed = (double)(progress->position - mark->position) / seconds;
    int64_t left = progress->options.total - progress->position;
    if (left <= 0 || speed <= 0 || (double)left / speed > 1e9) return;
    progress_print_duration((int64_t)((double)left / speed + 0.5), text, sizeof text);
    add(line, ", ", text, " left");
}

static void print_line(struct progress *progress, int64_t now_ms, char line[PROGRESS_LINE_SIZE])
{
    char elapsed[32];
    (void)snprintf(line, PROGRESS_LINE_SIZE, "winnow %s:", progress->options.command);
    if (progress->options.unit != NULL) {
        add_count(progress, line);
        add_rate(progress, line, now_ms);
        if (progress->note[0] != '\0') add(line, ", ", progress->note, "");
        return;
    }
    progress_print_duration((now_ms - progress->begun_ms) / 1000, elapsed, sizeof elapsed);
    add(line, " ", progress->note, progress->note[0] != '\0' ? ", " : "");
    add(line, "", elapsed, "");
}

/* One write(2), so that it does not mix with what others print. That it cannot be shown hinders nothing. */
static void put(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

/* A line as wide as the terminal would wrap in some, and could not be drawn over then. */
static void draw(struct progress *progress, char line[PROGRESS_LINE_SIZE])
{
    char drawn[PROGRESS_LINE_SIZE + 16];
    size_t width = terminal_size_of(STDERR_FILENO).columns;
    line[utf8_fitting(line, width > 1 ? width - 1 : 0)] = '\0';
    (void)snprintf(drawn, sizeof drawn, "\r%s\x1b[K", line);
    put(drawn);
    progress->is_drawn = true;
}

static bool is_due(const struct progress *progress, int64_t now_ms)
{
    switch (progress->style) {
    case PROGRESS_LINES:
        return now_ms - progress->shown_ms >= LINES_MS;
    case PROGRESS_REDRAWN:
        if (now_ms - progress->begun_ms < SILENT_MS) return false;
        return !progress->is_drawn || now_ms - progress->shown_ms >= REDRAW_MS;
    case PROGRESS_NONE:
        break;
    }
    return false;
}

void progress_update(struct progress *progress, int64_t done, int64_t position)
{
    int64_t now_ms = clock_now_ms();
    progress->done = done;
    progress->position = position;
    if (is_due(progress, now_ms)) {
        char line[PROGRESS_LINE_SIZE];
        print_line(progress, now_ms, line);
        progress->shown_ms = now_ms;
        if (progress->style == PROGRESS_REDRAWN)
            draw(progress, line);
        else {
            char ended[PROGRESS_LINE_SIZE + 2];
            (void)snprintf(ended, sizeof ended, "%s\n", line);
            put(ended);
        }
    }
    keep_mark(progress, now_ms);
}

void progress_tick(struct progress *progress)
{
    progress_update(progress, progress->done, progress->position);
}

void progress_note(struct progress *progress, const char *note)
{
    (void)snprintf(progress->note, sizeof progress->note, "%s", note);
    utf8_mend_end(progress->note);
}

void progress_hide(struct progress *progress)
{
    if (progress->is_drawn) put("\r\x1b[K");
    progress->is_drawn = false;
}

void progress_end(struct progress *progress)
{
    progress_hide(progress);
    progress->style = PROGRESS_NONE;
}
