#include "control_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_DIRECTORY "/run/winnow"

/* The group's name as a part of a path. */
static void print_name(const char *group, char *ret_name, size_t size)
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    (void)snprintf(ret_name, size, "%s", group);
    for (char *c = ret_name; *c != '\0'; c++) {
        if (strchr(kept, *c) == NULL) *c = '_';
    }
}

bool control_path_is_set(const struct settings *settings)
{
    return settings->control_socket != NULL && settings->control_socket[0] != '\0';
}

/* The first of several directories that systemd names, which it separates by colons. */
static bool find_runtime_directory(char *ret_directory, size_t size)
{
    const char *given = getenv("RUNTIME_DIRECTORY");
    const bool found = given != NULL && given[0] == '/';
    if (found) (void)snprintf(ret_directory, size, "%.*s", (int)strcspn(given, ":"), given);
    return found;
}

/* Where the pool's user is not the one that asks: its socket is there, and ours is not. */
static bool is_of_another_user(const char *system_path, const char *own_path)
{
    return access(own_path, F_OK) != 0 && access(system_path, F_OK) == 0;
}

bool control_path_find(const struct settings *settings, bool to_ask, char ret_path[CONTROL_PATH_SIZE])
{
    char name[96];
    char directory[128];
    char system_path[CONTROL_PATH_SIZE];
    const char *own = getenv("XDG_RUNTIME_DIR");
    if (control_path_is_set(settings)) {
        (void)snprintf(ret_path, CONTROL_PATH_SIZE, "%s", settings->control_socket);
        return strcmp(ret_path, "none") != 0;
    }
    print_name(settings->group, name, sizeof(name));
    (void)snprintf(system_path, CONTROL_PATH_SIZE, SYSTEM_DIRECTORY "/%s.sock", name);
    ret_path[0] = '\0';
    if (own != NULL && own[0] == '/' && strlen(own) < sizeof(directory))
        (void)snprintf(ret_path, CONTROL_PATH_SIZE, "%s/winnow-%s.sock", own, name);
    if (find_runtime_directory(directory, sizeof(directory)))
        (void)snprintf(ret_path, CONTROL_PATH_SIZE, "%s/%s.sock", directory, name);
    else if (access(SYSTEM_DIRECTORY, W_OK | X_OK) == 0 ||
             (to_ask && is_of_another_user(system_path, ret_path)))
        (void)snprintf(ret_path, CONTROL_PATH_SIZE, "%s", system_path);
    return ret_path[0] != '\0';
}
