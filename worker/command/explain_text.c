#include "explain_text.h"

#include <stdio.h>

#include "decimal.h"
#include "explain_rule.h"
#include "identity.h"
#include "instant.h"
#include "slice.h"

#define SHOWN_SIZE 512 /* bytes of a value that are shown, escapes included */

/* A line below a field: "    F-2  name       "source"". */
static void print_rule(const char *rule, const char *what, struct slice value, const char *quote)
{
    char shown[SHOWN_SIZE];
    (void)reject_escape(value, shown, sizeof shown);
    (void)printf("    %-4s %-11s%s%s%s\n", rule, what, quote, shown, quote);
}

static void print_place(const struct finding *finding)
{
    print_rule("F-3", "place", slice_of_text(place_name(finding->place)), "");
    print_rule("F-2", "name", finding->key, "\"");
}

static void print_absent(enum field field, bool time_is_known)
{
    if (field == FIELD_AMOUNT)
        print_rule("A-1", "absent", slice_of_text("0 is taken"), "");
    else if (time_is_known)
        print_rule("D-1", "absent", slice_of_text("the message's timestamp is taken"), "");
    else
        print_rule(
            "D-1", "absent",
            slice_of_text("the message's timestamp is taken, here the present (--broker-timestamp-ms)"), "");
}

static void print_field(const struct normalizer *normalizer, enum field field, struct slice canonical,
                        const struct event *event, bool time_is_known)
{
    const struct finding *finding = normalizer_finding(normalizer, field);
    char shown[SHOWN_SIZE];
    (void)reject_escape(canonical, shown, sizeof shown);
    (void)printf("\n  %s = %s\n", field_name(field), shown);
    if (finding->place == PLACE_NONE) {
        print_absent(field, time_is_known);
        return;
    }
    print_place(finding);
    print_rule(explain_value_rule(field, finding, event->time_us), "as written", finding->value, "");
    if (field == FIELD_AMOUNT) print_rule("A-4", "canonical", canonical, "");
}

static void print_identity(const struct event *event)
{
    char hash[IDENTITY_TEXT_SIZE];
    char bucket[INSTANT_TEXT_SIZE];
    identity_print(event->hash, hash);
    (void)instant_print(event->bucket_us, bucket);
    (void)printf("\n  event_hash = %s\n", hash);
    (void)printf("    H-2  bucket     %s, the timestamp cut to its day\n", bucket);
    (void)printf("    H-1  duplicate  any event with this client_id, metric and amount on this day\n");
}

void explain_event(const struct normalizer *normalizer, const struct event *event, bool time_is_known)
{
    char amount[DECIMAL_TEXT_SIZE];
    char when[INSTANT_TEXT_SIZE];
    size_t amount_size = decimal_print(&event->amount, amount);
    size_t when_size = instant_print(event->time_us, when);
    (void)printf("accepted\n");
    print_field(normalizer, FIELD_CLIENT_ID, event->client_id, event, time_is_known);
    print_field(normalizer, FIELD_METRIC, event->metric, event, time_is_known);
    print_field(normalizer, FIELD_AMOUNT, slice_of(amount, amount_size), event, time_is_known);
    print_field(normalizer, FIELD_TIMESTAMP, slice_of(when, when_size), event, time_is_known);
    print_identity(event);
}

void explain_reject(const struct normalizer *normalizer, const struct reject *reject)
{
    (void)printf("rejected: %s\n\n  %s\n  %s\n", reject_name(reject->reason), reject_sentence(reject->reason),
                 reject->detail);
    for (int field = 0; field < FIELD_COUNT; field++) {
        const struct finding *finding = normalizer_finding(normalizer, (enum field)field);
        if (finding->place == PLACE_NONE) continue;
        (void)printf("\n  %s\n", field_name((enum field)field));
        print_place(finding);
        print_rule("", "as written", finding->value, "");
    }
}
