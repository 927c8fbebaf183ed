#include "console/failed_group.h"

#include <string.h>

#include "console/call.h"
#include "console/failed_answer.h"
#include "words.h"

#define GROUP_MAX       1000
#define NAME_LENGTH_MAX 200

const char *failed_note(const struct body_member *member, const struct buffer *texts)
{
    const char *note = body_text(member, texts);
    return note != NULL && note[0] != '\0' ? note : NULL;
}

enum group_member {
    MEMBER_REASON,
    MEMBER_CLIENT,
    MEMBER_NOTE,
    MEMBER_LIMIT,
    MEMBER_FIRST, /* from here on of an undo alone */
    MEMBER_LAST,
    MEMBER_COUNT
};

#define ACTION_NUMBER(member) \
    { \
        (member), BODY_INTEGER, .required = true, .min = 1, .max = INT64_MAX \
    }

static bool check_reason(struct call *call, const char *reason)
{
    if (words_have_text(failed_reasons(), reason)) return true;
    call_refuse(call, &(struct refusal){.problem = PROBLEM_INVALID_BODY,
                                        .parameter = "reason",
                                        .in = "body",
                                        .found = slice_of_text(reason),
                                        .expected = "one of the reasons that /openapi.json lists"});
    return false;
}

static bool read_group(struct call *call, const char *action, struct buffer *texts,
                       struct failed_group *ret_group)
{
    const bool discards = strcmp(action, "discard") == 0;
    const size_t count = strcmp(action, "undo") == 0 ? MEMBER_COUNT : MEMBER_FIRST;
    struct body_member members[MEMBER_COUNT] = {
        [MEMBER_REASON] = {.name = "reason", .type = BODY_TEXT, .required = true, .max = NAME_LENGTH_MAX},
        [MEMBER_CLIENT] = {.name = "client_id",
                           .type = BODY_TEXT,
                           .required = true,
                           .nullable = true,
                           .min = 1,
                           .max = NAME_LENGTH_MAX},
        [MEMBER_NOTE] = {.name = "note",
                         .type = BODY_TEXT,
                         .required = discards,
                         .min = discards ? 1 : 0,
                         .max = FAILED_NOTE_LENGTH_MAX},
        [MEMBER_LIMIT] = {.name = "limit", .type = BODY_INTEGER, .min = 1, .max = GROUP_MAX},
        [MEMBER_FIRST] = ACTION_NUMBER("first_action_id"),
        [MEMBER_LAST] = ACTION_NUMBER("last_action_id"),
    };
    if (!body_read(call, members, count, texts)) return false;
    const char *client = body_text(&members[MEMBER_CLIENT], texts);
    *ret_group = (struct failed_group){
        .filter = {.reason = body_text(&members[MEMBER_REASON], texts),
                   .client = client != NULL ? client : ""},
        .deed = {action, call_actor(call), failed_note(&members[MEMBER_NOTE], texts)},
        .limit = members[MEMBER_LIMIT].given ? members[MEMBER_LIMIT].number : GROUP_MAX,
        .range = {.first_id = members[MEMBER_FIRST].number, .last_id = members[MEMBER_LAST].number},
    };
    return check_reason(call, ret_group->filter.reason);
}

void failed_group_do(struct call *call, const char *action,
                     void (*act)(struct call *call, const struct failed_group *group))
{
    struct failed_group group;
    struct buffer texts = {0};
    if (read_group(call, action, &texts, &group)) act(call, &group);
    buffer_done(&texts);
}

bool failed_group_count(struct call *call, const struct failed_group *group, int64_t *ret_count)
{
    struct fault fault;
    const struct letter_scope scope = failed_scope(call);
    struct database *database = call_database(call, SESSION_RETRY);
    if (database == NULL) return false;
    if (letters_count_open(database, &scope, &group->filter, ret_count, &fault)) return true;
    call_fail(call, PROBLEM_DATABASE, &fault);
    return false;
}
