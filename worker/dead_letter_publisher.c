/* A thread that goes round: are there letters? is their topic there? take some, send them, write down what
 * became of them. It asks before it takes, so that while the topic or the brokers are away nothing is written
 * to the table, and what it waits for then is a back-off from 1 s to 30 s. Whatever went wrong, the producer
 * is made anew afterwards: that mends a fatal error of the idempotent producer (librdkafka issue 4438) and a
 * topic that librdkafka holds to be forbidden for good. */
#include "dead_letter_publisher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "database.h"
#include "dead_letter_lease.h"
#include "log.h"
#include "producer.h"
#include "reject.h"
#include "stuck_sessions.h"

#define SWEEP_MS             INT64_C(5000) /* between looks at the table when nobody pokes */
#define SWEEP_JITTER_MS      INT64_C(2000)
#define GATHER_MS            INT64_C(200) /* after a poke, so that letters of several batches go together */
#define RETRY_FLOOR_MS       INT64_C(1000)
#define RETRY_CEILING_MS     INT64_C(30000)
#define TOPIC_TIMEOUT_MS     5000
#define SEND_MS              INT64_C(20000) /* of a lease of 30 s */
#define MARK_PAUSE_MS        INT64_C(500)
#define STATEMENT_TIMEOUT_MS 10000
#define COUNT_PAUSE_MS       INT64_C(4000)  /* between looks at how many letters wait */
#define PRODUCER_IDLE_MS     INT64_C(60000) /* an unused producer is closed after that */

struct publisher {
    const struct settings *settings;
    struct metrics *metrics;
    pthread_t thread;
    int wake_fd;
    _Atomic bool stopping;
    _Atomic int64_t stop_deadline_ms;
    /* of the thread alone: */
    struct database *database;
    struct producer *producer;
    int64_t producer_used_ms;
    bool topic_is_there;
    struct backoff backoff;
    struct fault trouble; /* what is wrong with the topic or the database; STATUS_OK: nothing */
    bool trouble_told;    /* at a level that a person reads */
    struct lease lease;
    struct buffer headers;
    int64_t counted_ms; /* when waiting letters were counted last; 0: never */
};

/* ---- telling ------------------------------------------------------------------------------------------ */

/* Logs when the kind of trouble changes, not at every attempt. A database that is away is the worker's to
 * tell. */
static void tell_trouble(struct publisher *publisher, const struct fault *fault)
{
    const struct fault *before = &publisher->trouble;
    bool same = before->status == fault->status && before->code == fault->code &&
                strcmp(before->sqlstate, fault->sqlstate) == 0 && before->site != NULL &&
                strcmp(before->site, fault->site) == 0;
    bool of_database =
        publisher->database == NULL || !database_is_alive(publisher->database) || fault->sqlstate[0] != '\0';
    enum log_level level =
        same || (of_database && fault->status == STATUS_RETRY) ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING;
    log_line(level, "dead_letters_waiting",
             "dead letters stay in winnow.dead_letter until they can be published to \"%s\": %s: %s",
             publisher->settings->dead_letter_topic, fault->site, fault->text);
    publisher->trouble = *fault;
    if (level == LOG_LEVEL_WARNING) publisher->trouble_told = true;
}

static void tell_recovery(struct publisher *publisher)
{
    backoff_reset(&publisher->backoff);
    if (publisher->trouble.status == STATUS_OK) return;
    publisher->trouble = (struct fault){.status = STATUS_OK};
    if (!publisher->trouble_told) return;
    publisher->trouble_told = false;
    log_line(LOG_LEVEL_INFO, "dead_letters_published", "dead letters are published to \"%s\" again",
             publisher->settings->dead_letter_topic);
}

/* ---- the two connections ------------------------------------------------------------------------------ */

static bool open_database(struct publisher *publisher, struct fault *ret_fault)
{
    if (publisher->database != NULL && database_is_alive(publisher->database)) return true;
    database_close(publisher->database);
    publisher->database = NULL;
    struct database_options options = {
        .conninfo = publisher->settings->database,
        .application_name = "winnow publisher",
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
    };
    return database_open(&options, &publisher->database, ret_fault);
}

static void close_producer(struct publisher *publisher)
{
    publisher->topic_is_there = false;
    producer_free(publisher->producer);
    publisher->producer = NULL;
}

/* What became of one message: the producer tells it while it is sent, served or freed. */
static void on_report(void *context, const struct delivery *delivery)
{
    struct publisher *publisher = context;
    struct letter *letter = delivery->opaque;
    enum status status = delivery->fault->status;
    letter->state = status == STATUS_OK       ? LETTER_PUBLISHED
                    : delivery->untimely      ? LETTER_UNTIMELY
                    : status == STATUS_REJECT ? LETTER_TOO_LARGE
                                              : LETTER_WAITING;
    (void)reject_escape(slice_of_text(delivery->fault->text), letter->error, sizeof letter->error);
    bool topic_at_fault = status != STATUS_OK && status != STATUS_REJECT;
    if (topic_at_fault && publisher->topic_is_there) {
        publisher->topic_is_there = false;
        tell_trouble(publisher, delivery->fault);
    }
}

/* A producer whose topic answered. */
static bool open_producer(struct publisher *publisher, struct fault *ret_fault)
{
    const struct settings *settings = publisher->settings;
    int32_t partition_count = 0;
    publisher->producer_used_ms = clock_now_ms();
    if (publisher->topic_is_there && !producer_is_fatal(publisher->producer)) return true;
    close_producer(publisher);
    if (!producer_new(settings, settings->dead_letter_topic, on_report, publisher, &publisher->producer,
                      ret_fault))
        return false;
    if (!producer_check_topic(publisher->producer, TOPIC_TIMEOUT_MS, &partition_count, ret_fault)) {
        close_producer(publisher);
        return false;
    }
    publisher->topic_is_there = true;
    return true;
}

/* ---- one round ---------------------------------------------------------------------------------------- */

/* Until when messages of this lease may be under way. */
static int64_t send_deadline_ms(const struct publisher *publisher)
{
    int64_t deadline_ms = publisher->lease.deadline_ms - LEASE_MS + SEND_MS;
    int64_t stop_deadline_ms = atomic_load(&publisher->stop_deadline_ms);
    return stop_deadline_ms < deadline_ms ? stop_deadline_ms : deadline_ms;
}

static void send_letter(struct publisher *publisher, struct letter *letter)
{
    buffer_clear(&publisher->headers);
    dead_letter_headers(&publisher->headers, &letter->origin, letter->omission);
    bool whole = letter->omission == OMIT_NOTHING || letter->value.data == NULL; /* a tombstone stays one */
    struct outgoing message = {
        .key = letter->omission == OMIT_ORIGINAL ? slice_of(NULL, 0) : letter->key,
        .value = whole ? letter->value : slice_of("", 0),
        .headers = slice_of(publisher->headers.data, publisher->headers.size),
        .timestamp_ms = letter->untimed ? 0 : letter->origin.timestamp_ms,
        .partition = -1,
        .opaque = letter,
    };
    struct fault fault;
    if (producer_send(publisher->producer, &message, &fault)) return;
    on_report(publisher, &(struct delivery){.opaque = letter, .fault = &fault});
}

/* Waits for the reports. At the deadline the producer is freed, which reports the rest as failed. */
static void await_reports(struct publisher *publisher)
{
    while (producer_serve(publisher->producer, 100) > 0) {
        if (clock_now_ms() < send_deadline_ms(publisher)) continue;
        struct fault fault;
        fault_set(&fault, STATUS_RETRY, "produce", "the brokers acknowledged nothing in time");
        tell_trouble(publisher, &fault);
        close_producer(publisher);
        return;
    }
}

/* False when there is nothing left that could be left out. */
static bool leave_out_more(struct letter *letter)
{
    if (letter->state == LETTER_UNTIMELY) {
        bool timed = !letter->untimed;
        letter->untimed = true;
        return timed;
    }
    if (letter->omission == OMIT_ORIGINAL) return false;
    letter->omission++;
    return true;
}

/* Letters that were refused, one by one: the broker refuses a whole request, so at first as it is, and then
 * less of it each time. */
static void send_less(struct publisher *publisher, struct letter *letter)
{
    while (letter_is_refused(letter) && publisher->topic_is_there) {
        send_letter(publisher, letter);
        await_reports(publisher);
        if (letter_is_refused(letter) && !leave_out_more(letter)) return;
    }
}

static void send_lease(struct publisher *publisher)
{
    struct lease *lease = &publisher->lease;
    for (size_t i = 0; i < lease->count && publisher->topic_is_there; i++)
        send_letter(publisher, &lease->letters[i]);
    await_reports(publisher);
    for (size_t i = 0; i < lease->count; i++) send_less(publisher, &lease->letters[i]);
}

/* Writes down what became of the letters, and goes on trying as long as the lease lasts: else they are sent
 * twice. */
static bool mark_lease(struct publisher *publisher, struct fault *ret_fault)
{
    struct lease *lease = &publisher->lease;
    for (;;) {
        if (open_database(publisher, ret_fault) &&
            lease_mark(publisher->database, publisher->settings, lease, ret_fault))
            return true;
        int64_t deadline_ms = atomic_load(&publisher->stop_deadline_ms);
        if (lease->deadline_ms < deadline_ms) deadline_ms = lease->deadline_ms;
        if (ret_fault->status != STATUS_RETRY || clock_now_ms() + MARK_PAUSE_MS > deadline_ms) return false;
        (void)poll(NULL, 0, (int)MARK_PAUSE_MS);
    }
}

enum round {
    ROUND_EMPTY,   /* nothing to do */
    ROUND_MORE,    /* letters went out: look again at once */
    ROUND_TROUBLE, /* told already, or in *ret_fault */
};

static enum round publish_lease(struct publisher *publisher, struct fault *ret_fault)
{
    struct lease *lease = &publisher->lease;
    if (!lease_take(publisher->database, publisher->settings, lease, ret_fault)) return ROUND_TROUBLE;
    if (lease->count == 0) {
        /* Taken by another publisher just now, or by one that froze and holds them without a lease. */
        stuck_sessions_end(publisher->database, "dead letters");
        return ROUND_EMPTY;
    }
    send_lease(publisher);
    if (!mark_lease(publisher, ret_fault)) return ROUND_TROUBLE;
    if (publisher->topic_is_there) return ROUND_MORE;
    *ret_fault = publisher->trouble;
    return ROUND_TROUBLE;
}

/* For the metrics, now and then. */
static bool count_waiting(struct publisher *publisher, struct fault *ret_fault)
{
    int64_t now_ms = clock_now_ms();
    int64_t count = 0;
    int64_t oldest_ms = 0;
    if (publisher->counted_ms != 0 && now_ms - publisher->counted_ms < COUNT_PAUSE_MS) return true;
    if (!lease_count_waiting(publisher->database, publisher->settings, UNPUBLISHED_MAX, &count, &oldest_ms,
                             ret_fault))
        return false;
    publisher->counted_ms = now_ms;
    metrics_set(&publisher->metrics->unpublished, count);
    metrics_set(&publisher->metrics->unpublished_oldest_ms, oldest_ms);
    metrics_set(&publisher->metrics->unpublished_at_ms, clock_wall_ms());
    return true;
}

static enum round play_round(struct publisher *publisher, struct fault *ret_fault)
{
    bool wanted = false;
    if (!open_database(publisher, ret_fault) || !count_waiting(publisher, ret_fault) ||
        !lease_is_wanted(publisher->database, publisher->settings, &wanted, ret_fault))
        return ROUND_TROUBLE;
    if (!wanted) return ROUND_EMPTY;
    if (!open_producer(publisher, ret_fault)) return ROUND_TROUBLE;
    enum round round = publish_lease(publisher, ret_fault);
    lease_done(&publisher->lease);
    return round;
}

/* ---- the thread --------------------------------------------------------------------------------------- */

/* True when somebody poked, or asked to stop. */
static bool wait_for_poke(struct publisher *publisher, int64_t wait_ms)
{
    struct pollfd wake = {.fd = publisher->wake_fd, .events = POLLIN};
    if (poll(&wake, 1, (int)wait_ms) <= 0) return false;
    uint64_t pokes;
    return read(publisher->wake_fd, &pokes, sizeof pokes) == (ssize_t)sizeof pokes;
}

/* Waits, and ends early when asked to stop, or by a poke where these count. */
static void pause_ms(struct publisher *publisher, int64_t wait_ms, bool pokes_count)
{
    int64_t deadline_ms = clock_now_ms() + wait_ms;
    int64_t left_ms;
    while (!atomic_load(&publisher->stopping) && (left_ms = deadline_ms - clock_now_ms()) > 0)
        if (wait_for_poke(publisher, left_ms) && pokes_count) return;
}

static void rest(struct publisher *publisher)
{
    int64_t now_ms = clock_now_ms();
    if (publisher->producer != NULL && now_ms - publisher->producer_used_ms > PRODUCER_IDLE_MS)
        close_producer(publisher);
    int64_t jitter_ms =
        (now_ms + getpid() * INT64_C(769)) % SWEEP_JITTER_MS; /* workers should not come together */
    pause_ms(publisher, SWEEP_MS + jitter_ms, true);
    pause_ms(publisher, GATHER_MS, false);
}

static void *run(void *argument)
{
    struct publisher *publisher = argument;
    while (!atomic_load(&publisher->stopping)) {
        struct fault fault = {.status = STATUS_OK};
        switch (play_round(publisher, &fault)) {
        case ROUND_EMPTY:
            tell_recovery(publisher);
            rest(publisher);
            break;
        case ROUND_MORE:
            tell_recovery(publisher);
            break;
        case ROUND_TROUBLE:
            tell_trouble(publisher, &fault);
            close_producer(publisher);
            pause_ms(publisher, backoff_next_ms(&publisher->backoff), false);
            break;
        }
    }
    close_producer(publisher);
    database_close(publisher->database);
    return NULL;
}

/* Signals are for the main thread. */
static void start_thread(struct publisher *publisher)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) abort();
    if (pthread_create(&publisher->thread, NULL, run, publisher) != 0) abort();
    if (pthread_sigmask(SIG_SETMASK, &before, NULL) != 0) abort();
}

struct publisher *publisher_start(const struct settings *settings, struct metrics *metrics)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL) abort();
    publisher->settings = settings;
    publisher->metrics = metrics;
    publisher->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (publisher->wake_fd < 0) abort();
    atomic_init(&publisher->stop_deadline_ms, INT64_MAX);
    uint64_t seed = ((uint64_t)clock_wall_ms() * UINT64_C(2654435761) ^ (uint64_t)getpid() << 32) | 1;
    backoff_init(&publisher->backoff, RETRY_FLOOR_MS, RETRY_CEILING_MS, seed);
    start_thread(publisher);
    return publisher;
}

void publisher_poke(struct publisher *publisher)
{
    uint64_t one = 1;
    ssize_t written = write(publisher->wake_fd, &one, sizeof one);
    (void)written; /* it fails only when it is poked already */
}

bool publisher_stop(struct publisher *publisher, int64_t timeout_ms)
{
    if (publisher == NULL) return true;
    atomic_store(&publisher->stop_deadline_ms, clock_now_ms() + timeout_ms);
    atomic_store(&publisher->stopping, true);
    publisher_poke(publisher);
    const struct timespec deadline = clock_timespec(clock_now_ms() + timeout_ms + 1000);
    if (pthread_clockjoin_np(publisher->thread, NULL, CLOCK_MONOTONIC, &deadline) != 0) return false;
    (void)close(publisher->wake_fd);
    buffer_done(&publisher->headers);
    free(publisher);
    return true;
}
