/* Runs normalize.jsonl: one row a case, each with the id of the rule that it proves.
 *
 *   {"rule", "value" | "value_base64", "event": {...} | "reason"}       what one message becomes
 *   {"rule", "same" | "different": [value, ...]}                        how the hashes of several compare
 *
 * A value of null is a tombstone. Optional: "broker_timestamp_ms" (-1, none), "event_bytes_max",
 * "event_hash", "rules": {"zone_offset_s", "date_order", "granularity"}. The file is the first argument, or
 * the one below. */
#include <CUnit/Basic.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "identity.h"
#include "instant.h"
#include "normalize.h"

#define VALUES_MAX 32

static const char *path = "tests/golden/normalize.jsonl";
static int rows_run;

struct message {
    char *bytes; /* owned; NULL for a tombstone */
    size_t size;
};

struct outcome {
    enum status status;
    struct reject reject;
    char fields[4][EVENT_TEXT_BYTES_MAX + 1];
    char hash[IDENTITY_TEXT_SIZE];
};

static const char *const field_names[] = {"client_id", "metric", "amount", "timestamp"};

static struct json_object *get(struct json_object *row, const char *name)
{
    struct json_object *value = NULL;
    (void)json_object_object_get_ex(row, name, &value);
    return value;
}

static int64_t get_number(struct json_object *row, const char *name, int64_t otherwise)
{
    struct json_object *value = get(row, name);
    return value == NULL ? otherwise : json_object_get_int64(value);
}

static struct message message_of(struct json_object *text)
{
    struct message message = {0};
    if (text == NULL) return message;
    message.size = (size_t)json_object_get_string_len(text);
    /* Not a byte more, so that a sanitizer sees reads behind the end. */
    message.bytes = malloc(message.size == 0 ? 1 : message.size);
    memcpy(message.bytes, json_object_get_string(text), message.size);
    return message;
}

static struct message message_of_base64(struct json_object *text)
{
    struct message message = {0};
    const char *encoded = json_object_get_string(text);
    size_t encoded_size = strlen(encoded);
    message.bytes = malloc(encoded_size + 1);
    int size =
        EVP_DecodeBlock((unsigned char *)message.bytes, (const unsigned char *)encoded, (int)encoded_size);
    if (size < 0) abort();
    message.size = (size_t)size;
    for (size_t i = encoded_size; i > 0 && encoded[i - 1] == '='; i--) message.size--;
    return message;
}

static int index_of(const char *name, const char *const *names, int count)
{
    for (int i = 0; name != NULL && i < count; i++) {
        if (strcmp(name, names[i]) == 0) return i;
    }
    return 0;
}

static struct client_rules rules_of(struct json_object *row)
{
    static const char *const orders[] = {"none", "dmy", "mdy"};
    static const char *const granularities[] = {"day", "hour", "minute", "second", "exact"};
    struct json_object *rules = get(row, "rules");
    struct client_rules result = {0};
    if (rules == NULL) return result;
    result.zone_offset_s = (int32_t)get_number(rules, "zone_offset_s", 0);
    result.date_order =
        (enum date_order)index_of(json_object_get_string(get(rules, "date_order")), orders, 3);
    result.granularity =
        (enum granularity)index_of(json_object_get_string(get(rules, "granularity")), granularities, 5);
    return result;
}

static void copy_text(char *to, struct slice text)
{
    memcpy(to, text.data, text.size);
    to[text.size] = '\0';
}

static void run_message(struct json_object *row, struct message message, struct outcome *ret_outcome)
{
    struct event event;
    struct client_rules rules = rules_of(row);
    struct normalizer *normalizer = normalizer_new(
        (size_t)get_number(row, "event_bytes_max", (int64_t)NORMALIZE_EVENT_BYTES_MAX_DEFAULT));
    struct record record = {.timestamp_ms = get_number(row, "broker_timestamp_ms", -1),
                            .value = slice_of(message.bytes, message.size)};
    memset(ret_outcome, 0, sizeof *ret_outcome);
    ret_outcome->status = normalize(normalizer, &record, &rules, &event, &ret_outcome->reject);
    if (ret_outcome->status == STATUS_OK) {
        copy_text(ret_outcome->fields[0], event.client_id);
        copy_text(ret_outcome->fields[1], event.metric);
        (void)decimal_print(&event.amount, ret_outcome->fields[2]);
        (void)instant_print(event.time_us, ret_outcome->fields[3]);
        identity_print(event.hash, ret_outcome->hash);
    }
    normalizer_free(normalizer);
    free(message.bytes);
}

static bool complain(struct json_object *row, const char *what, const char *expected, const char *found)
{
    printf("\n  %s: %s: expected %s, found %s\n    %s\n", json_object_get_string(get(row, "rule")), what,
           expected, found,
           json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    return false;
}

static bool check_event(struct json_object *row, const struct outcome *outcome)
{
    struct json_object *event = get(row, "event");
    struct json_object *hash = get(row, "event_hash");
    if (outcome->status != STATUS_OK) return complain(row, "status", "an event", outcome->reject.detail);
    for (size_t i = 0; i < ARRAY_COUNT(field_names); i++) {
        const char *expected = json_object_get_string(get(event, field_names[i]));
        if (strcmp(expected, outcome->fields[i]) != 0)
            return complain(row, field_names[i], expected, outcome->fields[i]);
    }
    if (hash != NULL && strcmp(json_object_get_string(hash), outcome->hash) != 0)
        return complain(row, "event_hash", json_object_get_string(hash), outcome->hash);
    return true;
}

static bool check_reject(struct json_object *row, const struct outcome *outcome)
{
    const char *expected = json_object_get_string(get(row, "reason"));
    if (outcome->status != STATUS_REJECT) return complain(row, "status", expected, "an event");
    const char *found = reject_name(outcome->reject.reason);
    if (strcmp(expected, found) != 0) return complain(row, outcome->reject.detail, expected, found);
    return true;
}

static bool check_single(struct json_object *row)
{
    struct outcome outcome;
    struct json_object *encoded = get(row, "value_base64");
    run_message(row, encoded != NULL ? message_of_base64(encoded) : message_of(get(row, "value")), &outcome);
    return get(row, "event") != NULL ? check_event(row, &outcome) : check_reject(row, &outcome);
}

/* Every pair of hashes must be equal, or none. */
static bool check_several(struct json_object *row, struct json_object *values, bool same)
{
    static struct outcome outcomes[VALUES_MAX];
    size_t count = json_object_array_length(values);
    if (count > VALUES_MAX) abort();
    for (size_t i = 0; i < count; i++) {
        run_message(row, message_of(json_object_array_get_idx(values, i)), &outcomes[i]);
        if (outcomes[i].status != STATUS_OK)
            return complain(row, "status", "an event", outcomes[i].reject.detail);
        for (size_t j = 0; j < i; j++) {
            if ((strcmp(outcomes[i].hash, outcomes[j].hash) == 0) != same)
                return complain(row, same ? "equal hashes" : "different hashes", outcomes[j].hash,
                                outcomes[i].hash);
        }
    }
    return true;
}

static void test_rows(void)
{
    char *line = NULL;
    size_t capacity = 0;
    FILE *file = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (getline(&line, &capacity, file) > 0) {
        struct json_object *row = json_tokener_parse(line);
        CU_ASSERT_PTR_NOT_NULL_FATAL(row);
        struct json_object *same = get(row, "same");
        struct json_object *different = get(row, "different");
        CU_ASSERT_TRUE(same != NULL        ? check_several(row, same, true)
                       : different != NULL ? check_several(row, different, false)
                                           : check_single(row));
        (void)json_object_put(row);
        rows_run++;
    }
    free(line);
    (void)fclose(file);
}

/* A file that has gone missing or short must not pass. */
static void test_rows_are_there(void)
{
    CU_ASSERT(rows_run >= 300);
}

int main(int argc, char **argv)
{
    if (argc > 1) path = argv[1];
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite("golden", NULL, NULL);
    CU_add_test(suite, "every row of normalize.jsonl", test_rows);
    CU_add_test(suite, "the rows are there", test_rows_are_there);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    printf("%d rows\n", rows_run);
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
