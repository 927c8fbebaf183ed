#include "console/gunzip.h"

#include <stdlib.h>
#include <zlib.h>

#define GZIP_WINDOW_BITS (15 + 16) /* the widest window, and a gzip header: zlib.h, inflateInit2 */
#define STEP             ((size_t)64 * 1024)

void gunzip(struct slice gzip, struct buffer *ret_bytes)
{
    int result;
    z_stream stream = {.next_in = (z_const Bytef *)(uintptr_t)gzip.data, .avail_in = (uInt)gzip.size};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) abort();
    do {
        stream.next_out = (Bytef *)buffer_reserve(ret_bytes, STEP);
        stream.avail_out = (uInt)STEP;
        result = inflate(&stream, Z_NO_FLUSH);
        ret_bytes->size += STEP - stream.avail_out;
    } while (result == Z_OK);
    (void)inflateEnd(&stream);
    if (result != Z_STREAM_END) abort();
}
