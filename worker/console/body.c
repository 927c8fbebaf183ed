/* The body is walked by the core's strict scanner, which shows each member of the object as it passes. */
#include "console/body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/call.h"
#include "decimal.h"
#include "json_string.h"
#include "json_text.h"
#include "reject.h"
#include "utf8.h"

struct reading {
    struct body_member *members;
    size_t count;
    struct buffer *texts;
    struct jsonstring *decoder;
    bool wrong;
    char parameter[100]; /* what is wrong */
    char expected[200];
    struct slice found;
};

static void complain(struct reading *reading, struct slice parameter, struct slice found,
                     const char *expected)
{
    if (reading->wrong) return;
    reading->wrong = true;
    (void)reject_escape(parameter, reading->parameter, sizeof reading->parameter);
    (void)snprintf(reading->expected, sizeof reading->expected, "%s", expected);
    reading->found = found;
}

static void list_members(const struct reading *reading, char *ret_list, size_t size)
{
    size_t at = (size_t)snprintf(ret_list, size, "%s", reading->count > 0 ? "one of:" : "no members");
    for (size_t i = 0; i < reading->count && at < size; i++)
        at += (size_t)snprintf(ret_list + at, size - at, " %s", reading->members[i].name);
}

static void take_text(struct reading *reading, struct body_member *member, const struct jsontext_token *value)
{
    char expected[100];
    (void)snprintf(expected, sizeof expected,
                   "a text of %" PRId64 " to %" PRId64 " characters, without U+0000", member->min,
                   member->max);
    if (value->kind != JSONTEXT_STRING) {
        complain(reading, slice_of_text(member->name), value->text, expected);
        return;
    }
    member->offset = reading->texts->size;
    if (value->escaped)
        jsonstring_decode(reading->decoder, value->text, reading->texts);
    else
        (void)buffer_add(reading->texts, value->text.data, value->text.size);
    member->size = reading->texts->size - member->offset;
    (void)buffer_add(reading->texts, "", 1);
    const char *text = reading->texts->data + member->offset;
    size_t characters = utf8_count(text, member->size);
    if (memchr(text, '\0', member->size) != NULL || characters < (size_t)member->min ||
        characters > (size_t)member->max)
        complain(reading, slice_of_text(member->name), value->text, expected);
}

/* JSON knows no whole numbers: 1, 1.0 and 10e-1 are one. */
static bool read_whole(struct slice text, int64_t *ret_number)
{
    struct decimal decimal;
    char plain[DECIMAL_TEXT_SIZE];
    if (decimal_parse(text, &decimal) != DECIMAL_OK || decimal.exponent < 0) return false;
    (void)decimal_print(&decimal, plain);
    errno = 0;
    *ret_number = strtoll(plain, NULL, 10);
    return errno == 0;
}

static void take_integer(struct reading *reading, struct body_member *member,
                         const struct jsontext_token *value)
{
    char expected[100];
    if (value->kind == JSONTEXT_NUMBER && read_whole(value->text, &member->number) &&
        member->number >= member->min && member->number <= member->max)
        return;
    (void)snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, member->min,
                   member->max);
    complain(reading, slice_of_text(member->name), value->text, expected);
}

static void take(struct reading *reading, struct body_member *member, const struct jsontext_token *value)
{
    if (member->given) complain(reading, slice_of_text(member->name), value->text, "each member once");
    member->given = true;
    member->is_null = value->kind == JSONTEXT_NULL && member->nullable;
    if (member->is_null) return;
    if (member->type == BODY_TEXT)
        take_text(reading, member, value);
    else
        take_integer(reading, member, value);
}

static bool enter(void *context, const struct jsontext_token *key)
{
    (void)context;
    (void)key;
    return false;
}

static void on_member(void *context, bool inner, const struct jsontext_token *key,
                      const struct jsontext_token *value)
{
    struct reading *reading = context;
    char list[200];
    if (inner) return;
    for (size_t i = 0; i < reading->count; i++) {
        if (slice_equals(key->text, slice_of_text(reading->members[i].name))) {
            take(reading, &reading->members[i], value);
            return;
        }
    }
    list_members(reading, list, sizeof list);
    complain(reading, key->text, key->text, list);
}

static void check_whole(struct reading *reading, struct slice body, enum jsontext_result result,
                        const struct jsontext_report *report)
{
    if (result == JSONTEXT_OK && report->kind == JSONTEXT_OBJECT) {
        for (size_t i = 0; i < reading->count; i++) {
            const struct body_member *member = &reading->members[i];
            if (member->required && !member->given)
                complain(reading, slice_of_text(member->name), slice_of(NULL, 0), "this member to be there");
        }
        return;
    }
    reading->wrong = false; /* the grammar comes first */
    complain(reading, slice_of_text("the body"), body,
             result == JSONTEXT_NOT_UTF8 ? "JSON in well-formed UTF-8" : "one JSON object");
}

bool body_read(struct call *call, struct body_member *members, size_t count, struct buffer *texts)
{
    struct jsontext scanner = {0};
    struct jsontext_report report;
    struct reading reading = {
        .members = members, .count = count, .texts = texts, .decoder = jsonstring_new()};
    const struct jsontext_visitor visitor = {enter, on_member, &reading};
    struct slice body = call_body(call);
    enum jsontext_result result = jsontext_scan(&scanner, body, &visitor, &report);
    check_whole(&reading, body, result, &report);
    jsontext_done(&scanner);
    jsonstring_free(reading.decoder);
    if (!reading.wrong) return true;
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_BODY,
                                        .parameter = reading.parameter,
                                        .in = "body",
                                        .found = reading.found,
                                        .expected = reading.expected});
    return false;
}
