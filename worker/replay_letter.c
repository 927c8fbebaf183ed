#include "replay_letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dead_letter_batch.h"
#include "headers.h"
#include "simulate.h"

void replay_judge(struct normalizer *normalizer, int64_t timestamp_ms, struct slice value,
                  struct replay_verdict *ret_verdict)
{
    static const struct client_rules rules;
    const struct record record = {.timestamp_ms = timestamp_ms, .value = value};
    struct event event;
    ret_verdict->accepted = normalize(normalizer, &record, &rules, &event, &ret_verdict->reject) == STATUS_OK;
    if (!ret_verdict->accepted) return;
    ret_verdict->bucket_us = event.bucket_us;
    memcpy(ret_verdict->hash, event.hash, sizeof ret_verdict->hash);
}

void replay_letter_read(struct rows *rows, size_t row, struct replay_letter *ret_letter)
{
    *ret_letter = (struct replay_letter){
        .partition = rows_int(rows, row, WHOLE_PARTITION),
        .offset = rows_int(rows, row, WHOLE_OFFSET),
        .attempts = rows_int(rows, row, WHOLE_ATTEMPTS),
        .is_timed = !rows_is_null(rows, row, WHOLE_TIMESTAMP_MS),
        .key = rows_bytes(rows, row, WHOLE_KEY),
        .value = rows_bytes(rows, row, WHOLE_VALUE),
        .headers = rows_bytes(rows, row, WHOLE_HEADERS),
    };
    ret_letter->timestamp_ms =
        ret_letter->is_timed ? rows_int(rows, row, WHOLE_TIMESTAMP_MS) : clock_wall_ms();
}

void letter_id_print(const char *topic, int64_t partition, int64_t offset, char ret_id[LETTER_ID_SIZE])
{
    (void)snprintf(ret_id, LETTER_ID_SIZE, "%s/%" PRId64 "/%" PRId64, topic, partition, offset);
}

static bool stays_behind(struct slice name)
{
    static const char *const names[] = {SIMULATE_FAILURE_HEADER, REPLAY_TOKEN_HEADER, REPLAY_OF_HEADER,
                                        REPLAY_ATTEMPT_HEADER};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equals(name, slice_of_text(names[i]))) return true;
    }
    return false;
}

static void add(struct buffer *out, const char *name, const char *value)
{
    headers_add(out, slice_of_text(name), slice_of_text(value));
}

void replay_headers(struct buffer *out, const struct replay_letter *letter, const char *topic,
                    const char *token, int64_t action_id)
{
    struct slice rest = letter->headers;
    struct slice name;
    struct slice value;
    char text[LETTER_ID_SIZE];
    while (rest.data != NULL && headers_next(&rest, &name, &value)) {
        if (!stays_behind(name)) headers_add(out, name, value);
    }
    (void)snprintf(text, sizeof text, "%s/%" PRId64, token, action_id);
    add(out, REPLAY_TOKEN_HEADER, text);
    letter_id_print(topic, letter->partition, letter->offset, text);
    add(out, REPLAY_OF_HEADER, text);
    (void)snprintf(text, sizeof text, "%" PRId64, letter->attempts + 1);
    add(out, REPLAY_ATTEMPT_HEADER, text);
}

int64_t replay_action_of(struct slice headers, const char *token)
{
    struct slice name;
    struct slice value;
    char number[24];
    const size_t token_size = strlen(token);
    while (headers.data != NULL && headers_next(&headers, &name, &value)) {
        if (!slice_equals(name, slice_of_text(REPLAY_TOKEN_HEADER)) || value.size <= token_size + 1 ||
            value.size - token_size > sizeof number || memcmp(value.data, token, token_size) != 0)
            continue;
        (void)snprintf(number, sizeof number, "%.*s", (int)(value.size - token_size - 1),
                       value.data + token_size + 1);
        return strtoll(number, NULL, 10);
    }
    return 0;
}
