// link: tests/bench/workload.c worker/array.c
/* What PostgreSQL can take:   bench_copy CONNINFO WORKLOAD EVENTS SEED PARTITIONS ROWS CONNECTIONS ORDER
 *
 * Makes the rows that winnow would store of the workload (each event once), renders them as binary COPY in
 * batches of ROWS, in the ORDER of "arrival" or sorted by "key", and only then starts the clock: CONNECTIONS
 * threads send their batches, each batch one COPY into winnow.event and one transaction. Prints rows and
 * seconds as one line of JSON. */
#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "array.h"
#include "normalize.h"
#include "workload.h"

#define COLUMNS 9
#define COPY \
    "COPY winnow.event (bucket, event_hash, client_id, metric, amount, event_time, stream_id, " \
    "origin_partition, origin_offset) FROM STDIN BINARY"
#define CHUNK 65536

struct row {
    int64_t bucket_us;
    uint8_t hash[EVENT_HASH_SIZE];
    size_t begin; /* of its bytes in loader.rows */
    size_t size;
};

struct loader {
    pthread_t thread;
    PGconn *connection;
    struct workload workload;
    uint64_t events;
    uint64_t first_partition;
    uint64_t partition_step;
    size_t batch_rows;
    bool by_key;
    struct array rendered; /* rows of the batch in hand, unsorted */
    struct row *rows;
    size_t row_count;
    struct buffer *batches; /* complete COPY streams */
    size_t batch_count;
    uint64_t stored;
    double end_s;
};

static pthread_barrier_t ready;

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static _Noreturn void give_up(const char *what, PGconn *connection)
{
    (void)fprintf(stderr, "bench_copy: %s: %s\n", what, connection == NULL ? "" : PQerrorMessage(connection));
    exit(1);
}

/* ---- before the clock starts -------------------------------------------------------------------------- */

static void render_row(struct loader *loader, const struct event *event, uint64_t number)
{
    struct array *bytes = &loader->rendered;
    struct row *row = &loader->rows[loader->row_count++];
    row->bucket_us = event->bucket_us;
    memcpy(row->hash, event->hash, EVENT_HASH_SIZE);
    row->begin = bytes->bytes.size;
    buffer_add_u16(&bytes->bytes, COLUMNS);
    array_add_instant(bytes, event->bucket_us);
    array_add(bytes, slice_of((const char *)event->hash, EVENT_HASH_SIZE));
    array_add(bytes, event->client_id);
    array_add(bytes, event->metric);
    array_add_decimal(bytes, &event->amount);
    array_add_instant(bytes, event->time_us);
    array_add(bytes, slice_of("\0\1", 2));
    array_add_i32(bytes, (int32_t)(number % loader->workload.partitions));
    array_add_i64(bytes, (int64_t)(number / loader->workload.partitions));
    row->size = bytes->bytes.size - row->begin;
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *left = a;
    const struct row *right = b;
    if (left->bucket_us != right->bucket_us) return left->bucket_us < right->bucket_us ? -1 : 1;
    return memcmp(left->hash, right->hash, EVENT_HASH_SIZE);
}

static void finish_batch(struct loader *loader)
{
    static const char head[19] = "PGCOPY\n\377\r\n\0";
    if (loader->row_count == 0) return;
    if (loader->by_key) qsort(loader->rows, loader->row_count, sizeof *loader->rows, compare_rows);
    struct buffer *batch = &loader->batches[loader->batch_count++];
    (void)buffer_add(batch, head, sizeof head);
    for (size_t i = 0; i < loader->row_count; i++)
        (void)buffer_add(batch, loader->rendered.bytes.data + loader->rows[i].begin, loader->rows[i].size);
    buffer_add_u16(batch, UINT16_MAX);
    loader->stored += loader->row_count;
    loader->row_count = 0;
    array_begin(&loader->rendered, 0);
}

static void render(struct loader *loader)
{
    struct normalizer *normalizer = normalizer_new(NORMALIZE_EVENT_BYTES_MAX_DEFAULT);
    struct client_rules rules = {0};
    loader->rows = calloc(loader->batch_rows, sizeof *loader->rows);
    loader->batches = calloc(loader->events / loader->batch_rows + 2, sizeof *loader->batches);
    if (loader->rows == NULL || loader->batches == NULL) abort();
    array_begin(&loader->rendered, 0);
    for (uint64_t number = 0; number < loader->events; number++) {
        bool mine = number % loader->workload.partitions % loader->partition_step == loader->first_partition;
        if (!mine || workload_kind_of(&loader->workload, number) != MESSAGE_NEW) continue;
        char message[WORKLOAD_MESSAGE_SIZE];
        struct record record = {.value =
                                    slice_of(message, workload_write(&loader->workload, number, message))};
        struct event event;
        struct reject reject;
        if (normalize(normalizer, &record, &rules, &event, &reject) != STATUS_OK)
            give_up(reject.detail, NULL);
        render_row(loader, &event, number);
        if (loader->row_count == loader->batch_rows) finish_batch(loader);
    }
    finish_batch(loader);
    normalizer_free(normalizer);
}

/* ---- and after ---------------------------------------------------------------------------------------- */

static void copy_batch(PGconn *connection, const struct buffer *batch)
{
    PGresult *result = PQexec(connection, COPY);
    if (PQresultStatus(result) != PGRES_COPY_IN) give_up("COPY", connection);
    PQclear(result);
    for (size_t at = 0; at < batch->size; at += CHUNK) {
        size_t size = batch->size - at < CHUNK ? batch->size - at : CHUNK;
        if (PQputCopyData(connection, batch->data + at, (int)size) != 1) give_up("data", connection);
    }
    if (PQputCopyEnd(connection, NULL) != 1) give_up("end", connection);
    while ((result = PQgetResult(connection)) != NULL) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK) give_up("COPY", connection);
        PQclear(result);
    }
}

static void *load(void *context)
{
    struct loader *loader = context;
    render(loader);
    (void)pthread_barrier_wait(&ready); /* all is rendered */
    (void)pthread_barrier_wait(&ready); /* the clock runs */
    for (size_t i = 0; i < loader->batch_count; i++) copy_batch(loader->connection, &loader->batches[i]);
    loader->end_s = now_s();
    return NULL;
}

/* Says when the clock starts and waits for a line, so that the caller can take the servers' CPU time there.
 */
static double run(struct loader *loaders, size_t connections)
{
    (void)pthread_barrier_wait(&ready);
    (void)printf("ready\n");
    (void)fflush(stdout);
    (void)getchar();
    double begin_s = now_s();
    double end_s = begin_s;
    (void)pthread_barrier_wait(&ready);
    for (size_t i = 0; i < connections; i++) {
        (void)pthread_join(loaders[i].thread, NULL);
        if (loaders[i].end_s > end_s) end_s = loaders[i].end_s;
    }
    return end_s - begin_s;
}

int main(int argc, char **argv)
{
    struct workload workload;
    if (argc != 9 || !workload_parse(argv[2], &workload)) {
        (void)fprintf(stderr,
                      "usage: bench_copy CONNINFO WORKLOAD EVENTS SEED PARTITIONS ROWS CONNECTIONS ORDER\n");
        return 64;
    }
    workload.seed = strtoull(argv[4], NULL, 10);
    workload.partitions = strtoull(argv[5], NULL, 10);
    size_t connections = strtoull(argv[7], NULL, 10);
    struct loader *loaders = calloc(connections, sizeof *loaders);
    if (loaders == NULL || pthread_barrier_init(&ready, NULL, (unsigned)connections + 1) != 0) abort();
    for (size_t i = 0; i < connections; i++) {
        loaders[i] = (struct loader){.connection = PQconnectdb(argv[1]),
                                     .workload = workload,
                                     .events = strtoull(argv[3], NULL, 10),
                                     .first_partition = i,
                                     .partition_step = connections,
                                     .batch_rows = strtoull(argv[6], NULL, 10),
                                     .by_key = strcmp(argv[8], "key") == 0};
        if (PQstatus(loaders[i].connection) != CONNECTION_OK) give_up("connection", loaders[i].connection);
        if (pthread_create(&loaders[i].thread, NULL, load, &loaders[i]) != 0) abort();
    }
    double seconds = run(loaders, connections);
    uint64_t rows = 0;
    for (size_t i = 0; i < connections; i++) rows += loaders[i].stored;
    (void)printf("{\"rows\": %" PRIu64 ", \"seconds\": %.6f}\n", rows, seconds);
    return 0;
}
