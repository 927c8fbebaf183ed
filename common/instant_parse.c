/* Reading timestamps. A cursor walks over the text; each take_x() either steps over what it looks for or
 * leaves the cursor alone and says so. Nothing is accepted that rules D-2, D-3 and D-4 do not name: a
 * generous reader guesses, and a guess is a wrong event. */
#include "instant.h"

#include <stdbool.h>

#include "calendar.h"
#include "decimal.h"

#define US_PER_SECOND        INT64_C(1000000)
#define SECONDS_PER_DAY      86400
#define FRACTION_DIGITS_MAX  9 /* D-2 */
#define FRACTION_DIGITS_KEPT 6
#define EPOCH_DIGITS_MAX     19 /* nanoseconds of the year 2199 have 19 */

struct clock_time {
    int32_t seconds; /* since midnight */
    int32_t fraction_us;
};

struct zone {
    bool given;
    int32_t offset_s; /* east of UTC */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip(struct slice *text, size_t size)
{
    text->data += size;
    text->size -= size;
}

static bool take_char(struct slice *text, char c)
{
    if (text->size == 0 || text->data[0] != c) return false;
    skip(text, 1);
    return true;
}

static size_t digits_ahead(struct slice text)
{
    size_t count = 0;
    while (count < text.size && is_digit(text.data[count])) count++;
    return count;
}

/* Exactly `count` digits or more; what follows them is the caller's business. */
static bool take_digits(struct slice *text, size_t count, int32_t *ret_value)
{
    if (text->size < count) return false;
    int32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text->data[i])) return false;
        value = value * 10 + (text->data[i] - '0');
    }
    skip(text, count);
    *ret_value = value;
    return true;
}

/* One digit or two, as many as there are. */
static bool take_short(struct slice *text, int32_t *ret_value)
{
    size_t count = digits_ahead(*text);
    return count >= 1 && count <= 2 && take_digits(text, count, ret_value);
}

/* --- D-2: ISO 8601 and RFC 3339 --- */

/* YYYY-MM-DD, YYYY/M/D or YYYYMMDD. */
static bool take_year_first(struct slice *text, struct date *ret_date)
{
    if (!take_digits(text, 4, &ret_date->year)) return false;
    if (take_char(text, '-'))
        return take_digits(text, 2, &ret_date->month) && take_char(text, '-') &&
               take_digits(text, 2, &ret_date->day);
    if (take_char(text, '/'))
        return take_short(text, &ret_date->month) && take_char(text, '/') && take_short(text, &ret_date->day);
    return take_digits(text, 2, &ret_date->month) && take_digits(text, 2, &ret_date->day);
}

/* D-6: dd/mm/yyyy or mm/dd/yyyy, and only where the client's configuration tells which. */
static bool take_year_last(struct slice *text, enum date_order order, struct date *ret_date)
{
    int32_t first;
    int32_t second;
    if (order == DATE_ORDER_NONE) return false;
    if (!take_short(text, &first) || !take_char(text, '/')) return false;
    if (!take_short(text, &second) || !take_char(text, '/')) return false;
    ret_date->day = order == DATE_ORDER_DMY ? first : second;
    ret_date->month = order == DATE_ORDER_DMY ? second : first;
    return take_digits(text, 4, &ret_date->year);
}

/* hh:mm or hh:mm:ss. Hour 24 and second 60 are no times (D-6). */
static bool take_clock(struct slice *text, struct clock_time *ret_time, bool *ret_has_seconds)
{
    int32_t hour;
    int32_t minute;
    int32_t second = 0;
    if (!take_digits(text, 2, &hour) || !take_char(text, ':') || !take_digits(text, 2, &minute)) return false;
    *ret_has_seconds = take_char(text, ':');
    if (*ret_has_seconds && !take_digits(text, 2, &second)) return false;
    *ret_time = (struct clock_time){.seconds = (hour * 60 + minute) * 60 + second};
    return hour <= 23 && minute <= 59 && second <= 59;
}

/* `.` and one to nine digits, cut to microseconds; or nothing. */
static bool take_fraction(struct slice *text, int32_t *ret_fraction_us)
{
    int32_t fraction = 0;
    if (take_char(text, '.')) {
        size_t count = digits_ahead(*text);
        if (count < 1 || count > FRACTION_DIGITS_MAX) return false;
        for (size_t i = 0; i < FRACTION_DIGITS_KEPT; i++)
            fraction = fraction * 10 + (i < count ? text->data[i] - '0' : 0);
        skip(text, count);
    }
    *ret_fraction_us = fraction;
    return true;
}

/* +hh:mm, +hhmm, +hh, and the same with a minus. */
static bool take_offset(struct slice *text, struct zone *ret_zone)
{
    bool west = text->size > 0 && text->data[0] == '-';
    int32_t hours;
    int32_t minutes = 0;
    if (!west && (text->size == 0 || text->data[0] != '+')) return false;
    skip(text, 1);
    if (!take_digits(text, 2, &hours)) return false;
    bool more = take_char(text, ':') || text->size > 0;
    if (more && !take_digits(text, 2, &minutes)) return false;
    if (hours > 23 || minutes > 59) return false;
    int32_t offset_s = (hours * 60 + minutes) * 60;
    *ret_zone = (struct zone){.given = true, .offset_s = west ? -offset_s : offset_s};
    return true;
}

static bool take_iso_zone(struct slice *text, struct zone *ret_zone)
{
    if (text->size == 0) return true;
    if (!take_char(text, 'Z')) return take_offset(text, ret_zone);
    *ret_zone = (struct zone){.given = true};
    return true;
}

static bool parse_iso(struct slice text, enum date_order order, struct date *ret_date,
                      struct clock_time *ret_time, struct zone *ret_zone)
{
    bool year_first = digits_ahead(text) >= 4;
    bool has_seconds = false;
    if (year_first ? !take_year_first(&text, ret_date) : !take_year_last(&text, order, ret_date))
        return false;
    if (text.size == 0) return true;
    if (!take_char(&text, 'T') && !take_char(&text, ' ')) return false;
    if (!take_clock(&text, ret_time, &has_seconds)) return false;
    if (has_seconds && !take_fraction(&text, &ret_time->fraction_us)) return false;
    return take_iso_zone(&text, ret_zone) && text.size == 0;
}

/* --- D-4: RFC 5322 and HTTP --- */

static const char day_names[] = "MonTueWedThuFriSatSun";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* One of the three-letter names, in any case; its place in the list, from 0. */
static bool take_name(struct slice *text, const char *names, int32_t *ret_index)
{
    if (text->size < 3) return false;
    for (int32_t i = 0; names[i * 3] != '\0'; i++) {
        const char *name = names + i * 3;
        bool same = true;
        for (size_t j = 0; j < 3; j++) same = same && lower(text->data[j]) == lower(name[j]);
        if (!same) continue;
        skip(text, 3);
        *ret_index = i;
        return true;
    }
    return false;
}

static bool take_mail_zone(struct slice *text, struct zone *ret_zone)
{
    if (text->size == 0) return true;
    if (!take_char(text, ' ')) return false;
    if (!slice_equals(*text, slice_of_text("GMT")) && !slice_equals(*text, slice_of_text("UTC")))
        return take_offset(text, ret_zone);
    skip(text, text->size);
    *ret_zone = (struct zone){.given = true};
    return true;
}

/* The day name is not compared with the date: senders get it wrong, and the date is what they mean. */
static bool parse_mail(struct slice text, struct date *ret_date, struct clock_time *ret_time,
                       struct zone *ret_zone)
{
    int32_t ignored;
    bool has_seconds;
    if (take_name(&text, day_names, &ignored) && (!take_char(&text, ',') || !take_char(&text, ' ')))
        return false;
    if (!take_short(&text, &ret_date->day) || !take_char(&text, ' ')) return false;
    if (!take_name(&text, month_names, &ret_date->month) || !take_char(&text, ' ')) return false;
    ret_date->month++;
    if (!take_digits(&text, 4, &ret_date->year) || !take_char(&text, ' ')) return false;
    if (!take_clock(&text, ret_time, &has_seconds)) return false;
    return take_mail_zone(&text, ret_zone) && text.size == 0;
}

/* A letter stands where only D-4 has one: at the start, or behind the day and a space. */
static bool looks_like_mail(struct slice text)
{
    size_t day = digits_ahead(text);
    return day == 0 || (day <= 2 && day < text.size && text.data[day] == ' ');
}

/* --- D-3: time since 1970 --- */

/* Digits alone. The magnitude tells the unit. */
static enum instant_result from_epoch(struct slice digits, int64_t *ret_instant_us)
{
    while (digits.size > 1 && digits.data[0] == '0') skip(&digits, 1);
    if (digits.size > EPOCH_DIGITS_MAX) return INSTANT_OUT_OF_RANGE;
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size; i++) value = value * 10 + (uint64_t)(digits.data[i] - '0');
    if (value < UINT64_C(100000000000))
        value *= 1000000; /* seconds below 1e11 */
    else if (value < UINT64_C(100000000000000))
        value *= 1000; /* milliseconds below 1e14 */
    else if (value >= UINT64_C(100000000000000000))
        value /= 1000; /* nanoseconds from 1e17 on */
    if (value > INSTANT_MAX) return INSTANT_OUT_OF_RANGE;
    *ret_instant_us = (int64_t)value;
    return INSTANT_OK;
}

/* Seconds with a fraction or an exponent: the digits up to the sixth behind the shifted point. */
static enum instant_result from_seconds(const struct decimal_parts *parts, int64_t *ret_instant_us)
{
    int64_t written = (int64_t)(parts->whole.size + parts->fraction.size);
    int64_t wanted = (int64_t)parts->whole.size + parts->exponent + FRACTION_DIGITS_KEPT;
    bool zero = true;
    int64_t value = 0;
    for (int64_t i = 0; i < written; i++) {
        size_t at = (size_t)i;
        char digit =
            at < parts->whole.size ? parts->whole.data[at] : parts->fraction.data[at - parts->whole.size];
        zero = zero && digit == '0';
        if (i < wanted) value = value * 10 + (digit - '0');
        if (value > INSTANT_MAX) return INSTANT_OUT_OF_RANGE;
    }
    for (int64_t i = written; i < wanted && value > 0; i++) {
        value *= 10;
        if (value > INSTANT_MAX) return INSTANT_OUT_OF_RANGE;
    }
    if (parts->negative && !zero) return INSTANT_OUT_OF_RANGE;
    *ret_instant_us = value;
    return INSTANT_OK;
}

enum instant_result instant_parse_number(struct slice text, int64_t *ret_instant_us)
{
    struct decimal_parts parts;
    if (!decimal_split(text, &parts)) return INSTANT_INVALID;
    if (digits_ahead(text) == text.size) return from_epoch(text, ret_instant_us);
    return from_seconds(&parts, ret_instant_us);
}

/* --- all of them --- */

static enum instant_result assemble(struct date date, struct clock_time time, int32_t offset_s,
                                    int64_t *ret_instant_us)
{
    if (!calendar_has(date)) return INSTANT_INVALID;
    int64_t seconds = calendar_days(date) * SECONDS_PER_DAY + time.seconds - offset_s;
    int64_t instant_us = seconds * US_PER_SECOND + time.fraction_us;
    if (instant_us < 0 || instant_us > INSTANT_MAX) return INSTANT_OUT_OF_RANGE;
    *ret_instant_us = instant_us;
    return INSTANT_OK;
}

enum instant_result instant_parse_text(struct slice text, const struct client_rules *rules,
                                       int64_t *ret_instant_us)
{
    struct date date = {0};
    struct clock_time time = {0};
    struct zone zone = {0};
    if (text.size == 0) return INSTANT_INVALID;
    if (digits_ahead(text) == text.size && text.size != 8) return from_epoch(text, ret_instant_us);
    bool read = looks_like_mail(text) ? parse_mail(text, &date, &time, &zone)
                                      : parse_iso(text, rules->date_order, &date, &time, &zone);
    if (!read) return INSTANT_INVALID;
    return assemble(date, time, zone.given ? zone.offset_s : rules->zone_offset_s, ret_instant_us);
}
