#include "console/upkeep.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "console/session.h"
#include "log.h"
#include "signals.h"

#define EVERY_MS   INT64_C(2000)
#define MEND_EVERY 30 /* of these */

struct upkeep {
    const struct settings *settings;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards `ending` */
    pthread_cond_t changed;
    bool ending;

    /* the thread's own */
    struct database *database;
    unsigned turn;
    bool failing;
};

static bool ask(struct upkeep *upkeep, const char *sql, struct fault *ret_fault)
{
    return session_keep(upkeep->settings, SESSION_UPKEEP, &upkeep->database, ret_fault) &&
           database_run(upkeep->database, "upkeep", sql, NULL, 0, NULL, ret_fault);
}

/* Where more waits to be added up than half a second allows, the next turn goes on. */
static void take_turn(struct upkeep *upkeep)
{
    struct fault fault;
    const bool mend = upkeep->turn++ % MEND_EVERY == 0;
    const bool done = ask(upkeep, "SELECT winnow.summarize_events()", &fault) &&
                      (!mend || ask(upkeep, "SELECT winnow.mend_summaries()", &fault)) &&
                      ask(upkeep, "SELECT winnow.keep_days('10 s', '500 ms')", &fault);
    if (!done && !upkeep->failing && !signals_stop_arrived()) /* a stop ends statements, too */
        log_line(LOG_LEVEL_WARNING, "upkeep_failed", "answers may take longer: %s", fault.text);
    upkeep->failing = !done;
}

/* False at the end. */
static bool rest(struct upkeep *upkeep, int64_t until_ms)
{
    (void)pthread_mutex_lock(&upkeep->mutex);
    while (!upkeep->ending && clock_wait(&upkeep->changed, &upkeep->mutex, until_ms)) continue;
    const bool goes_on = !upkeep->ending;
    (void)pthread_mutex_unlock(&upkeep->mutex);
    return goes_on;
}

static void *run(void *context)
{
    struct upkeep *upkeep = context;
    do take_turn(upkeep);
    while (rest(upkeep, clock_now_ms() + EVERY_MS));
    return NULL;
}

struct upkeep *upkeep_new(const struct settings *settings)
{
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    if (upkeep == NULL || pthread_mutex_init(&upkeep->mutex, NULL) != 0 ||
        pthread_cond_init(&upkeep->changed, NULL) != 0)
        abort();
    upkeep->settings = settings;
    if (pthread_create(&upkeep->thread, NULL, run, upkeep) != 0) abort();
    return upkeep;
}

void upkeep_free(struct upkeep *upkeep)
{
    if (upkeep == NULL) return;
    (void)pthread_mutex_lock(&upkeep->mutex);
    upkeep->ending = true;
    (void)pthread_cond_broadcast(&upkeep->changed);
    (void)pthread_mutex_unlock(&upkeep->mutex);
    (void)pthread_join(upkeep->thread, NULL);
    database_close(upkeep->database);
    (void)pthread_mutex_destroy(&upkeep->mutex);
    (void)pthread_cond_destroy(&upkeep->changed);
    free(upkeep);
}
