/* Owned bytes that grow by doubling. Running out of memory aborts: the process is supervised and
 * crash-safe. Growing moves the bytes: keep offsets into a buffer, not pointers. */
#ifndef WINNOW_BUFFER_H
#define WINNOW_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "slice.h"

struct buffer {
    char *data; /* NULL while nothing was added */
    size_t size;
    size_t capacity;
};

/* Frees the bytes; the buffer is empty and usable afterwards. Takes a zeroed buffer too. */
void buffer_done(struct buffer *buffer);

/* Forgets the bytes and keeps the memory. */
static inline void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

/* For buffer_reserve() alone: moves the bytes to where there is room for `size` more. */
void buffer_grow(struct buffer *buffer, size_t size);

/* Makes room for `size` more bytes and returns where they begin; the size is not changed. */
static inline char *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (buffer->data == NULL || buffer->capacity - buffer->size < size) buffer_grow(buffer, size);
    return buffer->data + buffer->size;
}

/* Adds bytes and returns the offset at which they begin. */
size_t buffer_add(struct buffer *buffer, const void *data, size_t size);

/* Adds a text without its terminating NUL. */
void buffer_add_text(struct buffer *buffer, const char *text);

/* Adds integers in network byte order. */
void buffer_add_u16(struct buffer *buffer, uint16_t value);
void buffer_add_u32(struct buffer *buffer, uint32_t value);

/* Overwrites four bytes at `offset`, which must lie within the buffer, in network byte order. */
void buffer_set_u32(struct buffer *buffer, size_t offset, uint32_t value);

#endif
