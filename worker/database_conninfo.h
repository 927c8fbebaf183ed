/* What a conninfo says, without connecting. */
#ifndef WINNOW_DATABASE_CONNINFO_H
#define WINNOW_DATABASE_CONNINFO_H

#include <stdbool.h>
#include <string.h>

/* As libpq tells a conninfo or URI from the name of a database alone. */
static inline bool conninfo_is(const char *text)
{
    return strchr(text, '=') != NULL || strncmp(text, "postgres://", 11) == 0 ||
           strncmp(text, "postgresql://", 13) == 0;
}

/* The same conninfo without its secrets, for another user and another database (NULL: for the same): a text
 * of keywords and values, owned by the caller. What libpq cannot read gives "". */
char *conninfo_for(const char *conninfo, const char *user, const char *database);

/* The same with other values for any keywords: pairs of a keyword and its value, ended by NULL. */
char *conninfo_with(const char *conninfo, const char *const *changes);

/* Whether it holds a password. */
bool conninfo_has_password(const char *conninfo);

/* The value that a connection would take, from the conninfo, the environment or the default; owned by the
 * caller, NULL when there is none. Not for secrets. */
char *conninfo_value(const char *conninfo, const char *keyword);

#endif
