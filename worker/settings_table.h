/* The one table of settings, and how a setting's text becomes its value. Private to the settings_*.c files
 * and to the commands config and doctor. */
#ifndef WINNOW_SETTINGS_TABLE_H
#define WINNOW_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buffer.h"
#include "settings.h"

enum setting_type {
    SETTING_TEXT,    /* char * */
    SETTING_INTEGER, /* int64_t */
};

struct setting {
    const char *name; /* batch_rows in a file, --batch-rows, WINNOW_BATCH_ROWS */
    char letter;      /* 0: none */
    enum setting_type type;
    size_t field; /* its offset in struct settings */
    const char *value_name;
    const char *fallback; /* the default, as a user would write it; NULL: none */
    const char *derived;  /* what is told in the place of a default, where it follows from another setting */
    const char *choices;  /* the only values, separated by spaces; NULL: no such list */
    const char *(*wrong)(
        const char *text); /* what is expected of a text that is not acceptable; may be NULL */
    const char *example;   /* for `config example`; NULL: the default */
    const char *group;
    const char *help; /* one sentence, without a full stop */
    int64_t min;      /* of SETTING_INTEGER */
    int64_t max;
    bool has_secret;    /* the value may hold a password */
    bool is_switch;     /* "no" or "yes"; the flag needs no value and means yes then */
    bool needs_restart; /* a pool that reads its file again goes on with the old value */
};

#define SETTING_COUNT         26
#define SETTING_PASSWORD_FILE "database_password_file"
#define SETTING_TEXT_SIZE     64 /* bytes that hold any flag or variable, with the terminating NUL */

extern const struct setting setting_table[SETTING_COUNT];

/* The setting of that name, `-` and `_` alike; NULL when there is none. `size` counts the bytes of the name.
 */
const struct setting *setting_find(const char *name, size_t size);
const struct setting *setting_find_letter(char letter);

/* "--batch-rows"; "WINNOW_BATCH_ROWS". */
void setting_print_flag(const struct setting *setting, char ret_flag[SETTING_TEXT_SIZE]);
void setting_print_variable(const struct setting *setting, char ret_variable[SETTING_TEXT_SIZE]);

/* Whether two names are one when `-` and `_` are one character. */
bool setting_name_equals(const char *name, const char *other, size_t other_size);

/* Stores the text's value. On failure what was expected is added to *ret_problem, and what was found too
 * unless it may be secret. */
MUST_CHECK bool setting_assign(const struct setting *setting, const char *text, struct settings *settings,
                               struct buffer *ret_problem);

/* Whether the value is the same in both. */
bool setting_is_same(const struct setting *setting, const struct settings *one, const struct settings *other);

/* The value changes places. */
void setting_swap(const struct setting *setting, struct settings *one, struct settings *other);

/* Whether there is a value: a text may have none. */
bool setting_is_given(const struct setting *setting, const struct settings *settings);

/* Adds the value as a user would write it, passwords masked; nothing when there is no value. */
void setting_print(const struct setting *setting, const struct settings *settings, struct buffer *ret_text);

/* Adds "a whole number from 1 to 256", "earliest or latest"; nothing when any text will do. */
void setting_print_expected(const struct setting *setting, struct buffer *ret_text);

/* Frees what the settings own; they are all zero then. */
void settings_clear(struct settings *settings);

/* printf into a buffer, without a terminating NUL. */
void setting_add(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
