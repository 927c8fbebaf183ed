#include "writer.h"

#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "identity.h"
#include "log.h"
#include "schema.h"

#define PATIENCE_MS INT64_C(90000)
#define DAY_US      INT64_C(86400000000)

static struct identity *identity;
static char text_group[] = "g";
static char text_database[] = "";
char text_topic[64];
struct settings settings = {
    .group = text_group, .topic = text_topic, .database = text_database, .statement_timeout_ms = 60000};
struct sink *sink;
struct metrics counted;
static struct batch batch;
struct write_part parts[2];
static struct write write_in_hand;
struct fault fault;

int64_t count(const char *table)
{
    return ask("SELECT count(*) FROM winnow.%s WHERE stream_id = (SELECT stream_id FROM winnow.stream"
               " WHERE topic = '%s')",
               table, text_topic);
}

int64_t progress(const char *column, int32_t partition)
{
    return ask("SELECT %s FROM winnow.processing_log JOIN winnow.stream USING (stream_id)"
               " WHERE topic = '%s' AND partition = %" PRId32,
               column, text_topic, partition);
}

void expect_invariants(void)
{
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM winnow.invariant_violation()"), 0);
}

struct claim claim(struct sink *of, int32_t partition)
{
    const struct claim *claims = NULL;
    size_t claimed = 0;
    CU_ASSERT_TRUE_FATAL(sink_claim(of, &partition, 1, &claims, &claimed, &fault));
    CU_ASSERT_EQUAL_FATAL(claimed, 1);
    return claims[0];
}

void begin(const char *name)
{
    (void)snprintf(text_topic, sizeof text_topic, "%s", name);
    sink = sink_open(&settings, "cluster", &counted);
    batch_init(&batch, &(struct batch_limits){.rows_max = 1000, .bytes_max = 1 << 20});
    for (int32_t i = 0; i < 2; i++) {
        CU_ASSERT_TRUE_FATAL(
            sink_open_partition(sink, (struct position){.partition = i, .offset = 100}, &fault));
        struct claim told = claim(sink, i);
        parts[i] = (struct write_part){.partition = i,
                                       .epoch = told.epoch,
                                       .expected_offset = told.next_offset,
                                       .next_offset = told.next_offset};
    }
}

void end(void)
{
    sink_close(sink);
    batch_done(&batch);
}

static struct record next_record(int32_t partition)
{
    parts[partition].received++;
    return (struct record){.partition = partition,
                           .offset = parts[partition].next_offset++,
                           .timestamp_ms = 1700000000000,
                           .value = slice_of_text("{}")};
}

static void add_row(int32_t partition, const char *amount, int64_t time_us, bool seen)
{
    struct record record = next_record(partition);
    struct event event = {.client_id = slice_of_text(text_topic),
                          .metric = slice_of_text("m"),
                          .time_us = time_us,
                          .bucket_us = time_us / DAY_US * DAY_US};
    if (decimal_parse(slice_of_text(amount), &event.amount) != DECIMAL_OK) abort();
    identity_hash(identity, &event);
    batch_add_event(&batch, &record, &event, seen, 1);
}

void add_event(int32_t partition, const char *amount, int64_t time_us)
{
    add_row(partition, amount, time_us, false);
}

void add_seen(int32_t partition, const char *amount, int64_t time_us)
{
    add_row(partition, amount, time_us, true);
}

void add_dead(int32_t partition)
{
    struct record record = next_record(partition);
    struct reject reject;
    reject_set(&reject, REJECT_EMPTY, "M-1", "value", slice_of(NULL, 0), "an object");
    batch_add_dead(&batch, &record, &reject, slice_of_text("client_A"), 1);
    parts[partition].dead++;
}

bool careful;

struct input send_write(struct sink *to)
{
    static struct write_part sent[2];
    size_t sent_count = 0;
    struct input answer = {.kind = INPUT_FAILED};
    for (int i = 0; i < 2; i++) {
        if (parts[i].received > 0) sent[sent_count++] = parts[i];
    }
    write_in_hand = (struct write){.batch = &batch,
                                   .row_end = batch.row_count,
                                   .careful = careful,
                                   .parts = sent,
                                   .part_count = sent_count};
    if (!sink_write(to, &write_in_hand, &fault)) return answer;
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    do {
        struct pollfd wait = {.fd = sink_fd(to), .events = POLLIN};
        (void)poll(&wait, 1, 100);
        sink_poll(to, &answer);
    } while (answer.kind == INPUT_IDLE && clock_now_ms() < deadline_ms);
    return answer;
}

void accept_write(void)
{
    CU_ASSERT_EQUAL_FATAL(send_write(sink).kind, INPUT_WRITTEN);
    batch_clear(&batch);
    for (int i = 0; i < 2; i++) {
        parts[i].expected_offset = parts[i].next_offset;
        parts[i].received = parts[i].dead = parts[i].lost = 0;
    }
}

int writer_start(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    identity = identity_new();
    return schema_start();
}

int writer_stop(void)
{
    identity_free(identity);
    return schema_stop();
}
