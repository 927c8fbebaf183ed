#include "flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CAREFUL_COUNT_MIN 16
#define CAREFUL_COUNT_MAX 1024

void flight_init(struct flight *flight, const struct batch_limits *limits)
{
    *flight = (struct flight){0};
    batch_init(&flight->batch, limits);
}

void flight_done(struct flight *flight)
{
    batch_done(&flight->batch);
    free(flight->parts);
    flight->parts = NULL;
}

void flight_clear(struct flight *flight)
{
    assert(!flight->in_flight);
    batch_clear(&flight->batch);
    flight->row_begin = 0;
    flight->row_end = 0;
    flight->suspect_end = 0;
}

bool flight_has_rows(const struct flight *flight)
{
    return flight->row_begin < flight->batch.row_count;
}

/* One part per partition that has rows among those to be sent, in the partitions' order. */
static void collect_parts(struct flight *flight, struct partition *partitions, size_t count)
{
    if (flight->part_capacity < count) {
        flight->parts = realloc(flight->parts, count * sizeof(*flight->parts));
        if (flight->parts == NULL) abort();
        flight->part_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        flight->parts[i] = (struct write_part){
            .partition = partitions[i].number,
            .epoch = partitions[i].epoch,
            .expected_offset = partitions[i].committed,
            .lost = partitions[i].lost,
        };
        partitions[i].part = i;
    }
    for (size_t i = flight->row_begin; i < flight->row_end; i++) {
        const struct batch_row *row = &flight->batch.rows[i];
        struct partition *partition = partition_find(partitions, count, row->partition);
        assert(partition != NULL);
        struct write_part *part = &flight->parts[partition->part];
        part->received++;
        if (row->dead) part->dead++;
        part->next_offset = (int64_t)i; /* the last row, for now: its index */
    }
}

static void finish_parts(struct flight *flight, size_t count, struct identity *identity)
{
    flight->part_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct write_part part = flight->parts[i];
        if (part.received == 0) continue;
        const struct batch *batch = &flight->batch;
        const struct batch_row *last = &batch->rows[part.next_offset];
        part.next_offset = last->offset + 1;
        identity_fingerprint(identity, last->timestamp_ms, batch_slice(batch, last->key),
                             batch_slice(batch, last->value), part.tail_fingerprint);
        flight->parts[flight->part_count++] = part;
    }
}

struct write flight_write(struct flight *flight, struct partition *partitions, size_t partition_count,
                          struct identity *identity)
{
    assert(!flight->in_flight && flight_has_rows(flight));
    flight->row_end = flight->batch.row_count;
    if (flight->suspect_end > flight->row_begin) {
        size_t suspects = flight->suspect_end - flight->row_begin;
        flight->row_end = flight->row_begin + (suspects > 1 ? suspects / 2 : 1);
    }
    flight->careful = flight->careful_left > 0;
    collect_parts(flight, partitions, partition_count);
    finish_parts(flight, partition_count, identity);
    flight->in_flight = true;
    return (struct write){
        .batch = &flight->batch,
        .row_begin = flight->row_begin,
        .row_end = flight->row_end,
        .careful = flight->careful,
        .parts = flight->parts,
        .part_count = flight->part_count,
    };
}

void flight_drop_partition(struct flight *flight, int32_t partition)
{
    assert(!flight->in_flight);
    struct batch *batch = &flight->batch;
    batch->row_count -= flight->row_begin; /* what is applied is no longer needed */
    memmove(batch->rows, batch->rows + flight->row_begin, batch->row_count * sizeof(*batch->rows));
    batch_drop_partition(batch, partition);
    flight->row_begin = 0;
    flight->row_end = 0;
    flight->suspect_end = 0;
    if (batch->row_count == 0) flight_clear(flight);
}

void flight_written(struct flight *flight)
{
    flight->in_flight = false;
    if (flight->careful) flight->careful_left--;
    if (!flight->careful) flight->careless_count++;
    flight->row_begin = flight->row_end;
    if (flight->suspect_end <= flight->row_begin) flight->suspect_end = 0;
}

/* Each collision costs a statement and a line in the server's log, so where they are the rule they have to
 * become rare. */
bool flight_collided(struct flight *flight)
{
    if (flight->careful) return false;
    flight->in_flight = false;
    bool soon = flight->careful_count > 0 && flight->careless_count < flight->careful_count;
    flight->careful_count = soon ? 2 * flight->careful_count : CAREFUL_COUNT_MIN;
    if (flight->careful_count > CAREFUL_COUNT_MAX) flight->careful_count = CAREFUL_COUNT_MAX;
    flight->careful_left = flight->careful_count;
    flight->careless_count = 0;
    return true;
}

enum refusal flight_refused(struct flight *flight, const struct fault *fault)
{
    flight->in_flight = false;
    flight->suspect_end = flight->row_end;
    if (flight->row_end - flight->row_begin > 1) return REFUSAL_SPLIT;
    if (flight->batch.rows[flight->row_begin].dead) return REFUSAL_HOPELESS;
    batch_mark_dead(&flight->batch, flight->row_begin, fault->sqlstate, fault->text);
    return REFUSAL_DEAD;
}
