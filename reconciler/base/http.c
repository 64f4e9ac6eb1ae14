#include "http.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

#define RETRY_AFTER_MAX_SECONDS (30 * 86400)

const char *http_method_name(enum http_method method)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};

    return names[method];
}

/* IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7), without any locale. */
static int parse_http_date(struct str text, int64_t *seconds)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char copy[40], month[4], iso[CLOCK_TEXT_SIZE * 2];
    int day, year, hour, minute, second, end = 0;
    const char *hit;

    if (text.len >= sizeof(copy))
        return -1;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (sscanf(copy, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT%n", &day, month, &year, &hour, &minute,
               &second, &end) != 6 || end != (int)text.len)
        return -1;
    hit = strstr(months, month);
    if (!hit || (hit - months) % 3)
        return -1;
    snprintf(iso, sizeof(iso), "%04d-%02d-%02dT%02d:%02d:%02dZ", year,
             (int)((hit - months) / 3 + 1), day, hour, minute, second);
    return clock_parse(str_from(iso), seconds);
}

int64_t http_retry_after(struct str value, int64_t now)
{
    int64_t at;
    uint64_t delta;
    struct str text = str_trim(value);

    if (str_to_u64(text, &delta))
        at = delta > RETRY_AFTER_MAX_SECONDS ? now + RETRY_AFTER_MAX_SECONDS : now + (int64_t)delta;
    else if (!text.len || parse_http_date(text, &at))
        return 0;
    if (at < now)
        at = now;
    return at > now + RETRY_AFTER_MAX_SECONDS ? now + RETRY_AFTER_MAX_SECONDS : at;
}
