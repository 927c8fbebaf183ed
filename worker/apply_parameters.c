#include "apply_parameters.h"

#include <arpa/inet.h>
#include <string.h>

#include "headers.h"
#include "reject.h"
#include "simulate.h"

/* PostgreSQL's timestamps end in the year 294276; a producer may claim a later one. */
#define MESSAGE_TIME_MS_MAX INT64_C(9000000000000000)

/* Of an event, in two groups of parameters: those that look new, and those that were seen. */
enum {
    EVENT_BUCKET,
    EVENT_HASH,
    EVENT_CLIENT_ID,
    EVENT_METRIC,
    EVENT_AMOUNT,
    EVENT_TIME,
    EVENT_PARTITION,
    EVENT_OFFSET,
    EVENT_FIELD_COUNT,
};

#define EVENT_TYPES(group) \
    [1 + (group) + EVENT_BUCKET] = SQL_TIMESTAMPTZ_ARRAY, [1 + (group) + EVENT_HASH] = SQL_UUID_ARRAY, \
                   [1 + (group) + EVENT_CLIENT_ID] = SQL_TEXT_ARRAY, \
                   [1 + (group) + EVENT_METRIC] = SQL_TEXT_ARRAY, \
                   [1 + (group) + EVENT_AMOUNT] = SQL_NUMERIC_ARRAY, \
                   [1 + (group) + EVENT_TIME] = SQL_TIMESTAMPTZ_ARRAY, \
                   [1 + (group) + EVENT_PARTITION] = SQL_INT4_ARRAY, \
                   [1 + (group) + EVENT_OFFSET] = SQL_INT8_ARRAY

/* Numbers of the statement's parameters, less 2: $1 is the stream. */
enum {
    PART_NUMBER,
    PART_EPOCH,
    PART_EXPECTED,
    PART_NEXT,
    PART_FINGERPRINT,
    PART_RECEIVED,
    PART_DEAD,
    PART_LOST,
    NEW_EVENTS,
    SEEN_EVENTS = NEW_EVENTS + EVENT_FIELD_COUNT,
    DEAD_PARTITION = SEEN_EVENTS + EVENT_FIELD_COUNT,
    DEAD_OFFSET,
    DEAD_TIME,
    DEAD_KEY,
    DEAD_VALUE,
    DEAD_HEADERS,
    DEAD_REASON,
    DEAD_DETAIL,
    DEAD_SQLSTATE,
    DEAD_CLIENT_ID,
    DEAD_BUCKET,
    DEAD_HASH,
};

const uint32_t apply_types[APPLY_PARAMETER_COUNT] = {
    SQL_INT2,
    [1 + PART_NUMBER] = SQL_INT4_ARRAY,
    [1 + PART_EPOCH] = SQL_INT8_ARRAY,
    [1 + PART_EXPECTED] = SQL_INT8_ARRAY,
    [1 + PART_NEXT] = SQL_INT8_ARRAY,
    [1 + PART_FINGERPRINT] = SQL_BYTEA_ARRAY,
    [1 + PART_RECEIVED] = SQL_INT8_ARRAY,
    [1 + PART_DEAD] = SQL_INT8_ARRAY,
    [1 + PART_LOST] = SQL_INT8_ARRAY,
    EVENT_TYPES(NEW_EVENTS),
    EVENT_TYPES(SEEN_EVENTS),
    [1 + DEAD_PARTITION] = SQL_INT4_ARRAY,
    [1 + DEAD_OFFSET] = SQL_INT8_ARRAY,
    [1 + DEAD_TIME] = SQL_TIMESTAMPTZ_ARRAY,
    [1 + DEAD_KEY] = SQL_BYTEA_ARRAY,
    [1 + DEAD_VALUE] = SQL_BYTEA_ARRAY,
    [1 + DEAD_HEADERS] = SQL_BYTEA_ARRAY,
    [1 + DEAD_REASON] = SQL_TEXT_ARRAY,
    [1 + DEAD_DETAIL] = SQL_TEXT_ARRAY,
    [1 + DEAD_SQLSTATE] = SQL_TEXT_ARRAY,
    [1 + DEAD_CLIENT_ID] = SQL_TEXT_ARRAY,
    [1 + DEAD_BUCKET] = SQL_TIMESTAMPTZ_ARRAY,
    [1 + DEAD_HASH] = SQL_UUID_ARRAY,
};

static uint32_t element_type(uint32_t array_type)
{
    switch (array_type) {
    case SQL_INT4_ARRAY:
        return SQL_INT4;
    case SQL_INT8_ARRAY:
        return SQL_INT8;
    case SQL_BYTEA_ARRAY:
        return SQL_BYTEA;
    case SQL_TEXT_ARRAY:
        return SQL_TEXT;
    case SQL_UUID_ARRAY:
        return SQL_UUID;
    case SQL_NUMERIC_ARRAY:
        return SQL_NUMERIC;
    default:
        return SQL_TIMESTAMPTZ;
    }
}

static uint64_t big_endian(const uint8_t bytes[8])
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

static const struct sort_key *sort_events(struct apply_parameters *apply, const struct write *write,
                                          size_t *ret_count)
{
    struct sort_key *keys = event_order_reserve(&apply->order, write->row_end - write->row_begin);
    size_t count = 0;
    for (size_t i = write->row_begin; i < write->row_end; i++) {
        const struct batch_row *row = &write->batch->rows[i];
        if (row->dead) continue;
        keys[count++] = (struct sort_key){
            .bucket_us = row->bucket_us,
            .hash_high = big_endian(row->hash),
            .hash_low = big_endian(row->hash + 8),
            .row = i,
        };
    }
    *ret_count = count;
    return event_order_sort(&apply->order, count);
}

static void encode_part(struct array *arrays, const struct write_part *part)
{
    array_add_i32(&arrays[PART_NUMBER], part->partition);
    array_add_i64(&arrays[PART_EPOCH], part->epoch);
    array_add_i64(&arrays[PART_EXPECTED], part->expected_offset);
    array_add_i64(&arrays[PART_NEXT], part->next_offset);
    array_add(&arrays[PART_FINGERPRINT], slice_of((const char *)part->tail_fingerprint, FINGERPRINT_SIZE));
    array_add_i64(&arrays[PART_RECEIVED], part->received);
    array_add_i64(&arrays[PART_DEAD], part->dead);
    array_add_i64(&arrays[PART_LOST], part->lost);
}

/* The message asks that its row be refused (simulate.h). */
static bool asks_for_failure(const struct batch *batch, const struct batch_row *row)
{
    struct slice headers = batch_slice(batch, row->headers);
    struct slice name;
    struct slice value;
    while (headers_next(&headers, &name, &value)) {
        if (slice_equals(name, slice_of_text(SIMULATE_FAILURE_HEADER)) &&
            slice_equals(value, slice_of_text("database")))
            return true;
    }
    return false;
}

/* A row without client_id: the table demands one, and PostgreSQL says so by an error that is the row's fault.
 */
static struct slice client_of(const struct apply_parameters *apply, const struct batch *batch,
                              const struct batch_row *row)
{
    bool refused = apply->may_simulate && asks_for_failure(batch, row);
    return refused ? slice_of(NULL, 0) : batch_slice(batch, row->client_id);
}

static void encode_event(struct array *arrays, const struct batch *batch, const struct batch_row *row,
                         struct slice client_id)
{
    array_add_instant(&arrays[EVENT_BUCKET], row->bucket_us);
    array_add(&arrays[EVENT_HASH], slice_of((const char *)row->hash, EVENT_HASH_SIZE));
    array_add(&arrays[EVENT_CLIENT_ID], client_id);
    array_add(&arrays[EVENT_METRIC], batch_slice(batch, row->metric));
    array_add_decimal(&arrays[EVENT_AMOUNT], &row->amount);
    array_add_instant(&arrays[EVENT_TIME], row->time_us);
    array_add_i32(&arrays[EVENT_PARTITION], row->partition);
    array_add_i64(&arrays[EVENT_OFFSET], row->offset);
}

/* What makes a refused event findable once it is stored after all. */
static void encode_dead_identity(struct array *arrays, const struct batch *batch, const struct batch_row *row)
{
    struct slice none = slice_of(NULL, 0);
    array_add(&arrays[DEAD_CLIENT_ID], batch_slice(batch, row->client_id));
    if (row->normalized) {
        array_add_instant(&arrays[DEAD_BUCKET], row->bucket_us);
    } else {
        array_add(&arrays[DEAD_BUCKET], none);
    }
    array_add(&arrays[DEAD_HASH],
              row->normalized ? slice_of((const char *)row->hash, EVENT_HASH_SIZE) : none);
}

static void encode_dead(struct array *arrays, const struct batch *batch, const struct batch_row *row)
{
    struct slice none = slice_of(NULL, 0);
    array_add_i32(&arrays[DEAD_PARTITION], row->partition);
    array_add_i64(&arrays[DEAD_OFFSET], row->offset);
    if (row->timestamp_ms < 0 || row->timestamp_ms > MESSAGE_TIME_MS_MAX) {
        array_add(&arrays[DEAD_TIME], none);
    } else {
        array_add_instant(&arrays[DEAD_TIME], row->timestamp_ms * 1000);
    }
    array_add(&arrays[DEAD_KEY], batch_slice(batch, row->key));
    array_add(&arrays[DEAD_VALUE], batch_slice(batch, row->value));
    array_add(&arrays[DEAD_HEADERS], batch_slice(batch, row->headers));
    array_add(&arrays[DEAD_REASON], slice_of_text(reject_name(row->reason)));
    array_add(&arrays[DEAD_DETAIL], batch_slice(batch, row->detail));
    array_add(&arrays[DEAD_SQLSTATE], row->sqlstate[0] == '\0' ? none : slice_of_text(row->sqlstate));
    encode_dead_identity(arrays, batch, row);
}

static void encode_rows(struct apply_parameters *apply, const struct write *write)
{
    const struct batch *batch = write->batch;
    size_t events;
    const struct sort_key *keys = sort_events(apply, write, &events);
    for (size_t i = 0; i < events; i++) {
        const struct batch_row *row = &batch->rows[keys[i].row];
        encode_event(&apply->arrays[row->seen || write->careful ? SEEN_EVENTS : NEW_EVENTS], batch, row,
                     client_of(apply, batch, row));
    }
    if (events == write->row_end - write->row_begin) return;
    for (size_t i = write->row_begin; i < write->row_end; i++) {
        if (batch->rows[i].dead) encode_dead(apply->arrays, batch, &batch->rows[i]);
    }
}

void apply_encode(struct apply_parameters *apply, int16_t stream_id, const struct write *write,
                  struct sql_parameter ret_parameters[APPLY_PARAMETER_COUNT])
{
    for (size_t i = 0; i < APPLY_PARAMETER_COUNT - 1; i++) {
        array_begin(&apply->arrays[i], element_type(apply_types[i + 1]));
    }
    for (size_t i = 0; i < write->part_count; i++) encode_part(apply->arrays, &write->parts[i]);
    encode_rows(apply, write);
    apply->stream_id = (int16_t)htons((uint16_t)stream_id);
    ret_parameters[0] = (struct sql_parameter){
        .type = SQL_INT2, .binary = true, .data = &apply->stream_id, .size = sizeof(apply->stream_id)};
    for (size_t i = 1; i < APPLY_PARAMETER_COUNT; i++) {
        struct slice bytes = array_finish(&apply->arrays[i - 1]);
        ret_parameters[i] = (struct sql_parameter){
            .type = apply_types[i], .binary = true, .data = bytes.data, .size = bytes.size};
    }
}

void apply_done(struct apply_parameters *apply)
{
    for (size_t i = 0; i < APPLY_PARAMETER_COUNT - 1; i++) array_done(&apply->arrays[i]);
    event_order_done(&apply->order);
}
