#include "buffer.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_grow(struct buffer *buffer, size_t size)
{
    if (size > SIZE_MAX - buffer->size) abort();
    size_t needed = buffer->size + size;
    size_t capacity = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity;
    while (capacity < needed) capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) abort();
    buffer->data = data;
    buffer->capacity = capacity;
}

/* Inline, as most of what is added is one integer. */
static inline size_t add(struct buffer *buffer, const void *data, size_t size)
{
    size_t offset = buffer->size;
    char *to = buffer_reserve(buffer, size);
    if (size > 0) memcpy(to, data, size);
    buffer->size += size;
    return offset;
}

size_t buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    return add(buffer, data, size);
}

void buffer_add_text(struct buffer *buffer, const char *text)
{
    (void)add(buffer, text, strlen(text));
}

void buffer_add_u16(struct buffer *buffer, uint16_t value)
{
    uint16_t bytes = htobe16(value);
    (void)add(buffer, &bytes, sizeof bytes);
}

void buffer_add_u32(struct buffer *buffer, uint32_t value)
{
    uint32_t bytes = htobe32(value);
    (void)add(buffer, &bytes, sizeof bytes);
}

void buffer_set_u32(struct buffer *buffer, size_t offset, uint32_t value)
{
    if (buffer->size < sizeof value || offset > buffer->size - sizeof value) abort();
    for (size_t i = 0; i < sizeof value; i++) buffer->data[offset + i] = (char)(value >> (24 - 8 * i));
}
