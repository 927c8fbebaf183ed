/* Progress of what takes longer than two seconds, on standard error: how far, how fast, how long still.
 * On a terminal it is one line that is drawn again and erased at the end; elsewhere (a pipe, a file,
 * TERM=dumb) a line of its own every ten seconds. No colours. What ends sooner shows nothing.
 *
 *     struct progress progress;
 *     progress_begin(&progress, &(struct progress_options){"dlq replay", "dead letters", count, quiet});
 *     while (…) progress_update(&progress, done, done);
 *     progress_end(&progress);
 *
 * winnow dlq replay: 12,345 dead letters, 34 %, 2,345/s, 1 min 20 s left */
#ifndef WINNOW_PROGRESS_H
#define WINNOW_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress_options {
    const char *command; /* "submit" */
    const char *unit;    /* of what is counted: "events"; NULL: nothing is, only notes are shown */
    int64_t total;       /* the position at the end, in any unit: rows, bytes of a file; 0: unknown */
    bool quiet;          /* --quiet: shows nothing */
};

enum progress_style { PROGRESS_NONE, PROGRESS_LINES, PROGRESS_REDRAWN };

#define PROGRESS_MARKS     8 /* a second apart: rates are those of the last seconds */
#define PROGRESS_LINE_SIZE 256

struct progress_mark {
    int64_t at_ms;
    int64_t done;
    int64_t position;
};

/* Private to progress.c. The texts in the options are borrowed until the end. */
struct progress {
    struct progress_options options;
    enum progress_style style;
    bool is_drawn; /* on the terminal's last line */
    int64_t begun_ms;
    int64_t shown_ms; /* when it was shown last; the beginning while it was not */
    int64_t done;
    int64_t position;
    struct progress_mark marks[PROGRESS_MARKS]; /* a ring */
    size_t mark_count;
    size_t newest;
    char note[128];
};

/* Starts the clock, and looks where standard error goes. */
void progress_begin(struct progress *progress, const struct progress_options *options);

/* Tells how many are done, and the position out of `total` (the same as `done`, where those are what the
 * total counts). Cheap; call it as often as you like, and every half second while there is nothing new. The
 * first call may begin at any number: what was done before counts for the share, not for the rate. */
void progress_update(struct progress *progress, int64_t done, int64_t position);

/* Nothing is new, but time has passed. */
void progress_tick(struct progress *progress);

/* What is in hand, shown at the end of the line until the next note: "building an index". Cut at 127 bytes,
 * in front of a character that does not fit. */
void progress_note(struct progress *progress, const char *note);

/* Takes the line off the terminal, so that something else can be printed; the next update draws it again. */
void progress_hide(struct progress *progress);

/* The same for good. The sum is told by the command. */
void progress_end(struct progress *progress);

/* "7 s", "3 min 05 s", "2 h 10 min", "3 d 4 h"; for people. */
void progress_print_duration(int64_t seconds, char *ret_text, size_t size);

/* "1,234,567". */
void progress_print_count(int64_t count, char *ret_text, size_t size);

#endif
