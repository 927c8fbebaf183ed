#include "console/answer_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "console/call.h"
#include "words.h"

static const struct {
    const char *word;
    const char *media_type; /* as it is sent */
    const char *range;      /* its type and subtype, as Accept names it */
} formats[FORMAT_COUNT] = {
    [FORMAT_JSON] = {"json", "application/json", "application/json"},
    [FORMAT_NDJSON] = {"ndjson", "application/x-ndjson", "application/x-ndjson"},
    [FORMAT_CSV] = {"csv", "text/csv; charset=utf-8; header=present", "text/csv"},
};

const char *answer_format_media_type(enum answer_format format)
{
    return formats[format].media_type;
}

/* How exactly a range of Accept names the type: 3 by name, 2 as "text/…", 1 as any, 0 not at all. */
static int exactness(const char *range, size_t size, const char *type)
{
    size_t main_size = strcspn(type, "/");
    if (size == 3 && memcmp(range, "*/*", 3) == 0) return 1;
    if (size == main_size + 2 && strncasecmp(range, type, main_size) == 0 &&
        memcmp(range + main_size, "/*", 2) == 0)
        return 2;
    return size == strlen(type) && strncasecmp(range, type, size) == 0 ? 3 : 0;
}

/* The weight of an element's parameters ("; q=0.5"); 1 without one. */
static double weight_of(const char *parameters, size_t size)
{
    for (size_t i = 0; i + 2 < size; i++) {
        bool is_weight = (parameters[i] == 'q' || parameters[i] == 'Q') && parameters[i + 1] == '=' &&
                         i > 0 && strchr("; \t", parameters[i - 1]) != NULL;
        if (is_weight) return strtod(parameters + i + 2, NULL);
    }
    return 1;
}

/* The weight that Accept gives to a type: that of the range which names it most exactly; 0: not acceptable.
 */
static double weigh(const char *accept, const char *type)
{
    int best = 0;
    double weight = 0;
    while (*accept != '\0') {
        accept += strspn(accept, " \t,");
        size_t size = strcspn(accept, ",");
        size_t range_size = strcspn(accept, "; \t,");
        int exact = exactness(accept, range_size, type);
        if (exact > best) {
            best = exact;
            weight = weight_of(accept + range_size, size - range_size);
        }
        accept += size;
    }
    return weight;
}

static enum answer_format format_named(const char *word, size_t size)
{
    enum answer_format format = FORMAT_JSON;
    while (strlen(formats[format].word) != size || memcmp(formats[format].word, word, size) != 0) format++;
    return format;
}

static bool refuse(struct call *call, const char *accept, const char *words)
{
    char list[60];
    char expected[120];
    (void)snprintf(expected, sizeof expected, "a media type of one of the formats %s",
                   words_list(words, list, sizeof list));
    call_refuse(call, &(struct refusal){.problem = PROBLEM_NOT_ACCEPTABLE,
                                        .parameter = "Accept",
                                        .in = "header",
                                        .found = slice_of_text(accept),
                                        .expected = expected});
    return false;
}

bool answer_format_choose(struct call *call, const char *words, enum answer_format *ret_format)
{
    const char *asked = NULL;
    const char *accept = call_header(call, "Accept");
    double best = 0;
    if (!call_query_choice(call, "format", words, &asked)) return false;
    if (asked == NULL && (accept == NULL || *accept == '\0')) asked = "json";
    if (asked != NULL) {
        *ret_format = format_named(asked, strlen(asked));
        return true;
    }
    for (const char *word = words; *word != '\0'; word += strspn(word, " ")) {
        size_t size = strcspn(word, " ");
        enum answer_format format = format_named(word, size);
        double weight = weigh(accept, formats[format].range);
        if (weight > best) {
            best = weight;
            *ret_format = format;
        }
        word += size;
    }
    return best > 0 || refuse(call, accept, words);
}
