#include "explain_rule.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "instant.h"
#include "slice.h"

static bool has_only(struct slice text, const char *characters)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\0' || strchr(characters, text.data[i]) == NULL) return false;
    }
    return text.size > 0;
}

/* A name of a month or a day stands in the text. */
static bool has_word(struct slice text)
{
    size_t letters = 0;
    for (size_t i = 0; i < text.size && letters < 3; i++)
        letters = isalpha((unsigned char)text.data[i]) != 0 ? letters + 1 : 0;
    return letters == 3;
}

/* By which rule the text gave the time: D-3 for epochs, D-4 for dates with names, D-2 for all others. Eight
 * digits are an epoch as a number and a date as a string; only the outcome tells which. */
static const char *time_rule(struct slice text, int64_t time_us)
{
    int64_t epoch_us;
    bool is_number = has_only(slice_trim(text), "0123456789.eE+-") &&
                     instant_parse_number(slice_trim(text), &epoch_us) == INSTANT_OK && epoch_us == time_us;
    if (is_number) return "D-3";
    return has_word(text) ? "D-4" : "D-2";
}

/* The rule that turned the text into the value. */
const char *explain_value_rule(enum field field, const struct finding *finding, int64_t time_us)
{
    static const char *const rules[] = {
        [FIELD_CLIENT_ID] = "C-2", [FIELD_METRIC] = "T-2", [FIELD_AMOUNT] = "A-2"};
    return field == FIELD_TIMESTAMP ? time_rule(finding->value, time_us) : rules[field];
}
