#include "console/parcel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "instant.h"
#include "json.h"
#include "normalize.h"

static const char *const state_names[] = {
    [STATE_NOT_SEEN] = "not_seen",   [STATE_PROCESSING] = "processing", [STATE_COMPLETED] = "completed",
    [STATE_DUPLICATE] = "duplicate", [STATE_FAILED] = "failed",
};

static const char *const state_messages[] = {
    [STATE_NOT_SEEN] = "Event acknowledged by Kafka, no worker has read it yet",
    [STATE_PROCESSING] = "Event acknowledged by Kafka, not processed yet",
    [STATE_COMPLETED] = "Event stored",
    [STATE_DUPLICATE] = "Event already processed (duplicate detected)",
    [STATE_FAILED] = "Event failed and was set aside",
};

const char *message_state_name(enum message_state state)
{
    return state_names[state];
}

enum message_state message_state_read(const char *name)
{
    for (int state = STATE_NOT_SEEN; state <= STATE_FAILED; state++) {
        if (strcmp(state_names[state], name) == 0) return (enum message_state)state;
    }
    return STATE_NOT_SEEN;
}

struct parcel *parcel_new(size_t count)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL) abort();
    parcel->items = calloc(count, sizeof *parcel->items);
    if (parcel->items == NULL) abort();
    parcel->count = count;
    return parcel;
}

void parcel_free(struct parcel *parcel)
{
    if (parcel == NULL) return;
    for (size_t i = 0; i < parcel->count; i++) buffer_done(&parcel->items[i].names);
    free(parcel->items);
    free(parcel);
}

static void on_done(struct parcel *parcel)
{
    struct parcel_waiter *waiter = parcel->context;
    (void)pthread_mutex_lock(&waiter->mutex);
    waiter->done = true;
    (void)pthread_cond_signal(&waiter->changed);
    (void)pthread_mutex_unlock(&waiter->mutex);
}

void parcel_wait_begin(struct parcel_waiter *waiter, struct parcel *parcel)
{
    *waiter = (struct parcel_waiter){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    parcel->context = waiter;
    parcel->done = on_done;
}

void parcel_wait_end(struct parcel_waiter *waiter)
{
    (void)pthread_mutex_lock(&waiter->mutex);
    while (!waiter->done) (void)pthread_cond_wait(&waiter->changed, &waiter->mutex);
    (void)pthread_mutex_unlock(&waiter->mutex);
    parcel_wait_drop(waiter);
}

void parcel_wait_drop(struct parcel_waiter *waiter)
{
    (void)pthread_mutex_destroy(&waiter->mutex);
    (void)pthread_cond_destroy(&waiter->changed);
}

const struct fault *parcel_fault(const struct parcel *parcel)
{
    for (size_t i = 0; i < parcel->count; i++) {
        if (parcel->items[i].fault.status != STATUS_OK) return &parcel->items[i].fault;
    }
    return NULL;
}

static void keep_event(struct parcel_item *item, const struct event *event)
{
    memcpy(item->hash, event->hash, sizeof item->hash);
    item->time_us = event->time_us;
    item->bucket_us = event->bucket_us;
    item->amount = event->amount;
    buffer_clear(&item->names);
    (void)buffer_add(&item->names, event->client_id.data, event->client_id.size);
    (void)buffer_add(&item->names, "", 1);
    item->metric_at = buffer_add(&item->names, event->metric.data, event->metric.size);
    (void)buffer_add(&item->names, "", 1);
}

void parcel_item_judge(struct parcel_item *item, struct normalizer *normalizer, const struct record *record)
{
    static const struct client_rules rules;
    struct event event;
    item->accepted = normalize(normalizer, record, &rules, &event, &item->reject) == STATUS_OK;
    if (item->accepted) keep_event(item, &event);
}

void parcel_item_print_event(const struct parcel_item *item, struct buffer *out, const char *name)
{
    char amount[DECIMAL_TEXT_SIZE];
    char when[INSTANT_TEXT_SIZE];
    char hash[IDENTITY_TEXT_SIZE];
    if (!item->accepted) {
        json_null(out, name);
        return;
    }
    (void)decimal_print(&item->amount, amount);
    (void)instant_print(item->time_us, when);
    identity_print(item->hash, hash);
    json_name(out, name);
    json_open(out, '{');
    json_text(out, "client_id", item->names.data);
    json_text(out, "metric", item->names.data + item->metric_at);
    json_text(out, "amount", amount);
    json_text(out, "timestamp", when);
    json_text(out, "event_hash", hash);
    json_close(out, '}');
}

void parcel_item_print_origin(const struct parcel_item *item, struct buffer *out)
{
    if (item->duplicate_topic[0] == '\0') {
        json_null(out, "duplicate_of");
        return;
    }
    json_name(out, "duplicate_of");
    json_open(out, '{');
    json_text(out, "topic", item->duplicate_topic);
    json_int(out, "partition", item->duplicate_partition);
    json_int(out, "offset", item->duplicate_offset);
    json_close(out, '}');
}

static void print_state_url(const struct parcel_item *item, struct buffer *out)
{
    char url[200];
    char when[INSTANT_TEXT_SIZE];
    char hash[IDENTITY_TEXT_SIZE];
    int size =
        snprintf(url, sizeof url, "/api/v1/messages/%" PRId32 "/%" PRId64, item->partition, item->offset);
    if (item->accepted) {
        (void)instant_print(item->time_us, when);
        identity_print(item->hash, hash);
        (void)snprintf(url + size, sizeof url - (size_t)size, "?event_hash=%s&event_time=%s", hash, when);
    }
    json_text(out, "state_url", url);
}

void parcel_item_print(const struct parcel_item *item, const char *topic, struct buffer *out,
                       const char *name)
{
    char hash[IDENTITY_TEXT_SIZE];
    enum message_state state = item->known ? item->state : STATE_PROCESSING;
    json_name(out, name);
    json_open(out, '{');
    json_text(out, "topic", topic);
    json_int(out, "partition", item->partition);
    json_int(out, "offset", item->offset);
    if (item->accepted) identity_print(item->hash, hash);
    json_text(out, "event_hash", item->accepted ? hash : NULL);
    parcel_item_print_event(item, out, "event");
    json_text(out, "state", state_names[state]);
    json_text(out, "message", state_messages[state]);
    parcel_item_print_origin(item, out);
    /* before a worker has seen it, what normalization says of it here holds */
    bool told = item->reason[0] != '\0';
    json_text(out, "reason", told ? item->reason : item->accepted ? NULL : reject_name(item->reject.reason));
    json_text(out, "detail", told ? item->detail : item->accepted ? NULL : item->reject.detail);
    print_state_url(item, out);
    json_close(out, '}');
}
