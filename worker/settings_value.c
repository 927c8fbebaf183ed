#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "reject.h"
#include "secret.h"
#include "settings_table.h"
#include "words.h"

/* The field of the setting; the table says of what type it is. */
static void *field_of(const struct setting *setting, struct settings *settings)
{
    return (char *)settings + setting->field;
}

static const void *const_field_of(const struct setting *setting, const struct settings *settings)
{
    return (const char *)settings + setting->field;
}

void setting_add(struct buffer *buffer, const char *format, ...)
{
    va_list values;
    va_list again;
    va_start(values, format);
    va_copy(again, values);
    int size = vsnprintf(NULL, 0, format, values);
    if (size < 0) abort();
    (void)vsnprintf(buffer_reserve(buffer, (size_t)size + 1), (size_t)size + 1, format, again);
    buffer->size += (size_t)size;
    va_end(again);
    va_end(values);
}

void setting_print_expected(const struct setting *setting, struct buffer *ret_text)
{
    char list[SETTING_TEXT_SIZE];
    if (setting->type == SETTING_INTEGER)
        setting_add(ret_text, "a whole number from %" PRId64 " to %" PRId64, setting->min, setting->max);
    else if (setting->choices != NULL)
        setting_add(ret_text, "%s", words_list(setting->choices, list, sizeof list));
}

/* "; did you mean debug?" */
static void add_nearest(const char *choices, const char *text, struct buffer *ret_problem)
{
    char names[SETTING_TEXT_SIZE];
    char *rest = NULL;
    struct nearest nearest = nearest_to(text);
    (void)snprintf(names, sizeof names, "%s", choices);
    for (char *name = strtok_r(names, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
        nearest_offer(&nearest, name);
    if (nearest.name != NULL) setting_add(ret_problem, "; did you mean %s?", nearest.name);
}

/* "found abc, expected a whole number from 1 to 256". */
static bool refuse(const struct setting *setting, const char *text, const char *expected,
                   struct buffer *ret_problem)
{
    char shown[81];
    (void)reject_escape(slice_of_text(text), shown, sizeof shown);
    if (text[0] == '\0')
        setting_add(ret_problem, "found nothing, ");
    else if (!setting->has_secret)
        setting_add(ret_problem, "found %s, ", shown);
    setting_add(ret_problem, "expected ");
    if (expected != NULL)
        setting_add(ret_problem, "%s", expected);
    else
        setting_print_expected(setting, ret_problem);
    if (setting->choices != NULL) add_nearest(setting->choices, text, ret_problem);
    return false;
}

static bool assign_integer(const struct setting *setting, const char *text, int64_t *ret_value,
                           struct buffer *ret_problem)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool whole = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    if (!whole || value < setting->min || value > setting->max)
        return refuse(setting, text, NULL, ret_problem);
    *ret_value = value;
    return true;
}

static void assign_text(char **ret_text, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) abort();
    free(*ret_text);
    *ret_text = copy;
}

bool setting_assign(const struct setting *setting, const char *text, struct settings *settings,
                    struct buffer *ret_problem)
{
    void *field = field_of(setting, settings);
    if (setting->type == SETTING_INTEGER) return assign_integer(setting, text, field, ret_problem);
    if (setting->choices != NULL && !words_have_text(setting->choices, text))
        return refuse(setting, text, NULL, ret_problem);
    const char *expected = setting->wrong != NULL ? setting->wrong(text) : NULL;
    if (expected != NULL) return refuse(setting, text, expected, ret_problem);
    assign_text(field, text);
    return true;
}

bool setting_is_same(const struct setting *setting, const struct settings *one, const struct settings *other)
{
    const void *left = const_field_of(setting, one);
    const void *right = const_field_of(setting, other);
    if (setting->type == SETTING_INTEGER) return *(const int64_t *)left == *(const int64_t *)right;
    const char *left_text = *(char *const *)left;
    const char *right_text = *(char *const *)right;
    if (left_text == NULL || right_text == NULL) return left_text == right_text;
    return strcmp(left_text, right_text) == 0;
}

void setting_swap(const struct setting *setting, struct settings *one, struct settings *other)
{
    char kept[sizeof(int64_t) > sizeof(char *) ? sizeof(int64_t) : sizeof(char *)];
    const size_t size = setting->type == SETTING_INTEGER ? sizeof(int64_t) : sizeof(char *);
    memcpy(kept, field_of(setting, one), size);
    memcpy(field_of(setting, one), field_of(setting, other), size);
    memcpy(field_of(setting, other), kept, size);
}

bool setting_is_given(const struct setting *setting, const struct settings *settings)
{
    if (setting->type != SETTING_TEXT) return true;
    return *(char *const *)const_field_of(setting, settings) != NULL;
}

void setting_print(const struct setting *setting, const struct settings *settings, struct buffer *ret_text)
{
    const void *field = const_field_of(setting, settings);
    if (setting->type == SETTING_INTEGER) {
        setting_add(ret_text, "%" PRId64, *(const int64_t *)field);
    } else if (*(char *const *)field != NULL) {
        char *shown = setting->has_secret ? secret_mask_conninfo(*(char *const *)field) : NULL;
        setting_add(ret_text, "%s", shown != NULL ? shown : *(char *const *)field);
        free(shown);
    }
}

void settings_clear(struct settings *settings)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (setting_table[i].type == SETTING_TEXT) free(*(char **)field_of(&setting_table[i], settings));
    }
    for (size_t i = 0; i < settings->kafka_count; i++) {
        free(settings->kafka[i].name);
        free(settings->kafka[i].value);
    }
    free(settings->kafka);
    *settings = (struct settings){0};
}
