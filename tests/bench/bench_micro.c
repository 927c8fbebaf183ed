// link: tests/bench/workload.c worker/apply_parameters.c worker/array.c worker/event_order.c
/* What one event costs before it goes to the database:   bench_micro PART [WORKLOAD [ROUNDS]]
 *
 * PART is json (the strict check alone), normalize (with the check and the hash), hash (alone), step (what
 * the machine does with a record, normalization included, and with a batch of them) or encode (sorting and
 * binary arrays, of batches of EVENTS). Prints nanoseconds an event, the best of ROUNDS over EVENTS messages;
 * with ROUNDS 0 it runs once and prints the number of events, for counting the instructions of measured(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apply_parameters.h"
#include "batch.h"
#include "identity.h"
#include "json_text.h"
#include "machine.h"
#include "normalize.h"
#include "workload.h"

#define EVENTS          2000
#define ROUNDS_DEFAULT  200
#define PARTITIONS      8
#define BREAKER_WINDOW  200 /* the defaults of the settings */
#define BREAKER_PERCENT 50

struct bench {
    struct buffer bytes; /* of all messages */
    struct slice messages[EVENTS];
    struct event events[EVENTS]; /* what they become; their texts are in the batch */
    size_t event_count;
    struct batch batch;
    struct jsontext scanner;
    struct normalizer *normalizer;
    struct identity *identity;
    struct apply_parameters apply;
    struct machine *machine;
    int64_t offset; /* of the machine's next records */
};

static bool enter(void *context, const struct jsontext_token *key)
{
    (void)context;
    (void)key;
    return true;
}

static void pass_member(void *context, bool inner, const struct jsontext_token *key,
                        const struct jsontext_token *value)
{
    (void)context;
    (void)inner;
    (void)key;
    (void)value;
}

static void run_json(struct bench *bench)
{
    static const struct jsontext_visitor visitor = {.enter = enter, .member = pass_member};
    struct jsontext_report report;
    for (size_t i = 0; i < EVENTS; i++)
        (void)!jsontext_scan(&bench->scanner, bench->messages[i], &visitor, &report);
}

static void run_normalize(struct bench *bench)
{
    static const struct client_rules rules;
    struct event event;
    struct reject reject;
    for (size_t i = 0; i < EVENTS; i++) {
        struct record record = {.value = bench->messages[i], .timestamp_ms = 1};
        (void)!normalize(bench->normalizer, &record, &rules, &event, &reject);
    }
}

static void run_hash(struct bench *bench)
{
    for (size_t i = 0; i < EVENTS; i++)
        identity_hash(bench->identity, &bench->events[i % bench->event_count]);
}

static void run_encode(struct bench *bench)
{
    struct write write = {.batch = &bench->batch, .row_end = bench->batch.row_count};
    struct sql_parameter parameters[APPLY_PARAMETER_COUNT];
    apply_encode(&bench->apply, 1, &write, parameters);
}

static enum action_kind step(struct bench *bench, const struct input *input)
{
    return machine_step(bench->machine, input, 1).kind;
}

/* A batch is read, written and acknowledged. */
static void run_step(struct bench *bench)
{
    static const char proof; /* the machine only hands it on */
    struct input input = {.kind = INPUT_RECORD};
    for (size_t i = 0; i < EVENTS; i++) {
        int64_t offset = bench->offset + (int64_t)(i / PARTITIONS);
        input.record = (struct record){.partition = (int32_t)(i % PARTITIONS),
                                       .offset = offset,
                                       .timestamp_ms = 1,
                                       .value = bench->messages[i]};
        if (step(bench, &input) != ACTION_POLL) abort();
    }
    bench->offset += EVENTS / PARTITIONS;
    if (step(bench, &(struct input){.kind = INPUT_IDLE}) != ACTION_WRITE) abort();
    input = (struct input){.kind = INPUT_WRITTEN, .receipt = (const struct receipt *)(const void *)&proof};
    if (step(bench, &input) != ACTION_ACK) abort();
    if (step(bench, &(struct input){.kind = INPUT_NONE}) != ACTION_POLL) abort();
}

static const struct part {
    const char *name;
    void (*run)(struct bench *bench);
} parts[] = {{"json", run_json},
             {"normalize", run_normalize},
             {"hash", run_hash},
             {"step", run_step},
             {"encode", run_encode}};

/* Left whole by the compiler, so that callgrind finds it by name. */
__attribute__((noipa)) static void measured(const struct part *part, struct bench *bench)
{
    part->run(bench);
}

/* ---- what is measured, prepared ------------------------------------------------------------------------ */

static void make_messages(struct bench *bench, const struct workload *workload)
{
    size_t begins[EVENTS + 1] = {0};
    for (size_t i = 0; i < EVENTS; i++) {
        char *at = buffer_reserve(&bench->bytes, WORKLOAD_MESSAGE_SIZE);
        bench->bytes.size += workload_write(workload, i, at);
        begins[i + 1] = bench->bytes.size;
    }
    for (size_t i = 0; i < EVENTS; i++)
        bench->messages[i] = slice_of(bench->bytes.data + begins[i], begins[i + 1] - begins[i]);
}

static void make_events(struct bench *bench)
{
    static const struct client_rules rules;
    struct batch_limits limits = {.rows_max = EVENTS, .bytes_max = SIZE_MAX};
    batch_init(&bench->batch, &limits);
    for (size_t i = 0; i < EVENTS; i++) {
        struct record record = {.value = bench->messages[i], .offset = (int64_t)i, .timestamp_ms = 1};
        struct event *event = &bench->events[bench->event_count];
        struct reject reject;
        if (normalize(bench->normalizer, &record, &rules, event, &reject) != STATUS_OK) continue;
        batch_add_event(&bench->batch, &record, event, false, 0);
        bench->event_count++;
    }
    for (size_t i = 0; i < bench->event_count; i++) {
        bench->events[i].client_id = batch_slice(&bench->batch, bench->batch.rows[i].client_id);
        bench->events[i].metric = batch_slice(&bench->batch, bench->batch.rows[i].metric);
    }
}

/* Up to where it waits for records of all partitions, as many as one batch takes. */
static void make_machine(struct bench *bench)
{
    struct machine_options options = {
        .limits = {.rows_max = EVENTS + 1, .bytes_max = INT32_MAX, .age_max_ms = INT32_MAX},
        .event_bytes_max = NORMALIZE_EVENT_BYTES_MAX_DEFAULT,
        .breaker_window = BREAKER_WINDOW,
        .breaker_percent = BREAKER_PERCENT,
        .seed = 1,
    };
    int32_t partitions[PARTITIONS];
    struct claim claims[PARTITIONS];
    for (int32_t i = 0; i < PARTITIONS; i++) {
        partitions[i] = i;
        claims[i] = (struct claim){.partition = i, .epoch = 1, .tail_offset = -1};
    }
    bench->machine = machine_new(&options);
    struct input assigned = {.kind = INPUT_ASSIGNED, .partitions = partitions, .count = PARTITIONS};
    struct input claimed = {.kind = INPUT_CLAIMED, .claims = claims, .count = PARTITIONS};
    if (step(bench, &assigned) != ACTION_CLAIM || step(bench, &claimed) != ACTION_START) abort();
    if (step(bench, &(struct input){.kind = INPUT_NONE}) != ACTION_POLL) abort();
}

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double best_ns(const struct part *part, struct bench *bench, unsigned long rounds)
{
    double best = 0;
    for (unsigned long round = 0; round < rounds; round++) {
        double begin = now_ns();
        measured(part, bench);
        double taken = (now_ns() - begin) / EVENTS;
        if (round == 0 || taken < best) best = taken;
    }
    return best;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    const struct part *part = NULL;
    for (size_t i = 0; argc > 1 && i < ARRAY_COUNT(parts); i++)
        if (strcmp(parts[i].name, argv[1]) == 0) part = &parts[i];
    const char *name = argc > 2 ? argv[2] : "live";
    struct workload workload;
    if (part == NULL || !workload_parse(name, &workload)) {
        (void)fprintf(stderr, "usage: bench_micro json|normalize|hash|step|encode [WORKLOAD [ROUNDS]]\n");
        return 64;
    }
    workload.seed = 1;
    workload.partitions = PARTITIONS;
    bench.normalizer = normalizer_new(NORMALIZE_EVENT_BYTES_MAX_DEFAULT);
    bench.identity = identity_new();
    make_messages(&bench, &workload);
    make_events(&bench);
    make_machine(&bench);
    for (int i = 0; i < 2; i++) part->run(&bench); /* memory is grown, of both batches; symbols are bound */
    unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : ROUNDS_DEFAULT;
    if (rounds == 0) {
        measured(part, &bench);
        (void)printf("%d events\n", EVENTS);
    } else {
        (void)printf("%-10s %-9s %7.1f ns an event\n", part->name, name, best_ns(part, &bench, rounds));
    }
    apply_done(&bench.apply);
    machine_free(bench.machine);
    normalizer_free(bench.normalizer);
    identity_free(bench.identity);
    jsontext_done(&bench.scanner);
    batch_done(&bench.batch);
    buffer_done(&bench.bytes);
    return 0;
}
