/* Two generations of a hash table with open addressing: events go into the young one, are looked for in both,
 * and when the young one is full the old one is emptied and takes its place. */
#include "seen.h"

#include <stdlib.h>
#include <string.h>

#define SLOT_COUNT ((size_t)2 * SEEN_COUNT)

struct generation {
    uint64_t slots[SLOT_COUNT]; /* 0: free */
    size_t count;
};

struct seen {
    struct generation generations[2];
    unsigned young;
};

struct seen *seen_new(void)
{
    struct seen *seen = calloc(1, sizeof(*seen));
    if (seen == NULL) abort();
    return seen;
}

void seen_free(struct seen *seen)
{
    free(seen);
}

/* Where the mark is, or the free slot where it would be. */
static uint64_t *find_slot(struct generation *generation, uint64_t mark)
{
    size_t at = (size_t)(mark >> 40) % SLOT_COUNT;
    while (generation->slots[at] != 0 && generation->slots[at] != mark) at = (at + 1) % SLOT_COUNT;
    return &generation->slots[at];
}

bool seen_add(struct seen *seen, const uint8_t hash[EVENT_HASH_SIZE])
{
    uint64_t mark;
    memcpy(&mark, hash + EVENT_HASH_SIZE - sizeof(mark),
           sizeof(mark)); /* its variant's bits are in the first byte */
    mark |= 1;
    struct generation *young = &seen->generations[seen->young];
    uint64_t *slot = find_slot(young, mark);
    if (*slot == mark) return true;
    bool old = *find_slot(&seen->generations[1 - seen->young], mark) == mark;
    if (young->count == SEEN_COUNT) {
        seen->young = 1 - seen->young;
        young = &seen->generations[seen->young];
        memset(young, 0, sizeof(*young));
        slot = find_slot(young, mark);
    }
    *slot = mark;
    young->count++;
    return old;
}
