/* The proleptic Gregorian calendar, in days since 1970-01-01. */
#ifndef WINNOW_CALENDAR_H
#define WINNOW_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

struct date {
    int32_t year;
    int32_t month; /* 1..12 */
    int32_t day;   /* 1..31 */
};

/* The month has such a day. */
bool calendar_has(struct date date);

/* Any real date from the year 0 on. */
int64_t calendar_days(struct date date);

/* Inverse of calendar_days(). */
struct date calendar_date(int64_t days);

#endif
