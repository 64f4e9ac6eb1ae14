#include "clock.h"

#include <string.h>
#include <time.h>

#define SECONDS_OF_YEAR_0 (-62167219200)
#define SECONDS_OF_YEAR_9999_END 253402300799

static int64_t read_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_now(void)
{
    return clock_now_ms() / 1000;
}

int64_t clock_now_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

int64_t clock_steady_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_built_at(void)
{
    return (int64_t)CLOCK_BUILT_AT - 86400;
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back (the usual era arithmetic). */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static void put_digits(char *out, int count, int value)
{
    for (; count > 0; value /= 10)
        out[--count] = (char)('0' + value % 10);
}

struct clock_text clock_text(int64_t seconds)
{
    struct clock_text made;
    char *out = made.text;
    int64_t year, days, rest;
    int month, day;

    if (seconds < SECONDS_OF_YEAR_0)
        seconds = SECONDS_OF_YEAR_0;
    if (seconds > SECONDS_OF_YEAR_9999_END)
        seconds = SECONDS_OF_YEAR_9999_END;
    days = seconds / 86400;
    rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    civil_from_days(days, &year, &month, &day);
    /* By hand: printf takes ten times as long, and plans are full of times. */
    put_digits(out, 4, (int)year);
    out[4] = out[7] = '-';
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, day);
    out[10] = 'T';
    put_digits(out + 11, 2, (int)(rest / 3600));
    out[13] = out[16] = ':';
    put_digits(out + 14, 2, (int)(rest / 60 % 60));
    put_digits(out + 17, 2, (int)(rest % 60));
    memcpy(out + 19, "Z", 2);
    return made;
}

/* `count` digits at *at; -1 where they are not all digits. */
static int digits(struct str text, size_t *at, size_t count, int *out)
{
    uint64_t value;

    if (text.len - *at < count || !str_to_u64(str_slice(text, *at, *at + count), &value))
        return -1;
    *out = (int)value;
    *at += count;
    return 0;
}

static int expect(struct str text, size_t *at, const char *any)
{
    for (; *at < text.len && *any; any++)
        if (text.ptr[*at] == *any) {
            (*at)++;
            return 0;
        }
    return -1;
}

/* "Z", "+hh:mm" or "-hh:mm" up to the end of the text. */
static int parse_offset(struct str text, size_t at, int64_t *offset)
{
    int hours, minutes, sign;

    *offset = 0;
    if (expect(text, &at, "Zz") == 0)
        return at == text.len ? 0 : -1;
    sign = at < text.len && text.ptr[at] == '-' ? -1 : 1;
    if (expect(text, &at, "+-") || digits(text, &at, 2, &hours) || expect(text, &at, ":") ||
        digits(text, &at, 2, &minutes) || at != text.len || hours > 23 || minutes > 59)
        return -1;
    *offset = sign * (hours * 3600 + minutes * 60);
    return 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

/* "2026-11-24", as days since 1970. */
static int parse_date(struct str text, size_t *at, int64_t *days)
{
    int year, month, day;

    if (digits(text, at, 4, &year) || expect(text, at, "-") || digits(text, at, 2, &month) ||
        expect(text, at, "-") || digits(text, at, 2, &day))
        return -1;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return -1;
    *days = days_from_civil(year, month, day);
    return 0;
}

/* "02:57:00" with or without a fraction, which is cut off; 60 is a leap second. */
static int parse_time(struct str text, size_t *at, int64_t *seconds)
{
    int hour, minute, second, digit;

    if (digits(text, at, 2, &hour) || expect(text, at, ":") || digits(text, at, 2, &minute) ||
        expect(text, at, ":") || digits(text, at, 2, &second))
        return -1;
    if (hour > 23 || minute > 59 || second > 60)
        return -1;
    if (expect(text, at, ".") == 0) {
        if (digits(text, at, 1, &digit))
            return -1;
        while (digits(text, at, 1, &digit) == 0)
            ;
    }
    *seconds = hour * 3600 + minute * 60 + second;
    return 0;
}

int clock_parse(struct str text, int64_t *seconds)
{
    int64_t days, time, offset;
    size_t at = 0;

    if (parse_date(text, &at, &days) || expect(text, &at, "Tt ") || parse_time(text, &at, &time) ||
        parse_offset(text, at, &offset))
        return -1;
    *seconds = days * 86400 + time - offset;
    return 0;
}
