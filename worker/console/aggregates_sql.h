/* The SQL of GET /api/v1/aggregates: what the console asks of the tables, and what people may ask of the
 * views. */
#ifndef WINNOW_AGGREGATES_SQL_H
#define WINNOW_AGGREGATES_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "database.h"
#include "instant.h"

#define AGGREGATES_PARAMETERS 24

enum by { BY_CLIENT, BY_METRIC, BY_HOUR, BY_DAY, BY_COUNT };

struct by_column {
    const char *word; /* in `by` */
    const char *name; /* in the answer */
    const char *in_table;
    const char *in_view;
    bool is_time;
};

extern const struct by_column by_columns[BY_COUNT];

/* Texts are borrowed, NULL: all. */
struct aggregates_question {
    enum by by[BY_COUNT];
    size_t by_count;
    const char *client;
    const char *metric;
    const char *text;
    char from[INSTANT_TEXT_SIZE];
    char to[INSTANT_TEXT_SIZE];
    bool has_from;
    bool has_to;
    int64_t limit;
    bool limited; /* by whoever asks */
};

bool aggregates_has_column(const struct aggregates_question *question, enum by by);

/* What is asked of the tables, with parameters, or, for people, of the views, with the values in it. */
struct aggregates_statement {
    struct buffer sql;
    bool for_people;
    struct sql_parameter parameters[AGGREGATES_PARAMETERS];
    size_t count;
    bool has_condition;
};

/* Adds to an empty statement, of which for_people is set; its buffer is the caller's to free. Not for people,
 * the last two columns are the totals over all rows, whatever the limit, and one row more is asked for, which
 * tells whether there are more. For people there is no limit but the one asked for: a page ends somewhere,
 * what is copied from it should not. Borrows the question's texts. */
void aggregates_sql(struct aggregates_statement *statement, const struct aggregates_question *question);

#endif
