/* Lines of any length from a descriptor, bytes as they are. Taking lines and reading more are two steps, so
 * that the caller can hand out its answers before it waits for input. */
#ifndef WINNOW_LINE_READER_H
#define WINNOW_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "buffer.h"
#include "slice.h"

struct line_reader {
    int fd; /* borrowed */
    struct buffer bytes;
    size_t begin;   /* of the first line not taken yet */
    size_t scanned; /* no line ends between begin and here */
    bool ended;
};

enum line_reader_result { LINE_READER_MORE, LINE_READER_END, LINE_READER_FAILED };

void line_reader_init(struct line_reader *reader, int fd);
void line_reader_done(struct line_reader *reader);

/* Takes the next line that is there, without its \n. After the end of the input a last line without \n
 * counts, unless it is empty. The line is borrowed until line_reader_fill(). */
MUST_CHECK bool line_reader_take(struct line_reader *reader, struct slice *ret_line);

/* Reads once, waiting if need be. After LINE_READER_FAILED errno tells why. */
MUST_CHECK enum line_reader_result line_reader_fill(struct line_reader *reader);

#endif
