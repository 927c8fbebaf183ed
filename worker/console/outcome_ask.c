#include "console/outcome_ask.h"

#include <inttypes.h>
#include <stdio.h>

#include "identity.h"
#include "instant.h"
#include "settings_table.h"

/* The partitions' cursors are looked at first: only messages that a worker has passed are asked for. */
static const char ask_sql[] =
    "SELECT i.number, m.state, m.duplicate_of_topic, m.duplicate_of_partition, m.duplicate_of_offset, "
    "m.reason, "
    "m.detail FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS i (partition, message_offset, hash, "
    "at, "
    "number) JOIN winnow.stream AS s ON s.topic OPERATOR(pg_catalog.=) $5 AND s.consumer_group "
    "OPERATOR(pg_catalog.=) $6 JOIN winnow.processing_log AS l ON l.stream_id OPERATOR(pg_catalog.=) "
    "s.stream_id "
    "AND l.partition OPERATOR(pg_catalog.=) i.partition AND l.next_offset OPERATOR(pg_catalog.>) "
    "i.message_offset CROSS JOIN LATERAL analytics.message_state($5, i.partition, i.message_offset, i.hash, "
    "i.at, $6) AS m ORDER BY i.number";

static void begin_array(struct buffer *array)
{
    buffer_clear(array);
    (void)buffer_add(array, "{", 1);
}

static const char *end_array(struct buffer *array)
{
    if (array->data[array->size - 1] == ',') array->size--;
    (void)buffer_add(array, "}", 2); /* with its NUL */
    return array->data;
}

static void add_item(struct outcome_question *question, const struct parcel_item *item)
{
    char hash[IDENTITY_TEXT_SIZE] = "NULL";
    char when[INSTANT_TEXT_SIZE] = "NULL";
    if (item->accepted) {
        identity_print(item->hash, hash);
        (void)instant_print(item->time_us, when);
    }
    setting_add(&question->partitions, "%" PRId32 ",", item->partition);
    setting_add(&question->offsets, "%" PRId64 ",", item->offset);
    setting_add(&question->hashes, "%s,", hash);
    setting_add(&question->times, "%s,", when);
}

static void keep_answer(struct parcel_item *item, const struct rows *rows, size_t row)
{
    item->known = true;
    item->state = message_state_read(rows_text(rows, row, 1));
    (void)snprintf(item->duplicate_topic, sizeof item->duplicate_topic, "%s", rows_text(rows, row, 2));
    item->duplicate_partition = (int32_t)rows_int(rows, row, 3);
    item->duplicate_offset = rows_int(rows, row, 4);
    (void)snprintf(item->reason, sizeof item->reason, "%s", rows_text(rows, row, 5));
    (void)snprintf(item->detail, sizeof item->detail, "%s", rows_text(rows, row, 6));
}

void outcome_question_make(struct outcome_question *question, struct parcel_item *const *items, size_t count)
{
    begin_array(&question->partitions);
    begin_array(&question->offsets);
    begin_array(&question->hashes);
    begin_array(&question->times);
    for (size_t i = 0; i < count; i++) add_item(question, items[i]);
}

void outcome_question_done(struct outcome_question *question)
{
    buffer_done(&question->partitions);
    buffer_done(&question->offsets);
    buffer_done(&question->hashes);
    buffer_done(&question->times);
}

bool outcome_question_run(struct database *database, const struct settings *settings,
                          struct outcome_question *question, struct rows **ret_rows, struct fault *ret_fault)
{
    const struct sql_parameter parameters[] = {
        {.type = SQL_INT4_ARRAY, .data = end_array(&question->partitions)},
        {.type = SQL_INT8_ARRAY, .data = end_array(&question->offsets)},
        {.type = SQL_UUID_ARRAY, .data = end_array(&question->hashes)},
        {.type = SQL_TIMESTAMPTZ_ARRAY, .data = end_array(&question->times)},
        sql_text(settings->topic),
        sql_text(settings->group),
    };
    return database_run(database, "outcomes", ask_sql, parameters, ARRAY_COUNT(parameters), ret_rows,
                        ret_fault);
}

void outcome_keep(const struct rows *rows, struct parcel_item *const *items)
{
    for (size_t row = 0; row < rows_count(rows); row++) {
        struct parcel_item *item = items[rows_int(rows, row, 0) - 1];
        if (item != NULL) keep_answer(item, rows, row);
    }
}

bool outcome_ask(struct database *database, const struct settings *settings, struct parcel_item *const *items,
                 size_t count, struct fault *ret_fault)
{
    struct outcome_question question = {0};
    struct rows *rows = NULL;
    outcome_question_make(&question, items, count);
    bool answered = outcome_question_run(database, settings, &question, &rows, ret_fault);
    if (answered) outcome_keep(rows, items);
    rows_free(rows);
    outcome_question_done(&question);
    return answered;
}
