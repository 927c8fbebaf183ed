/* GET /api/v1/failed…: dead letters by group and one by one, and what was done about them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/call.h"
#include "console/failed_answer.h"
#include "console/routes.h"
#include "console/rows_json.h"
#include "dead_letter_work.h"
#include "instant.h"
#include "json.h"
#include "letter_json.h"

#define GROUPS_MAX      500
#define PAGE_DEFAULT    50
#define PAGE_MAX        1000
#define NAME_LENGTH_MAX 200 /* characters */
#define CURSOR_SIZE     80

/* ---- questions -------------------------------------------------------------------------------------------
 */

/* A question to dead_letter_work.h; what it needs is in the context. */
typedef bool (*asker)(struct database *database, const struct letter_scope *scope, const void *context,
                      struct rows **ret_rows, struct fault *ret_fault);

/* Asks once more on a new connection when a kept one turns out to be lost. False when the call is answered.
 */
static bool ask(struct call *call, asker asks, const void *context, struct rows **ret_rows)
{
    struct fault fault;
    const struct letter_scope scope = failed_scope(call);
    for (int attempt = 0; attempt < 2; attempt++) {
        struct database *database = call_database(call, SESSION_READ);
        if (database == NULL) return false;
        if (asks(database, &scope, context, ret_rows, &fault)) return true;
        if (database_is_alive(database)) break;
    }
    call_fail(call, PROBLEM_DATABASE, &fault);
    return false;
}

struct filter_text {
    struct letter_filter filter;
    char from[INSTANT_TEXT_SIZE];
    char to[INSTANT_TEXT_SIZE];
};

/* NULL below 0: not given. */
static const char *time_text(int64_t time_us, char ret_text[INSTANT_TEXT_SIZE])
{
    if (time_us < 0) return NULL;
    (void)instant_print(time_us, ret_text);
    return ret_text;
}

static bool read_filter(struct call *call, struct filter_text *ret)
{
    int64_t from_us = -1;
    int64_t to_us = -1;
    const char *state = "open";
    *ret = (struct filter_text){0};
    if (!call_query_choice(call, "reason", failed_reasons(), &ret->filter.reason) ||
        !call_query_text(call, "client", 0, NAME_LENGTH_MAX, &ret->filter.client) ||
        !call_query_choice(call, "state", "open retried resolved discarded all", &state) ||
        !call_query_period(call, &from_us, &to_us))
        return false;
    ret->filter.state = strcmp(state, "all") != 0 ? state : NULL;
    ret->filter.from = time_text(from_us, ret->from);
    ret->filter.to = time_text(to_us, ret->to);
    return true;
}

static bool refuse_cursor(struct call *call, const char *cursor)
{
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_PARAMETER,
                                        .parameter = "cursor",
                                        .in = "query",
                                        .found = slice_of_text(cursor),
                                        .expected = "next_cursor of another page of this list"});
    return false;
}

/* ---- one letter in a list --------------------------------------------------------------------------------
 */

static void add_summary(struct buffer *out, const char *name, const struct rows *rows, size_t row)
{
    json_name(out, name);
    json_open(out, '{');
    letter_json_summary(out, rows, row);
    json_close(out, '}');
}

/* ---- groups ----------------------------------------------------------------------------------------------
 */

static bool ask_groups(struct database *database, const struct letter_scope *scope, const void *context,
                       struct rows **ret_rows, struct fault *ret_fault)
{
    return letters_by_group(database, scope, context, GROUPS_MAX, ret_rows, ret_fault);
}

static void add_group(struct buffer *out, const struct rows *rows, size_t row)
{
    json_open(out, '{');
    json_cell_text(out, "reason", (struct cell){rows, row, LETTER_REASON});
    json_cell_text(out, "client_id", (struct cell){rows, row, LETTER_CLIENT});
    json_cell_raw(out, "count", (struct cell){rows, row, LETTER_GROUP_COUNT});
    json_cell_time(out, "first_failed_at", (struct cell){rows, row, LETTER_GROUP_FIRST});
    json_cell_time(out, "last_failed_at", (struct cell){rows, row, LETTER_GROUP_LAST});
    add_summary(out, "sample", rows, row);
    json_close(out, '}');
}

void handle_failed_groups(struct call *call)
{
    struct filter_text text;
    struct rows *rows = NULL;
    struct buffer out = {0};
    if (!read_filter(call, &text) || !ask(call, ask_groups, &text.filter, &rows)) return;
    const size_t count = rows_count(rows);
    json_open(&out, '{');
    json_name(&out, "groups");
    json_open(&out, '[');
    for (size_t row = 0; row < count; row++) add_group(&out, rows, row);
    json_close(&out, ']');
    json_int(&out, "total", count > 0 ? rows_int(rows, 0, LETTER_GROUP_TOTAL) : 0);
    json_bool(&out, "truncated", count > 0 && rows_int(rows, 0, LETTER_GROUP_GROUPS) > GROUPS_MAX);
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
    rows_free(rows);
}

/* ---- pages -----------------------------------------------------------------------------------------------
 */

struct page {
    struct letter_filter filter;
    struct letter_place after;
    bool has_after;
    int64_t limit;
};

static bool ask_page(struct database *database, const struct letter_scope *scope, const void *context,
                     struct rows **ret_rows, struct fault *ret_fault)
{
    const struct page *page = context;
    return letters_read(database, scope, &page->filter, page->has_after ? &page->after : NULL,
                        (size_t)page->limit + 1, ret_rows, ret_fault);
}

/* Up to three numbers with "_" between them, and nothing else. */
static bool read_numbers(const char *text, int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *end;
        if (*text < '0' || *text > '9') return false;
        numbers[i] = strtoll(text, &end, 10);
        if (*end != (i + 1 < count ? '_' : '\0')) return false;
        text = end + 1;
    }
    return true;
}

static bool read_page_cursor(struct call *call, struct page *page)
{
    int64_t numbers[3];
    const char *cursor = call_query(call, "cursor");
    if (cursor == NULL) return true;
    if (!read_numbers(cursor, numbers, 3) || numbers[0] > INSTANT_MAX || numbers[1] > INT32_MAX)
        return refuse_cursor(call, cursor);
    page->after = (struct letter_place){numbers[0], numbers[1], numbers[2]};
    page->has_after = true;
    return true;
}

static void tell_page_cursor(const struct rows *rows, size_t row, char ret_cursor[CURSOR_SIZE])
{
    (void)snprintf(ret_cursor, CURSOR_SIZE, "%s_%s_%s", rows_text(rows, row, LETTER_FAILED_AT_US),
                   rows_text(rows, row, LETTER_PARTITION), rows_text(rows, row, LETTER_OFFSET));
}

void handle_failed_items(struct call *call)
{
    struct filter_text text;
    struct page page = {.limit = PAGE_DEFAULT};
    char cursor[CURSOR_SIZE] = "";
    struct rows *rows = NULL;
    struct buffer out = {0};
    if (!read_filter(call, &text) || !call_query_integer(call, "limit", 1, PAGE_MAX, &page.limit) ||
        !read_page_cursor(call, &page))
        return;
    page.filter = text.filter;
    if (!ask(call, ask_page, &page, &rows)) return;
    const bool more = rows_count(rows) > (size_t)page.limit;
    const size_t count = more ? (size_t)page.limit : rows_count(rows);
    json_open(&out, '{');
    json_name(&out, "items");
    json_open(&out, '[');
    for (size_t row = 0; row < count; row++) add_summary(&out, NULL, rows, row);
    json_close(&out, ']');
    if (more) tell_page_cursor(rows, count - 1, cursor);
    json_text(&out, "next_cursor", more ? cursor : NULL);
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
    rows_free(rows);
}

/* ---- actions ---------------------------------------------------------------------------------------------
 */

struct action_page {
    int64_t before_id;
    int64_t limit;
};

static bool ask_actions(struct database *database, const struct letter_scope *scope, const void *context,
                        struct rows **ret_rows, struct fault *ret_fault)
{
    const struct action_page *page = context;
    return letter_actions_read(database, scope, page->before_id, (size_t)page->limit + 1, ret_rows,
                               ret_fault);
}

void handle_failed_actions(struct call *call)
{
    struct action_page page = {.limit = PAGE_DEFAULT};
    const char *cursor = call_query(call, "cursor");
    struct rows *rows = NULL;
    struct buffer out = {0};
    if (!call_query_integer(call, "limit", 1, PAGE_MAX, &page.limit)) return;
    if (cursor != NULL && !read_numbers(cursor, &page.before_id, 1)) {
        (void)refuse_cursor(call, cursor);
        return;
    }
    if (!ask(call, ask_actions, &page, &rows)) return;
    const bool more = rows_count(rows) > (size_t)page.limit;
    const size_t count = more ? (size_t)page.limit : rows_count(rows);
    json_open(&out, '{');
    json_name(&out, "actions");
    json_open(&out, '[');
    for (size_t row = 0; row < count; row++) letter_json_action(&out, NULL, rows, row);
    json_close(&out, ']');
    json_text(&out, "next_cursor", more ? rows_text(rows, count - 1, ACTION_ID) : NULL);
    json_close(&out, '}');
    call_answer_json(call, 200, &out);
    buffer_done(&out);
    rows_free(rows);
}

/* ---- one letter ------------------------------------------------------------------------------------------
 */

struct path {
    int64_t partition;
    int64_t offset;
};

static bool ask_letter(struct database *database, const struct letter_scope *scope, const void *context,
                       struct rows **ret_rows, struct fault *ret_fault)
{
    const struct path *path = context;
    return letter_read(database, scope, path->partition, path->offset, ret_rows, ret_fault);
}

static bool ask_history(struct database *database, const struct letter_scope *scope, const void *context,
                        struct rows **ret_rows, struct fault *ret_fault)
{
    const struct path *path = context;
    return letter_history_read(database, scope, path->partition, path->offset, ret_rows, ret_fault);
}

static void add_letter(struct buffer *out, struct rows *rows, const struct rows *history)
{
    json_open(out, '{');
    letter_json_whole(out, rows, history);
    json_close(out, '}');
}

void handle_failed_item(struct call *call)
{
    struct path path;
    struct rows *rows = NULL;
    struct rows *history = NULL;
    struct buffer out = {0};
    if (!failed_read_path(call, &path.partition, &path.offset) || !ask(call, ask_letter, &path, &rows))
        return;
    if (rows_count(rows) == 0) {
        failed_refuse_unknown(call);
    } else if (ask(call, ask_history, &path, &history)) {
        add_letter(&out, rows, history);
        call_answer_json(call, 200, &out);
    }
    buffer_done(&out);
    rows_free(history);
    rows_free(rows);
}
