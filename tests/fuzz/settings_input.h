/* An input of fuzz_settings: the text of the file, and each behind a byte 0x1e, the variables and the
 * arguments, separated by NUL bytes. */
#ifndef WINNOW_TESTS_SETTINGS_INPUT_H
#define WINNOW_TESTS_SETTINGS_INPUT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slice.h"

#define PART_END  '\x1e'
#define TEXTS_MAX 64
#define PATH_SIZE 32

struct texts {
    char *texts[TEXTS_MAX + 4]; /* room for a command, two arguments and the NULL at the end */
    int count;
};

struct input {
    struct slice file;
    struct texts variables;
    struct texts arguments;
    char path[PATH_SIZE];
};

static inline struct slice take_part(struct slice *rest)
{
    const char *end = rest->size > 0 ? memchr(rest->data, PART_END, rest->size) : NULL;
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    struct slice part = slice_of(rest->data, size);
    size_t taken = end != NULL ? size + 1 : size;
    *rest = slice_of(rest->data + taken, rest->size - taken);
    return part;
}

static inline void add_text(struct texts *texts, const char *data, size_t size)
{
    char *text = malloc(size + 1); /* the data need not end with NUL, as strndup() may demand */
    if (text == NULL) abort();
    memcpy(text, data, size);
    text[size] = '\0';
    texts->texts[texts->count++] = text;
}

/* No other file must be read than the one of the input. */
static inline bool names_file(const char *text)
{
    return strncmp(text, "-c", 2) == 0 || strncmp(text, "--config", 8) == 0 ||
           strncmp(text, "WINNOW_CONFIG=", 14) == 0;
}

static inline void add_texts(struct texts *texts, struct slice part)
{
    while (part.size > 0 && texts->count < TEXTS_MAX) {
        size_t size = strnlen(part.data, part.size);
        add_text(texts, part.data, size);
        if (names_file(texts->texts[texts->count - 1])) {
            free(texts->texts[--texts->count]);
            texts->texts[texts->count] = NULL;
        }
        size_t taken = size < part.size ? size + 1 : size;
        part = slice_of(part.data + taken, part.size - taken);
    }
}

static inline void free_texts(struct texts *texts)
{
    for (int i = 0; i < texts->count; i++) free(texts->texts[i]);
}

/* One file in memory for all inputs. */
static inline void put_file(struct slice text, char ret_path[PATH_SIZE])
{
    static int file = -1;
    if (file < 0) file = memfd_create("winnow", 0);
    if (file < 0 || ftruncate(file, 0) != 0) abort();
    if (text.size > 0 && pwrite(file, text.data, text.size, 0) != (ssize_t)text.size) abort();
    (void)snprintf(ret_path, PATH_SIZE, "/proc/self/fd/%d", file);
}

static inline void cut_input(struct slice whole, struct input *input)
{
    *input = (struct input){.file = take_part(&whole)};
    put_file(input->file, input->path);
    add_texts(&input->variables, take_part(&whole));
    add_text(&input->arguments, "fuzz", 4);
    if (input->file.size > 0) {
        add_text(&input->arguments, "-c", 2);
        add_text(&input->arguments, input->path, strlen(input->path));
    }
    add_texts(&input->arguments, whole);
}

#endif
