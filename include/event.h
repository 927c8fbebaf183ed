/* The canonical event: what every loose message becomes. */
#ifndef WINNOW_EVENT_H
#define WINNOW_EVENT_H

#include <stdint.h>

#include "decimal.h"
#include "slice.h"

#define EVENT_HASH_SIZE      16
#define EVENT_TEXT_BYTES_MAX 200 /* client_id and metric, UTF-8 (C-2, T-2) */

struct event {
    struct slice client_id; /* 1..200 bytes UTF-8; borrowed, see normalize() */
    struct slice metric;    /* likewise */
    struct decimal amount;
    int64_t time_us;               /* instant.h */
    int64_t bucket_us;             /* time_us cut to the dedup granularity; part of the table's key */
    uint8_t hash[EVENT_HASH_SIZE]; /* UUID version 8 in network byte order (H-1) */
};

#endif
