#include "shell_quote.h"

#include <stdio.h>
#include <string.h>

static const char plain_characters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:,=@%+";

static void add_quoted_character(char character, char *ret_word, size_t size, size_t *length)
{
    const char *escaped = character == '\'' ? "'\\''" : NULL;
    size_t needed = escaped != NULL ? strlen(escaped) : 1;
    if (*length + needed + 2 > size) return; /* room for the closing quote and the NUL */
    if (escaped != NULL)
        memcpy(ret_word + *length, escaped, needed);
    else
        ret_word[*length] = character;
    *length += needed;
}

void shell_quote(const char *text, char *ret_word, size_t size)
{
    if (text[0] != '\0' && text[strspn(text, plain_characters)] == '\0') {
        (void)snprintf(ret_word, size, "%s", text);
        return;
    }
    size_t length = 0;
    ret_word[length++] = '\'';
    for (const char *at = text; *at != '\0'; at++) add_quoted_character(*at, ret_word, size, &length);
    ret_word[length++] = '\'';
    ret_word[length] = '\0';
}
