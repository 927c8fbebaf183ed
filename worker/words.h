/* A word among words that are separated by spaces. */
#ifndef WINNOW_WORDS_H
#define WINNOW_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Whether the word of `size` bytes is one of the words. The empty word is none. */
static inline bool words_have(const char *words, const char *word, size_t size)
{
    for (const char *at = words + strspn(words, " "); size > 0 && *at != '\0'; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        if (length == size && memcmp(at, word, size) == 0) return true;
        at += length;
    }
    return false;
}

static inline bool words_have_text(const char *words, const char *word)
{
    return words_have(words, word, strlen(word));
}

#endif
