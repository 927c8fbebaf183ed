// link: tests/bench/workload.c
/* A workload as others take it:   bench_messages WORKLOAD EVENTS SEED PARTITIONS FORM
 *
 * Writes one message a line, in the order in which the workload sends them. FORM is loose (the bytes that
 * winnow reads), canonical (normalized by winnow's own rules, the hash computed) or enveloped (the same
 * inside the schema that Kafka Connect's JSON converter asks for, with the place in the topic). Ends with 1
 * at a message that is no event. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../workload.h"
#include "decimal.h"
#include "identity.h"
#include "instant.h"
#include "normalize.h"

struct column {
    const char *name;
    const char *type;
    const char *semantic; /* members of the schema that give the type a meaning */
};

#define UUID "\"name\":\"io.debezium.data.Uuid\",\"version\":1,"
#define TIME "\"name\":\"io.debezium.time.ZonedTimestamp\",\"version\":1,"
#define DECIMAL \
    "\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,\"parameters\":{\"scale\":\"2\"},"

static const struct column columns[] = {
    {"event_hash", "string", UUID},    {"bucket", "string", TIME},     {"client_id", "string", ""},
    {"metric", "string", ""},          {"amount", "bytes", DECIMAL},   {"event_time", "string", TIME},
    {"origin_partition", "int32", ""}, {"origin_offset", "int64", ""},
};

static void print_text(struct slice text)
{
    (void)printf("%.*s", (int)text.size, text.data);
}

/* Without the closing brace. The workload's texts need no escapes. Connect takes a decimal as a number. */
static void print_event(const struct event *event, bool amount_is_text)
{
    const char *quote = amount_is_text ? "\"" : "";
    char hash[IDENTITY_TEXT_SIZE];
    char amount[DECIMAL_TEXT_SIZE];
    char bucket[INSTANT_TEXT_SIZE];
    char time[INSTANT_TEXT_SIZE];
    identity_print(event->hash, hash);
    (void)decimal_print(&event->amount, amount);
    (void)instant_print(event->bucket_us, bucket);
    (void)instant_print(event->time_us, time);
    (void)printf("{\"event_hash\":\"%s\",\"bucket\":\"%s\",\"client_id\":\"", hash, bucket);
    print_text(event->client_id);
    (void)printf("\",\"metric\":\"");
    print_text(event->metric);
    (void)printf("\",\"amount\":%s%s%s,\"event_time\":\"%s\"", quote, amount, quote, time);
}

static void print_schema(void)
{
    (void)printf(
        "{\"schema\":{\"type\":\"struct\",\"optional\":false,\"name\":\"winnow.event\",\"fields\":[");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        (void)printf("%s{\"type\":\"%s\",\"optional\":false,%s\"field\":\"%s\"}", i > 0 ? "," : "",
                     columns[i].type, columns[i].semantic, columns[i].name);
    }
    (void)printf("]},\"payload\":");
}

static void print_message(struct normalizer *normalizer, const struct workload *workload, uint64_t number,
                          const char *form)
{
    char message[WORKLOAD_MESSAGE_SIZE];
    struct record record = {.value = slice_of(message, workload_write(workload, number, message))};
    struct client_rules rules = {0};
    struct event event;
    struct reject reject;
    if (normalize(normalizer, &record, &rules, &event, &reject) != STATUS_OK) {
        (void)fprintf(stderr, "bench_messages: message %" PRIu64 ": %s\n", number, reject.detail);
        exit(1);
    }
    bool enveloped = strcmp(form, "enveloped") == 0;
    if (enveloped) print_schema();
    if (strcmp(form, "loose") == 0) {
        print_text(record.value);
    } else {
        print_event(&event, !enveloped);
        if (enveloped)
            (void)printf(",\"origin_partition\":%" PRIu64 ",\"origin_offset\":%" PRIu64 "}",
                         number % workload->partitions, number / workload->partitions);
        (void)putchar('}');
    }
    (void)putchar('\n');
}

int main(int argc, char **argv)
{
    struct workload workload;
    if (argc != 6 || !workload_parse(argv[1], &workload)) {
        (void)fprintf(stderr,
                      "usage: bench_messages WORKLOAD EVENTS SEED PARTITIONS loose|canonical|enveloped\n");
        return 64;
    }
    uint64_t events = strtoull(argv[2], NULL, 10);
    workload.seed = strtoull(argv[3], NULL, 10);
    workload.partitions = strtoull(argv[4], NULL, 10);
    struct normalizer *normalizer = normalizer_new(NORMALIZE_EVENT_BYTES_MAX_DEFAULT);
    for (uint64_t number = 0; number < events; number++)
        print_message(normalizer, &workload, number, argv[5]);
    normalizer_free(normalizer);
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
}
