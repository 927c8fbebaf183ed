/* One dead letter as it is sent again, and what becomes of it by today's rules. */
#ifndef WINNOW_REPLAY_LETTER_H
#define WINNOW_REPLAY_LETTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "database.h"
#include "event.h"
#include "normalize.h"
#include "reject.h"
#include "slice.h"

#define REPLAY_TOKEN_HEADER   "winnow-replay"
#define REPLAY_OF_HEADER      "winnow-replay-of"
#define REPLAY_ATTEMPT_HEADER "winnow-replay-attempt"
#define LETTER_ID_SIZE        320 /* bytes of topic/partition/offset, with the terminating NUL */

/* What the rules make of a message. */
struct replay_verdict {
    bool accepted;
    int64_t bucket_us;             /* when accepted */
    uint8_t hash[EVENT_HASH_SIZE]; /* when accepted */
    struct reject reject;          /* when not */
};

void replay_judge(struct normalizer *normalizer, int64_t timestamp_ms, struct slice value,
                  struct replay_verdict *ret_verdict);

/* A row of letters_page() as a message; borrows from the rows. A message without a time gets the present. */
struct replay_letter {
    int64_t partition;
    int64_t offset;
    int64_t attempts; /* so far */
    int64_t timestamp_ms;
    bool is_timed; /* it had one */
    struct slice key;
    struct slice value;
    struct slice headers;
};

void replay_letter_read(struct rows *rows, size_t row, struct replay_letter *ret_letter);

void letter_id_print(const char *topic, int64_t partition, int64_t offset, char ret_id[LETTER_ID_SIZE]);

/* Adds the headers with which it is sent: its own, but for the one that simulates a failure and those of an
 * earlier replay, and the new ones. */
void replay_headers(struct buffer *out, const struct replay_letter *letter, const char *topic,
                    const char *token, int64_t action_id);

/* The number of the action that sent a message with these headers, when the token is this one; 0: none. */
int64_t replay_action_of(struct slice headers, const char *token);

#endif
