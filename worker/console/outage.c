#include "console/outage.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "console/session.h"
#include "database.h"
#include "log.h"

#define CUT_EVERY_MS 100

struct outage {
    const struct settings *settings;
    pthread_t thread;
    bool started; /* the thread is there, to be joined */
    pthread_mutex_t
        mutex; /* never held while the database is asked: the thread of all connections takes it */
    pthread_cond_t changed;
    int64_t until_ms; /* by clock_now_ms(); 0: none */
    int64_t told_until_ms;
    bool beginning; /* somebody is about to begin one, and alone touches the database */
    bool ending;
    struct database *database; /* in an open transaction that holds the lock */
};

static const char cut_sql[] =
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname "
    "OPERATOR(pg_catalog.=) pg_catalog.current_database() AND application_name OPERATOR(pg_catalog.~~) "
    "'winnow%' "
    "AND application_name OPERATOR(pg_catalog.!~~) 'winnow console%'";

/* Whoever only reads is not disturbed; no progress can be written down, so no event either. */
static const char lock_sql[] = "BEGIN; LOCK TABLE winnow.processing_log IN EXCLUSIVE MODE";

struct outage *outage_new(const struct settings *settings)
{
    struct outage *outage = calloc(1, sizeof *outage);
    if (outage == NULL || pthread_mutex_init(&outage->mutex, NULL) != 0 ||
        pthread_cond_init(&outage->changed, NULL) != 0)
        abort();
    outage->settings = settings;
    return outage;
}

/* False when it is over. */
static bool rest(struct outage *outage)
{
    (void)pthread_mutex_lock(&outage->mutex);
    (void)clock_wait(&outage->changed, &outage->mutex, clock_now_ms() + CUT_EVERY_MS);
    bool goes_on = !outage->ending && clock_now_ms() < outage->until_ms;
    (void)pthread_mutex_unlock(&outage->mutex);
    return goes_on;
}

/* Closing the connection ends the transaction and the lock with it. */
static void *run(void *context)
{
    struct outage *outage = context;
    struct fault fault;
    while (rest(outage)) {
        if (database_run(outage->database, "outage", cut_sql, NULL, 0, NULL, &fault)) continue;
        log_line(LOG_LEVEL_WARNING, "outage_ended_early", "the simulated outage ends: %s", fault.text);
        break;
    }
    database_close(outage->database);
    (void)pthread_mutex_lock(&outage->mutex);
    outage->database = NULL;
    outage->until_ms = 0;
    (void)pthread_mutex_unlock(&outage->mutex);
    log_line(LOG_LEVEL_INFO, "outage_over", "the simulated outage of the database is over");
    return NULL;
}

/* Connections are cut before the lock is asked for, so that no statement of a worker holds it up. */
static bool cut_off(struct outage *outage, struct fault *ret_fault)
{
    if (session_keep(outage->settings, SESSION_FAULT, &outage->database, ret_fault) &&
        database_run(outage->database, "outage", cut_sql, NULL, 0, NULL, ret_fault) &&
        database_run(outage->database, "outage", lock_sql, NULL, 0, NULL, ret_fault) &&
        database_run(outage->database, "outage", cut_sql, NULL, 0, NULL, ret_fault))
        return true;
    database_close(outage->database);
    outage->database = NULL;
    return false;
}

/* False when somebody else has it already. */
static bool claim(struct outage *outage, struct fault *ret_fault)
{
    (void)pthread_mutex_lock(&outage->mutex);
    bool free_to_begin = !outage->beginning && outage->until_ms == 0;
    outage->beginning |= free_to_begin;
    (void)pthread_mutex_unlock(&outage->mutex);
    if (!free_to_begin)
        fault_set(ret_fault, STATUS_REJECT, "outage", "a simulated outage is going on already");
    return free_to_begin;
}

/* With the mutex held. */
static void start(struct outage *outage, int64_t seconds)
{
    outage->until_ms = clock_now_ms() + seconds * 1000;
    outage->told_until_ms = clock_wall_ms() + seconds * 1000;
    outage->started = pthread_create(&outage->thread, NULL, run, outage) == 0;
    if (!outage->started) abort();
    log_line(LOG_LEVEL_WARNING, "outage_begun",
             "workers are cut off the database for %lld s, as was asked for", (long long)seconds);
}

/* The database may take seconds, so the mutex is free meanwhile. */
bool outage_begin(struct outage *outage, int64_t seconds, int64_t *ret_until_ms, struct fault *ret_fault)
{
    if (!claim(outage, ret_fault)) return false;
    bool begun = cut_off(outage, ret_fault);
    if (begun && outage->started) (void)pthread_join(outage->thread, NULL); /* of the last one, now over */
    (void)pthread_mutex_lock(&outage->mutex);
    outage->beginning = false;
    if (begun) start(outage, seconds);
    *ret_until_ms = outage->told_until_ms;
    (void)pthread_mutex_unlock(&outage->mutex);
    return begun;
}

int64_t outage_until(struct outage *outage)
{
    if (outage == NULL) return 0;
    (void)pthread_mutex_lock(&outage->mutex);
    int64_t until_ms = outage->until_ms == 0 ? 0 : outage->told_until_ms;
    (void)pthread_mutex_unlock(&outage->mutex);
    return until_ms;
}

void outage_free(struct outage *outage)
{
    if (outage == NULL) return;
    (void)pthread_mutex_lock(&outage->mutex);
    outage->ending = true;
    (void)pthread_cond_signal(&outage->changed);
    (void)pthread_mutex_unlock(&outage->mutex);
    if (outage->started) (void)pthread_join(outage->thread, NULL);
    (void)pthread_mutex_destroy(&outage->mutex);
    (void)pthread_cond_destroy(&outage->changed);
    free(outage);
}
