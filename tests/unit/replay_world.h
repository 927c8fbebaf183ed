/* A database, a topic and times in the places of those that a replay works with: what it does in which order
 * is told by a journal. One for each program. */
#ifndef WINNOW_TESTS_REPLAY_WORLD_H
#define WINNOW_TESTS_REPLAY_WORLD_H

#include <stdbool.h>

#include "buffer.h"

#define LETTERS_MAX 4
#define FIRST_ID    100 /* the letter 0/10 is taken by action 110 of the run TOKEN, 0/11 by 111 … */
#define TOKEN       "11111111-2222-3333-4444-555555555555"
#define OTHER_TOKEN "99999999-2222-3333-4444-555555555555"

enum fate { FATE_SENT, FATE_REFUSED, FATE_IN_DOUBT };

/* The letters 0/10, 0/11 … and what is to become of them; what the topic holds; what has happened. */
struct replay_world {
    int letters;
    const char *attempts[LETTERS_MAX];
    const char *in_doubt[LETTERS_MAX];
    bool taken_by_others[LETTERS_MAX];
    enum fate fate[LETTERS_MAX];
    const char *doubt_age_ms; /* NULL: nothing is in doubt */
    bool doubt_is_sent;       /* the message of the first one is in the topic */
    bool both_are_sent;       /* that of the second one, too */
    bool alive;               /* the connection */
    bool held;                /* the run's lock is ours */
    char journal[2048];
    struct buffer sent_headers;
};

extern struct replay_world world;

#endif
