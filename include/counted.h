/* Numbers of things, as people read them: "1 event", "2 events".
 *
 *     printf("%" PRId64 " %s wait", count, counted(count, "message", "messages")); */
#ifndef WINNOW_COUNTED_H
#define WINNOW_COUNTED_H

#include <stdint.h>

/* The words behind the number. */
static inline const char *counted(int64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

/* The verb behind a part of a number: "1 of 6 partitions is", "2 of 6 partitions are"; "0 of 1 worker has".
 */
static inline const char *counted_of(int64_t part, int64_t whole, const char *one, const char *many)
{
    return counted(part == 0 ? whole : part, one, many);
}

#endif
