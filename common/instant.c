#include "instant.h"

#include "calendar.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MINUTE (60 * US_PER_SECOND)
#define US_PER_HOUR   (60 * US_PER_MINUTE)
#define US_PER_DAY    (24 * US_PER_HOUR)

enum instant_result instant_from_ms(int64_t timestamp_ms, int64_t *ret_instant_us)
{
    if (timestamp_ms < 0 || timestamp_ms > INSTANT_MAX / 1000) return INSTANT_OUT_OF_RANGE;
    *ret_instant_us = timestamp_ms * 1000;
    return INSTANT_OK;
}

int64_t instant_cut(int64_t instant_us, enum granularity granularity)
{
    static const int64_t units[] = {
        [GRANULARITY_DAY] = US_PER_DAY,
        [GRANULARITY_HOUR] = US_PER_HOUR,
        [GRANULARITY_MINUTE] = US_PER_MINUTE,
        [GRANULARITY_SECOND] = US_PER_SECOND,
        [GRANULARITY_EXACT] = 1,
    };
    int64_t unit = units[granularity];
    int64_t rest = instant_us % unit;
    return instant_us - (rest < 0 ? rest + unit : rest);
}

/* `count` digits, leading zeros included. */
static char *put_digits(char *to, int64_t value, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        to[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + count;
}

static char *put_fraction(char *to, int64_t fraction_us)
{
    if (fraction_us == 0) return to;
    *to++ = '.';
    to = put_digits(to, fraction_us, 6);
    while (to[-1] == '0') to--;
    return to;
}

size_t instant_print(int64_t instant_us, char ret_text[INSTANT_TEXT_SIZE])
{
    struct date date = calendar_date(instant_us / US_PER_DAY);
    int64_t time_us = instant_us % US_PER_DAY;
    char *to = put_digits(ret_text, date.year, 4);
    *to++ = '-';
    to = put_digits(to, date.month, 2);
    *to++ = '-';
    to = put_digits(to, date.day, 2);
    *to++ = 'T';
    to = put_digits(to, time_us / US_PER_HOUR, 2);
    *to++ = ':';
    to = put_digits(to, time_us / US_PER_MINUTE % 60, 2);
    *to++ = ':';
    to = put_digits(to, time_us / US_PER_SECOND % 60, 2);
    to = put_fraction(to, time_us % US_PER_SECOND);
    *to++ = 'Z';
    *to = '\0';
    return (size_t)(to - ret_text);
}

int32_t instant_month(int64_t instant_us)
{
    struct date date = calendar_date(instant_us / US_PER_DAY);
    return (date.year - 1970) * 12 + date.month - 1;
}
