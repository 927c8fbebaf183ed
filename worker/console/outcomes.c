#include "console/outcomes.h"

#include <pthread.h>
#include <stdlib.h>

#include "backoff.h"
#include "clock.h"
#include "console/outcome_ask.h"
#include "console/session.h"
#include "database.h"
#include "log.h"
#include "signals.h"

#define ASK_EVERY_MS 10

struct outcomes {
    const struct settings *settings;
    pthread_t asker;
    pthread_t timer;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct parcel *waiting; /* guarded, like all up to `ending` */
    struct parcel_item
        *asked[OUTCOME_ITEMS_MAX]; /* whose answer is not there yet; NULL: its parcel is done */
    size_t count;
    bool ending;

    /* the asker's own */
    struct database *database;
    struct backoff backoff; /* while the database does not answer */
    bool is_away;           /* the database, and it was told */
};

/* ---- with the mutex held ------------------------------------------------------------------------------- */

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

static bool is_known(const struct parcel *parcel)
{
    for (size_t i = 0; i < parcel->count; i++) {
        if (!parcel->items[i].known) return false;
    }
    return true;
}

static void forget_asked(struct outcomes *outcomes, const struct parcel *parcel)
{
    for (size_t i = 0; i < outcomes->count; i++) {
        if (outcomes->asked[i] != NULL && outcomes->asked[i]->parcel == parcel) outcomes->asked[i] = NULL;
    }
}

/* Takes those out that are done, which may be asked for still. */
static struct parcel *take_done(struct outcomes *outcomes)
{
    struct parcel *done = NULL;
    int64_t now_ms = clock_now_ms();
    for (struct parcel **link = &outcomes->waiting; *link != NULL;) {
        struct parcel *parcel = *link;
        if (!outcomes->ending && !is_known(parcel) && now_ms < parcel->deadline_ms) {
            link = &parcel->next;
            continue;
        }
        *link = parcel->next;
        forget_asked(outcomes, parcel);
        parcel->next = done;
        done = parcel;
    }
    return done;
}

/* INT64_MAX: nothing waits. */
static int64_t next_deadline_ms(const struct outcomes *outcomes)
{
    int64_t next_ms = INT64_MAX;
    for (const struct parcel *parcel = outcomes->waiting; parcel != NULL; parcel = parcel->next) {
        if (parcel->deadline_ms < next_ms) next_ms = parcel->deadline_ms;
    }
    return next_ms;
}

/* ---- without it ---------------------------------------------------------------------------------------- */

static void finish(struct parcel *done)
{
    while (done != NULL) {
        struct parcel *next = done->next; /* it may be gone then */
        done->done(done);
        done = next;
    }
}

/* NULL when there is no answer. */
static struct rows *run_question(struct outcomes *outcomes, struct outcome_question *question)
{
    struct fault fault;
    struct rows *rows = NULL;
    bool answered = session_keep(outcomes->settings, SESSION_OUTCOME, &outcomes->database, &fault) &&
                    outcome_question_run(outcomes->database, outcomes->settings, question, &rows, &fault);
    if (!answered && !outcomes->is_away && !signals_stop_arrived())
        log_line(LOG_LEVEL_WARNING, "outcomes_unknown", "what became of submitted events is not known: %s",
                 fault.text);
    outcomes->is_away = !answered;
    return rows;
}

/* ---- the threads --------------------------------------------------------------------------------------- */

/* Sleeps while nothing waits, and until `next_ms` while something does. False at the end. */
static bool make_question(struct outcomes *outcomes, int64_t next_ms, struct outcome_question *ret_question)
{
    (void)pthread_mutex_lock(&outcomes->mutex);
    while (!outcomes->ending && outcomes->waiting == NULL)
        (void)pthread_cond_wait(&outcomes->changed, &outcomes->mutex);
    while (!outcomes->ending && clock_wait(&outcomes->changed, &outcomes->mutex, next_ms)) continue;
    collect(outcomes);
    outcome_question_make(ret_question, outcomes->asked, outcomes->count);
    bool goes_on = !outcomes->ending;
    (void)pthread_mutex_unlock(&outcomes->mutex);
    return goes_on;
}

static void keep_answers(struct outcomes *outcomes, struct rows *rows)
{
    (void)pthread_mutex_lock(&outcomes->mutex);
    if (rows != NULL) outcome_keep(rows, outcomes->asked);
    outcomes->count = 0;
    struct parcel *done = take_done(outcomes);
    (void)pthread_mutex_unlock(&outcomes->mutex);
    rows_free(rows);
    finish(done);
}

/* How long to the next question. */
static int64_t pause_ms(struct outcomes *outcomes)
{
    if (outcomes->is_away) return backoff_next_ms(&outcomes->backoff);
    backoff_reset(&outcomes->backoff);
    return ASK_EVERY_MS;
}

static void *run_asker(void *context)
{
    struct outcomes *outcomes = context;
    struct outcome_question question = {0};
    int64_t next_ms = 0;
    while (make_question(outcomes, next_ms, &question)) {
        const int64_t begun_ms = clock_now_ms();
        struct rows *rows = run_question(outcomes, &question);
        next_ms = begun_ms + pause_ms(outcomes);
        keep_answers(outcomes, rows);
    }
    outcome_question_done(&question);
    database_close(outcomes->database);
    return NULL;
}

static void *run_timer(void *context)
{
    struct outcomes *outcomes = context;
    (void)pthread_mutex_lock(&outcomes->mutex);
    while (!outcomes->ending) {
        int64_t next_ms = next_deadline_ms(outcomes);
        if (next_ms == INT64_MAX)
            (void)pthread_cond_wait(&outcomes->changed, &outcomes->mutex);
        else
            (void)clock_wait(&outcomes->changed, &outcomes->mutex, next_ms);
        struct parcel *done = take_done(outcomes);
        if (done == NULL) continue;
        (void)pthread_mutex_unlock(&outcomes->mutex);
        finish(done);
        (void)pthread_mutex_lock(&outcomes->mutex);
    }
    (void)pthread_mutex_unlock(&outcomes->mutex);
    return NULL;
}

struct outcomes *outcomes_new(const struct settings *settings)
{
    struct outcomes *outcomes = calloc(1, sizeof *outcomes);
    if (outcomes == NULL || pthread_mutex_init(&outcomes->mutex, NULL) != 0 ||
        pthread_cond_init(&outcomes->changed, NULL) != 0)
        abort();
    outcomes->settings = settings;
    backoff_init(&outcomes->backoff, BACKOFF_SERVER_FLOOR_MS, BACKOFF_SERVER_CEILING_MS,
                 (uint64_t)clock_wall_ms() | 1);
    if (pthread_create(&outcomes->asker, NULL, run_asker, outcomes) != 0 ||
        pthread_create(&outcomes->timer, NULL, run_timer, outcomes) != 0)
        abort();
    return outcomes;
}

void outcomes_watch(struct outcomes *outcomes, struct parcel *parcel)
{
    (void)pthread_mutex_lock(&outcomes->mutex);
    bool watched = !outcomes->ending;
    if (watched) {
        parcel->next = outcomes->waiting;
        outcomes->waiting = parcel;
        (void)pthread_cond_broadcast(&outcomes->changed);
    }
    (void)pthread_mutex_unlock(&outcomes->mutex);
    if (!watched) parcel->done(parcel);
}

void outcomes_stop(struct outcomes *outcomes)
{
    (void)pthread_mutex_lock(&outcomes->mutex);
    outcomes->ending = true;
    struct parcel *done = take_done(outcomes);
    (void)pthread_cond_broadcast(&outcomes->changed);
    (void)pthread_mutex_unlock(&outcomes->mutex);
    finish(done);
    (void)pthread_join(outcomes->timer, NULL);
}

void outcomes_free(struct outcomes *outcomes)
{
    if (outcomes == NULL) return;
    (void)pthread_join(outcomes->asker, NULL);
    (void)pthread_mutex_destroy(&outcomes->mutex);
    (void)pthread_cond_destroy(&outcomes->changed);
    free(outcomes);
}
