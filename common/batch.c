#include "batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_AT_FIRST 64

void batch_init(struct batch *batch, const struct batch_limits *limits)
{
    assert(limits->rows_max > 0);
    *batch = (struct batch){.limits = *limits};
}

void batch_done(struct batch *batch)
{
    buffer_done(&batch->bytes);
    free(batch->rows);
    *batch = (struct batch){.limits = batch->limits};
}

void batch_clear(struct batch *batch)
{
    batch->row_count = 0;
    buffer_clear(&batch->bytes);
    /* One huge message must not keep its memory for ever. */
    if (batch->bytes.capacity > 4 * batch->limits.bytes_max) buffer_done(&batch->bytes);
}

static struct batch_text copy(struct batch *batch, struct slice text)
{
    if (text.data == NULL) return (struct batch_text){.size = BATCH_ABSENT};
    assert(text.size < BATCH_ABSENT && batch->bytes.size < BATCH_ABSENT - text.size);
    size_t begin = buffer_add(&batch->bytes, text.data, text.size);
    return (struct batch_text){.begin = (uint32_t)begin, .size = (uint32_t)text.size};
}

static struct batch_row *add_row(struct batch *batch, const struct record *record, int64_t now_ms)
{
    if (batch->row_count == 0) batch->opened_ms = now_ms;
    if (batch->row_count == batch->row_capacity) {
        batch->row_capacity = batch->row_capacity == 0 ? ROWS_AT_FIRST : 2 * batch->row_capacity;
        batch->rows = realloc(batch->rows, batch->row_capacity * sizeof(*batch->rows));
        if (batch->rows == NULL) abort();
    }
    struct batch_row *row = &batch->rows[batch->row_count++];
    row->offset = record->offset;
    row->timestamp_ms = record->timestamp_ms;
    row->partition = record->partition;
    row->key = copy(batch, record->key);
    row->value = copy(batch, record->value);
    row->headers = copy(batch, record->headers);
    row->detail.size = BATCH_ABSENT;
    row->dead = false;
    row->seen = false;
    row->normalized = false;
    row->sqlstate[0] = '\0';
    return row;
}

void batch_add_event(struct batch *batch, const struct record *record, const struct event *event, bool seen,
                     int64_t now_ms)
{
    struct batch_row *row = add_row(batch, record, now_ms);
    row->client_id = copy(batch, event->client_id);
    row->metric = copy(batch, event->metric);
    row->amount = event->amount;
    row->time_us = event->time_us;
    row->bucket_us = event->bucket_us;
    memcpy(row->hash, event->hash, sizeof(row->hash));
    row->seen = seen;
    row->normalized = true;
}

void batch_add_dead(struct batch *batch, const struct record *record, const struct reject *reject,
                    struct slice client_id, int64_t now_ms)
{
    struct batch_row *row = add_row(batch, record, now_ms);
    row->dead = true;
    row->client_id = copy(batch, client_id);
    row->reason = reject->reason;
    row->detail = copy(batch, slice_of_text(reject->detail));
}

void batch_mark_dead(struct batch *batch, size_t index, const char *sqlstate, const char *text)
{
    assert(index < batch->row_count && !batch->rows[index].dead);
    struct batch_row *row = &batch->rows[index];
    row->dead = true;
    row->reason = REJECT_DATABASE_REJECTED;
    (void)snprintf(row->sqlstate, sizeof(row->sqlstate), "%s", sqlstate);
    /* The server's words may quote the event: escape them as anything that came from outside. */
    char detail[REJECT_DETAIL_SIZE];
    detail[0] = '\0';
    (void)reject_escape(slice_of_text(text), detail, sizeof(detail));
    row->detail = copy(batch, slice_of_text(detail));
}

void batch_drop_partition(struct batch *batch, int32_t partition)
{
    size_t kept = 0;
    for (size_t i = 0; i < batch->row_count; i++) {
        if (batch->rows[i].partition != partition) batch->rows[kept++] = batch->rows[i];
    }
    batch->row_count = kept;
}

bool batch_is_full(const struct batch *batch)
{
    return batch->row_count >= batch->limits.rows_max || batch->bytes.size >= batch->limits.bytes_max;
}
