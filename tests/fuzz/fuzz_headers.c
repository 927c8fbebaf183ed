/* Any bytes as encoded headers: reading ends, stays within them, and what was read encodes to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer again = {0};
    struct slice rest = slice_of((const char *)data, size);
    struct slice name;
    struct slice value;
    while (headers_next(&rest, &name, &value)) {
        REQUIRE(name.data >= (const char *)data && name.data + name.size <= (const char *)data + size);
        headers_add(&again, name, value);
    }
    REQUIRE(again.size + rest.size == size);
    REQUIRE(again.size == 0 || memcmp(again.data, data, again.size) == 0);
    buffer_done(&again);
    return 0;
}
