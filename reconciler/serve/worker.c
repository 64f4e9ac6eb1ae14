#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "edge.h"
#include "reconciler/base/counters.h"
#include "reconciler/base/error.h"
#include "reconciler/base/log.h"
#include "sandbox.h"
#include "subscription.h"

#define DESCRIPTORS_KEPT 320 /* for listeners, the channel, segments on their way */

struct worker {
    const struct worker_options *options;
    struct event_base *base;
    struct event lifeline, quit, terminate, hurry, bound, tick;
    struct counters *counters; /* a page, shared or our own */
    struct edge *edge;
    struct subscription *subscription;
    bool is_draining;
};

/* ---- between session and edge ---- */

static void on_renewed(void *context, struct view *view)
{
    struct worker *w = context;

    edge_renew(w->edge, view);
}

static void on_tickets(void *context, unsigned char (*keys)[CHANNEL_TICKET_KEY_SIZE], size_t count)
{
    struct worker *w = context;

    edge_set_ticket_keys(w->edge, keys, count);
}

static void on_cover(void *context, unsigned slot, size_t address, int fd)
{
    struct worker *w = context;

    edge_cover(w->edge, slot, address, fd);
}

static void on_uncover(void *context, unsigned slot)
{
    struct worker *w = context;

    edge_uncover(w->edge, slot);
}

static void on_answered(void *context, struct str token, struct str answer)
{
    struct worker *w = context;

    edge_answer(w->edge, token, answer);
}

static bool on_sni_seen(void *context, struct str name, const struct address_block *from)
{
    struct worker *w = context;

    return subscription_sni_seen(w->subscription, name, from);
}

static bool on_token_miss(void *context, struct str host, struct str token)
{
    struct worker *w = context;

    return subscription_token_miss(w->subscription, host, token);
}

/* ---- leaving ---- */

/* Where nobody else has them open, new connections are refused from now on instead of waiting. */
static void close_listeners(const struct worker_options *options)
{
    for (size_t i = 0; i < options->listener_count; i++)
        close(options->listeners[i].fd);
}

static void drain(struct worker *w, bool is_quick)
{
    const unsigned ms = is_quick ? WORKER_QUICK_MS : WORKER_DRAIN_MS;
    const struct timeval in = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    if (w->is_draining && !is_quick)
        return;
    if (!w->is_draining)
        happening_tell(HAPPENING_WORKER_DRAINS, FIELDS(field_int("slot", w->options->slot)));
    event_add(&w->bound, &in);
    edge_drain(w->edge, is_quick);
    if (!w->is_draining) {
        close_listeners(w->options);
        subscription_drains(w->subscription);
    }
    w->is_draining = true;
}

static void on_drained(void *context)
{
    struct worker *w = context;

    event_base_loopbreak(w->base);
}

static void on_bound(evutil_socket_t fd, short what, void *context)
{
    struct worker *w = context;

    (void)fd;
    (void)what;
    happening_tell(HAPPENING_WORKER_DRAIN_CUT, FIELDS(field_int("slot", w->options->slot)));
    event_base_loopbreak(w->base);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    (void)what;
    drain(context, number == SIGALRM);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct worker *w = context;

    (void)fd;
    (void)what;
    subscription_beat(w->subscription);
    log_flush();
}

/* Nobody writes to it: what makes it readable is the supervisor's end. */
static void on_lifeline(evutil_socket_t fd, short what, void *context)
{
    struct worker *w = context;

    (void)fd;
    (void)what;
    happening_tell(HAPPENING_SUPERVISOR_GONE, FIELDS(field_int("slot", w->options->slot)));
    event_base_loopbreak(w->base);
}

/* ---- setting up ---- */

static int map_counters(struct worker *w, struct error *e)
{
    int fd = w->options->counters;
    void *page = mmap(NULL, COUNTERS_PAGE_SIZE, PROT_READ | PROT_WRITE,
                      fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    if (page == MAP_FAILED)
        return error_errno(e, ERROR_IO, errno, "counters");
    w->counters = page;
    atomic_store(&w->counters->connections_active, 0);
    atomic_store(&w->counters->generation, 0);
    return 0;
}

/* As many connections as descriptors allow; the soft limit is raised to the hard one. */
static size_t connection_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return WORKER_CONNECTIONS_MAX;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) || getrlimit(RLIMIT_NOFILE, &limit) ||
        limit.rlim_cur > WORKER_CONNECTIONS_MAX + DESCRIPTORS_KEPT)
        return WORKER_CONNECTIONS_MAX;
    return limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT
                                                 : DESCRIPTORS_KEPT / 2;
}

static int ignore_signals(struct error *e)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (sigaction(SIGINT, &ignore, NULL) || sigaction(SIGPIPE, &ignore, NULL))
        return error_errno(e, ERROR_IO, errno, "signals");
    return 0;
}

static int add_events(struct worker *w, struct error *e)
{
    const struct timeval tick = {.tv_sec = LOG_FLUSH_SECONDS};

    evsignal_assign(&w->quit, w->base, SIGQUIT, on_signal, w);
    evsignal_assign(&w->terminate, w->base, SIGTERM, on_signal, w);
    evsignal_assign(&w->hurry, w->base, SIGALRM, on_signal, w);
    event_assign(&w->tick, w->base, -1, EV_PERSIST, on_tick, w);
    event_assign(&w->bound, w->base, -1, 0, on_bound, w);
    event_assign(&w->lifeline, w->base, w->options->lifeline, EV_READ, on_lifeline, w);
    if (event_add(&w->quit, NULL) || event_add(&w->terminate, NULL) || event_add(&w->hurry, NULL) ||
        event_add(&w->tick, &tick) || (w->options->lifeline >= 0 && event_add(&w->lifeline, NULL)))
        return error_set(e, ERROR_IO, "events cannot be added");
    return 0;
}

static int set_up(struct worker *w, struct error *e)
{
    struct edge_options edge = {.worker = w->options,
                                .context = w,
                                .sni_seen = on_sni_seen,
                                .token_miss = on_token_miss,
                                .drained = on_drained};
    struct subscription_options subscription = {.channel = w->options->channel,
                                                .context = w,
                                                .renewed = on_renewed,
                                                .tickets = on_tickets,
                                                .answered = on_answered,
                                                .cover = on_cover,
                                                .uncover = on_uncover};

    if (w->options->listener_count > WORKER_LISTENERS_MAX)
        return error_set(e, ERROR_LIMIT, "over %d listeners", WORKER_LISTENERS_MAX);
    if (map_counters(w, e) || ignore_signals(e))
        return -1;
    edge.connections = connection_limit();
    w->base = edge.base = subscription.base = event_base_new();
    if (!w->base)
        return error_memory(e);
    if (add_events(w, e))
        return -1;
    edge.counters = subscription.counters = w->counters;
    w->edge = edge_new(&edge, e);
    if (!w->edge || sandbox_enter(e))
        return -1;
    /* Last, since it tells control that we are here. */
    w->subscription = subscription_new(&subscription);
    return w->subscription ? 0 : error_memory(e);
}

/* A terminal asks us, and then the supervisor: without the loop's handlers one would kill. */
static void block_signals(void)
{
    sigset_t set;

    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void tear_down(struct worker *w)
{
    block_signals();
    subscription_free(w->subscription);
    edge_free(w->edge);
    if (w->base)
        event_base_free(w->base);
    if (w->counters)
        munmap(w->counters, COUNTERS_PAGE_SIZE);
}

int worker_run(const struct worker_options *options)
{
    struct worker w = {.options = options};
    struct error e;
    int code = 1;

    if (set_up(&w, &e)) {
        happening_tell_error(HAPPENING_WORKER_FAILED, &e, FIELDS(field_int("slot", options->slot)));
    } else {
        event_base_dispatch(w.base);
        code = 0;
    }
    tear_down(&w);
    return code;
}
