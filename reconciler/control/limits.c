#include "reconciler/control/limits.h"

#include <stdio.h>

#define SETTING "acme_limits"

/* "https://ca.example/ orders=300/3h domain=50/7d" */
static int parse_row(const char *row, struct str *url, struct budget_limits *limits,
                     struct error *e)
{
    struct str rest;

    *url = str_cut(str_from(row), ' ', &rest);
    if (!str_starts(*url, STR("https://")) || url->len <= sizeof("https://") - 1)
        return error_set(e, ERROR_USAGE, "\"%.80s\" does not begin with a directory's https:// URL",
                         row);
    return budget_parse(rest, limits, e);
}

int limits_check(const struct settings *s, struct error *e)
{
    struct budget_limits limits;
    struct str url;

    for (size_t i = 0; i < s->acme_limit_count; i++)
        if (parse_row(s->acme_limits[i], &url, &limits, e)) {
            snprintf(e->path, sizeof(e->path), "%s", SETTING);
            return -1;
        }
    return 0;
}

const struct budget_limits *limits_find(const struct settings *s, struct str directory,
                                        struct budget_limits *room)
{
    struct error e;
    struct str url;

    for (size_t i = 0; i < s->acme_limit_count; i++)
        if (parse_row(s->acme_limits[i], &url, room, &e) == 0 &&
            str_equal_nocase(str_slice(directory, 0, url.len), url))
            return room;
    return budget_known(directory);
}

int limits_draw(struct budget *b, const struct budget_request *r, int64_t now, struct error *e)
{
    int64_t at = b ? budget_promise(b, r, now) : now;

    if (at <= now)
        return b ? budget_take(b, r, now, e) : 0;
    error_set(e, ERROR_RATE_LIMIT, "one more order would not fit the CA's limits");
    e->retry_at = at;
    return -1;
}
