/* A session begins with sink_connect(): the stream's row is found or made, the partitions of the table that
 * are known to exist are forgotten, APPLY is prepared. Whatever ends the session, the machine claims again
 * before it writes. */
#include "sink_postgres.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apply_parameters.h"
#include "clock.h"
#include "database.h"
#include "instant.h"
#include "log.h"
#include "metrics.h"
#include "sink_statements.h"
#include "stuck_sessions.h"

#define MONTH_COUNT    2760   /* 1970 .. 2199, instant_month() */
#define MONTH_RETRY_MS 300000 /* after a partition could not be made for a lock that others hold */
#define OWNER_SIZE     96

struct receipt {
    struct position *positions;
    size_t count;
    size_t capacity;
    int64_t stored;
    int64_t duplicate;
    int64_t dead;
};

struct sink {
    const struct settings *settings;
    struct metrics *metrics;
    char *cluster_id;
    char owner[OWNER_SIZE];
    struct database *database;
    struct apply_parameters apply;
    struct claim *claims;
    struct receipt receipt;
    struct write write; /* in flight */
    struct fault fault; /* of the write */
    int64_t sent_us;    /* when it was */
    bool writing;
    int16_t stream_id;
    int64_t months_ms[MONTH_COUNT]; /* when to ask for its partition again; 0: now, INT64_MAX: never */
};

struct sink *sink_open(const struct settings *settings, const char *cluster_id, struct metrics *metrics)
{
    struct sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL) abort();
    sink->settings = settings;
    sink->metrics = metrics;
    sink->apply.may_simulate = setting_is_on(settings->allow_fault_injection);
    sink->cluster_id = strdup(cluster_id);
    if (sink->cluster_id == NULL) abort();
    char host[64] = "";
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(sink->owner, sizeof(sink->owner), "%s/%ld", host, (long)getpid());
    return sink;
}

static void disconnect(struct sink *sink)
{
    database_close(sink->database);
    sink->database = NULL;
    sink->writing = false;
    memset(sink->months_ms, 0, sizeof(sink->months_ms));
}

void sink_close(struct sink *sink)
{
    if (sink == NULL) return;
    disconnect(sink);
    apply_done(&sink->apply);
    free(sink->receipt.positions);
    free(sink->claims);
    free(sink->cluster_id);
    free(sink);
}

/* An integer as text, which the server converts to any integer type. */
struct number_text {
    char text[24];
};

static struct sql_parameter number_parameter(struct number_text *scratch, uint32_t type, int64_t value)
{
    (void)snprintf(scratch->text, sizeof(scratch->text), "%" PRId64, value);
    return (struct sql_parameter){.type = type, .data = scratch->text};
}

/* Counts what went wrong on the way out. */
static bool done(struct sink *sink, bool good, const struct fault *fault)
{
    if (!good) {
        bool alive = sink->database != NULL && database_is_alive(sink->database);
        metrics_database_fault(sink->metrics, fault, alive);
    }
    return good;
}

/* Finds or makes the stream's row. Another cluster's offsets mean nothing to this one. */
static bool open_stream(struct sink *sink, struct fault *ret_fault)
{
    struct sql_parameter parameters[] = {sql_text(sink->settings->group), sql_text(sink->settings->topic),
                                         sql_text(sink->cluster_id)};
    struct rows *rows = NULL;
    if (!database_run(sink->database, "open stream", SQL_STREAM, parameters, ARRAY_COUNT(parameters), &rows,
                      ret_fault)) {
        return false;
    }
    bool found = rows_count(rows) > 0;
    bool same = found && strcmp(rows_text(rows, 0, 1), sink->cluster_id) == 0;
    if (same) {
        sink->stream_id = (int16_t)rows_int(rows, 0, 0);
    } else if (found) {
        fault_set(
            ret_fault, STATUS_STOP, "open stream",
            "topic \"%s\" of group \"%s\" was read from Kafka cluster %s, but the brokers (-b) are cluster "
            "%s: name the right brokers, or another group (-g) to read this cluster from its beginning",
            sink->settings->topic, sink->settings->group, rows_text(rows, 0, 1), sink->cluster_id);
    } else {
        /* Another worker's row was made after our snapshot: it is there the next time. */
        fault_set(ret_fault, STATUS_RETRY, "open stream", "another worker is opening the stream");
    }
    rows_free(rows);
    return same;
}

bool sink_connect(struct sink *sink, struct fault *ret_fault)
{
    if (sink->database != NULL && database_is_alive(sink->database)) return true;
    disconnect(sink);
    struct database_options options = {
        .conninfo = sink->settings->database,
        .application_name = "winnow worker",
        .statement_timeout_ms = sink->settings->statement_timeout_ms,
    };
    if (!database_open(&options, &sink->database, ret_fault)) return done(sink, false, ret_fault);
    /* Who steers a partition tells at once: one that has nothing to write would not notice for long. */
    if (open_stream(sink, ret_fault) &&
        database_run(sink->database, "listen", "LISTEN winnow_steering", NULL, 0, NULL, ret_fault) &&
        database_prepare(sink->database, "apply", SQL_APPLY, apply_types, APPLY_PARAMETER_COUNT, ret_fault)) {
        metrics_database_up(sink->metrics);
        return true;
    }
    disconnect(sink);
    return done(sink, false, ret_fault);
}

/* The claim's partitions as a binary int4[]. */
static struct sql_parameter partitions_parameter(struct array *array, const int32_t *partitions, size_t count)
{
    array_begin(array, SQL_INT4);
    for (size_t i = 0; i < count; i++) array_add_i32(array, partitions[i]);
    struct slice bytes = array_finish(array);
    return (struct sql_parameter){
        .type = SQL_INT4_ARRAY, .binary = true, .data = bytes.data, .size = bytes.size};
}

static void read_claim(struct rows *rows, size_t row, struct claim *ret_claim)
{
    *ret_claim = (struct claim){
        .partition = (int32_t)rows_int(rows, row, 0),
        .epoch = rows_int(rows, row, 1),
        .next_offset = rows_int(rows, row, 2),
        .halted = strcmp(rows_text(rows, row, 3), "halted") == 0,
        .tail_offset = rows_int(rows, row, 4),
    };
    struct slice fingerprint = rows_bytes(rows, row, 5);
    if (fingerprint.size == FINGERPRINT_SIZE) {
        memcpy(ret_claim->tail_fingerprint, fingerprint.data, FINGERPRINT_SIZE);
    } else {
        ret_claim->tail_offset = -1;
    }
}

/* What became of the partitions' messages so far, whoever read them. */
static bool read_counts(struct sink *sink, const struct sql_parameter *parameters, size_t claimed,
                        struct fault *ret_fault)
{
    struct rows *rows = NULL;
    if (!database_run(sink->database, "count", SQL_COUNTS, parameters, 2, &rows, ret_fault)) return false;
    for (size_t row = 0; row < rows_count(rows); row++) {
        int64_t outcomes[OUTCOME_COUNT];
        for (unsigned i = 0; i < OUTCOME_COUNT; i++) outcomes[i] = rows_int(rows, row, 1 + i);
        for (size_t i = 0; i < claimed; i++) {
            if (sink->claims[i].partition == rows_int(rows, row, 0))
                metrics_claimed(sink->metrics, &sink->claims[i], outcomes, rows_text(rows, row, 4));
        }
    }
    rows_free(rows);
    return true;
}

/* lock_timeout, or a statement_timeout that is shorter. */
static bool waited_in_vain(const struct fault *fault)
{
    return strcmp(fault->sqlstate, "55P03") == 0 || strcmp(fault->sqlstate, "57014") == 0;
}

/* The claimed rows, of which the sink keeps a copy. */
static size_t keep_claims(struct sink *sink, struct rows *rows, size_t count)
{
    free(sink->claims);
    sink->claims = calloc(count == 0 ? 1 : count, sizeof(*sink->claims));
    if (sink->claims == NULL) abort();
    size_t claimed = rows_count(rows);
    assert(claimed <= count);
    for (size_t i = 0; i < claimed; i++) read_claim(rows, i, &sink->claims[i]);
    rows_free(rows);
    return claimed;
}

bool sink_claim(struct sink *sink, const int32_t *partitions, size_t count, const struct claim **ret_claims,
                size_t *ret_count, struct fault *ret_fault)
{
    if (!sink_connect(sink, ret_fault)) return false;
    struct number_text stream;
    struct array array = {0};
    struct sql_parameter parameters[] = {number_parameter(&stream, SQL_INT2, sink->stream_id),
                                         partitions_parameter(&array, partitions, count),
                                         sql_text(sink->owner)};
    struct rows *rows = NULL;
    bool claimed = database_run(sink->database, "claim", SQL_CLAIM, parameters, ARRAY_COUNT(parameters),
                                &rows, ret_fault);
    /* The next one finds the locks free if nobody is using them. */
    if (!claimed && waited_in_vain(ret_fault)) stuck_sessions_end(sink->database, "our progress rows");
    if (claimed) *ret_count = keep_claims(sink, rows, count);
    claimed = claimed && read_counts(sink, parameters, *ret_count, ret_fault);
    array_done(&array);
    *ret_claims = sink->claims;
    return done(sink, claimed, ret_fault);
}

bool sink_open_partition(struct sink *sink, struct position start, struct fault *ret_fault)
{
    if (!sink_connect(sink, ret_fault)) return false;
    struct number_text numbers[3];
    struct sql_parameter parameters[] = {number_parameter(&numbers[0], SQL_INT2, sink->stream_id),
                                         number_parameter(&numbers[1], SQL_INT4, start.partition),
                                         number_parameter(&numbers[2], SQL_INT8, start.offset)};
    return done(sink,
                database_run(sink->database, "open partition", SQL_OPEN_PARTITION, parameters,
                             ARRAY_COUNT(parameters), NULL, ret_fault),
                ret_fault);
}

bool sink_halt(struct sink *sink, int32_t partition, int64_t epoch, const char *reason, const char *detail,
               struct fault *ret_fault)
{
    if (!sink_connect(sink, ret_fault)) return false;
    struct number_text numbers[3];
    struct sql_parameter parameters[] = {number_parameter(&numbers[0], SQL_INT2, sink->stream_id),
                                         number_parameter(&numbers[1], SQL_INT4, partition),
                                         number_parameter(&numbers[2], SQL_INT8, epoch), sql_text(reason),
                                         sql_text(detail)};
    struct rows *rows = NULL;
    if (!database_run(sink->database, "halt", SQL_HALT, parameters, ARRAY_COUNT(parameters), &rows,
                      ret_fault)) {
        return done(sink, false, ret_fault);
    }
    bool ours = rows_count(rows) > 0;
    if (!ours) fault_set(ret_fault, STATUS_RETRY, "halt", "another worker has claimed the partition");
    rows_free(rows);
    return ours;
}

/* The server makes the month's partition if it lies within its limits; otherwise the rows go to the default
 * one. So they do when a long query holds the lock that it takes: nothing may wait for that, and the rows
 * move later. */
static bool ensure_month(struct sink *sink, int64_t bucket_us, struct fault *ret_fault)
{
    int32_t month = instant_month(bucket_us);
    int64_t now_ms = clock_now_ms();
    if (sink->months_ms[month] > now_ms) return true;
    char date[32];
    (void)snprintf(date, sizeof(date), "%04" PRId32 "-%02" PRId32 "-01", 1970 + month / 12, 1 + month % 12);
    struct sql_parameter parameter = sql_text(date);
    bool made = database_run(sink->database, "make partition", "SELECT winnow.ensure_event_month($1::date)",
                             &parameter, 1, NULL, ret_fault);
    bool locked = !made && strcmp(ret_fault->sqlstate, "55P03") == 0;
    if (locked) log_line(LOG_LEVEL_WARNING, "partition_later", "%s", ret_fault->text);
    if (made || locked) sink->months_ms[month] = made ? INT64_MAX : now_ms + MONTH_RETRY_MS;
    return made || locked;
}

static bool ensure_months(struct sink *sink, const struct write *write, struct fault *ret_fault)
{
    int64_t previous_us = -1;
    for (size_t i = write->row_begin; i < write->row_end; i++) {
        const struct batch_row *row = &write->batch->rows[i];
        if (row->dead || row->bucket_us == previous_us) continue;
        if (!ensure_month(sink, row->bucket_us, ret_fault)) return false;
        previous_us = row->bucket_us;
    }
    return true;
}

bool sink_write(struct sink *sink, const struct write *write, struct fault *ret_fault)
{
    if (sink->database == NULL || !database_is_alive(sink->database)) {
        fault_set(ret_fault, STATUS_RETRY, "apply", "the connection to the database is gone");
        return false;
    }
    if (!ensure_months(sink, write, ret_fault)) return done(sink, false, ret_fault);
    struct sql_parameter parameters[APPLY_PARAMETER_COUNT];
    apply_encode(&sink->apply, sink->stream_id, write, parameters);
    sink->write = *write;
    sink->sent_us = clock_now_us();
    sink->writing =
        database_send(sink->database, "apply", "apply", parameters, APPLY_PARAMETER_COUNT, ret_fault);
    return done(sink, sink->writing, ret_fault);
}

/* What the fence answered for a part: the partition's totals, and the events of this write. */
static int64_t read_part(struct sink *sink, const struct rows *rows, size_t row)
{
    const struct write_part *part = &sink->write.parts[row];
    assert(rows_int(rows, row, 0) == part->partition);
    int64_t outcomes[OUTCOME_COUNT];
    for (unsigned i = 0; i < OUTCOME_COUNT; i++) outcomes[i] = rows_int(rows, row, 1 + i);
    metrics_counted(sink->metrics, part, outcomes);
    return rows_int(rows, row, 4);
}

/* The only place that makes a receipt: the server has said that the fence held and the statement is
 * committed. */
static void make_receipt(struct sink *sink, const struct rows *rows)
{
    struct receipt *receipt = &sink->receipt;
    const struct write *write = &sink->write;
    if (receipt->capacity < write->part_count) {
        receipt->positions = realloc(receipt->positions, write->part_count * sizeof(*receipt->positions));
        if (receipt->positions == NULL) abort();
        receipt->capacity = write->part_count;
    }
    receipt->count = write->part_count;
    receipt->dead = 0;
    receipt->stored = 0;
    receipt->duplicate = 0;
    for (size_t i = 0; i < write->part_count; i++) {
        const struct write_part *part = &write->parts[i];
        int64_t stored = read_part(sink, rows, i);
        receipt->positions[i] = (struct position){.partition = part->partition, .offset = part->next_offset};
        receipt->dead += part->dead;
        receipt->stored += stored;
        receipt->duplicate += part->received - part->dead - stored;
    }
    metrics_committed(sink->metrics, write, clock_now_us() - sink->sent_us, clock_wall_ms());
}

void sink_poll(struct sink *sink, struct input *ret_input)
{
    *ret_input = (struct input){.kind = INPUT_IDLE};
    if (sink->database == NULL) return;
    struct rows *rows = NULL;
    switch (database_poll(sink->database, &rows, &sink->fault)) {
    case DATABASE_BUSY:
        if (!sink->writing && database_was_notified(sink->database)) ret_input->kind = INPUT_STEERED;
        return;
    case DATABASE_FAILED:
        ret_input->kind = INPUT_FAILED;
        ret_input->of_write = sink->writing;
        sink->writing = false;
        ret_input->fault = &sink->fault;
        (void)done(sink, false, &sink->fault);
        return;
    case DATABASE_DONE:
        sink->writing = false;
        break;
    }
    /* A row for each partition that the fence moved, and it moves all or none. */
    if (rows_count(rows) == sink->write.part_count) {
        make_receipt(sink, rows);
        ret_input->kind = INPUT_WRITTEN;
        ret_input->receipt = &sink->receipt;
    } else {
        ret_input->kind = INPUT_FENCED;
    }
    rows_free(rows);
}

int sink_fd(const struct sink *sink)
{
    /* One that is broken has told so, and may stay readable. */
    bool listening = sink->database != NULL && (sink->writing || database_is_alive(sink->database));
    return listening ? database_fd(sink->database) : -1;
}

bool sink_wants_write(const struct sink *sink)
{
    return sink->writing && database_wants_write(sink->database);
}

const struct position *receipt_positions(const struct receipt *receipt, size_t *ret_count)
{
    *ret_count = receipt->count;
    return receipt->positions;
}

int64_t receipt_stored(const struct receipt *receipt)
{
    return receipt->stored;
}

int64_t receipt_duplicate(const struct receipt *receipt)
{
    return receipt->duplicate;
}

int64_t receipt_dead(const struct receipt *receipt)
{
    return receipt->dead;
}
