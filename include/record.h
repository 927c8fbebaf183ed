/* One message as a source yields it. */
#ifndef WINNOW_RECORD_H
#define WINNOW_RECORD_H

#include <stdint.h>

#include "slice.h"

/* Borrowed from the source until the next call of source_next(). */
struct record {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* the broker's or the producer's, UTC; -1 when the message has none */
    struct slice key;     /* data NULL: no key */
    struct slice value;   /* data NULL: tombstone */
    struct slice headers; /* as headers.h encodes them; data NULL: none */
};

#endif
