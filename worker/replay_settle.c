#include "replay_settle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dead_letter_run.h"
#include "kafka_reader.h"
#include "replay_letter.h"

/* A client tries for ten seconds at most (replay.c); what is not in the topic by then does not come any more.
 */
#define ARRIVES_WITHIN_MS INT64_C(15000)
#define SILENCE_MS        10000

static void add_number(struct buffer *out, int64_t number)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%s%" PRId64, out->size == 0 ? "{" : ",", number);
    (void)buffer_add(out, text, (size_t)size);
}

void place_list_add(struct place_list *list, int64_t partition, int64_t offset)
{
    add_number(&list->partitions, partition);
    add_number(&list->offsets, offset);
}

struct letter_places place_list_end(struct place_list *list)
{
    (void)buffer_add(&list->partitions, "}", 2);
    (void)buffer_add(&list->offsets, "}", 2);
    return (struct letter_places){list->partitions.data, list->offsets.data};
}

void place_list_done(struct place_list *list)
{
    buffer_done(&list->partitions);
    buffer_done(&list->offsets);
}

/* One letter in doubt. */
struct doubt {
    int64_t action_id;
    const char *token; /* borrowed from the rows */
    int64_t partition;
    int64_t offset;
    int64_t from;
    int64_t age_ms;
    bool found;
    int64_t found_at;
    struct replay_verdict verdict; /* of what was found */
};

/* Those of one partition. */
struct search {
    struct normalizer *normalizer;
    struct doubt *doubts;
    size_t count;
    size_t left;
};

static void take_down(struct search *search, struct doubt *doubt, const struct record *record)
{
    doubt->found = true;
    doubt->found_at = record->offset;
    replay_judge(search->normalizer, record->timestamp_ms, record->value, &doubt->verdict);
    search->left--;
}

static bool look(void *context, const struct record *record)
{
    struct search *search = context;
    for (size_t i = 0; i < search->count && record->headers.size > 0; i++) {
        struct doubt *doubt = &search->doubts[i];
        if (!doubt->found && replay_action_of(record->headers, doubt->token) == doubt->action_id)
            take_down(search, doubt, record);
    }
    return search->left > 0;
}

static bool search_partition(struct kafka_reader *searcher, struct search *search, struct fault *ret_fault)
{
    int64_t from = search->doubts[0].from;
    for (size_t i = 1; i < search->count; i++) {
        if (search->doubts[i].from < from) from = search->doubts[i].from;
    }
    search->left = search->count;
    return kafka_searcher_look(searcher, (int32_t)search->doubts[0].partition, from, SILENCE_MS, look, search,
                               ret_fault);
}

/* Doubts come by partition. What belongs to a partition that is gone was sent by its key, and is taken for
 * lost: only a topic that was made anew has fewer. */
static bool search_all(const struct settings *settings, struct doubt *doubts, size_t count,
                       int32_t partition_count, struct normalizer *normalizer, struct fault *ret_fault)
{
    struct kafka_reader *searcher = NULL;
    if (!kafka_searcher_open(settings, &searcher, ret_fault)) return false;
    bool done = true;
    for (size_t begin = 0, end; done && begin < count; begin = end) {
        for (end = begin; end < count && doubts[end].partition == doubts[begin].partition; end++) continue;
        struct search search = {normalizer, doubts + begin, end - begin, 0};
        if (doubts[begin].partition < partition_count) done = search_partition(searcher, &search, ret_fault);
    }
    kafka_reader_free(searcher);
    return done;
}

static bool report(struct database *database, const struct doubt *doubts, size_t count,
                   struct replay_settled *settled, struct place_list *lost, struct fault *ret_fault)
{
    struct letter_fate *fates = calloc(count, sizeof *fates);
    size_t told = 0;
    if (fates == NULL) abort();
    for (size_t i = 0; i < count; i++) {
        const struct doubt *doubt = &doubts[i];
        if (!doubt->found && doubt->age_ms < ARRIVES_WITHIN_MS) {
            settled->too_young++;
            continue;
        }
        settled->found += doubt->found;
        settled->lost += !doubt->found;
        if (!doubt->found) place_list_add(lost, doubt->partition, doubt->offset);
        fates[told++] = (struct letter_fate){
            .action_id = doubt->action_id,
            .sent = doubt->found,
            .partition = doubt->partition,
            .offset = doubt->found_at,
            .is_event = doubt->found && doubt->verdict.accepted,
            .bucket_us = doubt->verdict.bucket_us,
            .hash = doubt->verdict.hash,
            .error = "its sender ended before Kafka had it",
        };
    }
    bool done = told == 0 || letters_report(database, fates, told, ret_fault);
    free(fates);
    return done;
}

static struct doubt *read_doubts(const struct rows *rows)
{
    struct doubt *doubts = calloc(rows_count(rows), sizeof *doubts);
    if (doubts == NULL) abort();
    for (size_t i = 0; i < rows_count(rows); i++)
        doubts[i] = (struct doubt){
            .action_id = rows_int(rows, i, DOUBT_ACTION_ID),
            .token = rows_text(rows, i, DOUBT_TOKEN),
            .partition = rows_int(rows, i, DOUBT_PARTITION),
            .offset = rows_int(rows, i, DOUBT_OFFSET),
            .from = rows_int(rows, i, DOUBT_FROM),
            .age_ms = rows_int(rows, i, DOUBT_AGE_MS),
        };
    return doubts;
}

bool replay_settle_doubts(struct database *database, const struct settings *settings,
                          const struct letter_scope *scope, const struct letter_filter *filter,
                          int32_t partition_count, struct normalizer *normalizer,
                          struct replay_settled *ret_settled, struct place_list *lost,
                          struct fault *ret_fault)
{
    struct rows *rows = NULL;
    *ret_settled = (struct replay_settled){0};
    if (!letters_in_doubt(database, scope, filter, &rows, ret_fault)) return false;
    const size_t count = rows_count(rows);
    bool done = true;
    if (count > 0) {
        struct doubt *doubts = read_doubts(rows);
        done = search_all(settings, doubts, count, partition_count, normalizer, ret_fault) &&
               report(database, doubts, count, ret_settled, lost, ret_fault);
        free(doubts);
    }
    rows_free(rows);
    return done;
}
