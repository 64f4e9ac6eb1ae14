#include "reconciler/feed/demands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/map.h"

/* An address block or a registered domain, and how many count for it. */
struct party {
    size_t count;
    size_t key_len;
    char key[];
};

struct demand {
    STAILQ_ENTRY(demand) heard;
    struct party *from; /* NULL: not known */
    bool is_heard, is_accepted;
    char name[];
};

/* An accepted demand of the last hour. */
struct mark {
    STAILQ_ENTRY(mark) link;
    struct party *domain;
    int64_t at;
};

STAILQ_HEAD(heard_list, demand);
STAILQ_HEAD(mark_list, mark);

struct demands {
    struct demands_options options;
    struct map names, addresses, domains;
    struct heard_list heard;
    struct mark_list marks; /* oldest first */
    size_t mark_count;
    uint64_t dropped, unsaid[DEMANDS_BOUNDS];
    int64_t said_at;
};

static const char *const settings[DEMANDS_BOUNDS] = {"acme_demand_total", "acme_demand_per_address",
                                                     "acme_demand_per_domain"};

static struct str key_of_party(const void *item)
{
    const struct party *p = item;

    return (struct str){p->key, p->key_len};
}

static struct str key_of_demand(const void *item)
{
    return str_from(((const struct demand *)item)->name);
}

/* ---- parties ---- */

static struct party *join(struct map *parties, struct str key)
{
    struct party *p = map_find(parties, key);

    if (!p) {
        p = calloc(1, sizeof(*p) + key.len);
        if (!p)
            return NULL;
        p->key_len = key.len;
        memcpy(p->key, key.ptr, key.len);
        if (map_put(parties, p)) {
            free(p);
            return NULL;
        }
    }
    p->count++;
    return p;
}

static void leave(struct map *parties, struct party *p)
{
    if (p && --p->count == 0)
        free(map_take(parties, key_of_party(p)));
}

static bool is_full(const struct map *parties, struct str key, size_t bound)
{
    const struct party *p = map_find(parties, key);

    return p && p->count >= bound;
}

static bool is_trusted(const struct demands *d, const struct address_block *from)
{
    for (size_t i = 0; i < d->options.trusted_count; i++)
        if (address_block_meets(from, d->options.trusted[i]))
            return true;
    return false;
}

/* What a visitor is counted by; STR_NONE: nothing. */
static struct str key_of_address(const struct demands *d, const struct address_block *from)
{
    if (!from->family || is_trusted(d, from))
        return STR_NONE;
    return (struct str){(const char *)from, sizeof(*from)};
}

/* ---- the hour ---- */

static void drop_oldest_mark(struct demands *d)
{
    struct mark *m = STAILQ_FIRST(&d->marks);

    STAILQ_REMOVE_HEAD(&d->marks, link);
    d->mark_count--;
    leave(&d->domains, m->domain);
    free(m);
}

/* A clock that was set back makes nobody wait for it. */
static void forget_old_marks(struct demands *d, int64_t now)
{
    const struct mark *m;

    while ((m = STAILQ_FIRST(&d->marks)) && (m->at <= now - DEMANDS_DOMAIN_SECONDS || m->at > now ||
                                             d->mark_count > DEMANDS_MARKS_MAX))
        drop_oldest_mark(d);
}

static int mark(struct demands *d, struct str name, int64_t at, int64_t now)
{
    struct mark *m = malloc(sizeof(*m));

    if (!m)
        return -1;
    m->at = at;
    m->domain = join(&d->domains, d->options.domain_of(name));
    if (!m->domain) {
        free(m);
        return -1;
    }
    STAILQ_INSERT_TAIL(&d->marks, m, link);
    d->mark_count++;
    forget_old_marks(d, now);
    return 0;
}

static bool is_domain_full(struct demands *d, struct str name, int64_t now)
{
    forget_old_marks(d, now);
    return is_full(&d->domains, d->options.domain_of(name), d->options.bounds[DEMANDS_DOMAIN]);
}

/* ---- demands ---- */

static struct demand *put(struct demands *d, struct str name, struct str address)
{
    struct demand *x = calloc(1, sizeof(*x) + name.len + 1);

    if (!x)
        return NULL;
    memcpy(x->name, name.ptr, name.len);
    x->from = address.ptr ? join(&d->addresses, address) : NULL;
    if ((!address.ptr || x->from) && map_put(&d->names, x) == 0)
        return x;
    leave(&d->addresses, x->from);
    free(x);
    return NULL;
}

static bool drop(struct demands *d, enum demands_bound bound)
{
    d->dropped++;
    d->unsaid[bound]++;
    return false;
}

bool demands_hear(struct demands *d, struct str name, const struct address_block *from, int64_t now)
{
    struct demand *x = map_find(&d->names, name);
    struct str address = STR_NONE;

    if (!x) {
        address = key_of_address(d, from);
        if (address.ptr && is_full(&d->addresses, address, d->options.bounds[DEMANDS_ADDRESS]))
            return drop(d, DEMANDS_ADDRESS);
        if (is_domain_full(d, name, now))
            return drop(d, DEMANDS_DOMAIN);
        if (d->names.len >= d->options.bounds[DEMANDS_TOTAL] || !(x = put(d, name, address)))
            return drop(d, DEMANDS_TOTAL);
    }
    if (!x->is_heard)
        STAILQ_INSERT_TAIL(&d->heard, x, heard);
    x->is_heard = true;
    return true;
}

struct str demands_next(struct demands *d)
{
    struct demand *x = STAILQ_FIRST(&d->heard);

    if (!x)
        return STR_NONE;
    STAILQ_REMOVE_HEAD(&d->heard, heard);
    x->is_heard = false;
    return str_from(x->name);
}

bool demands_accept(struct demands *d, struct str name, int64_t now)
{
    struct demand *x = map_find(&d->names, name);

    if (!x)
        return false;
    if (x->is_accepted)
        return true;
    if (is_domain_full(d, name, now) || mark(d, name, now, now)) {
        demands_end(d, str_from(x->name));
        return drop(d, DEMANDS_DOMAIN);
    }
    x->is_accepted = true;
    return true;
}

void demands_end(struct demands *d, struct str name)
{
    struct demand *x = map_take(&d->names, name);

    if (!x)
        return;
    if (x->is_heard)
        STAILQ_REMOVE(&d->heard, x, demand, heard);
    leave(&d->addresses, x->from);
    free(x);
}

int demands_restore(struct demands *d, struct str name, int64_t seen_at, int64_t now)
{
    struct demand *x = map_find(&d->names, name);

    if (x)
        return 0;
    x = put(d, name, STR_NONE);
    if (!x || mark(d, name, seen_at, now))
        return -1;
    x->is_accepted = true;
    return 0;
}

size_t demands_count(const struct demands *d)
{
    return d->names.len;
}

struct str demands_walk(const struct demands *d, size_t *cursor)
{
    const struct demand *x = map_next(&d->names, cursor);

    return x ? str_from(x->name) : STR_NONE;
}

/* ---- what is said ---- */

uint64_t demands_dropped(const struct demands *d)
{
    return d->dropped;
}

/* The bound that most were beyond. */
static size_t find_worst(const struct demands *d)
{
    size_t worst = 0;

    for (size_t i = 1; i < DEMANDS_BOUNDS; i++)
        if (d->unsaid[i] > d->unsaid[worst])
            worst = i;
    return worst;
}

static bool is_said_lately(const struct demands *d, int64_t now)
{
    return now >= d->said_at && now - d->said_at < DEMANDS_SAY_SECONDS;
}

bool demands_has_news(const struct demands *d, int64_t now)
{
    return d->unsaid[find_worst(d)] && !is_said_lately(d, now);
}

int64_t demands_say(struct demands *d, int64_t now)
{
    const uint64_t *n = d->unsaid;
    size_t worst = find_worst(d);
    char text[128];

    if (is_said_lately(d, now))
        return d->said_at + DEMANDS_SAY_SECONDS;
    if (!n[worst]) {
        d->options.said(d->options.context, NULL);
        d->said_at = 0;
        return 0;
    }
    snprintf(text, sizeof(text), "visitors ask for more names than %s = %zu lets wait",
             settings[worst], d->options.bounds[worst]);
    d->options.said(d->options.context, text);
    happening_tell(HAPPENING_DEMANDS_DROPPED,
                   FIELDS(field_int("total", (int64_t)n[DEMANDS_TOTAL]),
                          field_int("per_address", (int64_t)n[DEMANDS_ADDRESS]),
                          field_int("per_domain", (int64_t)n[DEMANDS_DOMAIN]),
                          field_int("waiting", (int64_t)d->names.len)));
    memset(d->unsaid, 0, sizeof(d->unsaid));
    d->said_at = now;
    return now + DEMANDS_SAY_SECONDS;
}

/* ---- life ---- */

struct demands *demands_new(const struct demands_options *options)
{
    struct demands *d = calloc(1, sizeof(*d));
    uint64_t seed = (uint64_t)clock_now_ms();

    if (!d)
        return NULL;
    d->options = *options;
    d->names = MAP_INIT(key_of_demand, seed);
    d->addresses = MAP_INIT(key_of_party, seed + 1);
    d->domains = MAP_INIT(key_of_party, seed + 2);
    STAILQ_INIT(&d->heard);
    STAILQ_INIT(&d->marks);
    return d;
}

void demands_free(struct demands *d)
{
    struct demand *x;
    size_t cursor = 0;

    if (!d)
        return;
    while ((x = map_next(&d->names, &cursor))) {
        leave(&d->addresses, x->from);
        free(x);
    }
    while (d->mark_count)
        drop_oldest_mark(d);
    map_free(&d->names);
    map_free(&d->addresses);
    map_free(&d->domains);
    free(d);
}
