/* Preloaded into a command: it kills itself at its Nth statement (KILL_AT_STATEMENT), before that is handed
 * to libpq, or, with KILL_AFTER, when the server has it and nobody will read the answer. Before the statement
 * STOP_BEFORE it stops, until CONT. */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* What the real function is; NAME is a function with this file's prototype. */
#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, #name); \
    if (real == NULL) abort()

int PQsendQuery(void *connection, const char *sql);
int PQsendQueryParams(void *connection, const char *sql, int count, const unsigned *types,
                      const char *const *values, const int *sizes, const int *formats, int format);
int PQflush(void *connection);

/* Whether it is the last one. */
static int begin(const char *sql)
{
    static int statements;
    const char *stop = getenv("STOP_BEFORE");
    if (stop != NULL && strcmp(sql, stop) == 0) (void)raise(SIGSTOP);
    const char *at = getenv("KILL_AT_STATEMENT");
    const int is_last = at != NULL && ++statements == atoi(at);
    if (is_last && getenv("KILL_AFTER") == NULL) (void)raise(SIGKILL);
    return is_last;
}

static int end(void *connection, int is_last, int sent)
{
    if (!is_last) return sent;
    (void)PQflush(connection);
    (void)raise(SIGKILL);
    return sent;
}

int PQsendQuery(void *connection, const char *sql)
{
    REAL(PQsendQuery);
    const int is_last = begin(sql);
    return end(connection, is_last, real(connection, sql));
}

int PQsendQueryParams(void *connection, const char *sql, int count, const unsigned *types,
                      const char *const *values, const int *sizes, const int *formats, int format)
{
    REAL(PQsendQueryParams);
    const int is_last = begin(sql);
    return end(connection, is_last, real(connection, sql, count, types, values, sizes, formats, format));
}
