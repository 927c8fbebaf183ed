#include "operator.h"

#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *operator_name(const char *asked)
{
    static char name[256];
    char memory[4096];
    struct passwd user;
    struct passwd *found = NULL;
    const char *caller = getenv("SUDO_USER");
    if (asked != NULL && asked[0] != '\0') return asked;
    if (caller != NULL && caller[0] != '\0')
        (void)snprintf(name, sizeof name, "%s", caller);
    else if (getpwuid_r(getuid(), &user, memory, sizeof memory, &found) == 0 && found != NULL)
        (void)snprintf(name, sizeof name, "%s", found->pw_name);
    else
        (void)snprintf(name, sizeof name, "uid %u", (unsigned)getuid());
    return name;
}
