#include "console/work.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "console/call_state.h"

#define WAITING_MAX          1024
#define STACK_BYTES          ((size_t)256 * 1024)
#define STATEMENT_TIMEOUT_MS INT64_C(20000)
#define CONNECT_TIMEOUT_MS   INT64_C(3000)

struct work_thread {
    struct work *work;
    pthread_t thread;
    struct database *databases[ACCESS_COUNT];
};

struct work {
    const struct settings *settings;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct call *waiting[WAITING_MAX]; /* a ring */
    size_t first;
    size_t count;
    bool ending;
    size_t thread_count;
    struct work_thread *threads;
};

static struct call *take(struct work *work)
{
    struct call *call = NULL;
    (void)pthread_mutex_lock(&work->mutex);
    while (work->count == 0 && !work->ending) (void)pthread_cond_wait(&work->changed, &work->mutex);
    if (work->count > 0 && !work->ending) {
        call = work->waiting[work->first];
        work->first = (work->first + 1) % WAITING_MAX;
        work->count--;
    }
    (void)pthread_mutex_unlock(&work->mutex);
    return call;
}

static void *run(void *context)
{
    struct work_thread *thread = context;
    for (struct call *call; (call = take(thread->work)) != NULL;) {
        call->thread = thread;
        call->route->handle(call);
        call->thread = NULL;
        call_done(call);
        call_release(call);
    }
    return NULL;
}

static void start(struct work_thread *thread)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0 ||
        pthread_create(&thread->thread, &attributes, run, thread) != 0)
        abort();
    (void)pthread_attr_destroy(&attributes);
}

struct work *work_new(const struct settings *settings, size_t thread_count)
{
    struct work *work = calloc(1, sizeof *work);
    if (work == NULL) abort();
    work->threads = calloc(thread_count, sizeof *work->threads);
    if (work->threads == NULL || pthread_mutex_init(&work->mutex, NULL) != 0 ||
        pthread_cond_init(&work->changed, NULL) != 0)
        abort();
    work->settings = settings;
    work->thread_count = thread_count;
    for (size_t i = 0; i < thread_count; i++) {
        work->threads[i].work = work;
        start(&work->threads[i]);
    }
    return work;
}

bool work_submit(struct work *work, struct call *call)
{
    (void)pthread_mutex_lock(&work->mutex);
    bool room = work->count < WAITING_MAX && !work->ending;
    if (room) {
        call_hold(call);
        work->waiting[(work->first + work->count++) % WAITING_MAX] = call;
        (void)pthread_cond_signal(&work->changed);
    }
    (void)pthread_mutex_unlock(&work->mutex);
    return room;
}

static void refuse_waiting(struct work *work)
{
    const struct refusal refusal = {.problem = PROBLEM_DATABASE, .detail = "the console is being stopped"};
    for (; work->count > 0; work->count--) {
        struct call *call = work->waiting[work->first];
        work->first = (work->first + 1) % WAITING_MAX;
        call_refuse(call, &refusal);
        call_done(call);
        call_release(call);
    }
}

void work_free(struct work *work)
{
    if (work == NULL) return;
    (void)pthread_mutex_lock(&work->mutex);
    work->ending = true;
    (void)pthread_cond_broadcast(&work->changed);
    (void)pthread_mutex_unlock(&work->mutex);
    for (size_t i = 0; i < work->thread_count; i++) {
        (void)pthread_join(work->threads[i].thread, NULL);
        for (int access = 0; access < ACCESS_COUNT; access++)
            database_close(work->threads[i].databases[access]);
    }
    refuse_waiting(work);
    (void)pthread_mutex_destroy(&work->mutex);
    (void)pthread_cond_destroy(&work->changed);
    free(work->threads);
    free(work);
}

/* ---- connections --------------------------------------------------------------------------------------- */

/* The lesser role, when the login may take it: a login that may write is then as harmless as one that may
 * not. What was not granted is not taken, and nothing is said: the login's own privileges hold then. */
static const char *const lesser_role_sql[ACCESS_COUNT] = {
    [ACCESS_READ] =
        "SELECT pg_catalog.set_config('default_transaction_read_only', 'on', false), "
        "pg_catalog.set_config('plan_cache_mode', 'force_custom_plan', false), "
        "pg_catalog.set_config('jit', 'off', false), (SELECT "
        "pg_catalog.set_config('role', rolname, false) FROM pg_catalog.pg_roles WHERE rolname "
        "OPERATOR(pg_catalog.=) 'winnow_console' AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER'))",
    [ACCESS_RETRY] =
        "SELECT (SELECT pg_catalog.set_config('role', rolname, false) FROM pg_catalog.pg_roles WHERE rolname "
        "OPERATOR(pg_catalog.=) 'winnow_retry' AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER'))",
};

bool work_has_database(const struct work_thread *thread, enum call_access access)
{
    const struct database *database = thread->databases[access];
    return database != NULL && database_is_alive(database);
}

static struct database *open_database(const struct settings *settings, enum call_access access,
                                      struct fault *ret_fault)
{
    struct database *database = NULL;
    const struct database_options options = {
        .conninfo = settings->database,
        .application_name = access == ACCESS_READ ? "winnow console" : "winnow console retry",
        .read_only = access == ACCESS_READ,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
    };
    if (!database_open(&options, &database, ret_fault)) return NULL;
    if (database_run(database, "role", lesser_role_sql[access], NULL, 0, NULL, ret_fault)) return database;
    database_close(database);
    return NULL;
}

struct database *work_database(struct work_thread *thread, enum call_access access, struct fault *ret_fault)
{
    struct database **kept = &thread->databases[access];
    if (work_has_database(thread, access)) return *kept;
    database_close(*kept);
    *kept = open_database(thread->work->settings, access, ret_fault);
    return *kept;
}
