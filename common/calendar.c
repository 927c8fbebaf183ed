/* A year here begins in March, so that the leap day is its last and the days before a month follow one
 * formula: (153 * month + 2) / 5 counts 31, 61, 92, ... */
#include "calendar.h"

#define DAYS_PER_ERA     146097 /* 400 years */
#define DAYS_BEFORE_1970 719468 /* from 0000-03-01 */

static bool is_leap(int32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool calendar_has(struct date date)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date.month < 1 || date.month > 12 || date.day < 1) return false;
    return date.day <= days[date.month - 1] + (date.month == 2 && is_leap(date.year) ? 1 : 0);
}

int64_t calendar_days(struct date date)
{
    int64_t year = date.year - (date.month <= 2 ? 1 : 0);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month = (date.month + 9) % 12; /* March is 0 */
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_BEFORE_1970;
}

struct date calendar_date(int64_t days)
{
    days += DAYS_BEFORE_1970;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    /* Take out the leap days, then every year has 365. */
    int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* March is 0 */
    struct date date = {.day = (int32_t)(day_of_year - (153 * month + 2) / 5 + 1),
                        .month = (int32_t)(month < 10 ? month + 3 : month - 9)};
    date.year = (int32_t)(year + era * 400 + (date.month <= 2 ? 1 : 0));
    return date;
}
