#include "console/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "console/call_state.h"
#include "console/console.h"
#include "console/work.h"
#include "log.h"

#define PATIENCE_MS   10000            /* with a client, until it has taken */
#define TAKEN_LEAST   (CALL_CHUNK / 2) /* so much more */
#define RETRY_AFTER_S "1"

/* What a finished answer may take: 30 s, and 1 s for each 16 kB. */
#define TAKING_MS         INT64_C(30000)
#define TAKING_BYTES_A_MS 16

const char *const call_header_names[CALL_HEADER_COUNT] = {
    "Accept",         "Accept-Encoding", "Authorization",  "Content-Encoding",
    "Content-Length", "Content-Type",    "Host",           "If-None-Match",
    "Last-Event-ID",  "Origin",          "Sec-Fetch-Site", "Winnow-Simulate-Failure",
};

struct call *call_new(struct console *console, const char *target)
{
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL || pthread_mutex_init(&call->mutex, NULL) != 0 ||
        pthread_cond_init(&call->taken, NULL) != 0)
        abort();
    call->console = console;
    call->references = 1;
    call->begun_ms = clock_now_ms();
    uri_init(&call->uri, target);
    return call;
}

/* Those of the answer. */
static void forget_headers(struct call *call)
{
    for (size_t i = 0; i < call->header_count; i++) {
        free(call->header_names[i]);
        free(call->header_values[i]);
    }
    call->header_count = 0;
}

static void free_call(struct call *call)
{
    uri_done(&call->uri);
    for (size_t i = 0; i < CALL_HEADER_COUNT; i++) free(call->headers[i]);
    for (size_t i = 0; i < ROUTE_CAPTURES_MAX; i++) free(call->captures[i]);
    forget_headers(call);
    buffer_done(&call->body);
    buffer_done(&call->bytes);
    (void)pthread_mutex_destroy(&call->mutex);
    (void)pthread_cond_destroy(&call->taken);
    free(call);
}

void call_hold(struct call *call)
{
    (void)pthread_mutex_lock(&call->mutex);
    call->references++;
    (void)pthread_mutex_unlock(&call->mutex);
}

void call_release(struct call *call)
{
    (void)pthread_mutex_lock(&call->mutex);
    bool last = --call->references == 0;
    (void)pthread_mutex_unlock(&call->mutex);
    if (last) free_call(call);
}

void call_sleep(struct call *call)
{
    call->suspended = true;
    call->carrier.suspend(call->carrier.connection);
}

void call_wake(struct call *call)
{
    if (!call->suspended) return;
    call->suspended = false;
    call->carrier.resume(call->carrier.connection);
}

void call_limit(struct call *call)
{
    size_t left = call->bytes.size - call->read_at;
    int64_t time_ms = call->cut ? 0 : TAKING_MS + (int64_t)left / TAKING_BYTES_A_MS;
    if (!call->abandoned) call->carrier.set_deadline(call->carrier.connection, clock_now_ms() + time_ms);
}

void call_done(struct call *call)
{
    (void)pthread_mutex_lock(&call->mutex);
    call->finished = true;
    if (call->streaming) call_limit(call);
    call_wake(call);
    (void)pthread_mutex_unlock(&call->mutex);
}

bool call_push(struct call *call, const void *data, size_t size, size_t pending_max)
{
    (void)pthread_mutex_lock(&call->mutex);
    (void)buffer_add(&call->bytes, data, size);
    bool goes_on = !call->abandoned && call->bytes.size - call->read_at <= pending_max;
    call->streaming = true;
    call->cut |= !goes_on;
    call_wake(call);
    (void)pthread_mutex_unlock(&call->mutex);
    return goes_on;
}

void call_abandon(struct call *call)
{
    (void)pthread_mutex_lock(&call->mutex);
    call->abandoned = true;
    (void)pthread_cond_signal(&call->taken);
    (void)pthread_mutex_unlock(&call->mutex);
}

/* ---- what was asked ------------------------------------------------------------------------------------ */

const char *call_path(const struct call *call, size_t index)
{
    return call->captures[index];
}

const char *call_query(const struct call *call, const char *name)
{
    return uri_parameter(&call->uri, name);
}

const char *call_header(const struct call *call, const char *name)
{
    for (size_t i = 0; i < CALL_HEADER_COUNT; i++) {
        if (strcmp(call_header_names[i], name) == 0) return call->headers[i];
    }
    return NULL;
}

struct slice call_body(const struct call *call)
{
    return slice_of(call->body.data != NULL ? call->body.data : "", call->body.size);
}

const char *call_actor(const struct call *call)
{
    return call->actor;
}

struct console *call_console(const struct call *call)
{
    return call->console;
}

const struct settings *call_settings(const struct call *call)
{
    return call->console->settings;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

void call_answer(struct call *call, int status, const char *media_type)
{
    call->status = status;
    call->media_type = media_type;
    call->begun = true;
}

void call_answer_header(struct call *call, const char *name, const char *value)
{
    if (call->header_count == CALL_HEADERS_MAX) abort(); /* no handler has so many */
    char *name_copy = strdup(name);
    char *value_copy = strdup(value);
    if (name_copy == NULL || value_copy == NULL) abort();
    call->header_names[call->header_count] = name_copy;
    call->header_values[call->header_count++] = value_copy;
}

/* With the mutex held. Waits until the client took enough; false when it is too slow or gone. */
static bool await_room(struct call *call)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    size_t had = call->bytes.size - call->read_at;
    while (call->bytes.size - call->read_at > CALL_CHUNK && !call->abandoned) {
        if (clock_wait(&call->taken, &call->mutex, deadline_ms)) continue;
        if (had - (call->bytes.size - call->read_at) < TAKEN_LEAST) return false;
        had = call->bytes.size - call->read_at;
        deadline_ms = clock_now_ms() + PATIENCE_MS;
    }
    return !call->abandoned;
}

/* *ret_much: there is more than a chunk. False when the client is gone. */
static bool keep(struct call *call, const void *data, size_t size, bool *ret_much)
{
    (void)pthread_mutex_lock(&call->mutex);
    (void)buffer_add(&call->bytes, data, size);
    *ret_much = call->bytes.size - call->read_at > CALL_CHUNK;
    bool goes_on = !call->abandoned;
    (void)pthread_mutex_unlock(&call->mutex);
    return goes_on;
}

bool call_reserve_thread(struct call *call, int64_t wait_ms)
{
    if (work_reserve(call->thread, wait_ms)) return true;
    forget_headers(call);
    call_answer_header(call, "Retry-After", "5");
    call_refuse(
        call, &(struct refusal){
                  .problem = PROBLEM_TOO_MANY,
                  .detail = "half of the threads have answers that take long; the others are not for those"});
    return false;
}

void call_release_thread(struct call *call)
{
    work_release(call->thread);
}

static bool stream(struct call *call)
{
    (void)pthread_mutex_lock(&call->mutex);
    call->streaming = true;
    call_wake(call);
    bool goes_on = await_room(call);
    if (!goes_on) call->cut = true;
    (void)pthread_mutex_unlock(&call->mutex);
    return goes_on;
}

bool call_add(struct call *call, const void *data, size_t size)
{
    bool much;
    if (!keep(call, data, size, &much)) return false;
    return call->thread == NULL || !much || (call_reserve_thread(call, 0) && stream(call));
}

void call_answer_json(struct call *call, int status, const struct buffer *document)
{
    bool much; /* it is there whole, so no thread needs to wait while it is taken */
    call_answer(call, status, CALL_MEDIA_TYPE_JSON);
    (void)keep(call, document->data, document->size, &much);
}

void call_refuse(struct call *call, const struct refusal *refusal)
{
    struct buffer document = {0};
    problem_print(refusal, call->uri.path, &document);
    call_answer(call, problem_status(refusal->problem), "application/problem+json");
    (void)pthread_mutex_lock(&call->mutex);
    buffer_clear(&call->bytes);
    (void)buffer_add(&call->bytes, document.data, document.size);
    (void)pthread_mutex_unlock(&call->mutex);
    buffer_done(&document);
}

static void cut(struct call *call)
{
    (void)pthread_mutex_lock(&call->mutex);
    call->cut = true;
    (void)pthread_mutex_unlock(&call->mutex);
}

void call_fail(struct call *call, enum problem problem, const struct fault *fault)
{
    bool transient = fault->status == STATUS_RETRY;
    log_line(transient ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "request_failed", "%s %.*s: %s: %s",
             call->method, (int)call->uri.path.size, call->uri.path.data, fault->site, fault->text);
    (void)pthread_mutex_lock(&call->mutex);
    bool streaming = call->streaming;
    (void)pthread_mutex_unlock(&call->mutex);
    if (streaming) {
        cut(call);
        return;
    }
    forget_headers(call); /* those of what was to be answered */
    if (transient) call_answer_header(call, "Retry-After", RETRY_AFTER_S);
    call_refuse(call,
                &(struct refusal){.problem = transient ? problem : PROBLEM_INTERNAL, .detail = fault->text});
}

/* What Kafka does not take for its own sake (it is too long for the brokers, most likely) is the client's. */
void call_fail_sending(struct call *call, const struct fault *fault)
{
    if (fault->status == STATUS_REJECT)
        call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_BODY, .detail = fault->text});
    else
        call_fail(call, PROBLEM_KAFKA, fault);
}

void call_fail_late(struct call *call, int64_t waited_ms)
{
    struct fault fault;
    fault_set(
        &fault, STATUS_RETRY, "send",
        "Kafka has not acknowledged this in %lld ms and may still take it; sending it again is safe: an "
        "event is stored once",
        (long long)waited_ms);
    call_fail(call, PROBLEM_KAFKA, &fault);
}

/* ---- PostgreSQL ---------------------------------------------------------------------------------------- */

struct database *call_database(struct call *call, enum session_kind kind)
{
    struct fault fault;
    struct database *database = work_database(call->thread, kind, &fault);
    if (database == NULL) call_fail(call, PROBLEM_DATABASE, &fault);
    return database;
}

bool call_run(struct call *call, enum session_kind kind, const char *sql,
              const struct sql_parameter *parameters, size_t count, struct rows **ret_rows)
{
    struct fault fault;
    for (int attempt = 0;; attempt++) {
        bool kept = work_has_database(call->thread, kind);
        struct database *database = call_database(call, kind);
        if (database == NULL) return false;
        if (database_run(database, "query", sql, parameters, count, ret_rows, &fault)) return true;
        bool again = kept && attempt == 0 && kind == SESSION_READ && !database_is_alive(database);
        if (!again) break;
    }
    call_fail(call, PROBLEM_DATABASE, &fault);
    return false;
}
