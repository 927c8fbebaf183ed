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

static const char *chosen_value(const PQconninfoOption *option, const char *const *changes)
{
    for (; *changes != NULL; changes += 2) {
        if (strcmp(option->keyword, changes[0]) == 0) return changes[1];
    }
    return is_secret(option) ? NULL : option->val;
}

/* What a conninfo says, or the name of a database alone. NULL: libpq cannot read it. */
static PQconninfoOption *parse(const char *conninfo)
{
    struct buffer named = {0};
    if (is_bare(conninfo)) {
        add_option(&named, "dbname", conninfo);
        (void)buffer_add(&named, "", 1);
    }
    PQconninfoOption *options = PQconninfoParse(named.data != NULL ? named.data : conninfo, NULL);
    buffer_done(&named);
    return options;
}

char *conninfo_with(const char *conninfo, const char *const *changes)
{
    struct buffer out = {0};
    PQconninfoOption *options = parse(conninfo);
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        const char *value = chosen_value(option, changes);
        if (value != NULL) add_option(&out, option->keyword, value);
    }
    PQconninfoFree(options);
    (void)buffer_add(&out, "", 1);
    return out.data;
}

char *conninfo_for(const char *conninfo, const char *user, const char *database)
{
    const char *changes[5] = {0};
    size_t count = 0;
    if (user != NULL) {
        changes[count++] = "user";
        changes[count++] = user;
    }
    if (database != NULL) {
        changes[count++] = "dbname";
        changes[count] = database;
    }
    return conninfo_with(conninfo, changes);
}

bool conninfo_has_password(const char *conninfo)
{
    bool found = false;
    PQconninfoOption *options = parse(conninfo);
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
        found |= option->val != NULL && strcmp(option->keyword, "password") == 0;
    PQconninfoFree(options);
    return found;
}

/* Behind what the conninfo says stand the environment and libpq's defaults. */
char *conninfo_value(const char *conninfo, const char *keyword)
{
    char *found = NULL;
    PQconninfoOption *given = parse(conninfo);
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
