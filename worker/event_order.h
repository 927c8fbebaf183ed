/* The order in which events go to the database: that of winnow.event's key, so that its index is written from
 * left to right, and no two workers wait for each other's rows crosswise. */
#ifndef WINNOW_EVENT_ORDER_H
#define WINNOW_EVENT_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* The key in an order that memcmp and PostgreSQL share, and the row that has it. */
struct sort_key {
    int64_t bucket_us; /* not negative */
    uint64_t hash_high;
    uint64_t hash_low;
    size_t row;
};

/* Scratch memory for reuse; all zero at the start. */
struct event_order {
    struct sort_key *keys;
    struct sort_key *spare;
    size_t capacity;
};

void event_order_done(struct event_order *order);

/* Makes room for so many keys and returns where they begin. */
struct sort_key *event_order_reserve(struct event_order *order, size_t count);

/* Sorts the first `count` keys; of equal ones the lowest row comes first. They stand at the place that is
 * returned, until the next call. The rows must ascend. */
const struct sort_key *event_order_sort(struct event_order *order, size_t count);

#endif
