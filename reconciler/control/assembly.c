#include "reconciler/control/assembly.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/storage/default_pair.h"
#include "reconciler/feed/demands.h"
#include "reconciler/control/journal.h"
#include "reconciler/control/prefix.h"
#include "reconciler/core/policy.h"
#include "reconciler/publish/challenge_board.h"
#include "reconciler/publish/publisher.h"
#include "reconciler/feed/feed.h"
#include "reconciler/io/httpc.h"
#include "reconciler/io/job.h"
#include "reconciler/io/resolve.h"
#include "reconciler/io/source.h"
#include "reconciler/io/watch.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/pem.h"
#include "reconciler/storage/storage.h"
#include "reconciler/publish/declared.h"
#include "reconciler/publish/index.h"
#include "reconciler/store/store.h"
#include "reconciler/base/version.h"

/* A full plan even without an event: what a missed one would have told is seen then. */
#define ASSEMBLY_SWEEP_MS 3600000
/* A system's bundle has about 220 KiB. */
#define ASSEMBLY_TRUSTED_MAX ((uint64_t)16 << 20)

static int take_value(void *context, const struct value *v, struct error *e)
{
    return store_meet(((struct control *)context)->store, v, STR_NONE, clock_now(), e);
}

static void on_loaded(void *context, const struct storage_problems *problems, const struct error *e)
{
    struct control *c = context;
    char text[ERROR_MESSAGE_MAX];

    c->is_loaded = true;
    c->is_unloadable = e != NULL;
    if (e)
        c->load_error = *e;
    for (size_t i = 0; i < problems->len; i++)
        happening_tell_error(HAPPENING_STORAGE_DAMAGED, &problems->items[i], NULL);
    if (problems->total) {
        snprintf(text, sizeof(text), "%zu damaged records were passed over; the first: %.400s",
                 problems->total, problems->items[0].message);
        condition_set(&c->conditions, CONDITION_STORAGE_DAMAGED, text);
    }
}

static int open_storage(struct control *c, struct error *e)
{
    const struct settings *s = c->options->settings;
    const struct storage_options options = {.kind = STORAGE_FILE, .prefix = s->prefix};
    const struct storage_face face = {.found = take_value, .loaded = on_loaded, .context = c};
    const struct store_options which = {.apart = s->acme_server != NULL,
                                        .directory = str_from(s->acme_server)};

    c->chains = chain_pool_new();
    c->store = c->chains ? store_new(&which, c->chains) : NULL;
    if (!c->store)
        return error_memory(e);
    c->storage = storage_open(c->base, &options, &face, e);
    return c->storage ? 0 : -1;
}

/*
 * The loop turns meanwhile, so that we beat, however much there is. What lies under the prefix is
 * ours, and another process' no more, when it ends.
 */
static int await_storage(struct control *c, struct error *e)
{
    c->is_lent = true;
    while (!c->is_loaded)
        event_base_loop(c->base, EVLOOP_ONCE);
    c->is_lent = false;
    if (c->is_unloadable)
        *e = c->load_error;
    return c->is_unloadable ? -1 : 0;
}

static int listen_to(struct control *c, int fd, short what, event_callback_fn call)
{
    struct event *event;

    if (fd < 0)
        return 0;
    event = event_new(c->base, fd, (short)(what | EV_PERSIST), call, c);
    if (!event || event_add(event, NULL))
        return -1;
    c->events[c->event_count++] = event;
    return 0;
}

static int repeat(struct control *c, int64_t ms, event_callback_fn call)
{
    const struct timeval every = {ms / 1000, ms % 1000 * 1000};
    struct event *event = event_new(c->base, -1, EV_PERSIST, call, c);

    if (!event || event_add(event, &every))
        return -1;
    c->events[c->event_count++] = event;
    return 0;
}

static int open_events(struct control *c, const struct assembly_calls *calls, struct error *e)
{
    c->turn = evtimer_new(c->base, calls->turn, c);
    c->due = evtimer_new(c->base, calls->turn, c);
    c->poll = evtimer_new(c->base, calls->poll, c);
    c->storage_retry = evtimer_new(c->base, prefix_on_retry, c);
    if (!c->turn || !c->due || !c->poll || !c->storage_retry ||
        repeat(c, ASSEMBLY_SWEEP_MS, calls->sweep) || repeat(c, HEART_BEAT_MS, calls->beat) ||
        repeat(c, PREFIX_LOOK_MS, prefix_on_look) ||
        listen_to(c, SIGHUP, EV_SIGNAL, calls->hangup) ||
        listen_to(c, SIGTERM, EV_SIGNAL, calls->terminate) ||
        listen_to(c, c->options->lifeline, EV_READ, calls->lifeline) ||
        listen_to(c, c->options->supervisor, EV_READ, calls->supervisor))
        return error_memory(e);
    return 0;
}

static int map_counters(struct control *c, struct error *e)
{
    for (size_t i = 0; i < c->options->worker_count; i++) {
        void *page =
            mmap(NULL, COUNTERS_PAGE_SIZE, PROT_READ, MAP_SHARED, c->options->counters[i], 0);
        if (page == MAP_FAILED)
            return error_set(e, ERROR_IO, "cannot map a page of counters");
        c->counters[i] = page;
    }
    return 0;
}

/* Found out now: with a file that helps nobody every order would fail, and be tried again. */
static int check_trusted(const char *setting, const char *path, struct error *e)
{
    const struct source_options options = {
        .paths = (char *[]){(char *)path}, .path_count = 1, .max_bytes = ASSEMBLY_TRUSTED_MAX};
    struct source_set *set = NULL;
    struct pem_block block;
    int rc = source_read(&options, &set, e);

    if (rc == 0) {
        struct pem_reader reader =
            PEM_READER(PEM_CERTIFICATE, ((struct str){set->files[0].data, set->files[0].len}));
        int got = pem_next(&reader, &block, e);
        rc = got < 0    ? -1
             : got == 0 ? error_set(e, ERROR_INVALID, "holds no certificate in PEM")
                        : 0;
    }
    source_free(set);
    return rc ? error_prefix(e, "%s: %.200s", setting, path) : 0;
}

/* Kong's comma list: libcurl takes the system's roots and one file. *path is the caller's. */
static int read_trusted(const char *list, char **path, bool *system, struct error *e)
{
    struct str rest = str_from(list);

    while (rest.len) {
        struct str item = str_trim(str_cut(rest, ',', &rest));
        if (str_equal(item, STR("system")))
            *system = true;
        else if (item.len && *path)
            return error_set(e, ERROR_USAGE,
                             "lua_ssl_trusted_certificate: takes one file, beside system");
        else if (item.len && !(*path = str_dup(item)))
            return error_memory(e);
    }
    return *path ? check_trusted("lua_ssl_trusted_certificate", *path, e) : 0;
}

static int open_client(struct control *c, const struct assembly_calls *calls, struct error *e)
{
    const struct settings *s = c->options->settings;
    const char *own = s->acme_trusted_certificate;
    char *listed = NULL;
    bool system = false;

    if (own ? check_trusted("acme_trusted_certificate", own, e)
            : read_trusted(s->lua_ssl_trusted_certificate, &listed, &system, e))
        goto out;
    c->resolver = resolver_new(
        c->base,
        &(struct resolve_options){.servers = s->dns_resolver, .hosts_file = s->dns_hostsfile}, e);
    if (c->resolver)
        c->httpc = httpc_new(&(struct httpc_options){.base = c->base,
                                                     .resolver = c->resolver,
                                                     .trusted_certificate = own ? own : listed,
                                                     .trusts_system = system,
                                                     .user_agent = VERSION_PRODUCT,
                                                     .ready = calls->http,
                                                     .context = c},
                             e);
out:
    free(listed);
    return c->httpc ? 0 : -1;
}

static int publish_to_feed(void *context, uint64_t generation,
                           const struct channel_segment *newest_first, size_t count,
                           struct error *e)
{
    return feed_publish(context, generation, newest_first, count, e);
}

static int wait_for_feed(void *context, uint64_t generation, void (*done)(void *argument),
                         void *argument)
{
    return feed_when_acknowledged(context, generation, done, argument);
}

static int open_publishing(struct control *c, const struct assembly_calls *calls, struct error *e)
{
    const struct control_options *o = c->options;
    struct workers_options workers = calls->workers;
    struct publisher_options publish = {.jobs = c->jobs, .ready = calls->wake, .context = c};

    c->index = index_new();
    c->declared = declared_new(c->chains);
    if (!c->index || !c->declared)
        return error_memory(e);
    c->feed = feed_new(c->base, o->tickets, e);
    if (!c->feed)
        return -1;
    workers.base = c->base;
    workers.feed = c->feed;
    workers.channels = o->workers;
    workers.count = o->worker_count;
    workers.supervisor = o->supervisor;
    workers.context = c;
    c->workers = workers_new(&workers, e);
    if (!c->workers)
        return -1;
    c->board = challenge_board_new(1u << CHALLENGE_HTTP_01, calls->served, c);
    if (!c->board)
        return error_memory(e);
    publish.index = c->index;
    publish.receivers = (struct publisher_receivers){
        .context = c->feed, .publish = publish_to_feed, .when_acknowledged = wait_for_feed};
    publish.board = c->board;
    c->publisher = publisher_new(&publish, e);
    return c->publisher ? 0 : -1;
}

static void tell_of_demands(void *context, const char *text)
{
    if (text)
        condition_set(context, CONDITION_DEMANDS, text);
    else
        condition_clear(context, CONDITION_DEMANDS);
}

static int open_demands(struct control *c, struct error *e)
{
    const struct settings *s = c->options->settings;
    const struct demands_options options = {
        .bounds = {[DEMANDS_TOTAL] = s->acme_demand_total,
                   [DEMANDS_ADDRESS] = s->acme_demand_per_address,
                   [DEMANDS_DOMAIN] = s->acme_demand_per_domain},
        .trusted = s->trusted_ips,
        .trusted_count = s->trusted_ip_count,
        .domain_of = policy_registered_domain,
        .context = &c->conditions,
        .said = tell_of_demands};

    c->demands = demands_new(&options);
    return c->demands ? 0 : error_memory(e);
}

static int open_orders(struct control *c, const struct assembly_calls *calls, struct error *e)
{
    struct issuance_options issuance = calls->issuance;
    const struct journal_options journal = {.storage = c->storage,
                                            .store = c->store,
                                            .ready = calls->wake,
                                            .vanished = prefix_vanished,
                                            .context = c};

    c->journal = journal_new(&journal, e);
    if (!c->journal)
        return -1;
    issuance.base = c->base;
    issuance.httpc = c->httpc;
    issuance.jobs = c->jobs;
    issuance.journal = journal_face(c->journal);
    issuance.store = c->store;
    issuance.context = issuance.solver.context = c;
    issuance.ready = calls->wake;
    c->issuance = issuance_new(&issuance, e);
    return c->issuance ? open_demands(c, e) : -1;
}

static int open_status(struct control *c, const struct assembly_calls *calls, struct error *e)
{
    struct status_options options = {.base = c->base,
                                     .listeners = c->options->status,
                                     .listener_count = c->options->status_count,
                                     .prefix = c->options->settings->prefix,
                                     .product = VERSION_PRODUCT,
                                     .hosts = c->options->settings->acme_admin_hosts,
                                     .host_count = c->options->settings->acme_admin_host_count,
                                     .source = calls->status};

    options.source.context = c;
    c->status = status_new(&options, e);
    if (!c->status)
        return -1;
    if (c->options->watch < 0)
        return 0;
    c->watch = watch_new(c->base, c->options->watch, calls->look, c, e);
    return c->watch ? 0 : -1;
}

static int64_t ordering_since(void *context, struct subject subject)
{
    return issuance_since(context, subject);
}

static struct str ordering_trouble(void *context, struct subject subject)
{
    return issuance_trouble(context, subject);
}

static int load_defaults(struct control *c, struct error *e)
{
    const struct settings *s = c->options->settings;

    return default_pair_load(&(struct default_pair_options){.prefix = s->prefix,
                                                            .certificates = s->ssl_cert,
                                                            .keys = s->ssl_cert_key,
                                                            .count = s->ssl_cert_count,
                                                            .chains = c->chains,
                                                            .now = clock_now()},
                             c->state.defaults, e);
}

/* The loop, and the threads that do for it what would hold it up. */
static int open_loop(struct control *c, struct error *e)
{
    c->base = event_base_new();
    if (!c->base)
        return error_memory(e);
    c->jobs = job_start(c->base, e);
    c->disk = c->jobs ? job_start(c->base, e) : NULL;
    return c->disk ? 0 : -1;
}

int assembly_open(struct control *c, const struct assembly_calls *calls, struct error *e)
{
    const struct settings *s = c->options->settings;

    if (open_loop(c, e) || open_storage(c, e) || open_events(c, calls, e) || map_counters(c, e) ||
        open_client(c, calls, e) || open_publishing(c, calls, e) || open_orders(c, calls, e) ||
        await_storage(c, e) || open_status(c, calls, e) || load_defaults(c, e))
        return -1;
    c->state.settings = s;
    c->state.environment = c->options->environment;
    c->state.store = c->store;
    c->state.index = c->index;
    c->state.declared = c->declared;
    c->state.publisher = c->publisher;
    c->state.breaker = &c->pass.breaker;
    c->state.observe = (struct observe_options){.store = c->store,
                                                .storage_error = c->storage_error,
                                                .ordering_since = ordering_since,
                                                .ordering_trouble = ordering_trouble,
                                                .context = c->issuance};
    c->pass = (struct pass){.state = &c->state,
                            .journal = c->journal,
                            .issuance = c->issuance,
                            .demands = c->demands,
                            .chains = c->chains,
                            .conditions = &c->conditions,
                            .context = c,
                            .storage_failed = prefix_failed};
    return 0;
}

void assembly_close(struct control *c)
{
    struct job_thread *disk = c->disk;

    job_stop(c->jobs);
    c->disk = NULL; /* what comes of its end is done here */
    job_stop(disk);
    storage_close(c->storage);
    reload_fini(&c->reload);
    configuration_plan_free(&c->plan);
    status_free(c->status);
    watch_free(c->watch);
    httpc_free(c->httpc);
    resolver_free(c->resolver);
    issuance_free(c->issuance);
    journal_free(c->journal);
    publisher_free(c->publisher);
    workers_free(c->workers);
    challenge_board_free(c->board);
    feed_free(c->feed);
    index_free(c->index);
    declared_free(c->declared);
    configuration_free(c->generation);
    load_free(c->refused);
    approval_free(c->approval);
    budget_free(c->pass.budget);
    credential_unref(c->state.defaults[0]);
    credential_unref(c->state.defaults[1]);
    store_free(c->store);
    chain_pool_free(c->chains);
    demands_free(c->demands);
    for (size_t i = 0; i < c->event_count; i++)
        event_free(c->events[i]);
    for (size_t i = 0; i < 4; i++) {
        struct event *const timers[] = {c->turn, c->due, c->poll, c->storage_retry};
        if (timers[i])
            event_free(timers[i]);
    }
    if (c->base)
        event_base_free(c->base);
}
