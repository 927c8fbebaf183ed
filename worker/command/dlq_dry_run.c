/* winnow dlq replay --dry-run: what would be sent, and what left out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/dlq_replay.h"
#include "counted.h"
#include "dead_letter_batch.h"
#include "decimal.h"
#include "exit_code.h"
#include "normalize.h"
#include "reject.h"
#include "replay_letter.h"

#define PAGE_LETTERS 500
#define SHOWN_SIZE   420

struct trial {
    const struct replay_request *request;
    struct normalizer *normalizer;
    const char *topic;
    int64_t looked;
    int64_t sent;
};

static void print_event(const struct event *event)
{
    char client[SHOWN_SIZE];
    char metric[SHOWN_SIZE];
    char amount[DECIMAL_TEXT_SIZE];
    char when[INSTANT_TEXT_SIZE];
    size_t amount_size = decimal_print(&event->amount, amount);
    (void)instant_print(event->time_us, when);
    (void)reject_escape(event->client_id, client, sizeof client);
    (void)reject_escape(event->metric, metric, sizeof metric);
    (void)printf("client %s, metric %s, amount %.*s, %s\n", client, metric, (int)amount_size, amount, when);
}

static void print_message(const struct replay_letter *letter, struct slice value)
{
    char key[SHOWN_SIZE];
    (void)reject_escape(letter->key, key, sizeof key);
    (void)printf("send to partition %" PRId64 ", %s%s, ", letter->partition,
                 letter->key.data != NULL ? "key " : "no key", letter->key.data != NULL ? key : "");
    if (value.data == NULL)
        (void)printf("no value");
    else
        (void)printf("%zu %s", value.size, counted((int64_t)value.size, "byte", "bytes"));
    (void)printf(", attempt %" PRId64 ": ", letter->attempts + 1);
}

/* True when it would be sent. */
static bool try_letter(const struct trial *trial, struct rows *rows, size_t row)
{
    static const struct client_rules rules;
    const struct replay_plan *plan = &trial->request->plan;
    struct replay_letter letter;
    struct event event;
    struct reject reject;
    replay_letter_read(rows, row, &letter);
    const struct slice value = plan->value != NULL ? *plan->value : letter.value;
    const struct record record = {.timestamp_ms = letter.timestamp_ms, .value = value};
    const bool accepted = normalize(trial->normalizer, &record, &rules, &event, &reject) == STATUS_OK;
    const char *state = rows_text(rows, row, WHOLE_STATE);
    (void)printf("%s/%" PRId64 "/%" PRId64 "  ", trial->topic, letter.partition, letter.offset);
    if (strstr(plan->states, state) == NULL)
        (void)printf("leave out: it is %s\n", state);
    else if (rows_text(rows, row, WHOLE_IN_DOUBT)[0] == 't')
        (void)printf("look for it first: a run that ended in the middle may have sent it\n");
    else if (letter.attempts >= plan->attempts_max)
        (void)printf("leave out: sent again %" PRId64 " %s already\n", letter.attempts,
                     counted(letter.attempts, "time", "times"));
    else if (!accepted && !plan->even_rejected)
        (void)printf("leave out: would fail again: %s: %s\n", reject_name(reject.reason), reject.detail);
    else {
        print_message(&letter, value);
        if (accepted)
            print_event(&event);
        else
            (void)printf("will fail again: %s: %s\n", reject_name(reject.reason), reject.detail);
        return true;
    }
    return false;
}

/* False when there are no more, or enough. */
static bool try_page(struct trial *trial, struct rows *rows)
{
    const int64_t most = trial->request->plan.count_max;
    for (size_t row = 0; row < rows_count(rows); row++) {
        if (most > 0 && trial->sent >= most) return false;
        trial->looked++;
        trial->sent += try_letter(trial, rows, row);
    }
    return rows_count(rows) > 0 && ferror(stdout) == 0;
}

static bool try_all(struct trial *trial, struct database *database, struct fault *ret_fault)
{
    const struct letter_scope scope = {trial->topic, trial->request->settings->group};
    struct letter_place place;
    bool has_place = false;
    for (bool more = true; more;) {
        struct rows *rows = NULL;
        if (!letters_page(database, &scope, &trial->request->plan.filter, has_place ? &place : NULL,
                          PAGE_LETTERS, &rows, ret_fault))
            return false;
        more = try_page(trial, rows);
        const size_t count = rows_count(rows);
        if (count > 0) place = letters_place(rows, count - 1);
        has_place = true;
        rows_free(rows);
    }
    return true;
}

int dlq_dry_run(const struct replay_request *request, struct database *database)
{
    struct fault fault;
    struct trial trial = {.request = request, .topic = request->settings->topic};
    trial.normalizer = normalizer_new((size_t)request->settings->event_bytes_max);
    bool tried = try_all(&trial, database, &fault);
    normalizer_free(trial.normalizer);
    if (!tried) return dlq_complain(DLQ_REPLAY, &fault);
    (void)printf("would send %" PRId64 " of %" PRId64 "; nothing was sent\n", trial.sent, trial.looked);
    return EXIT_DRAINED;
}
