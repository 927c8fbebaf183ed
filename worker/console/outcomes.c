#include "console/outcomes.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "console/outcome_ask.h"
#include "console/session.h"
#include "database.h"
#include "log.h"

#define ASK_EVERY_MS 10

struct outcomes {
    const struct settings *settings;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct parcel *arrived;
    bool ending;

    struct parcel *waiting; /* the thread's own */
    struct database *database;
    bool is_away; /* the database, and it was told */
    struct parcel_item *asked[OUTCOME_ITEMS_MAX];
    size_t count;
};

/* Those that did not fit into the question come first in the next one. */
static void turn(struct outcomes *outcomes, struct parcel **rest)
{
    struct parcel *first = *rest;
    struct parcel **last = rest;
    if (first == NULL) return;
    while (*last != NULL) last = &(*last)->next;
    *rest = NULL;
    *last = outcomes->waiting;
    outcomes->waiting = first;
}

static void collect(struct outcomes *outcomes)
{
    struct parcel **link = &outcomes->waiting;
    outcomes->count = 0;
    for (; *link != NULL && outcomes->count + (*link)->count <= OUTCOME_ITEMS_MAX; link = &(*link)->next) {
        for (size_t i = 0; i < (*link)->count; i++) {
            if (!(*link)->items[i].known) outcomes->asked[outcomes->count++] = &(*link)->items[i];
        }
    }
    turn(outcomes, link);
}

static void ask(struct outcomes *outcomes)
{
    struct fault fault;
    collect(outcomes);
    if (outcomes->count == 0) return;
    bool answered =
        session_keep(outcomes->settings, SESSION_OUTCOME, &outcomes->database, &fault) &&
        outcome_ask(outcomes->database, outcomes->settings, outcomes->asked, outcomes->count, &fault);
    if (!answered && !outcomes->is_away)
        log_line(LOG_LEVEL_WARNING, "outcomes_unknown", "what became of submitted events is not known: %s",
                 fault.text);
    outcomes->is_away = !answered;
}

static bool is_known(const struct parcel *parcel)
{
    for (size_t i = 0; i < parcel->count; i++) {
        if (!parcel->items[i].known) return false;
    }
    return true;
}

static void finish_some(struct outcomes *outcomes, bool ending)
{
    int64_t now_ms = clock_now_ms();
    for (struct parcel **link = &outcomes->waiting; *link != NULL;) {
        struct parcel *parcel = *link;
        if (!ending && !is_known(parcel) && now_ms < parcel->deadline_ms) {
            link = &parcel->next;
            continue;
        }
        *link = parcel->next;
        parcel->done(parcel);
    }
}

static struct timespec in_a_moment(void)
{
    int64_t at_ms = clock_now_ms() + ASK_EVERY_MS;
    return (struct timespec){.tv_sec = at_ms / 1000, .tv_nsec = (at_ms % 1000) * 1000000};
}

/* Takes what arrived; sleeps while nothing waits, and a moment while something does. False at the end. */
static bool take(struct outcomes *outcomes)
{
    struct timespec moment = in_a_moment();
    (void)pthread_mutex_lock(&outcomes->mutex);
    while (outcomes->arrived == NULL && outcomes->waiting == NULL && !outcomes->ending)
        (void)pthread_cond_wait(&outcomes->changed, &outcomes->mutex);
    if (outcomes->waiting != NULL && !outcomes->ending)
        while (pthread_cond_timedwait(&outcomes->changed, &outcomes->mutex, &moment) == 0 &&
               !outcomes->ending)
            continue;
    for (struct parcel *parcel; (parcel = outcomes->arrived) != NULL;) {
        outcomes->arrived = parcel->next;
        parcel->next = outcomes->waiting;
        outcomes->waiting = parcel;
    }
    bool goes_on = !outcomes->ending;
    (void)pthread_mutex_unlock(&outcomes->mutex);
    return goes_on;
}

static void *run(void *context)
{
    struct outcomes *outcomes = context;
    while (take(outcomes)) {
        ask(outcomes);
        finish_some(outcomes, false);
    }
    finish_some(outcomes, true);
    database_close(outcomes->database);
    return NULL;
}

struct outcomes *outcomes_new(const struct settings *settings)
{
    struct outcomes *outcomes = calloc(1, sizeof *outcomes);
    pthread_condattr_t attributes;
    if (outcomes == NULL || pthread_mutex_init(&outcomes->mutex, NULL) != 0 ||
        pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&outcomes->changed, &attributes) != 0)
        abort();
    (void)pthread_condattr_destroy(&attributes);
    outcomes->settings = settings;
    if (pthread_create(&outcomes->thread, NULL, run, outcomes) != 0) abort();
    return outcomes;
}

void outcomes_watch(struct outcomes *outcomes, struct parcel *parcel)
{
    (void)pthread_mutex_lock(&outcomes->mutex);
    bool watched = !outcomes->ending;
    if (watched) {
        parcel->next = outcomes->arrived;
        outcomes->arrived = parcel;
        (void)pthread_cond_signal(&outcomes->changed);
    }
    (void)pthread_mutex_unlock(&outcomes->mutex);
    if (!watched) parcel->done(parcel);
}

void outcomes_stop(struct outcomes *outcomes)
{
    (void)pthread_mutex_lock(&outcomes->mutex);
    outcomes->ending = true;
    (void)pthread_cond_signal(&outcomes->changed);
    (void)pthread_mutex_unlock(&outcomes->mutex);
    (void)pthread_join(outcomes->thread, NULL);
}

void outcomes_free(struct outcomes *outcomes)
{
    if (outcomes == NULL) return;
    (void)pthread_mutex_destroy(&outcomes->mutex);
    (void)pthread_cond_destroy(&outcomes->changed);
    free(outcomes);
}
