/* Words that are separated by spaces: one among them, and the list of them as people write it. */
#ifndef WINNOW_WORDS_H
#define WINNOW_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
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

/* "a, b or c"; cut where it does not fit. Returns the text. */
static inline const char *words_list(const char *words, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (const char *at = words + strspn(words, " "); *at != '\0' && used + 1 < size;) {
        int length = (int)strcspn(at, " ");
        const char *next = at + length + strspn(at + length, " ");
        const bool last = *next == '\0';
        int printed = snprintf(ret_text + used, size - used, "%s%.*s",
                               used == 0 ? ""
                               : last    ? " or "
                                         : ", ",
                               length, at);
        used += printed > 0 ? (size_t)printed : 0;
        at = next;
    }
    return ret_text;
}

static inline bool words_have_text(const char *words, const char *word)
{
    return words_have(words, word, strlen(word));
}

#endif
