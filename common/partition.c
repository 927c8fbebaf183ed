#include "partition.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALLS_BEFORE_GIVING_UP 2
#define STALLS_MAX              4 /* the patience does not double for ever */

struct partition *partition_find(struct partition *partitions, size_t count, int32_t number)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (partitions[middle].number == number) return &partitions[middle];
        if (partitions[middle].number < number) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return NULL;
}

void partition_init(struct partition *partition, int32_t number, const struct machine_options *options)
{
    *partition = (struct partition){
        .number = number,
        .jump_to = -1,
        .silence = {.end = -1, .log_end = -1, .believed = -1, .fetched = -1},
        .breaker = {.window = options->breaker_window, .percent = options->breaker_percent},
    };
    if (options->breaker_window == 0) return;
    partition->breaker.dead_bits = calloc((options->breaker_window + 7) / 8, 1);
    if (partition->breaker.dead_bits == NULL) abort();
}

void partition_done(struct partition *partition)
{
    free(partition->breaker.dead_bits);
    partition->breaker.dead_bits = NULL;
}

/* Messages that are read again after a resync must not count twice: the window begins anew. */
static void breaker_reset(struct breaker *breaker)
{
    if (breaker->window == 0) return;
    memset(breaker->dead_bits, 0, (breaker->window + 7) / 8);
    breaker->at = 0;
    breaker->dead = 0;
}

void partition_reset(struct partition *partition)
{
    partition->state = PARTITION_UNCLAIMED;
    partition->start_due = false;
    partition->halt_due = false;
    partition->lost = 0;
    partition->jump_to = -1;
    partition->silence.believed = -1;
    breaker_reset(&partition->breaker);
}

void partition_claimed(struct partition *partition, const struct claim *claim)
{
    partition_reset(partition);
    partition->epoch = claim->epoch;
    partition->committed = claim->next_offset;
    partition->cursor = claim->next_offset;
    partition->start_at = claim->next_offset;
    if (claim->halted) {
        partition->state = PARTITION_HALTED;
        return;
    }
    partition->start_due = true;
    partition->state = PARTITION_RUNNING;
    if (claim->tail_offset < 0) return;
    partition->state = PARTITION_TAIL;
    partition->start_at = claim->tail_offset;
    memcpy(partition->tail_fingerprint, claim->tail_fingerprint, FINGERPRINT_SIZE);
}

static void halt(struct partition *partition, const char *reason)
{
    partition->state = PARTITION_HALTED;
    partition->start_due = false;
    partition->halt_due = true;
    partition->halt_reason = reason;
}

/* The last applied message must still be the one we applied; otherwise the topic was recreated or cut off, or
 * this is another cluster, and going on would lose or repeat messages without a word. */
static enum verdict judge_tail(struct partition *partition, const struct record *record,
                               struct identity *identity)
{
    uint8_t fingerprint[FINGERPRINT_SIZE];
    identity_fingerprint(identity, record->timestamp_ms, record->key, record->value, fingerprint);
    if (memcmp(fingerprint, partition->tail_fingerprint, FINGERPRINT_SIZE) == 0) {
        partition->state = PARTITION_RUNNING;
        partition->jump_to = -1;
        return VERDICT_DROP;
    }
    halt(partition, "topic_changed");
    (void)snprintf(partition->halt_detail, sizeof(partition->halt_detail),
                   "offset %" PRId64
                   " holds another message than the one that was applied there: the topic was "
                   "recreated or truncated, or this is another cluster",
                   record->offset);
    return VERDICT_HALT;
}

/* A jump is real (compaction, a transaction's marker) when it is there again on a second reading. */
static enum verdict judge_jump(struct partition *partition, const struct record *record, int64_t *ret_gap)
{
    if (partition->jump_to != record->offset) {
        partition->jump_to = record->offset;
        partition->start_due = true;
        partition->start_at = partition->cursor;
        return VERDICT_REREAD;
    }
    *ret_gap = record->offset - partition->cursor;
    partition->cursor = record->offset + 1;
    partition->jump_to = -1;
    return VERDICT_TAKE;
}

/* What comes first is behind the last applied message. Seen twice, compaction took that one, and there is
 * nothing left to compare. */
static enum verdict judge_missing_tail(struct partition *partition, const struct record *record,
                                       int64_t *ret_gap)
{
    if (partition->jump_to != record->offset) {
        partition->jump_to = record->offset;
        partition->start_due = true;
        return VERDICT_REREAD;
    }
    partition->state = PARTITION_RUNNING;
    return judge_jump(partition, record, ret_gap);
}

enum verdict partition_judge(struct partition *partition, const struct record *record,
                             struct identity *identity, int64_t *ret_gap)
{
    *ret_gap = 0;
    if (partition->state != PARTITION_RUNNING && partition->state != PARTITION_TAIL) return VERDICT_DROP;
    if (partition->start_due) return VERDICT_DROP; /* from before the seek that is about to come */
    if (partition->state == PARTITION_TAIL) {
        if (record->offset == partition->start_at) return judge_tail(partition, record, identity);
        if (record->offset < partition->cursor) return VERDICT_DROP;
        return judge_missing_tail(partition, record, ret_gap);
    }
    if (record->offset < partition->cursor) return VERDICT_DROP;
    if (record->offset > partition->cursor) return judge_jump(partition, record, ret_gap);
    partition->cursor++;
    partition->jump_to = -1;
    return VERDICT_TAKE;
}

int64_t partition_out_of_range(struct partition *partition, int64_t low, int64_t high)
{
    if (high < partition->cursor) {
        halt(partition, "offset_out_of_range");
        (void)snprintf(partition->halt_detail, sizeof(partition->halt_detail),
                       "the next offset is %" PRId64 ", but the partition ends at %" PRId64
                       ": the topic was recreated or truncated, or this is another cluster",
                       partition->cursor, high);
        return 0;
    }
    int64_t lost = low > partition->cursor ? low - partition->cursor : 0;
    partition->lost += lost;
    partition->cursor += lost;
    /* The last applied message is gone as well, and with it the means to compare. */
    partition->state = PARTITION_RUNNING;
    partition->jump_to = -1;
    partition->start_at = partition->cursor;
    partition->start_due = true;
    return lost;
}

void partition_heard(struct partition *partition, int64_t now_ms)
{
    partition->silence.heard_ms = now_ms;
    partition->silence.log_end = -1;
    partition->silence.stalls = 0;
}

void partition_started(struct partition *partition, int64_t now_ms)
{
    partition->silence.heard_ms = now_ms;
    partition->silence.log_end = -1;
    partition->silence.end = -1;
    partition->silence.fetching = false;
}

static bool is_read(const struct partition *partition)
{
    bool reads = partition->state == PARTITION_RUNNING || partition->state == PARTITION_TAIL;
    return reads && !partition->start_due;
}

bool partition_is_silent(const struct partition *partition, int64_t now_ms, int64_t timeout_ms)
{
    const struct silence *silence = &partition->silence;
    return is_read(partition) && now_ms - silence->heard_ms >= timeout_ms << silence->stalls;
}

void partition_note_fetched(struct partition *partition, int64_t fetched)
{
    struct silence *silence = &partition->silence;
    if (fetched < 0) return;
    if (silence->fetched >= 0 && fetched > silence->fetched) silence->fetching = true;
    silence->fetched = fetched;
}

/* A client that is told of news there passes over what aborted transactions left, and a new one would do no
 * better. It is not taken at its word, as it may also have lost what it fetched: reading anew mends that. */
enum silence_verdict partition_judge_silence(struct partition *partition, int64_t log_end)
{
    struct silence *silence = &partition->silence;
    int64_t wanted = partition->state == PARTITION_TAIL ? partition->start_at : partition->cursor;
    int64_t known_end = silence->log_end;
    silence->log_end = log_end;
    bool reached = silence->end >= known_end;
    if (!is_read(partition) || known_end <= wanted) return SILENCE_FINE;
    if (reached && silence->believed >= known_end) return SILENCE_FINE;
    partition->start_at = wanted;
    partition->start_due = true;
    if (reached) { /* a transaction's marker, or messages that were skipped */
        silence->believed = known_end;
        return SILENCE_REREAD;
    }
    if (silence->stalls >= STALLS_BEFORE_GIVING_UP && !silence->fetching) return SILENCE_HOPELESS;
    if (silence->stalls < STALLS_MAX) silence->stalls++;
    return SILENCE_STALLED;
}

bool partition_count(struct partition *partition, bool dead)
{
    struct breaker *breaker = &partition->breaker;
    if (breaker->window == 0) return false;
    uint8_t *byte = &breaker->dead_bits[breaker->at / 8];
    uint8_t bit = (uint8_t)(1u << (breaker->at % 8));
    if ((*byte & bit) != 0) breaker->dead--;
    *byte = (uint8_t)(dead ? *byte | bit : *byte & ~bit);
    if (dead) breaker->dead++;
    breaker->at = (breaker->at + 1) % breaker->window;
    if (!dead || (uint64_t)breaker->dead * 100 <= (uint64_t)breaker->window * breaker->percent) return false;
    halt(partition, "circuit_breaker");
    (void)snprintf(partition->halt_detail, sizeof(partition->halt_detail),
                   "%" PRIu32 " of the last %" PRIu32 " messages were dead letters", breaker->dead,
                   breaker->window);
    return true;
}
