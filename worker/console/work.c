#include "console/work.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "clock.h"
#include "console/call_state.h"

#define WAITING_MAX 1024
#define STACK_BYTES ((size_t)256 * 1024)

struct work_thread {
    struct work *work;
    pthread_t thread;
    bool reserved;
    struct database *databases[SESSION_KIND_COUNT];
};

struct work {
    const struct settings *settings;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_cond_t released;           /* there is a reservation again */
    struct call *waiting[WAITING_MAX]; /* a ring */
    size_t first;
    size_t count;
    size_t reserved_count;
    size_t patient_count; /* threads that wait for a reservation */
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

bool work_reserve(struct work_thread *thread, int64_t wait_ms)
{
    struct work *work = thread->work;
    const size_t most = work->thread_count / 2;
    const int64_t deadline_ms = clock_now_ms() + wait_ms;
    if (thread->reserved) return true;
    (void)pthread_mutex_lock(&work->mutex);
    const bool may_wait = wait_ms > 0 && work->patient_count + 1 < most; /* one thread is left to answer */
    work->patient_count += may_wait;
    for (bool in_time = may_wait; work->reserved_count >= most && in_time;)
        in_time = clock_wait(&work->released, &work->mutex, deadline_ms);
    work->patient_count -= may_wait;
    thread->reserved = work->reserved_count < most;
    work->reserved_count += thread->reserved;
    (void)pthread_mutex_unlock(&work->mutex);
    return thread->reserved;
}

void work_release(struct work_thread *thread)
{
    if (!thread->reserved) return;
    thread->reserved = false;
    (void)pthread_mutex_lock(&thread->work->mutex);
    thread->work->reserved_count--;
    (void)pthread_cond_signal(&thread->work->released);
    (void)pthread_mutex_unlock(&thread->work->mutex);
}

static void *run(void *context)
{
    struct work_thread *thread = context;
    for (struct call *call; (call = take(thread->work)) != NULL;) {
        call->thread = thread;
        call->route->handle(call);
        work_release(thread);
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
        pthread_cond_init(&work->changed, NULL) != 0 || pthread_cond_init(&work->released, NULL) != 0)
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
    const struct refusal refusal = {.problem = PROBLEM_STOPPING, .detail = "try again when it is back"};
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
        for (int kind = 0; kind < SESSION_KIND_COUNT; kind++)
            database_close(work->threads[i].databases[kind]);
    }
    refuse_waiting(work);
    (void)pthread_mutex_destroy(&work->mutex);
    (void)pthread_cond_destroy(&work->changed);
    (void)pthread_cond_destroy(&work->released);
    free(work->threads);
    free(work);
}

/* ---- connections --------------------------------------------------------------------------------------- */

bool work_has_database(const struct work_thread *thread, enum session_kind kind)
{
    const struct database *database = thread->databases[kind];
    return database != NULL && database_is_alive(database);
}

struct database *work_database(struct work_thread *thread, enum session_kind kind, struct fault *ret_fault)
{
    struct database **kept = &thread->databases[kind];
    return session_keep(thread->work->settings, kind, kept, ret_fault) ? *kept : NULL;
}
