#include "reconciler/core/budget.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/map.h"
#include "reconciler/base/sent.h"
#include "reconciler/core/budget_bucket.h"

#define MINUTE ((int64_t)60)
#define HOUR ((int64_t)3600)
#define DAY ((int64_t)86400)
/* Observed issuances that are older than this many windows count no more. */
#define WINDOWS_KEPT 2
/* What a settings row may state: nobody's limit is larger, and products of it stay small. */
#define COUNT_MAX 1000000000u
#define SECONDS_MAX (36500 * DAY)
/* A bucket that nothing was drawn from; events beyond this instant or its mirror are no events. */
#define LONG_AGO (-((int64_t)1 << 60))

struct budget {
    struct budget_limits limits;
    struct arena *arena;
    struct map buckets; /* struct budget_bucket by key */
};

static const char *const scope_names[BUDGET_SCOPE_COUNT] = {
    [BUDGET_ORDERS] = "orders",
    [BUDGET_DOMAIN] = "domain",
    [BUDGET_SET] = "set",
    [BUDGET_FAILURES] = "failures",
};

/*
 * https://letsencrypt.org/docs/rate-limits/ and the staging page. Renewals of the same set of names
 * are free of the first two, renewals inside their ARI window of all.
 */
static const struct {
    struct str host;
    struct budget_limits limits;
} known[] = {
    {STR_INIT("https://acme-v02.api.letsencrypt.org/"),
     {.scopes = {[BUDGET_ORDERS] = {300, 3 * HOUR},
                 [BUDGET_DOMAIN] = {50, 7 * DAY},
                 [BUDGET_SET] = {5, 7 * DAY},
                 [BUDGET_FAILURES] = {5, HOUR}},
      .renewals_exempt = true,
      .ari_exempt = true}},
    {STR_INIT("https://acme-staging-v02.api.letsencrypt.org/"),
     {.scopes = {[BUDGET_ORDERS] = {1500, 3 * HOUR},
                 [BUDGET_DOMAIN] = {30000, 7 * DAY},
                 [BUDGET_SET] = {30000, 7 * DAY},
                 [BUDGET_FAILURES] = {200, HOUR}},
      .renewals_exempt = true,
      .ari_exempt = true}},
};

const struct budget_limits *budget_known(struct str directory)
{
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (str_equal_nocase(str_slice(directory, 0, known[i].host.len), known[i].host))
            return &known[i].limits;
    return NULL;
}

const char *budget_scope_name(enum budget_scope scope)
{
    return scope < BUDGET_SCOPE_COUNT ? scope_names[scope] : "unknown";
}

/* "300/3h" */
static bool parse_limit(struct str text, struct budget_limit *limit)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', MINUTE}, {'h', HOUR}, {'d', DAY}};
    struct str rest;
    uint64_t count, length;

    if (!str_to_u64(str_cut(text, '/', &rest), &count) || rest.len < 2 || !count ||
        count > COUNT_MAX || !str_to_u64(str_slice(rest, 0, rest.len - 1), &length) || !length)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
        if (rest.ptr[rest.len - 1] == units[i].letter &&
            length <= (uint64_t)(SECONDS_MAX / units[i].seconds)) {
            *limit = (struct budget_limit){(uint32_t)count, (int64_t)length * units[i].seconds};
            return true;
        }
    return false;
}

/* "orders=300/3h", "renewals=exempt" */
static bool parse_part(struct str part, struct budget_limits *limits)
{
    struct str value, key = str_cut(part, '=', &value);

    for (int scope = 0; scope < BUDGET_SCOPE_COUNT; scope++)
        if (str_equal_cstr(key, scope_names[scope]))
            return parse_limit(value, &limits->scopes[scope]);
    if (!str_equal_cstr(value, "exempt"))
        return false;
    limits->renewals_exempt |= str_equal_cstr(key, "renewals");
    limits->ari_exempt |= str_equal_cstr(key, "ari");
    return str_equal_cstr(key, "renewals") || str_equal_cstr(key, "ari");
}

int budget_parse(struct str text, struct budget_limits *limits, struct error *e)
{
    struct budget_limits read = {0};
    struct str rest = text;

    while (rest.ptr) {
        struct str part = str_cut(rest, ' ', &rest);
        if (part.len && !parse_part(part, &read))
            return error_set(e, ERROR_USAGE, "\"%.*s\" is no limit such as orders=300/3h",
                             (int)(part.len < 80 ? part.len : 80), part.ptr);
    }
    *limits = read;
    return 0;
}

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

int budget_check(char *const *rows, size_t count, struct error *e)
{
    struct budget_limits limits;
    struct str url;

    for (size_t i = 0; i < count; i++)
        if (parse_row(rows[i], &url, &limits, e))
            return -1;
    return 0;
}

const struct budget_limits *budget_find(char *const *rows, size_t count, struct str directory,
                                        struct budget_limits *room)
{
    struct error e;
    struct str url;

    for (size_t i = 0; i < count; i++)
        if (parse_row(rows[i], &url, room, &e) == 0 &&
            str_equal_nocase(str_slice(directory, 0, url.len), url))
            return room;
    return budget_known(directory);
}

static struct str key_of(const void *item)
{
    return ((const struct budget_bucket *)item)->key;
}

struct budget *budget_new(const struct budget_limits *limits)
{
    struct budget *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->limits = *limits;
    b->buckets = MAP_INIT(key_of, 0);
    b->arena = arena_new(NULL);
    if (b->arena)
        return b;
    free(b);
    return NULL;
}

void budget_free(struct budget *b)
{
    if (!b)
        return;
    map_free(&b->buckets);
    arena_free(b->arena);
    free(b);
}

const struct budget_limits *budget_limits_in(const struct budget *b)
{
    return &b->limits;
}

/* Whom an order for `name` counts for. */
static struct str subject_of(enum budget_scope scope, struct str name)
{
    if (scope == BUDGET_ORDERS)
        return STR("account");
    return scope == BUDGET_DOMAIN ? policy_registered_domain(name) : name;
}

/* One letter for the scope, then the subject. Names are at most HOSTNAME_MAX long. */
static struct str make_key(enum budget_scope scope, struct str name, char *room)
{
    struct str subject = subject_of(scope, name);
    size_t len = subject.len < HOSTNAME_MAX ? subject.len : HOSTNAME_MAX;

    room[0] = "ODSF"[scope];
    memcpy(room + 1, subject.ptr, len);
    return (struct str){room, len + 1};
}

struct budget_bucket *budget_bucket_of(struct budget *b, enum budget_scope scope, struct str name)
{
    char room[HOSTNAME_MAX + 1];
    struct str key = make_key(scope, name, room);
    struct budget_bucket *bucket = map_find(&b->buckets, key);

    if (bucket)
        return bucket;
    bucket = arena_alloc(b->arena, sizeof(*bucket));
    if (!bucket)
        return NULL;
    *bucket = (struct budget_bucket){.key = arena_str(b->arena, key), .full_at = LONG_AGO};
    return bucket->key.ptr && map_put(&b->buckets, bucket) == 0 ? bucket : NULL;
}

bool budget_draws_on(const struct budget_limits *limits, const struct budget_request *r,
                     enum budget_scope scope)
{
    if (!limits->scopes[scope].count || (r->ari && limits->ari_exempt))
        return false;
    return !(r->renewal && limits->renewals_exempt) ||
           (scope != BUDGET_ORDERS && scope != BUDGET_DOMAIN);
}

static int oldest_first(const void *left, const void *right)
{
    const struct budget_event *a = left, *b = right;

    return a->at < b->at ? -1 : a->at > b->at;
}

/* What happened was let through: the bucket is empty at the most. */
static int record(struct budget *b, enum budget_scope scope, const struct budget_event *event)
{
    const struct budget_limit *limit = &b->limits.scopes[scope];
    struct budget_request r = {.renewal = event->renewal, .ari = event->ari};
    struct budget_bucket *bucket;

    if (!budget_draws_on(&b->limits, &r, scope) || event->at < LONG_AGO || event->at > -LONG_AGO)
        return 0;
    bucket = budget_bucket_of(b, scope, event->name);
    if (!bucket)
        return -1;
    if (budget_bucket_when(bucket, limit, event->at) == event->at)
        budget_bucket_take(bucket, limit, event->at);
    return 0;
}

static int record_event(struct budget *b, const struct budget_event *event)
{
    switch (event->kind) {
    case BUDGET_SENT:
        if (record(b, BUDGET_DOMAIN, event) || record(b, BUDGET_SET, event))
            return -1;
        return record(b, BUDGET_ORDERS, event);
    case BUDGET_ORDERED:
        return record(b, BUDGET_ORDERS, event);
    case BUDGET_FAILED:
        break;
    }
    return record(b, BUDGET_FAILURES, event);
}

int budget_record(struct budget *b, struct budget_event *events, size_t count, struct error *e)
{
    qsort(events, count, sizeof(*events), oldest_first);
    for (size_t i = 0; i < count; i++)
        if (record_event(b, &events[i]))
            return error_memory(e);
    return 0;
}

/* How far back anything counts. */
static int64_t longest_window(const struct budget_limits *limits)
{
    int64_t longest = 0;

    for (int scope = 0; scope < BUDGET_SCOPE_COUNT; scope++)
        if (limits->scopes[scope].seconds > longest)
            longest = limits->scopes[scope].seconds;
    return longest;
}

/* Events that are being gathered. */
struct gathering {
    struct budget_event *events;
    size_t count;
    int64_t since, now, until;
    struct str directory;
};

static void gather(struct gathering *g, struct budget_event event)
{
    if (event.at <= g->since || event.at > g->until)
        return;
    event.at = event.at < g->now ? event.at : g->now;
    g->events[g->count++] = event;
}

static bool has_sent(const struct observed_name *o, struct str directory)
{
    return o->sent.len && str_equal(o->sent_directory, directory);
}

/* Was a newOrder sent for it that may have led to what happened at `at`? */
static bool is_sent_before(const struct observed_name *o, struct str directory, int64_t at)
{
    struct str rest = o->sent;
    struct sent s;

    return has_sent(o, directory) && sent_next(&rest, &s) == 1 && s.at <= at;
}

static void gather_sent(struct gathering *g, const struct observed_name *o)
{
    struct str rest = o->sent;
    struct sent s;

    if (!has_sent(o, g->directory))
        return;
    while (sent_next(&rest, &s) == 1)
        gather(g,
               (struct budget_event){
                   .name = o->subject.name, .at = s.at, .kind = BUDGET_SENT, .renewal = s.renewal});
}

static void gather_name(struct gathering *g, const struct observed_name *o)
{
    struct budget_event issued = {
        .name = o->subject.name, .at = o->managed.issued_at, .renewal = o->managed.renewed};
    struct budget_event failed = {
        .name = o->subject.name, .at = o->failure.failed_at, .renewal = o->has_certificate};

    gather_sent(g, o);
    if (o->has_certificate && str_equal(o->directory, g->directory) &&
        !is_sent_before(o, g->directory, o->managed.issued_at)) {
        issued.kind = BUDGET_SENT;
        gather(g, issued);
    }
    if (!o->failure.count || o->failure.kind == ERROR_NEEDLESS)
        return;
    if (!is_sent_before(o, g->directory, o->failure.failed_at)) {
        failed.kind = BUDGET_ORDERED;
        gather(g, failed);
    }
    failed.kind = BUDGET_FAILED;
    gather(g, failed);
}

/* How many events a name can make at most. */
static size_t events_max(const struct observed_name *o)
{
    int sent = sent_count(o->sent);

    return 3 + (sent > 0 ? (size_t)sent : 0);
}

int budget_record_observed(struct budget *b, const struct observed *observed, const struct ca *ca,
                           int64_t now, struct error *e)
{
    int64_t window = longest_window(&b->limits);
    struct gathering g = {.since = now - WINDOWS_KEPT * window,
                          .now = now,
                          .until = now + window,
                          .directory = ca->directory};
    size_t room = 0;
    int rc;

    for (size_t i = 0; i < observed->count; i++)
        room += events_max(&observed->names[i]);
    g.events = calloc(room + 1, sizeof(*g.events));
    if (!g.events)
        return error_memory(e);
    for (size_t i = 0; i < observed->count; i++)
        gather_name(&g, &observed->names[i]);
    rc = budget_record(b, g.events, g.count, e);
    free(g.events);
    return rc;
}

struct budget_request budget_request_of(const struct action *a, int64_t now)
{
    const struct observed_name *o = a->observed;
    bool is_theirs = o && o->has_certificate &&
                     (!o->directory.len || str_equal(o->directory, a->desired->ca->directory));

    return (struct budget_request){.name = a->subject.name,
                                   .renewal = is_theirs,
                                   .ari = is_theirs && o->ari_at && now >= o->ari_at};
}

/* The limit that lets the request through last; its bucket in *binding if that is later than `now`.
 */
static int64_t find_binding(const struct budget *b, const struct budget_request *r, int64_t now,
                            enum budget_scope *scope, struct budget_bucket **binding)
{
    char room[HOSTNAME_MAX + 1];
    int64_t latest = now;

    *binding = NULL;
    for (int i = 0; i < BUDGET_SCOPE_COUNT; i++) {
        enum budget_scope here = (enum budget_scope)i;
        struct budget_bucket *bucket;
        int64_t at;

        if (!budget_draws_on(&b->limits, r, here))
            continue;
        bucket = map_find(&b->buckets, make_key(here, r->name, room));
        at = bucket ? budget_bucket_when(bucket, &b->limits.scopes[here], now) : now;
        if (at <= latest)
            continue;
        latest = at;
        *scope = here;
        *binding = bucket;
    }
    return latest;
}

int64_t budget_promise(struct budget *b, const struct budget_request *r, int64_t now)
{
    struct budget_bucket *binding;
    enum budget_scope scope = BUDGET_ORDERS;

    find_binding(b, r, now, &scope, &binding);
    return binding ? budget_bucket_promise(binding, &b->limits.scopes[scope], now) : now;
}

int budget_take(struct budget *b, const struct budget_request *r, int64_t at, struct error *e)
{
    for (int i = 0; i < BUDGET_SCOPE_COUNT; i++) {
        enum budget_scope scope = (enum budget_scope)i;
        struct budget_bucket *bucket;

        /* A failure that may come is not drawn ahead; it is recorded when it has happened. */
        if (scope == BUDGET_FAILURES || !budget_draws_on(&b->limits, r, scope))
            continue;
        bucket = budget_bucket_of(b, scope, r->name);
        if (!bucket)
            return error_memory(e);
        budget_bucket_take(bucket, &b->limits.scopes[scope], at);
    }
    return 0;
}

int budget_draw(struct budget *b, const struct budget_request *r, int64_t now, struct error *e)
{
    int64_t at = b ? budget_promise(b, r, now) : now;

    if (at <= now)
        return b ? budget_take(b, r, now, e) : 0;
    error_set(e, ERROR_RATE_LIMIT, "one more order would not fit the CA's limits");
    e->retry_at = at;
    return -1;
}
