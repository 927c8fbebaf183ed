/* Messages on their way to the topic and what became of them. */
#ifndef WINNOW_PARCEL_H
#define WINNOW_PARCEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "decimal.h"
#include "event.h"
#include "reject.h"
#include "slice.h"
#include "status.h"

#define PARCEL_ITEMS_MAX 1000
/* Kafka may take so much longer than is waited for the outcome. */
#define PARCEL_ACKNOWLEDGE_MS INT64_C(1000)

enum message_state { STATE_NOT_SEEN, STATE_PROCESSING, STATE_COMPLETED, STATE_DUPLICATE, STATE_FAILED };

struct parcel_item {
    /* given */
    struct slice value;
    struct slice key;     /* data NULL: none, unless key_from_value */
    bool key_from_value;  /* the client id that normalization finds in the value is the key */
    struct slice headers; /* as headers.h encodes them; data NULL: none */
    int64_t timestamp_ms; /* of a message that is sent again; 0: now */

    /* what a worker will make of it */
    bool accepted;
    struct reject reject; /* unless accepted */
    uint8_t hash[EVENT_HASH_SIZE];
    int64_t time_us;
    int64_t bucket_us;
    struct decimal amount;
    struct buffer names; /* client_id and behind it metric, each with a NUL; owned */
    size_t metric_at;

    /* what Kafka did */
    bool reported;
    struct fault fault; /* STATUS_OK: acknowledged */
    int32_t partition;
    int64_t offset;

    /* what a worker did, when it was asked for: outcomes.h */
    bool known;
    enum message_state state;
    char duplicate_topic[250]; /* "": none */
    int32_t duplicate_partition;
    int64_t duplicate_offset;
    char reason[40]; /* "": none */
    char detail[REJECT_DETAIL_SIZE];

    struct parcel *parcel;         /* set by submitter.c */
    struct parcel_item *next_sent; /* private to it: in the list of those on their way */
    struct parcel_item **sent_link;
};

struct parcel {
    struct parcel_item *items;
    size_t count;
    size_t bytes;                        /* of all values, for the limit on what is under way */
    void (*done)(struct parcel *parcel); /* every item is reported, or its outcome known */
    void (*late)(struct parcel *parcel); /* not every item is reported at send_by_ms: done() comes still */
    int64_t send_by_ms;                  /* by clock_now_ms(); 0: late() is not called */
    void *context;
    void *late_context;  /* for late() of who waits for done(), which takes `context` */
    int64_t deadline_ms; /* of outcomes, by clock_now_ms() */

    struct parcel *next; /* private to who has it */
    size_t left;
};

struct parcel *parcel_new(size_t count); /* owned by the caller; all zero */
void parcel_free(struct parcel *parcel); /* takes NULL; the values are not the parcel's */

/* For a thread that waits until a parcel is done: begin, hand the parcel over, end. */
struct parcel_waiter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
};
void parcel_wait_begin(struct parcel_waiter *waiter, struct parcel *parcel); /* takes `done` and `context` */
void parcel_wait_end(struct parcel_waiter *waiter);                          /* waits */
void parcel_wait_drop(struct parcel_waiter *waiter);                         /* the parcel was not taken */

/* "not_seen", … ; the same the other way round. */
const char *message_state_name(enum message_state state);
enum message_state message_state_read(const char *name);

/* The first fault, NULL when Kafka acknowledged every item. */
const struct fault *parcel_fault(const struct parcel *parcel);

/* Fills in what a worker will make of the message. */
struct normalizer;
struct record;
void parcel_item_judge(struct parcel_item *item, struct normalizer *normalizer, const struct record *record);

/* Adds "duplicate_of". */
void parcel_item_print_origin(const struct parcel_item *item, struct buffer *out);
/* Adds the canonical event of an accepted item as JSON (CanonicalEvent); null for any other. */
void parcel_item_print_event(const struct parcel_item *item, struct buffer *out, const char *name);
/* Adds the item as JSON (Submission). */
void parcel_item_print(const struct parcel_item *item, const char *topic, struct buffer *out,
                       const char *name);

#endif
