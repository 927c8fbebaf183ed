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

#endif
