/* The publisher's view of winnow.dead_letter: taking some letters on lease, and writing down what became of
 * them. */
#ifndef WINNOW_DEAD_LETTER_LEASE_H
#define WINNOW_DEAD_LETTER_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "database.h"
#include "dead_letter_headers.h"
#include "settings.h"

#define LEASE_LETTERS_MAX 100
#define LEASE_MS          INT64_C(30000)

enum letter_state {
    LETTER_WAITING,   /* not acknowledged */
    LETTER_PUBLISHED, /* acknowledged */
    LETTER_TOO_LARGE, /* refused for what it is: send less of it */
    LETTER_UNTIMELY,  /* refused for its timestamp: send it with the present one */
};

struct letter {
    struct dead_letter_origin origin;
    struct slice key;   /* data NULL: none */
    struct slice value; /* data NULL: tombstone */
    enum omission omission;
    bool untimed; /* goes out with the present time; its own is in a header */
    enum letter_state state;
    char error[FAULT_TEXT_SIZE]; /* of the last attempt; "" before it */
};

/* Zeroed at the start; its letters borrow from its rows. */
struct lease {
    struct rows *rows;
    struct letter letters[LEASE_LETTERS_MAX];
    size_t count;
    const char *until;   /* as the database wrote it: by this a lease is known */
    int64_t deadline_ms; /* clock_now_ms() at which it may run out at the earliest */
};

/* Whether letters of this group and topic wait for being published, leased ones aside. Cheap: one index
 * entry. */
MUST_CHECK bool lease_is_wanted(struct database *database, const struct settings *settings, bool *ret_wanted,
                                struct fault *ret_fault);

/* How many letters of this group and topic wait, leased ones too, counted up to `most`, and when the oldest
 * was stored, in milliseconds since 1970; 0: none waits. */
MUST_CHECK bool lease_count_waiting(struct database *database, const struct settings *settings, int64_t most,
                                    int64_t *ret_count, int64_t *ret_oldest_ms, struct fault *ret_fault);

/* Takes the oldest letters that nobody has on lease: at most LEASE_LETTERS_MAX, and none beyond the one that
 * reaches 4 MiB. A value over 12 MiB is left out (OMIT_VALUE). *lease must be empty. */
MUST_CHECK bool lease_take(struct database *database, const struct settings *settings, struct lease *lease,
                           struct fault *ret_fault);

/* Ends the lease: published letters are marked so; the others get their error, one more attempt, and may be
 * taken again at once, those refused in any form after a pause that doubles up to an hour. Idempotent. */
MUST_CHECK bool lease_mark(struct database *database, const struct settings *settings,
                           const struct lease *lease, struct fault *ret_fault);

/* The topic refused this letter, whatever became of others. */
bool letter_is_refused(const struct letter *letter);

/* Empties it. */
void lease_done(struct lease *lease);

#endif
