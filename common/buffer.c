#include "buffer.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

static void grow(struct buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity;
    while (capacity < needed) capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) abort();
    buffer->data = data;
    buffer->capacity = capacity;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (size > SIZE_MAX - buffer->size) abort();
    if (buffer->data == NULL || buffer->capacity - buffer->size < size) grow(buffer, buffer->size + size);
    return buffer->data + buffer->size;
}

size_t buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    size_t offset = buffer->size;
    char *to = buffer_reserve(buffer, size);
    if (size > 0) memcpy(to, data, size);
    buffer->size += size;
    return offset;
}

/* The low `size` bytes of the value, most significant first. */
static void add_integer(struct buffer *buffer, uint64_t value, size_t size)
{
    unsigned char bytes[sizeof value];
    for (size_t i = 0; i < size; i++) bytes[size - 1 - i] = (unsigned char)(value >> (8 * i));
    (void)buffer_add(buffer, bytes, size);
}

void buffer_add_u16(struct buffer *buffer, uint16_t value)
{
    add_integer(buffer, value, sizeof value);
}

void buffer_add_u32(struct buffer *buffer, uint32_t value)
{
    add_integer(buffer, value, sizeof value);
}

void buffer_add_u64(struct buffer *buffer, uint64_t value)
{
    add_integer(buffer, value, sizeof value);
}

void buffer_set_u32(struct buffer *buffer, size_t offset, uint32_t value)
{
    if (buffer->size < sizeof value || offset > buffer->size - sizeof value) abort();
    for (size_t i = 0; i < sizeof value; i++) buffer->data[offset + i] = (char)(value >> (24 - 8 * i));
}
