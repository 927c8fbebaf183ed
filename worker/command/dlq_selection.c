/* Which dead letters: the filter's options, or ids. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_rules.h"
#include "clock.h"
#include "command/dlq.h"
#include "nearest.h"
#include "reject.h"
#include "slice.h"
#include "utf8.h"

struct dlq_filter_texts dlq_filter_texts;

static bool refuse(const char *command, const char *what, const char *found, const char *expected,
                   const char *meant)
{
    (void)settings_refuse(command, "%s: found %s, expected %s%s%s%s", what, settings_found(found), expected,
                          meant != NULL ? ", did you mean " : "", meant != NULL ? meant : "",
                          meant != NULL ? "?" : "");
    return false;
}

/* ---- words -----------------------------------------------------------------------------------------------
 */

static void add(struct dlq_selection *selection, const char *text)
{
    (void)buffer_add(&selection->words, text, strlen(text));
}

static void add_word(struct dlq_selection *selection, const char *name, const char *value)
{
    if (value == NULL) return;
    if (selection->words.size > 0) add(selection, ", ");
    add(selection, name);
    add(selection, value[0] != '\0' ? value : "unknown");
}

/* ---- the filter ------------------------------------------------------------------------------------------
 */

static bool read_reason(const char *command, struct letter_filter *filter)
{
    const char *text = dlq_filter_texts.reason;
    if (text == NULL) return true;
    struct nearest nearest = nearest_to(text);
    for (int reason = 0; reason < REJECT_REASON_COUNT; reason++) {
        nearest_offer(&nearest, reject_name((enum reject_reason)reason));
        if (strcmp(reject_name((enum reject_reason)reason), text) == 0) filter->reason = text;
    }
    return filter->reason != NULL ||
           refuse(command, "--reason", text, "a reason as winnow dlq list shows them", nearest.name);
}

static bool read_state(const char *command, const char *fallback, struct letter_filter *filter)
{
    static const char *const states[] = {"open", "retried", "resolved", "discarded", "all"};
    const char *text = dlq_filter_texts.state != NULL ? dlq_filter_texts.state : fallback;
    if (text == NULL || strcmp(text, "all") == 0) return true;
    struct nearest nearest = nearest_to(text);
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        nearest_offer(&nearest, states[i]);
        if (strcmp(states[i], text) == 0) filter->state = text;
    }
    return filter->state != NULL ||
           refuse(command, "--state", text, "open, retried, resolved, discarded or all", nearest.name);
}

static bool read_number(const char *text, int64_t most, int64_t *ret_number)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > most) return false;
    *ret_number = number;
    return true;
}

static bool read_partition(const char *command, struct letter_filter *filter)
{
    int64_t number;
    const char *text = dlq_filter_texts.partition;
    if (text == NULL) return true;
    if (!read_number(text, INT32_MAX, &number))
        return refuse(command, "--partition", text, "a partition's number", NULL);
    filter->partition = text;
    return true;
}

/* "90s", "30m", "12h", "7d": so long ago. */
static bool read_ago(const char *text, int64_t *ret_time_us)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || end[0] == '\0' || end[1] != '\0') return false;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (units[i].unit != end[0] || number > INSTANT_MAX / 1000000 / units[i].seconds) continue;
        int64_t time_us = clock_wall_ms() * 1000 - number * units[i].seconds * 1000000;
        *ret_time_us = time_us > 0 ? time_us : 0;
        return true;
    }
    return false;
}

static bool read_time(const char *command, const char *name, const char *text,
                      char ret_text[INSTANT_TEXT_SIZE], const char **ret_time)
{
    static const struct client_rules rules;
    int64_t time_us;
    if (text == NULL) return true;
    if (!read_ago(text, &time_us) &&
        instant_parse_text(slice_trim(slice_of_text(text)), &rules, &time_us) != INSTANT_OK)
        return refuse(command, name, text,
                      "a time from 1970 to 2199 such as 2026-01-31T12:00:00Z or 2026-01-31, or one such as "
                      "30m, 12h or 7d ago",
                      NULL);
    (void)instant_print(time_us, ret_text);
    *ret_time = ret_text;
    return true;
}

/* "17-300,305": as winnow dlq discard tells them. */
static bool read_actions(const char *command, struct dlq_selection *selection)
{
    const char *text = dlq_filter_texts.actions;
    bool good = text != NULL && *text != '\0';
    if (text == NULL) return true;
    for (const char *at = text; good && *at != '\0';) {
        char range[64];
        char *end;
        errno = 0;
        const long long first = strtoll(at, &end, 10);
        const long long last = *end == '-' ? strtoll(end + 1, &end, 10) : first;
        good = *at >= '0' && *at <= '9' && errno == 0 && first <= last && last < LLONG_MAX &&
               (*end == '\0' || (*end == ',' && end[1] != '\0'));
        int size = snprintf(range, sizeof range, "%s[%lld,%lld]", at == text ? "{" : ",", first, last);
        (void)buffer_add(&selection->actions, range, (size_t)size);
        at = *end == ',' ? end + 1 : end;
    }
    (void)buffer_add(&selection->actions, "}", 2);
    selection->filter.actions = selection->actions.data;
    return good || refuse(command, "--actions", text,
                          "numbers of actions, such as 17-300,305, as winnow dlq discard tells them", NULL);
}

static bool read_filter(const char *command, const char *state, struct dlq_selection *selection)
{
    struct letter_filter *filter = &selection->filter;
    if (!read_reason(command, filter) || !read_state(command, state, filter) ||
        !read_partition(command, filter) || !read_actions(command, selection) ||
        !read_time(command, "--since", dlq_filter_texts.since, selection->from, &filter->from) ||
        !read_time(command, "--until", dlq_filter_texts.until, selection->to, &filter->to))
        return false;
    filter->client = dlq_filter_texts.client;
    add_word(selection, "", filter->state != NULL ? filter->state : "all states");
    add_word(selection, "reason ", filter->reason);
    add_word(selection, "client ", filter->client);
    add_word(selection, "partition ", filter->partition);
    add_word(selection, "since ", filter->from);
    add_word(selection, "until ", filter->to);
    add_word(selection, "actions ", dlq_filter_texts.actions);
    return true;
}

/* ---- ids -------------------------------------------------------------------------------------------------
 */

static bool refuse_id(const char *command, const char *id)
{
    return refuse(command, "ID", id,
                  "topic/partition/offset, as winnow dlq list shows them and the header winnow-id has it",
                  NULL);
}

/* Cuts an id from behind: a topic's name holds no slash, but who knows what was written. */
static bool read_id(const char *id, size_t *ret_topic_size, int64_t *ret_partition, int64_t *ret_offset)
{
    char partition[24];
    const char *last = strrchr(id, '/');
    const char *middle = last;
    while (middle != NULL && middle > id && (middle == last || *middle != '/')) middle--;
    if (!utf8_is_valid(id, strlen(id)) || middle == NULL || middle == id ||
        last - middle - 1 >= (ptrdiff_t)sizeof partition)
        return false;
    (void)snprintf(partition, sizeof partition, "%.*s", (int)(last - middle - 1), middle + 1);
    *ret_topic_size = (size_t)(middle - id);
    return read_number(partition, INT32_MAX, ret_partition) && read_number(last + 1, INT64_MAX, ret_offset);
}

static void add_number(struct buffer *out, int64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%s%" PRId64, out->size == 0 ? "{" : ",", number);
    (void)buffer_add(out, text, (size_t)size);
}

/* The topic of the first id becomes that of the settings. */
static bool take_topic(const char *command, const char *id, size_t size, bool first,
                       struct settings *settings)
{
    if (first) {
        free(settings->topic);
        settings->topic = strndup(id, size);
        if (settings->topic == NULL) abort();
    }
    if (strlen(settings->topic) == size && memcmp(settings->topic, id, size) == 0) return true;
    return refuse(command, "ID", id, "ids of one topic", NULL);
}

static bool read_ids(const char *command, char **ids, int count, struct settings *settings,
                     struct dlq_selection *selection)
{
    for (int i = 0; i < count; i++) {
        size_t topic_size;
        int64_t partition;
        int64_t offset;
        if (!read_id(ids[i], &topic_size, &partition, &offset)) return refuse_id(command, ids[i]);
        if (!take_topic(command, ids[i], topic_size, i == 0, settings)) return false;
        add_number(&selection->partitions, partition);
        add_number(&selection->offsets, offset);
        add_word(selection, "", ids[i]);
    }
    (void)buffer_add(&selection->partitions, "}", 2);
    (void)buffer_add(&selection->offsets, "}", 2);
    selection->id_count = (size_t)count;
    selection->places = (struct letter_places){selection->partitions.data, selection->offsets.data};
    selection->filter.places = &selection->places;
    return true;
}

static bool has_filter(void)
{
    const struct dlq_filter_texts *texts = &dlq_filter_texts;
    return texts->reason != NULL || texts->client != NULL || texts->partition != NULL ||
           texts->since != NULL || texts->until != NULL || texts->state != NULL || texts->actions != NULL;
}

bool dlq_selection_read(const char *command, char **ids, int count, const char *state,
                        struct settings *settings, struct dlq_selection *ret_selection)
{
    *ret_selection = (struct dlq_selection){0};
    if (count > 0 && has_filter())
        return refuse(command, "the arguments", ids[0], "either ids or a filter (--reason, --client, …)",
                      NULL);
    bool read = count > 0 ? read_ids(command, ids, count, settings, ret_selection)
                          : read_filter(command, state, ret_selection);
    (void)buffer_add(&ret_selection->words, "", 1);
    return read;
}

void dlq_selection_done(struct dlq_selection *selection)
{
    buffer_done(&selection->partitions);
    buffer_done(&selection->offsets);
    buffer_done(&selection->actions);
    buffer_done(&selection->words);
}
