/* Statements about dead letters, put together from a stream, a filter and what else is asked. Private to the
 * dead_letter_*.c files.
 *
 *     letter_query_begin(&query, scope, "SELECT … FROM winnow.dead_letter_work AS w WHERE w.stream_id = "
 *                                       SQL_STREAM);
 *     letter_query_add_filter(&query, filter);
 *     return letter_query_run(database, &query, ret_rows, ret_fault);
 */
#ifndef WINNOW_LETTER_QUERY_H
#define WINNOW_LETTER_QUERY_H

#include "attr.h"
#include "buffer.h"
#include "dead_letter_work.h"

#define LETTER_SITE             "dead letters" /* of faults */
#define LETTER_PARAMETERS_MAX   40
#define LETTER_NUMBERS_MAX      8
#define LETTER_NUMBER_TEXT_SIZE 24

/* Always the first two parameters. A constant for the planner, so that lists follow the index. */
#define SQL_STREAM "(SELECT s.stream_id FROM winnow.stream AS s WHERE s.topic = $1 AND s.consumer_group = $2)"

/* The time of letter `l` in the milliseconds that Kafka keeps. 0 is what Kafka's client takes for none; 1 is
 * the same day. */
#define SQL_SENT_TIME(l) \
    "CASE WHEN " l ".message_time = 'epoch' THEN 1 " \
    "ELSE (extract(epoch FROM " l ".message_time) * 1000)::int8 END"

/* How large the message of letter `l` is; reads nothing of it. */
#define SQL_BYTES(l) \
    "coalesce(octet_length(" l ".value), 0) + coalesce(octet_length(" l ".key), 0) + " \
    "coalesce(octet_length(" l ".headers), 0)"

/* A run of `winnow dlq replay` took letter `l` to send it, and it is not known whether it did. */
#define SQL_IN_DOUBT(l) \
    "EXISTS (SELECT FROM winnow.dead_letter_action AS i WHERE i.stream_id = " l ".stream_id " \
    "AND i.partition = " l ".partition AND i.message_offset = " l ".message_offset " \
    "AND i.replay_id IS NOT NULL AND i.sent_offset IS NULL AND i.error IS NULL)"

/* A statement that grows; its parameters are texts, borrowed until it has run. */
struct letter_query {
    struct buffer sql;
    struct sql_parameter parameters[LETTER_PARAMETERS_MAX];
    size_t count;
    char numbers[LETTER_NUMBERS_MAX][LETTER_NUMBER_TEXT_SIZE];
    size_t number_count;
};

void letter_query_begin(struct letter_query *query, const struct letter_scope *scope, const char *sql);
void letter_query_add(struct letter_query *query, const char *sql);

/* Adds `before`, the parameter, and `behind`. */
void letter_query_add_value(struct letter_query *query, const char *before, const char *value,
                            const char *behind);
void letter_query_add_number(struct letter_query *query, const char *before, int64_t number,
                             const char *behind);

/* The letters of the view dead_letter_work AS w that the filter means: " AND …" for each thing it asks. */
void letter_query_add_filter(struct letter_query *query, const struct letter_filter *filter);

/* Runs it and frees its memory. */
MUST_CHECK bool letter_query_run(struct database *database, struct letter_query *query,
                                 struct rows **ret_rows, struct fault *ret_fault);

/* The same in a transaction in which nobody else does anything about the stream's letters, so that what was
 * open when the statement looked is open when it writes. */
MUST_CHECK bool letter_query_run_alone(struct database *database, struct letter_query *query,
                                       struct rows **ret_rows, struct fault *ret_fault);

#endif
