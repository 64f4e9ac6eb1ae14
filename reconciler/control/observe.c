#include "reconciler/control/observe.h"

#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/sent.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"
#include "reconciler/storage/sync.h"
#include "reconciler/store/store.h"

/* Was its newOrder, of an order that began at `since`, counted already? */
static bool is_sent(const struct store_name *n, int64_t since)
{
    struct str rest = n->sent ? n->sent->sent.times : STR_NONE;
    struct sent s = {0};

    if (n->sent && n->order && n->order->order.url.len)
        return true;
    while (sent_next(&rest, &s) == 1)
        ;
    return s.at && s.at >= since;
}

static void observe_order(const struct store_name *n, const struct observe_options *options,
                          struct observed_name *out)
{
    const struct store_order *open = n->order && !n->order->order.chain.len ? n->order : NULL;
    int64_t since = open ? open->order.started_at : 0;

    if (options->ordering_since)
        since = options->ordering_since(options->context, n->subject);
    out->order_open = since || (open && !options->ordering_since);
    out->order_sent = is_sent(n, since);
    if (n->order && !open) {
        out->next_at = n->order->order.begins_at;
        out->next_ends_at = n->order->order.ends_at;
        out->next_directory = n->order->directory;
    }
    if (since && options->ordering_trouble)
        out->order_trouble = options->ordering_trouble(options->context, n->subject);
    if (!n->sent)
        return;
    out->sent = n->sent->sent.times;
    out->sent_directory = n->sent->directory;
}

static int64_t end_of_first(const struct store_name *n)
{
    bool is_used = n && n->credential && n->managed.active && !n->managed.revoked;

    return is_used ? n->credential->facts.not_after : 0;
}

void observe_name(const struct store_name *n, const struct observe_options *options,
                  struct observed_name *out)
{
    *out = (struct observed_name){
        .subject = n->subject, .directory = n->directory, .managed = n->managed};
    if (n->credential) {
        out->has_certificate = true;
        out->facts = n->credential->facts;
        out->top_issuer =
            n->credential->chain ? chain_top_issuer(n->credential->chain) : n->managed.issuer;
    }
    if (n->failure) {
        out->failure = n->failure->failure;
        out->failure_directory = n->failure->directory;
    }
    if (n->subject.family != FAMILY_FIRST && options->store)
        out->first_ends_at =
            end_of_first(store_find(options->store, subject_first(n->subject.name)));
    out->limited_until = n->limited_until;
    observe_order(n, options, out);
}

static int observe_all(void *context, const struct policy *policy, struct arena *arena,
                       struct observed **observed, struct error *e)
{
    const struct observe_options *options = context;
    struct observed *o = arena_alloc(arena, sizeof(*o));
    struct observed_name *names;
    struct store_name *const *sorted;
    size_t count;

    (void)policy;
    sorted = store_sorted(options->store, &count);
    names = sorted || !count ? arena_array(arena, count, sizeof(*names)) : NULL;
    if (!o || !names)
        return error_memory(e);
    for (size_t i = 0; i < count; i++)
        observe_name(sorted[i], options, &names[i]);
    o->names = names;
    o->count = count;
    o->storage_usable = !options->storage_error || !options->storage_error[0];
    *observed = o;
    return 0;
}

static int take_value(void *context, const struct value *v, struct error *e)
{
    struct observation *o = context;

    o->is_present = true;
    return store_meet(o->store, v, STR_NONE, clock_now(), e);
}

int observation_new(const struct settings *s, struct observation *o, struct error *e)
{
    const struct store_options which = {.apart = s->acme_server != NULL,
                                        .directory = str_from(s->acme_server)};

    *o = (struct observation){.chains = chain_pool_new()};
    if (o->chains)
        o->store = store_new(&which, o->chains);
    return o->store ? 0 : error_memory(e);
}

int observation_open(const struct settings *s, struct observation *o, struct error *e)
{
    const struct storage_options options = {
        .kind = STORAGE_FILE, .prefix = s->prefix, .read_only = true};
    struct storage_problems problems = {0};
    struct storage_sync *storage = NULL;

    if (observation_new(s, o, e) == 0)
        storage = storage_sync_open(&options, take_value, o, &problems, e);
    o->damaged = problems.total;
    if (problems.len)
        memcpy(o->damage, problems.items[0].message, sizeof(o->damage));
    storage_problems_free(&problems);
    storage_sync_close(storage);
    return storage ? 0 : -1;
}

void observation_close(struct observation *o)
{
    store_free(o->store);
    chain_pool_free(o->chains);
    *o = (struct observation){0};
}

int64_t observe_demanded_until(const struct store_name *n)
{
    int64_t lifetime = OBSERVE_DEMAND_SECONDS;

    if (!n->last_seen_at)
        return 0;
    if (n->credential)
        lifetime = n->credential->facts.not_after - n->credential->facts.not_before + 1;
    return n->last_seen_at + lifetime;
}

bool observe_is_demanded(const struct store_name *n, int64_t now)
{
    return n->last_seen_at && now < observe_demanded_until(n);
}

static int list_demands(void *context, int64_t now, struct arena *arena,
                        struct desired_options *options, struct error *e)
{
    struct store *store = ((const struct observe_options *)context)->store;
    struct desired_demand *list;
    struct store_name *const *sorted;
    size_t names, kept = 0;

    sorted = store_sorted(store, &names);
    if (!sorted && names)
        return error_memory(e);
    for (size_t i = 0; i < names; i++)
        kept += sorted[i]->last_seen_at != 0;
    list = arena_array(arena, kept, sizeof(*list));
    if (!list)
        return error_memory(e);
    kept = 0;
    for (size_t i = 0; i < names; i++)
        if (observe_is_demanded(sorted[i], now))
            list[kept++] =
                (struct desired_demand){.name = arena_str(arena, sorted[i]->subject.name),
                                        .last_seen_at = sorted[i]->last_seen_at};
    options->demands = list;
    options->demand_count = kept;
    return 0;
}

struct reconcile_source observe_source(const struct observe_options *options)
{
    return (struct reconcile_source){list_demands, observe_all, (void *)options};
}
