#include "console/live_sample.h"

#include <stdlib.h>
#include <string.h>

#include "console/outcome_ask.h"
#include "console/parcel.h"
#include "console/session.h"
#include "instant.h"
#include "json.h"
#include "kafka_reader.h"
#include "log.h"
#include "normalize.h"
#include "utf8.h"

#define READ_TIMEOUT_MS   500
#define SHOWN_BYTES       2000
#define LEAST_A_PARTITION 2

struct sampled {
    struct parcel_item item;
    int64_t timestamp_ms;
    struct buffer value; /* the first SHOWN_BYTES, cut where a character ends */
    bool readable;
};

struct live_sample {
    const struct settings *settings;
    struct kafka_reader *reader;
    struct normalizer *normalizer;
    struct database *database;
    int64_t *passed; /* by place in the snapshot: up to where was looked; -1: not yet */
    int32_t *partitions;
    size_t partition_count;
    bool has_looked;
    struct sampled messages[LIVE_SAMPLE_MAX];
    size_t count;
};

struct live_sample *live_sample_new(const struct settings *settings)
{
    struct live_sample *sample = calloc(1, sizeof *sample);
    if (sample == NULL) abort();
    sample->settings = settings;
    sample->normalizer = normalizer_new((size_t)settings->event_bytes_max);
    return sample;
}

void live_sample_free(struct live_sample *sample)
{
    if (sample == NULL) return;
    for (size_t i = 0; i < LIVE_SAMPLE_MAX; i++) {
        buffer_done(&sample->messages[i].value);
        buffer_done(&sample->messages[i].item.names);
    }
    kafka_reader_free(sample->reader);
    normalizer_free(sample->normalizer);
    database_close(sample->database);
    free(sample->passed);
    free(sample->partitions);
    free(sample);
}

static int64_t *passed_of(struct live_sample *sample, int32_t partition)
{
    for (size_t i = 0; i < sample->partition_count; i++) {
        if (sample->partitions[i] == partition) return &sample->passed[i];
    }
    size_t count = ++sample->partition_count;
    sample->passed = reallocarray(sample->passed, count, sizeof *sample->passed);
    sample->partitions = reallocarray(sample->partitions, count, sizeof *sample->partitions);
    if (sample->passed == NULL || sample->partitions == NULL) abort();
    sample->partitions[count - 1] = partition;
    sample->passed[count - 1] = -1;
    return &sample->passed[count - 1];
}

void live_sample_skip(struct live_sample *sample, const struct progress_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot->partitions[i].started)
            *passed_of(sample, snapshot->partitions[i].partition) = snapshot->partitions[i].next_offset;
    }
    sample->has_looked = true;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void keep_value(struct sampled *message, struct slice value)
{
    size_t size = value.size < SHOWN_BYTES ? value.size : SHOWN_BYTES;
    while (size > 0 && size < value.size && utf8_is_tail((unsigned char)value.data[size])) size--;
    buffer_clear(&message->value);
    message->readable = value.data != NULL && utf8_is_valid(value.data, size);
    if (message->readable) (void)buffer_add(&message->value, value.data, size);
}

static void take(void *context, const struct record *record)
{
    struct live_sample *sample = context;
    if (sample->count == LIVE_SAMPLE_MAX) return;
    struct sampled *message = &sample->messages[sample->count++];
    struct buffer names = message->item.names;
    message->item =
        (struct parcel_item){.partition = record->partition, .offset = record->offset, .names = names};
    message->timestamp_ms = record->timestamp_ms;
    parcel_item_judge(&message->item, sample->normalizer, record);
    keep_value(message, record->value);
}

/* Up to where was looked; a partition that nobody had begun to read at the first look begins at its start. */
static int64_t looked_up_to(struct live_sample *sample, const struct progress_partition *partition)
{
    int64_t passed = *passed_of(sample, partition->partition);
    if (passed >= 0) return passed;
    return sample->has_looked ? partition->start_offset : partition->next_offset;
}

/* Up to where was looked after a read that took the messages behind the first `before`. When its time was
 * over the rest is still to be read. */
static int64_t read_up_to(const struct live_sample *sample, size_t before, int64_t otherwise)
{
    return sample->count > before ? sample->messages[sample->count - 1].item.offset + 1 : otherwise;
}

/* What cannot be read now is tried again at the next look, as long as it is among the latest then. */
static void read_partition(struct live_sample *sample, const struct progress_partition *partition,
                           size_t share)
{
    struct fault fault;
    int64_t begin = looked_up_to(sample, partition);
    int64_t end = partition->next_offset;
    if (end - begin > (int64_t)share) begin = end - (int64_t)share;
    const size_t before = sample->count;
    bool done = begin >= end;
    if (!done && (sample->reader != NULL || kafka_reader_open(sample->settings, &sample->reader, &fault)))
        done = kafka_reader_read(sample->reader, partition->partition, begin, (size_t)(end - begin),
                                 READ_TIMEOUT_MS, take, sample, &fault) ||
               fault.status == STATUS_REJECT;
    *passed_of(sample, partition->partition) = read_up_to(sample, before, done ? end : begin);
    if (!done)
        log_line(LOG_LEVEL_DEBUG, "sample_incomplete", "partition %d: %s", (int)partition->partition,
                 fault.text);
}

static size_t count_moved(struct live_sample *sample, const struct progress_snapshot *snapshot)
{
    size_t moved = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct progress_partition *partition = &snapshot->partitions[i];
        moved += partition->started && partition->next_offset > looked_up_to(sample, partition);
    }
    return moved;
}

static void read_latest(struct live_sample *sample, const struct progress_snapshot *snapshot)
{
    size_t moved = count_moved(sample, snapshot);
    size_t share = moved > 0 ? LIVE_SAMPLE_MAX / moved : 0;
    if (share < LEAST_A_PARTITION) share = LEAST_A_PARTITION;
    sample->count = 0;
    for (size_t i = 0; i < snapshot->count && sample->count < LIVE_SAMPLE_MAX; i++) {
        if (snapshot->partitions[i].started) read_partition(sample, &snapshot->partitions[i], share);
    }
    sample->has_looked = true;
}

/* ---- printing ------------------------------------------------------------------------------------------ */

static void print_message(const struct sampled *message, struct buffer *out)
{
    char when[INSTANT_TEXT_SIZE];
    int64_t instant_us;
    const struct parcel_item *item = &message->item;
    bool timed = instant_from_ms(message->timestamp_ms, &instant_us) == INSTANT_OK;
    if (timed) (void)instant_print(instant_us, when);
    buffer_clear(out);
    json_open(out, '{');
    json_int(out, "partition", item->partition);
    json_int(out, "offset", item->offset);
    json_text(out, "timestamp", timed ? when : NULL);
    json_text(out, "state", message_state_name(item->state));
    json_slice(out, "value_text",
               message->readable
                   ? slice_of(message->value.data != NULL ? message->value.data : "", message->value.size)
                   : slice_of(NULL, 0));
    parcel_item_print_event(item, out, "event");
    json_text(out, "reason", item->reason[0] != '\0' ? item->reason : NULL);
    json_text(out, "detail", item->detail[0] != '\0' ? item->detail : NULL);
    parcel_item_print_origin(item, out);
    json_close(out, '}');
}

static bool ask(struct live_sample *sample)
{
    struct fault fault;
    struct parcel_item *items[LIVE_SAMPLE_MAX];
    for (size_t i = 0; i < sample->count; i++) items[i] = &sample->messages[i].item;
    return session_keep(sample->settings, SESSION_READ, &sample->database, &fault) &&
           outcome_ask(sample->database, sample->settings, items, sample->count, &fault);
}

size_t live_sample_look(struct live_sample *sample, const struct progress_snapshot *snapshot,
                        struct buffer ret_texts[LIVE_SAMPLE_MAX])
{
    size_t printed = 0;
    read_latest(sample, snapshot);
    if (sample->count == 0 || !ask(sample)) return 0; /* progress tells that the database is away */
    for (size_t i = 0; i < sample->count; i++) {
        const struct parcel_item *item = &sample->messages[i].item;
        if (item->known && item->state >= STATE_COMPLETED)
            print_message(&sample->messages[i], &ret_texts[printed++]);
    }
    return printed;
}
