#include "http.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

#define RETRY_AFTER_MAX_SECONDS ((int64_t)100 * 365 * 86400)

const char *http_method_name(enum http_method method)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};

    return names[method];
}

struct http_date {
    int year, day, hour, minute, second;
    char month[4];
};

/*
 * The forms that a recipient has to take (RFC 9110 §5.6.7), without any locale: IMF-fixdate, and
 * the obsolete ones of RFC 850, where a year has two digits, and of asctime.
 */
static bool scan_date(const char *text, struct http_date *d)
{
    const int len = (int)strlen(text);
    int end = 0;

    if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT%n", &d->day, d->month, &d->year, &d->hour,
               &d->minute, &d->second, &end) == 6 &&
        end == len)
        return true;
    if (sscanf(text, "%*3s %3s %2d %2d:%2d:%2d %4d%n", d->month, &d->day, &d->hour, &d->minute,
               &d->second, &d->year, &end) == 6 &&
        end == len)
        return true;
    if (sscanf(text, "%*[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &d->day, d->month,
               &d->year, &d->hour, &d->minute, &d->second, &end) != 6 ||
        end != len)
        return false;
    d->year += d->year < 70 ? 2000 : 1900;
    return true;
}

static int parse_http_date(struct str text, int64_t *seconds)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char copy[40], iso[128];
    struct http_date d;
    const char *hit;

    if (text.len >= sizeof(copy))
        return -1;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (!scan_date(copy, &d))
        return -1;
    hit = strstr(months, d.month);
    if (!hit || (hit - months) % 3)
        return -1;
    snprintf(iso, sizeof(iso), "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year,
             (int)((hit - months) / 3 + 1), d.day, d.hour, d.minute, d.second);
    return clock_parse(str_from(iso), seconds);
}

int64_t http_retry_after(struct str value, int64_t now)
{
    int64_t at;
    uint64_t delta;
    struct str text = str_trim(value);

    if (str_to_u64(text, &delta))
        at = delta > (uint64_t)RETRY_AFTER_MAX_SECONDS ? now + RETRY_AFTER_MAX_SECONDS : now + (int64_t)delta;
    else if (!text.len || parse_http_date(text, &at))
        return 0;
    if (at < now)
        at = now;
    return at > now + RETRY_AFTER_MAX_SECONDS ? now + RETRY_AFTER_MAX_SECONDS : at;
}
