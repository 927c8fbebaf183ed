/* What is going on, in words: for who has no time to read a table. */
#ifndef WINNOW_STATUS_WORDS_H
#define WINNOW_STATUS_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status_report.h"

#define WORDS_MAX  12
#define WORDS_SIZE 900 /* bytes of a sentence, with the terminating NUL */

struct words {
    char lines[WORDS_MAX][WORDS_SIZE];
    size_t count;
};

/* What only shows in the course of time; zeroed for a single look. */
struct outlook {
    const struct fault *away; /* why the database does not answer; NULL: it does */
    int64_t away_ms;          /* for how long it has not */
    bool has_rate;
    double rate;          /* messages read a second */
    double lag_growth;    /* messages a second, over a longer time */
    int64_t workers_seen; /* at the most */
};

/* The worst comes first; no lines when all is well. */
void status_words(const struct status_report *report, const struct outlook *outlook, struct words *ret_words);

#endif
