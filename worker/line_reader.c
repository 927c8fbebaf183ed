#include "line_reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 * 1024)

void line_reader_init(struct line_reader *reader, int fd)
{
    *reader = (struct line_reader){.fd = fd};
}

void line_reader_done(struct line_reader *reader)
{
    buffer_done(&reader->bytes);
}

bool line_reader_take(struct line_reader *reader, struct slice *ret_line)
{
    size_t size = reader->bytes.size;
    if (reader->begin == size) return false;
    const char *line = reader->bytes.data + reader->begin;
    const char *end = memchr(reader->bytes.data + reader->scanned, '\n', size - reader->scanned);
    reader->scanned = size;
    if (end == NULL && !reader->ended) return false;
    if (end == NULL) end = reader->bytes.data + size;
    *ret_line = slice_of(line, (size_t)(end - line));
    reader->begin += ret_line->size + 1;
    if (reader->begin > size) reader->begin = size;
    reader->scanned = reader->begin;
    return true;
}

enum line_reader_result line_reader_fill(struct line_reader *reader)
{
    if (reader->begin > 0) { /* what is left is at most one line that has not ended yet */
        size_t left = reader->bytes.size - reader->begin;
        memmove(reader->bytes.data, reader->bytes.data + reader->begin, left);
        reader->scanned -= reader->begin;
        reader->bytes.size = left;
        reader->begin = 0;
    }
    char *to = buffer_reserve(&reader->bytes, READ_BYTES);
    ssize_t size;
    do {
        size = read(reader->fd, to, READ_BYTES);
    } while (size < 0 && errno == EINTR);
    if (size < 0) return LINE_READER_FAILED;
    reader->bytes.size += (size_t)size;
    reader->ended = size == 0;
    return size == 0 ? LINE_READER_END : LINE_READER_MORE;
}
