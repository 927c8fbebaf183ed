/* GET /api/v1/messages/{partition}/{offset}/raw. */
#include "console/raw.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base64.h"
#include "console/call_state.h"
#include "console/console.h"
#include "console/message_json.h"
#include "console/progress.h"
#include "console/routes.h"
#include "instant.h"
#include "json.h"
#include "kafka_reader.h"

#define READ_TIMEOUT_MS 5000
#define TURN_TIMEOUT_S  3

struct raw {
    const struct settings *settings;
    pthread_mutex_t mutex; /* one reads at a time */
    struct kafka_reader *reader;
};

struct raw *raw_new(const struct settings *settings)
{
    struct raw *raw = calloc(1, sizeof *raw);
    if (raw == NULL || pthread_mutex_init(&raw->mutex, NULL) != 0) abort();
    raw->settings = settings;
    return raw;
}

void raw_free(struct raw *raw)
{
    if (raw == NULL) return;
    kafka_reader_free(raw->reader);
    (void)pthread_mutex_destroy(&raw->mutex);
    free(raw);
}

static void add_base64(struct buffer *out, const char *name, struct slice bytes)
{
    struct buffer text = {0};
    base64_add(&text, bytes);
    json_slice(out, name,
               bytes.data == NULL ? slice_of(NULL, 0)
                                  : slice_of(text.data != NULL ? text.data : "", text.size));
    buffer_done(&text);
}

static void add_time(struct buffer *out, int64_t timestamp_ms)
{
    char when[INSTANT_TEXT_SIZE];
    int64_t instant_us;
    bool timed = instant_from_ms(timestamp_ms, &instant_us) == INSTANT_OK;
    if (timed) (void)instant_print(instant_us, when);
    json_text(out, "timestamp", timed ? when : NULL);
}

static void print_record(void *context, const struct record *record)
{
    struct buffer *out = context;
    json_int(out, "partition", record->partition);
    json_int(out, "offset", record->offset);
    add_time(out, record->timestamp_ms);
    json_message_text(out, "key_text", record->key);
    json_message_text(out, "value_text", record->value);
    add_base64(out, "value_base64", record->value);
    json_message_headers(out, record->headers);
}

static bool read_message(struct raw *raw, int32_t partition, int64_t offset, struct buffer *out,
                         struct fault *ret_fault)
{
    return (raw->reader != NULL || kafka_reader_open(raw->settings, &raw->reader, ret_fault)) &&
           kafka_reader_read(raw->reader, partition, offset, 1, READ_TIMEOUT_MS, print_record, out,
                             ret_fault);
}

/* Asking Kafka for a partition that there is not takes long. */
static bool is_known(struct call *call, int32_t partition)
{
    struct progress_snapshot snapshot;
    progress_read(call->console->progress, &snapshot);
    bool known = snapshot.lag_fault.status != STATUS_OK; /* then Kafka is asked */
    for (size_t i = 0; i < snapshot.count; i++) known |= snapshot.partitions[i].partition == partition;
    progress_snapshot_done(&snapshot);
    if (!known)
        call_refuse(call, &(struct refusal){.problem = PROBLEM_NOT_FOUND,
                                            .detail = "the topic has no such partition"});
    return known;
}

static void answer(struct call *call, int32_t partition, int64_t offset)
{
    struct fault fault;
    struct buffer out = {0};
    json_open(&out, '{');
    json_text(&out, "topic", call_settings(call)->topic);
    if (read_message(call->console->raw, partition, offset, &out, &fault)) {
        json_close(&out, '}');
        call_answer_json(call, 200, &out);
    } else if (fault.status == STATUS_REJECT) {
        call_refuse(call, &(struct refusal){.problem = PROBLEM_NOT_FOUND, .detail = fault.text});
    } else {
        call_fail(call, PROBLEM_KAFKA, &fault);
    }
    buffer_done(&out);
}

void handle_raw(struct call *call)
{
    int64_t partition;
    int64_t offset;
    struct timespec until;
    struct raw *raw = call->console->raw;
    if (!call_path_integer(call, 0, "partition", 0, INT32_MAX, &partition) ||
        !call_path_integer(call, 1, "offset", 0, INT64_MAX, &offset) || !is_known(call, (int32_t)partition) ||
        !call_reserve_thread(call, 0))
        return;
    if (clock_gettime(CLOCK_REALTIME, &until) != 0) abort();
    until.tv_sec += TURN_TIMEOUT_S;
    if (pthread_mutex_timedlock(&raw->mutex, &until) != 0) {
        call_answer_header(call, "Retry-After", "1");
        call_refuse(call,
                    &(struct refusal){.problem = PROBLEM_TOO_MANY, .detail = "others read messages now"});
        return;
    }
    answer(call, (int32_t)partition, offset);
    (void)pthread_mutex_unlock(&raw->mutex);
}
