#include "console/submitter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "normalize.h"
#include "producer.h"

#define UNDER_WAY_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define RENEW_AFTER_MS      INT64_C(1000)
#define END_WITHIN_MS       INT64_C(10000)
#define LOOK_EVERY_MS       INT64_C(100)

struct submitter {
    struct settings settings; /* a copy with properties of its own; the texts are borrowed */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct parcel *first; /* those that wait to be sent */
    struct parcel **last;
    size_t bytes; /* of all that are not done */
    bool ending;
    int64_t end_by_ms; /* when it is ending */

    /* the thread's own */
    struct producer *producer; /* NULL: could not be made, or is to be made anew */
    struct normalizer *normalizer;
    struct parcel_item *sent; /* and not reported */
    int64_t made_ms;
    int64_t looked_ms; /* for those that are late */
};

/* ---- in the submitter's thread ------------------------------------------------------------------------- */

static void finish(struct submitter *submitter, struct parcel *parcel)
{
    (void)pthread_mutex_lock(&submitter->mutex);
    submitter->bytes -= parcel->bytes;
    (void)pthread_mutex_unlock(&submitter->mutex);
    parcel->done(parcel);
}

static void report(struct submitter *submitter, struct parcel_item *item, const struct fault *fault)
{
    item->reported = true;
    item->fault = *fault;
    if (--item->parcel->left == 0) finish(submitter, item->parcel);
}

static void begin_sent(struct submitter *submitter, struct parcel_item *item)
{
    item->next_sent = submitter->sent;
    item->sent_link = &submitter->sent;
    if (item->next_sent != NULL) item->next_sent->sent_link = &item->next_sent;
    submitter->sent = item;
}

static void end_sent(struct parcel_item *item)
{
    *item->sent_link = item->next_sent;
    if (item->next_sent != NULL) item->next_sent->sent_link = item->sent_link;
}

static void on_report(void *context, const struct delivery *delivery)
{
    struct submitter *submitter = context;
    struct parcel_item *item = delivery->opaque;
    item->partition = delivery->partition;
    item->offset = delivery->offset;
    end_sent(item);
    report(submitter, item, delivery->fault);
}

/* Returns the key; it is borrowed from the item or the normalizer. */
static struct slice judge(struct submitter *submitter, struct parcel_item *item, int64_t timestamp_ms)
{
    struct record record = {.timestamp_ms = timestamp_ms, .value = item->value, .headers = item->headers};
    parcel_item_judge(item, submitter->normalizer, &record);
    return item->key_from_value ? normalizer_client(submitter->normalizer) : item->key;
}

static void send(struct submitter *submitter, struct parcel_item *item)
{
    struct fault fault;
    int64_t timestamp_ms = item->timestamp_ms > 0 ? item->timestamp_ms : clock_wall_ms();
    struct slice key = judge(submitter, item, timestamp_ms);
    /* the timestamp by which the event was judged goes with it: it may be part of the hash (D-1) */
    struct outgoing message = {.key = key,
                               .value = item->value,
                               .headers = item->headers,
                               .timestamp_ms = timestamp_ms,
                               .partition = -1,
                               .opaque = item};
    begin_sent(submitter, item);
    if (producer_send(submitter->producer, &message, &fault)) return;
    end_sent(item);
    report(submitter, item, &fault);
}

/* What it does not report when it ends it never will: those wait no longer. */
static void end_producer(struct submitter *submitter)
{
    struct fault fault;
    fault_set(&fault, STATUS_RETRY, "send", "the Kafka producer ended before Kafka acknowledged the message");
    producer_free(submitter->producer);
    submitter->producer = NULL;
    for (struct parcel_item *item; (item = submitter->sent) != NULL;) {
        end_sent(item);
        report(submitter, item, &fault);
    }
}

/* A producer that met a fatal error takes nothing any more, and may report nothing (librdkafka 2.0.2, issue
 * 4438). */
static void end_fatal_producer(struct submitter *submitter)
{
    if (submitter->producer == NULL || !producer_is_fatal(submitter->producer) ||
        clock_now_ms() - submitter->made_ms <= RENEW_AFTER_MS)
        return;
    log_line(LOG_LEVEL_WARNING, "producer_renewed",
             "the Kafka producer met a fatal error: another one is made");
    end_producer(submitter);
}

static bool have_producer(struct submitter *submitter, struct fault *ret_fault)
{
    end_fatal_producer(submitter);
    if (submitter->producer != NULL) return true;
    submitter->made_ms = clock_now_ms();
    return producer_new(&submitter->settings, submitter->settings.topic, on_report, submitter,
                        &submitter->producer, ret_fault);
}

static void send_parcel(struct submitter *submitter, struct parcel *parcel)
{
    struct fault fault;
    bool able = have_producer(submitter, &fault);
    parcel->left = parcel->count;
    for (size_t i = 0, count = parcel->count; i < count; i++) {
        struct parcel_item *item = &parcel->items[i];
        item->parcel = parcel;
        if (able)
            send(submitter, item);
        else
            report(submitter, item, &fault);
    }
}

/* Takes what waits; sleeps while there is nothing to do. False at the end. */
static bool take(struct submitter *submitter, struct parcel **ret_first)
{
    (void)pthread_mutex_lock(&submitter->mutex);
    while (submitter->first == NULL && submitter->sent == NULL && !submitter->ending)
        (void)pthread_cond_wait(&submitter->changed, &submitter->mutex);
    *ret_first = submitter->first;
    submitter->first = NULL;
    submitter->last = &submitter->first;
    bool goes_on = !submitter->ending || *ret_first != NULL ||
                   (submitter->sent != NULL && clock_now_ms() < submitter->end_by_ms);
    (void)pthread_mutex_unlock(&submitter->mutex);
    return goes_on;
}

/* Those that have waited too long for Kafka are told of it; they go on waiting. */
static void tell_late(struct submitter *submitter)
{
    int64_t now_ms = clock_now_ms();
    if (now_ms < submitter->looked_ms + LOOK_EVERY_MS) return;
    submitter->looked_ms = now_ms;
    for (struct parcel_item *item = submitter->sent; item != NULL; item = item->next_sent) {
        struct parcel *parcel = item->parcel;
        if (parcel->send_by_ms == 0 || now_ms < parcel->send_by_ms) continue;
        parcel->send_by_ms = 0;
        parcel->late(parcel);
    }
}

static void *run(void *context)
{
    struct submitter *submitter = context;
    for (struct parcel *first; take(submitter, &first);) {
        while (first != NULL) {
            struct parcel *next = first->next; /* the parcel may be gone when it was sent */
            send_parcel(submitter, first);
            first = next;
        }
        if (submitter->sent != NULL) (void)producer_serve(submitter->producer, 1);
        tell_late(submitter);
        end_fatal_producer(submitter);
    }
    end_producer(submitter);
    return NULL;
}

/* ---- for all others ------------------------------------------------------------------------------------ */

/* In front of the user's, which win: an answer is waited for, so it must come soon. */
static void set_properties(struct submitter *submitter, const struct settings *settings)
{
    static char *const own[][2] = {{"linger.ms", "2"}, {"message.timeout.ms", "10000"}};
    struct settings *copy = &submitter->settings;
    *copy = *settings;
    copy->kafka = calloc(settings->kafka_count + ARRAY_COUNT(own), sizeof *copy->kafka);
    if (copy->kafka == NULL) abort();
    for (size_t i = 0; i < ARRAY_COUNT(own); i++)
        copy->kafka[i] = (struct kafka_property){own[i][0], own[i][1]};
    if (settings->kafka_count > 0)
        memcpy(copy->kafka + ARRAY_COUNT(own), settings->kafka, settings->kafka_count * sizeof *copy->kafka);
    copy->kafka_count += ARRAY_COUNT(own);
}

bool submitter_new(const struct settings *settings, struct submitter **ret_submitter, struct fault *ret_fault)
{
    struct submitter *submitter = calloc(1, sizeof *submitter);
    if (submitter == NULL || pthread_mutex_init(&submitter->mutex, NULL) != 0 ||
        pthread_cond_init(&submitter->changed, NULL) != 0)
        abort();
    set_properties(submitter, settings);
    submitter->last = &submitter->first;
    submitter->normalizer = normalizer_new((size_t)settings->event_bytes_max);
    if (!have_producer(submitter, ret_fault)) {
        free(submitter->settings.kafka);
        normalizer_free(submitter->normalizer);
        free(submitter);
        return false;
    }
    if (pthread_create(&submitter->thread, NULL, run, submitter) != 0) abort();
    *ret_submitter = submitter;
    return true;
}

static size_t weigh(struct parcel *parcel)
{
    parcel->bytes = sizeof *parcel + parcel->count * sizeof *parcel->items;
    for (size_t i = 0; i < parcel->count; i++) parcel->bytes += parcel->items[i].value.size;
    return parcel->bytes;
}

bool submitter_send(struct submitter *submitter, struct parcel *parcel)
{
    size_t bytes = weigh(parcel);
    (void)pthread_mutex_lock(&submitter->mutex);
    bool room = submitter->bytes + bytes <= UNDER_WAY_BYTES_MAX && !submitter->ending;
    if (room) {
        submitter->bytes += bytes;
        parcel->next = NULL;
        *submitter->last = parcel;
        submitter->last = &parcel->next;
        (void)pthread_cond_signal(&submitter->changed);
    }
    (void)pthread_mutex_unlock(&submitter->mutex);
    return room;
}

bool submitter_send_and_wait(struct submitter *submitter, struct parcel *parcel)
{
    struct parcel_waiter waiter;
    parcel_wait_begin(&waiter, parcel);
    bool sent = submitter_send(submitter, parcel);
    if (sent)
        parcel_wait_end(&waiter);
    else
        parcel_wait_drop(&waiter);
    return sent;
}

void submitter_free(struct submitter *submitter)
{
    if (submitter == NULL) return;
    (void)pthread_mutex_lock(&submitter->mutex);
    submitter->ending = true;
    submitter->end_by_ms = clock_now_ms() + END_WITHIN_MS;
    (void)pthread_cond_signal(&submitter->changed);
    (void)pthread_mutex_unlock(&submitter->mutex);
    (void)pthread_join(submitter->thread, NULL);
    normalizer_free(submitter->normalizer);
    (void)pthread_mutex_destroy(&submitter->mutex);
    (void)pthread_cond_destroy(&submitter->changed);
    free(submitter->settings.kafka);
    free(submitter);
}
