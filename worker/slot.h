/* The page that the supervisor shares with its workers: what each has in hand, so that a message that kills
 * its worker can be named, and which messages are quarantined for that (design: point 12). The supervisor
 * makes it (memfd), a worker inherits it and maps it. A crash leaves it intact: it belongs to no single
 * process. What workers count is in it too (metrics.h).
 *
 * Writers: a slot's worker writes its slot, the supervisor writes the quarantine and a slot without a worker.
 */
#ifndef WINNOW_SLOT_H
#define WINNOW_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics.h"

#define SLOT_COUNT_MAX      256
#define SLOT_NO_MESSAGE     INT64_C(-1)
#define SLOT_QUARANTINE_MAX 64 /* messages; the oldest makes room */

enum slot_stage {
    SLOT_STARTING,
    SLOT_CHECKED, /* configuration, topic and schema are as they should be */
    SLOT_JOINED,  /* it has joined its group */
};

struct slot {
    _Alignas(64) _Atomic int32_t partition; /* of the message in hand; a cache line for each worker */
    _Atomic int64_t offset;                 /* SLOT_NO_MESSAGE: none in hand */
    _Atomic int64_t stage;                  /* SLOT_STARTING, SLOT_CHECKED, SLOT_JOINED */
    _Atomic int64_t resting;                /* 1: it has become quiet, and nothing of it is under way */
    _Atomic int64_t beat_ms;                /* when the worker last went round its loop (clock_now_ms()) */
    uint32_t index;                         /* of the slot in its page; never changes */
};

struct slot_quarantine {
    _Atomic int32_t partition;
    _Atomic int64_t offset; /* SLOT_NO_MESSAGE: free, or just being written */
};

struct slot_page {
    _Atomic uint64_t quarantined; /* entries ever made; only grows */
    _Atomic uint32_t used;        /* slots from the first on that have ever had a worker; only grows */
    _Atomic int64_t quiet;        /* 1: workers keep their partitions and take nothing new */
    struct slot_quarantine quarantine[SLOT_QUARANTINE_MAX];
    struct slot slots[SLOT_COUNT_MAX];
    struct metrics metrics[SLOT_COUNT_MAX]; /* takes memory as far as it is written */
};

/* Makes the page; the descriptor is inherited by children, also across exec. Aborts on failure. */
struct slot_page *slot_page_new(int *ret_fd);
void slot_page_free(struct slot_page *page); /* unmaps it; takes NULL */

/* Makes a slot ready for its next worker: nothing in hand, not joined, its heart beating since now. Its
 * metrics stay. Only while it has no worker. */
void slot_reset(struct slot *slot, int64_t now_ms);

/* Adds a message to the quarantine, unless it is there. Only the supervisor may. Every worker sees it at
 * once. */
void slot_page_quarantine(struct slot_page *page, int32_t partition, int64_t offset);

/* Asks all workers, also those to come, to be quiet, or to go on. Only the supervisor may. */
void slot_page_set_quiet(struct slot_page *page, bool quiet);

/* Maps the page in a worker and gives its slot; a slot of its own when fd is -1 (no supervisor). Lives as
 * long as the process. Aborts when fd is not such a page. */
struct slot *slot_attach(int fd, unsigned index);

/* The slow half of slot_is_quarantined(). */
bool slot_page_holds(const struct slot_page *page, int32_t partition, int64_t offset);

/* What the slot's worker counts. */
static inline struct metrics *slot_metrics(struct slot *slot)
{
    char *slots = (char *)(slot - slot->index);
    struct slot_page *page = (void *)(slots - offsetof(struct slot_page, slots));
    return &page->metrics[slot->index];
}

/* Notes the message in hand, before anything looks into its bytes, and forgets it when that is over. */
static inline void slot_take(struct slot *slot, int32_t partition, int64_t offset)
{
    atomic_store_explicit(&slot->partition, partition, memory_order_relaxed);
    atomic_store_explicit(&slot->offset, offset, memory_order_release);
}

static inline void slot_put(struct slot *slot)
{
    atomic_store_explicit(&slot->offset, SLOT_NO_MESSAGE, memory_order_release);
}

/* Tells the supervisor that the worker goes on. */
static inline void slot_beat(struct slot *slot, int64_t now_ms)
{
    atomic_store_explicit(&slot->beat_ms, now_ms, memory_order_relaxed);
}

static inline int64_t slot_beat_ms(const struct slot *slot)
{
    return atomic_load_explicit(&slot->beat_ms, memory_order_relaxed);
}

/* Tells the supervisor how far the worker has come. It only goes forward. */
static inline void slot_reach(struct slot *slot, enum slot_stage stage)
{
    if (atomic_load_explicit(&slot->stage, memory_order_relaxed) >= (int64_t)stage) return;
    atomic_store_explicit(&slot->stage, (int64_t)stage, memory_order_release);
}

static inline bool slot_has_reached(const struct slot *slot, enum slot_stage stage)
{
    return atomic_load_explicit(&slot->stage, memory_order_acquire) >= (int64_t)stage;
}

/* The page that the slot lies in. */
static inline const struct slot_page *slot_page_of(const struct slot *slot)
{
    const char *slots = (const char *)(slot - slot->index);
    return (const void *)(slots - offsetof(struct slot_page, slots));
}

/* Whether the pool is asked to take nothing new. */
static inline bool slot_is_quiet(const struct slot *slot)
{
    return atomic_load_explicit(&slot_page_of(slot)->quiet, memory_order_acquire) != 0;
}

/* Tells the supervisor that the worker rests, or no longer does. */
static inline void slot_rest(struct slot *slot, bool resting)
{
    atomic_store_explicit(&slot->resting, resting ? 1 : 0, memory_order_release);
}

/* Whether the message must not be looked into, because it killed workers: it becomes a dead letter
 * `crashed_worker`. Ask before slot_take(). One load when nothing is quarantined. */
static inline bool slot_is_quarantined(const struct slot *slot, int32_t partition, int64_t offset)
{
    const struct slot_page *page = slot_page_of(slot);
    if (atomic_load_explicit(&page->quarantined, memory_order_relaxed) == 0) return false;
    return slot_page_holds(page, partition, offset);
}

#endif
