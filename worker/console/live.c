#include "console/live.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "console/call_state.h"
#include "console/console.h"
#include "console/live_sample.h"
#include "console/progress_print.h"
#include "console/routes.h"
#include "instant.h"
#include "json.h"
#include "settings_table.h"

#define EVERY_MS      1000
#define RETURN_MS     INT64_C(30000) /* who left is expected back for so long */
#define LISTENERS_MAX 64
#define KEPT_MAX      500                  /* messages for those who come back */
#define PENDING_MAX   ((size_t)512 * 1024) /* bytes that a listener did not take yet */

struct listener {
    struct call *call;
    size_t sample; /* messages a second at most */
};

struct kept {
    int64_t id;
    struct buffer text;
};

struct live {
    const struct settings *settings;
    struct progress *progress;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t changed;
    bool ending;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct kept kept[KEPT_MAX]; /* a ring */
    size_t kept_count;          /* of all; the last KEPT_MAX are there */
    int64_t wanted_until_ms;    /* the thread's own */
    int64_t last_id;            /* begins at the present in milliseconds: greater than any before a restart */
};

/* ---- events -------------------------------------------------------------------------------------------- */

static void print_event(struct buffer *out, int64_t id, const char *name, const struct buffer *data)
{
    setting_add(out, "id: %" PRId64 "\nevent: %s\ndata: ", id, name);
    (void)buffer_add(out, data->data, data->size);
    setting_add(out, "\n\n");
}

static void print_counters(const struct progress_snapshot *snapshot, struct buffer *out)
{
    char now[INSTANT_TEXT_SIZE];
    const struct progress_total total = progress_sum(snapshot);
    (void)instant_print(clock_wall_ms() * 1000, now);
    json_open(out, '{');
    json_text(out, "at", now);
    json_int(out, "read", total.offsets_read);
    json_int(out, "stored", total.stored);
    json_int(out, "duplicate", total.duplicate);
    json_int(out, "dead", total.dead);
    json_known(out, "lag", total.lag);
    json_seconds(out, "lag_seconds", total.lag_seconds);
    json_bool(out, "complete", total.complete);
    json_bool(out, "halted", total.halted);
    json_int(out, "failed_open", snapshot->failed_open);
    json_close(out, '}');
}

/* ---- in the thread, with the mutex held ---------------------------------------------------------------- */

static struct kept *keep(struct live *live, const struct buffer *data)
{
    struct kept *kept = &live->kept[live->kept_count++ % KEPT_MAX];
    kept->id = ++live->last_id;
    buffer_clear(&kept->text);
    print_event(&kept->text, kept->id, "message", data);
    return kept;
}

static void end_listener(struct live *live, size_t index)
{
    struct call *call = live->listeners[index].call;
    live->listeners[index] = live->listeners[--live->listener_count];
    call_done(call);
    call_release(call);
}

/* A listener that left or does not keep up loses its place; it may come back where it was. */
static void send_to_all(struct live *live, const struct buffer *text, size_t rank)
{
    for (size_t i = live->listener_count; i-- > 0;) {
        if (rank >= live->listeners[i].sample) continue;
        if (!call_push(live->listeners[i].call, text->data, text->size, PENDING_MAX)) end_listener(live, i);
    }
}

static void send_messages(struct live *live, const struct buffer *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) send_to_all(live, &keep(live, &texts[i])->text, i);
}

static void send_counters(struct live *live, const struct progress_snapshot *snapshot)
{
    struct buffer data = {0};
    struct buffer text = {0};
    if (snapshot->fault.status == STATUS_OK) {
        print_counters(snapshot, &data);
        print_event(&text, ++live->last_id, "counters", &data);
    } else {
        setting_add(&text, ": PostgreSQL does not answer\n\n");
    }
    for (size_t i = live->listener_count; i-- > 0;) {
        if (!call_push(live->listeners[i].call, text.data, text.size, PENDING_MAX)) end_listener(live, i);
    }
    buffer_done(&data);
    buffer_done(&text);
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

/* Somebody listens to messages, or did a moment ago and may come back for those that were missed. */
static bool is_wanted(struct live *live)
{
    const int64_t now_ms = clock_now_ms();
    (void)pthread_mutex_lock(&live->mutex);
    for (size_t i = 0; i < live->listener_count; i++) {
        if (live->listeners[i].sample > 0) live->wanted_until_ms = now_ms + RETURN_MS;
    }
    (void)pthread_mutex_unlock(&live->mutex);
    return now_ms < live->wanted_until_ms;
}

static void tick(struct live *live, struct live_sample *sample, struct buffer texts[LIVE_SAMPLE_MAX])
{
    size_t count = 0;
    struct progress_snapshot snapshot;
    progress_read(live->progress, &snapshot);
    if (is_wanted(live) && snapshot.fault.status == STATUS_OK)
        count = live_sample_look(sample, &snapshot, texts);
    else
        live_sample_skip(sample, &snapshot);
    (void)pthread_mutex_lock(&live->mutex);
    send_messages(live, texts, count);
    send_counters(live, &snapshot);
    (void)pthread_mutex_unlock(&live->mutex);
    progress_snapshot_done(&snapshot);
}

/* False at the end. */
static bool rest(struct live *live, int64_t until_ms)
{
    (void)pthread_mutex_lock(&live->mutex);
    while (!live->ending && clock_wait(&live->changed, &live->mutex, until_ms)) continue;
    bool goes_on = !live->ending;
    (void)pthread_mutex_unlock(&live->mutex);
    return goes_on;
}

static void *run(void *context)
{
    struct live *live = context;
    struct buffer texts[LIVE_SAMPLE_MAX] = {0};
    struct live_sample *sample = live_sample_new(live->settings);
    int64_t next_ms;
    do {
        next_ms = clock_now_ms() + EVERY_MS;
        tick(live, sample, texts);
    } while (rest(live, next_ms));
    live_sample_free(sample);
    for (size_t i = 0; i < LIVE_SAMPLE_MAX; i++) buffer_done(&texts[i]);
    return NULL;
}

struct live *live_new(const struct settings *settings, struct progress *progress)
{
    struct live *live = calloc(1, sizeof *live);
    if (live == NULL || pthread_mutex_init(&live->mutex, NULL) != 0 ||
        pthread_cond_init(&live->changed, NULL) != 0)
        abort();
    live->settings = settings;
    live->progress = progress;
    live->last_id = clock_wall_ms();
    if (pthread_create(&live->thread, NULL, run, live) != 0) abort();
    return live;
}

void live_end_all(struct live *live)
{
    (void)pthread_mutex_lock(&live->mutex);
    while (live->listener_count > 0) end_listener(live, 0);
    (void)pthread_mutex_unlock(&live->mutex);
}

void live_free(struct live *live)
{
    if (live == NULL) return;
    (void)pthread_mutex_lock(&live->mutex);
    live->ending = true;
    (void)pthread_cond_signal(&live->changed);
    (void)pthread_mutex_unlock(&live->mutex);
    (void)pthread_join(live->thread, NULL);
    while (live->listener_count > 0) end_listener(live, 0);
    for (size_t i = 0; i < KEPT_MAX; i++) buffer_done(&live->kept[i].text);
    (void)pthread_mutex_destroy(&live->mutex);
    (void)pthread_cond_destroy(&live->changed);
    free(live);
}

/* ---- the request --------------------------------------------------------------------------------------- */

/* What was missed, as far as it is kept; without Last-Event-ID nothing was. */
static void send_missed(const struct live *live, struct call *call, int64_t last_id)
{
    size_t begin = live->kept_count < KEPT_MAX ? 0 : live->kept_count - KEPT_MAX;
    for (size_t i = begin; i < live->kept_count; i++) {
        const struct kept *kept = &live->kept[i % KEPT_MAX];
        if (kept->id > last_id && !call_push(call, kept->text.data, kept->text.size, PENDING_MAX)) return;
    }
}

static bool read_last_id(struct call *call, int64_t *ret_last_id)
{
    const char *text = call_header(call, "Last-Event-ID");
    if (text == NULL || text[0] == '\0') return true;
    if (strlen(text) <= 18 && strspn(text, "0123456789") == strlen(text)) {
        *ret_last_id = strtoll(text, NULL, 10);
        return true;
    }
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                        .parameter = "Last-Event-ID",
                                        .in = "header",
                                        .found = slice_of_text(text),
                                        .expected = "the id of an event: at most 18 digits"});
    return false;
}

static void add_listener(struct live *live, struct call *call, size_t sample, int64_t last_id)
{
    static const char greeting[] = "retry: 1000\n\n";
    call_hold(call);
    call_answer(call, 200, "text/event-stream");
    /* one that has left already is noticed at the next event */
    if (call_push(call, greeting, sizeof greeting - 1, PENDING_MAX)) send_missed(live, call, last_id);
    live->listeners[live->listener_count++] = (struct listener){call, sample};
}

void handle_live(struct call *call)
{
    int64_t sample = 10;
    int64_t last_id = INT64_MAX;
    struct live *live = call->console->live;
    if (!call_query_integer(call, "sample", 0, LIVE_SAMPLE_MAX, &sample) || !read_last_id(call, &last_id)) {
        call_done(call);
        return;
    }
    (void)pthread_mutex_lock(&live->mutex);
    bool room = live->listener_count < LISTENERS_MAX && !live->ending;
    if (room) add_listener(live, call, (size_t)sample, last_id);
    (void)pthread_mutex_unlock(&live->mutex);
    if (room) return;
    call_answer_header(call, "Retry-After", "5");
    call_refuse(call,
                &(struct refusal){.problem = PROBLEM_TOO_MANY, .detail = "64 streams are open already"});
    call_done(call);
}
