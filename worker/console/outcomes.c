#include "console/outcomes.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "console/session.h"
#include "database.h"
#include "identity.h"
#include "instant.h"
#include "log.h"
#include "settings_table.h"

#define ASK_EVERY_MS 10
#define ASKED_MAX    2000 /* messages in one question */

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
};

/* The partitions' cursors are looked at first: only messages that a worker has passed are asked for. */
static const char ask_sql[] =
    "SELECT i.number, m.state, m.duplicate_of_topic, m.duplicate_of_partition, m.duplicate_of_offset, "
    "m.reason, "
    "m.detail FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS i (partition, message_offset, hash, "
    "at, "
    "number) JOIN winnow.stream AS s ON s.topic OPERATOR(pg_catalog.=) $5 AND s.consumer_group "
    "OPERATOR(pg_catalog.=) $6 JOIN winnow.processing_log AS l ON l.stream_id OPERATOR(pg_catalog.=) "
    "s.stream_id "
    "AND l.partition OPERATOR(pg_catalog.=) i.partition AND l.next_offset OPERATOR(pg_catalog.>) "
    "i.message_offset CROSS JOIN LATERAL analytics.message_state($5, i.partition, i.message_offset, i.hash, "
    "i.at, $6) AS m ORDER BY i.number";

struct question {
    struct parcel_item *items[ASKED_MAX];
    size_t count;
    struct buffer partitions;
    struct buffer offsets;
    struct buffer hashes;
    struct buffer times;
};

static void begin_array(struct buffer *array)
{
    buffer_clear(array);
    (void)buffer_add(array, "{", 1);
}

static const char *end_array(struct buffer *array)
{
    if (array->data[array->size - 1] == ',') array->size--;
    (void)buffer_add(array, "}", 2); /* with its NUL */
    return array->data;
}

static void add_item(struct question *question, struct parcel_item *item)
{
    char hash[IDENTITY_TEXT_SIZE] = "NULL";
    char when[INSTANT_TEXT_SIZE] = "NULL";
    if (item->accepted) {
        identity_print(item->hash, hash);
        (void)instant_print(item->time_us, when);
    }
    question->items[question->count++] = item;
    setting_add(&question->partitions, "%" PRId32 ",", item->partition);
    setting_add(&question->offsets, "%" PRId64 ",", item->offset);
    setting_add(&question->hashes, "%s,", hash);
    setting_add(&question->times, "%s,", when);
}

static void collect(struct outcomes *outcomes, struct question *question)
{
    question->count = 0;
    begin_array(&question->partitions);
    begin_array(&question->offsets);
    begin_array(&question->hashes);
    begin_array(&question->times);
    for (struct parcel *parcel = outcomes->waiting; parcel != NULL; parcel = parcel->next) {
        for (size_t i = 0; i < parcel->count && question->count < ASKED_MAX; i++) {
            if (!parcel->items[i].known) add_item(question, &parcel->items[i]);
        }
    }
}

static void keep_answer(struct parcel_item *item, const struct rows *rows, size_t row)
{
    item->known = true;
    item->state = message_state_read(rows_text(rows, row, 1));
    (void)snprintf(item->duplicate_topic, sizeof item->duplicate_topic, "%s", rows_text(rows, row, 2));
    item->duplicate_partition = (int32_t)rows_int(rows, row, 3);
    item->duplicate_offset = rows_int(rows, row, 4);
    (void)snprintf(item->reason, sizeof item->reason, "%s", rows_text(rows, row, 5));
    (void)snprintf(item->detail, sizeof item->detail, "%s", rows_text(rows, row, 6));
}

static bool run_question(struct outcomes *outcomes, struct question *question, struct fault *ret_fault)
{
    const struct sql_parameter parameters[] = {
        {.type = SQL_INT4_ARRAY, .data = end_array(&question->partitions)},
        {.type = SQL_INT8_ARRAY, .data = end_array(&question->offsets)},
        {.type = SQL_UUID_ARRAY, .data = end_array(&question->hashes)},
        {.type = SQL_TIMESTAMPTZ_ARRAY, .data = end_array(&question->times)},
        sql_text(outcomes->settings->topic),
        sql_text(outcomes->settings->group),
    };
    struct rows *rows = NULL;
    if (!session_keep(outcomes->settings, SESSION_READ, &outcomes->database, ret_fault) ||
        !database_run(outcomes->database, "outcomes", ask_sql, parameters, ARRAY_COUNT(parameters), &rows,
                      ret_fault))
        return false;
    for (size_t row = 0; row < rows_count(rows); row++)
        keep_answer(question->items[rows_int(rows, row, 0) - 1], rows, row);
    rows_free(rows);
    return true;
}

static void ask(struct outcomes *outcomes, struct question *question)
{
    struct fault fault;
    collect(outcomes, question);
    if (question->count == 0) return;
    bool answered = run_question(outcomes, question, &fault);
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
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL) abort();
    while (take(outcomes)) {
        ask(outcomes, question);
        finish_some(outcomes, false);
    }
    finish_some(outcomes, true);
    buffer_done(&question->partitions);
    buffer_done(&question->offsets);
    buffer_done(&question->hashes);
    buffer_done(&question->times);
    free(question);
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
    parcel->next = outcomes->arrived;
    outcomes->arrived = parcel;
    (void)pthread_cond_signal(&outcomes->changed);
    (void)pthread_mutex_unlock(&outcomes->mutex);
}

void outcomes_free(struct outcomes *outcomes)
{
    if (outcomes == NULL) return;
    (void)pthread_mutex_lock(&outcomes->mutex);
    outcomes->ending = true;
    (void)pthread_cond_signal(&outcomes->changed);
    (void)pthread_mutex_unlock(&outcomes->mutex);
    (void)pthread_join(outcomes->thread, NULL);
    (void)pthread_mutex_destroy(&outcomes->mutex);
    (void)pthread_cond_destroy(&outcomes->changed);
    free(outcomes);
}
