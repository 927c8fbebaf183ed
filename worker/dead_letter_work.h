/* What people do about dead letters: look at them, send them again, put them aside. Everything that is done
 * is written down (winnow.dead_letter_action), and the view winnow.dead_letter_work tells in which state that
 * leaves each of them. Sending is somebody else's: a letter is taken, sent, and its fate reported.
 *
 * Functions fill *ret_fault and return false when the database does not do it. Rows are the caller's to free.
 */
#ifndef WINNOW_DEAD_LETTER_WORK_H
#define WINNOW_DEAD_LETTER_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "database.h"
#include "event.h"
#include "status.h"

/* The stream whose dead letters are meant. Borrowed. */
struct letter_scope {
    const char *topic;
    const char *group;
};

/* Letters by their places, as two arrays in PostgreSQL's notation: "{0,3}" and "{17,1042}". Borrowed. */
struct letter_places {
    const char *partitions;
    const char *offsets;
};

/* Which ones; NULL: all. */
struct letter_filter {
    const char *reason;
    const char *client; /* "": those whose client nobody could tell */
    const char *state;  /* "open", "retried", "resolved", "discarded" */
    const char *from;   /* failed at or after; as PostgreSQL reads a timestamptz */
    const char *to;     /* failed before */
    const char *partition;
    const struct letter_places *places;
    const char *actions; /* what was done last has one of these numbers: "{[17,300],[305,309]}" */
};

/* ---- looking ------------------------------------------------------------------------------------------- */

/* The columns of a letter in lists, and of one that is read alone. */
enum letter_column {
    LETTER_PARTITION,
    LETTER_OFFSET,
    LETTER_REASON,
    LETTER_DETAIL,
    LETTER_SQLSTATE,
    LETTER_CLIENT,
    LETTER_FAILED_AT,
    LETTER_MESSAGE_TIME,
    LETTER_STATE,
    LETTER_PREVIEW,     /* the value's first 200 characters; NULL: a tombstone, or not UTF-8 */
    LETTER_VALUE_BYTES, /* NULL: a tombstone */
    LETTER_FAILED_AT_US,
    LETTER_LIST_COLUMNS,
    /* of groups: how many, since when, until when; of all groups together; how many groups */
    LETTER_GROUP_COUNT = LETTER_LIST_COLUMNS,
    LETTER_GROUP_FIRST,
    LETTER_GROUP_LAST,
    LETTER_GROUP_TOTAL,
    LETTER_GROUP_GROUPS,
    /* of one: */
    LETTER_HASH = LETTER_LIST_COLUMNS, /* of the event that the database refused */
    LETTER_KEY,                        /* bytea */
    LETTER_VALUE,                      /* bytea */
    LETTER_VALUE_BASE64,
    LETTER_HEADERS,      /* bytea, headers.h */
    LETTER_STORED_TOPIC, /* and partition, offset: the message that its event is stored from; NULL: unresolved
                          */
    LETTER_STORED_PARTITION,
    LETTER_STORED_OFFSET,
    LETTER_PUBLISHED_AT,
};

/* Groups by reason and client, largest first, `limit` at most, each with its latest letter. */
MUST_CHECK bool letters_by_group(struct database *database, const struct letter_scope *scope,
                                 const struct letter_filter *filter, size_t limit, struct rows **ret_rows,
                                 struct fault *ret_fault);

/* The place behind a letter in the order of time. */
struct letter_place {
    int64_t failed_at_us;
    int64_t partition;
    int64_t offset;
};

/* Letters one by one, newest first, behind a place (NULL: from the newest on). */
MUST_CHECK bool letters_read(struct database *database, const struct letter_scope *scope,
                             const struct letter_filter *filter, const struct letter_place *after,
                             size_t limit, struct rows **ret_rows, struct fault *ret_fault);

/* One letter; no row when there is none. */
MUST_CHECK bool letter_read(struct database *database, const struct letter_scope *scope, int64_t partition,
                            int64_t offset, struct rows **ret_rows, struct fault *ret_fault);

enum letter_action_column {
    ACTION_ID,
    ACTION_PARTITION,
    ACTION_OFFSET,
    ACTION_NAME, /* "retry", "edited_retry", "discard", "undo" */
    ACTION_AT,
    ACTION_ACTOR,
    ACTION_NOTE,
    ACTION_SENT_TOPIC, /* and partition, offset: where a retry was sent; NULL: nowhere, or not known */
    ACTION_SENT_PARTITION,
    ACTION_SENT_OFFSET,
    ACTION_OUTCOME, /* of a retry: the state of the message that was sent (analytics.message_state) */
};

/* What was done, newest first, before an action (0: from the newest on). */
MUST_CHECK bool letter_actions_read(struct database *database, const struct letter_scope *scope,
                                    int64_t before_id, size_t limit, struct rows **ret_rows,
                                    struct fault *ret_fault);

/* What was done about one, oldest first. */
MUST_CHECK bool letter_history_read(struct database *database, const struct letter_scope *scope,
                                    int64_t partition, int64_t offset, struct rows **ret_rows,
                                    struct fault *ret_fault);

/* ---- doing --------------------------------------------------------------------------------------------- */

/* Who does what, and why. Borrowed. */
struct letter_deed {
    const char *action; /* "retry", "edited_retry", "discard", "undo" */
    const char *actor;
    const char *note; /* NULL: none; a discard needs one */
};

enum deed_column {
    DEED_STATE,     /* the letter's state before; "in doubt": a run of winnow dlq replay may have sent it */
    DEED_ACTION_ID, /* NULL: the state did not allow it, and nothing was done */
    DEED_AT,
    DEED_NAME,
    DEED_ACTOR,
    DEED_NOTE,
};

/* Writes down what is done about one letter, if its state allows: a retry of one that is open or was retried
 * and not in doubt, a discard of the same, an undo of one that is discarded. One row, or none when there is
 * no such letter. */
MUST_CHECK bool letter_do(struct database *database, const struct letter_scope *scope, int64_t partition,
                          int64_t offset, const struct letter_deed *deed, struct rows **ret_rows,
                          struct fault *ret_fault);

/* How many actions were written down, and their least and greatest number; 0 when there are none. */
struct letter_range {
    int64_t count;
    int64_t first_id;
    int64_t last_id;
};

/* Discards the oldest open letters of a group (the filter's reason and client), `limit` at most. */
MUST_CHECK bool letters_discard(struct database *database, const struct letter_scope *scope,
                                const struct letter_filter *filter, size_t limit,
                                const struct letter_deed *deed, struct letter_range *ret_range,
                                struct fault *ret_fault);

/* Takes back the discards with numbers in that range, of letters of the group to which nothing was done
 * since; `limit` at most. */
MUST_CHECK bool letters_undo(struct database *database, const struct letter_scope *scope,
                             const struct letter_filter *filter, const struct letter_range *range,
                             size_t limit, const struct letter_deed *deed, int64_t *ret_count,
                             struct fault *ret_fault);

enum taken_column {
    TAKEN_KEY,     /* bytea */
    TAKEN_VALUE,   /* bytea */
    TAKEN_HEADERS, /* bytea */
    TAKEN_TIMESTAMP_MS,
    TAKEN_ACTION_ID, /* not of letter_message_read() */
};

/* The message of one letter; no row when there is none. */
MUST_CHECK bool letter_message_read(struct database *database, const struct letter_scope *scope,
                                    int64_t partition, int64_t offset, struct rows **ret_rows,
                                    struct fault *ret_fault);

#define LETTERS_TAKEN_BYTES_MAX (2 * 1024 * 1024) /* of messages, unless the first one alone is longer */

/* Takes the oldest open letters of a group to send them again, `limit` at most and no more than that many
 * bytes: writes down the retries and gives the messages. */
MUST_CHECK bool letters_take(struct database *database, const struct letter_scope *scope,
                             const struct letter_filter *filter, size_t limit, const struct letter_deed *deed,
                             struct rows **ret_rows, struct fault *ret_fault);

/* What became of a letter that was taken. */
struct letter_fate {
    int64_t action_id;
    bool sent;
    int64_t partition; /* when it was sent */
    int64_t offset;
    bool is_event; /* what was sent is one, with this key: */
    int64_t bucket_us;
    const uint8_t *hash;
    const char *error; /* when it was not sent; then the letter is as it was before */
};

/* All at once, in one transaction. The same may be said twice: the first time holds. A letter of which
 * nothing is said within a minute is as it was before. */
MUST_CHECK bool letters_report(struct database *database, const struct letter_fate *fates, size_t count,
                               struct fault *ret_fault);

/* How many open letters a group has that could be discarded or taken. */
MUST_CHECK bool letters_count_open(struct database *database, const struct letter_scope *scope,
                                   const struct letter_filter *filter, int64_t *ret_count,
                                   struct fault *ret_fault);

#endif
