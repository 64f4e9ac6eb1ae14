#include "reconciler/cli/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/descriptor.h"
#include "reconciler/base/log.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/cli/verb.h"
#include "reconciler/control/control.h"
#include "reconciler/serve/worker.h"
#include "reconciler/settings/settings.h"
#include "reconciler/supervisor/supervisor.h"
#include "reconciler/base/version.h"

#define ARGUMENT_AGAIN "--again"
#define ARGUMENT_ONCE "--once"
#define ARGUMENT_SLOT "--slot="

/* What every child is given. */
struct child {
    struct descriptor_list fds;
    struct settings settings;
    uint64_t slot;
    bool is_again, is_once;
    char *const *environment;
};

static int parse_argument(struct child *c, const char *word, struct error *e)
{
    struct str rest = str_from(word);

    if (str_starts(rest, STR(DESCRIPTOR_ARGUMENT)) && !c->fds.len)
        return descriptor_parse(&c->fds, word, e);
    c->is_again |= strcmp(word, ARGUMENT_AGAIN) == 0;
    c->is_once |= strcmp(word, ARGUMENT_ONCE) == 0;
    if (strcmp(word, ARGUMENT_AGAIN) == 0 || strcmp(word, ARGUMENT_ONCE) == 0)
        return 0;
    if (str_starts(rest, STR(ARGUMENT_SLOT)) &&
        str_to_u64(str_slice(rest, strlen(ARGUMENT_SLOT), rest.len), &c->slot) &&
        c->slot < CONTROL_WORKERS_MAX)
        return 0;
    return error_set(e, ERROR_USAGE, "the supervisor gave an argument that is not understood");
}

static int open_child(struct child *c, int argc, char *const *argv, struct error *e)
{
    int fd;

    for (int i = 2; i < argc; i++)
        if (parse_argument(c, argv[i], e))
            return -1;
    fd = descriptor_get(&c->fds, DESCRIPTOR_SETTINGS, DESCRIPTOR_ONLY);
    if (fd < 0)
        return error_set(e, ERROR_USAGE, "%s is started by 'reconcert run' alone", argv[1]);
    return settings_unpack(&c->settings, fd, e);
}

static int get(const struct child *c, enum descriptor_name name)
{
    return descriptor_get(&c->fds, name, DESCRIPTOR_ONLY);
}

/* The indexed descriptors of one name, as many as there are; -1 with *e if that is too many. */
static int get_all(const struct child *c, enum descriptor_name name, int *fds, size_t max,
                   size_t *count, struct error *e)
{
    *count = descriptor_count(&c->fds, name);
    if (*count > max)
        return error_set(e, ERROR_LIMIT, "more than %zu descriptors of a kind", max);
    for (size_t i = 0; i < *count; i++)
        fds[i] = descriptor_get(&c->fds, name, (int)i);
    return 0;
}

static int run_control(const struct child *c, struct error *e)
{
    struct control_options *o = calloc(1, sizeof(*o));
    size_t counters;
    int code = -1;

    if (!o)
        return error_memory(e);
    o->settings = &c->settings;
    o->environment = c->environment;
    o->supervisor = get(c, DESCRIPTOR_SUPERVISOR);
    o->lifeline = get(c, DESCRIPTOR_LIFELINE);
    o->watch = get(c, DESCRIPTOR_WATCH);
    o->tickets = get(c, DESCRIPTOR_TICKETS);
    o->leaves_when_idle = c->is_once;
    o->is_restart = c->is_again;
    if (get_all(c, DESCRIPTOR_CHANNEL, o->workers, CONTROL_WORKERS_MAX, &o->worker_count, e) ||
        get_all(c, DESCRIPTOR_COUNTERS, o->counters, CONTROL_WORKERS_MAX, &counters, e) ||
        get_all(c, DESCRIPTOR_STATUS, o->status, CONTROL_LISTENERS_MAX, &o->status_count, e))
        goto out;
    if (counters != o->worker_count) {
        error_set(e, ERROR_USAGE, "%zu channels, %zu pages of counters", o->worker_count, counters);
        goto out;
    }
    code = control_run(o);
out:
    free(o);
    return code;
}

/* listen.I is the socket of proxy_listen.items[I]. */
static int list_listeners(const struct child *c, struct worker_listener *listeners, struct error *e)
{
    const struct settings_listens *listens = &c->settings.proxy_listen;

    if (descriptor_count(&c->fds, DESCRIPTOR_LISTEN) != listens->count)
        return error_set(e, ERROR_USAGE, "the listeners are not those of proxy_listen");
    for (size_t i = 0; i < listens->count; i++)
        listeners[i] = (struct worker_listener){
            .fd = descriptor_get(&c->fds, DESCRIPTOR_LISTEN, (int)i),
            .ssl = listens->items[i].ssl,
            .http2 = listens->items[i].http2,
            .proxy_protocol = listens->items[i].proxy_protocol,
            .port = listens->items[i].port,
        };
    return 0;
}

_Static_assert(SETTINGS_LISTEN_MAX <= WORKER_LISTENERS_MAX, "a worker takes every listener");

static int run_worker(const struct child *c, struct error *e)
{
    struct worker_listener listeners[SETTINGS_LISTEN_MAX];
    char name[32];
    const struct worker_options options = {
        .slot = (unsigned)c->slot,
        .channel = get(c, DESCRIPTOR_CHANNEL),
        .lifeline = get(c, DESCRIPTOR_LIFELINE),
        .counters = get(c, DESCRIPTOR_COUNTERS),
        .listeners = listeners,
        .listener_count = c->settings.proxy_listen.count,
        .ssl_protocols = (const char *const *)c->settings.ssl_protocols,
        .ssl_protocol_count = c->settings.ssl_protocol_count,
        .ssl_ciphers = c->settings.ssl_ciphers,
        .ssl_prefer_server_ciphers = c->settings.ssl_prefer_server_ciphers,
        .parsed_cache = c->settings.acme_parsed_cache,
        .trusted = c->settings.trusted_ips,
        .trusted_count = c->settings.trusted_ip_count,
        .product = VERSION_PRODUCT,
    };

    snprintf(name, sizeof(name), "worker-%u", options.slot);
    log_open(name, c->settings.log_level, c->settings.acme_log_format);
    return list_listeners(c, listeners, e) ? -1 : worker_run(&options);
}

static int run_child(int argc, char *const *argv, char *const *environment,
                     int (*run)(const struct child *c, struct error *e))
{
    struct child c = {.environment = environment};
    struct error e;
    int code = open_child(&c, argc, argv, &e) ? -1 : run(&c, &e);

    if (code < 0) {
        output_error(&e);
        code = e.kind == ERROR_USAGE ? VERB_USAGE : VERB_FAILED;
    }
    descriptor_list_free(&c.fds);
    settings_fini(&c.settings);
    return code;
}

bool internal_run(int argc, char *const *argv, char *const *environment, int *code)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "control") == 0)
        *code = run_child(argc, argv, environment, run_control);
    else if (strcmp(name, "worker") == 0)
        *code = run_child(argc, argv, environment, run_worker);
    else if (strcmp(name, "resume") == 0)
        *code = supervisor_resume(argc - 1, argv + 1, environment);
    else
        return false;
    return true;
}
