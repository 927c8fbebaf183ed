#include "doctor/mend.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "database_conninfo.h"

#define WORDS_SIZE (MEND_SIZE / 2)

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

void mend_quote(const char *text, char *ret_word, size_t size)
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

static bool needs_login(const struct settings *settings)
{
    for (size_t i = 0; i < settings->kafka_count; i++) {
        if (strcmp(settings->kafka[i].name, "security.protocol") == 0)
            return strcasecmp(settings->kafka[i].value, "plaintext") != 0;
    }
    return false;
}

void mend_kafka(const struct examination *examination, struct finding *finding, const char *tool,
                const char *format, ...)
{
    char brokers[WORDS_SIZE];
    va_list values;
    mend_quote(examination->settings->brokers, brokers, sizeof brokers);
    int size = snprintf(finding->mend, sizeof finding->mend, "%s --bootstrap-server %s%s ", tool, brokers,
                        needs_login(examination->settings) ? " --command-config admin.properties" : "");
    if (size < 0 || (size_t)size >= sizeof finding->mend) return;
    va_start(values, format);
    (void)vsnprintf(finding->mend + size, sizeof finding->mend - (size_t)size, format, values);
    va_end(values);
}

void mend_psql(const struct examination *examination, struct finding *finding, const char *user,
               const char *database, const char *format, ...)
{
    char sql[WORDS_SIZE];
    char sql_word[WORDS_SIZE];
    char address_word[WORDS_SIZE];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(sql, sizeof sql, format, values);
    va_end(values);
    char *address = conninfo_for(examination->settings->database, user, database);
    mend_quote(sql, sql_word, sizeof sql_word);
    mend_quote(address, address_word, sizeof address_word);
    free(address);
    mend_run(finding, "psql -d %s -c %s", address_word, sql_word);
}

void mend_run(struct finding *finding, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(finding->mend, sizeof finding->mend, format, values);
    va_end(values);
}
