/* Preloaded into a worker: before it sends a batch to the database it waits for as long as the file
 * $HOLD_FILE is there, and makes $HOLD_FILE.held to tell. So a batch can be sent long after its worker has
 * lost the partitions. */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*send_prepared)(void *connection, const char *name, int count, const char *const *values,
                             const int *sizes, const int *formats, int format);

static void hold(void)
{
    const char *path = getenv("HOLD_FILE");
    char held[4096];
    if (path == NULL || access(path, F_OK) != 0) return;
    (void)snprintf(held, sizeof(held), "%s.held", path);
    (void)close(open(held, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    while (access(path, F_OK) == 0) (void)poll(NULL, 0, 10);
}

int PQsendQueryPrepared(void *connection, const char *name, int count, const char *const *values,
                        const int *sizes, const int *formats, int format);

int PQsendQueryPrepared(void *connection, const char *name, int count, const char *const *values,
                        const int *sizes, const int *formats, int format)
{
    static send_prepared real;
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "PQsendQueryPrepared");
    if (real == NULL) abort();
    hold();
    return real(connection, name, count, values, sizes, formats, format);
}
