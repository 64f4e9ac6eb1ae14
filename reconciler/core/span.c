#include "reconciler/core/span.h"

#include "reconciler/base/clock.h"

#include "reconciler/base/attr.h"

#define MINUTE 60
#define HOUR 3600
#define DAY 86400

void span_print(struct buf *out, int64_t seconds, int64_t enough)
{
    static const struct {
        int64_t unit;
        const char *name;
    } units[] = {{DAY, "day"}, {HOUR, "hour"}, {MINUTE, "minute"}, {1, "second"}};

    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        int64_t count = (seconds + units[i].unit / 2) / units[i].unit;

        if (count >= enough || seconds % units[i].unit == 0) {
            buf_printf(out, "%lld %s%s", (long long)count, units[i].name, count == 1 ? "" : "s");
            return;
        }
    }
}

void span_print_time(struct buf *out, const char *before, int64_t at)
{
    buf_cstr(out, before);
    buf_cstr(out, clock_text(at).text);
}
