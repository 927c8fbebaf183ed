#include "database_conninfo.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"

/* The name of a database alone. */
static bool is_bare(const char *text)
{
    return text[0] != '\0' && !conninfo_is(text);
}

/* libpq marks what must not be shown. */
static bool is_secret(const PQconninfoOption *option)
{
    return option->dispchar[0] == '*';
}

static void add_option(struct buffer *out, const char *keyword, const char *value)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:,@%+";
    bool quoted = value[0] == '\0' || value[strspn(value, plain)] != '\0';
    if (out->size > 0) buffer_add_text(out, " ");
    buffer_add_text(out, keyword);
    buffer_add_text(out, quoted ? "='" : "=");
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\'' || *at == '\\') buffer_add_text(out, "\\");
        (void)buffer_add(out, at, 1);
    }
    if (quoted) buffer_add_text(out, "'");
}

static const char *chosen_value(const PQconninfoOption *option, const char *user, const char *database)
{
    if (user != NULL && strcmp(option->keyword, "user") == 0) return user;
    if (database != NULL && strcmp(option->keyword, "dbname") == 0) return database;
    return is_secret(option) ? NULL : option->val;
}

char *conninfo_for(const char *conninfo, const char *user, const char *database)
{
    struct buffer out = {0};
    bool bare = is_bare(conninfo);
    PQconninfoOption *options = PQconninfoParse(bare ? "" : conninfo, NULL);
    if (bare && database == NULL) database = conninfo;
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        const char *value = chosen_value(option, user, database);
        if (value != NULL) add_option(&out, option->keyword, value);
    }
    PQconninfoFree(options);
    (void)buffer_add(&out, "", 1);
    return out.data;
}

/* Behind what the conninfo says stand the environment and libpq's defaults. */
char *conninfo_value(const char *conninfo, const char *keyword)
{
    if (is_bare(conninfo) && strcmp(keyword, "dbname") == 0) return strdup(conninfo);
    char *found = NULL;
    PQconninfoOption *given = PQconninfoParse(conninfo_is(conninfo) ? conninfo : "", NULL);
    PQconninfoOption *defaults = PQconndefaults();
    const PQconninfoOption *const sources[] = {given, defaults};
    for (size_t i = 0; i < 2 && found == NULL; i++) {
        for (const PQconninfoOption *option = sources[i]; option != NULL && option->keyword != NULL;
             option++) {
            if (found == NULL && option->val != NULL && strcmp(option->keyword, keyword) == 0)
                found = strdup(option->val);
        }
    }
    PQconninfoFree(given);
    PQconninfoFree(defaults);
    return found;
}
