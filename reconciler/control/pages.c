#include "reconciler/control/pages.h"

#include <stddef.h>
#include <stdio.h>

#include "reconciler/base/json_out.h"
#include "reconciler/control/demands.h"
#include "reconciler/core/render.h"
#include "reconciler/store/store.h"

#define NOTHING_LOADED "00000000000000000000000000000000"

static void print_message(struct buf *out, const char *message)
{
    struct json_out j = json_out_compact(out);

    json_out_object(&j);
    json_out_member_cstr(&j, "message", message);
    json_out_end(&j);
}

/* ---- Kong's ---- */

static int64_t sum(const struct pages *p, size_t offset)
{
    uint64_t total = 0;

    for (size_t i = 0; i < p->worker_count; i++)
        total += counters_get((const _Atomic uint64_t *)((const char *)p->counters[i] + offset));
    return (int64_t)total;
}

static void print_server(const struct pages *p, struct json_out *j)
{
    static const struct {
        const char *key;
        size_t offset;
    } rows[] = {
        {"connections_accepted", offsetof(struct counters, connections_accepted)},
        {"connections_active", offsetof(struct counters, connections_active)},
        {"connections_handled", offsetof(struct counters, connections_handled)},
        {"total_requests", offsetof(struct counters, requests)},
        {"handshakes", offsetof(struct counters, handshakes)},
        {"handshakes_failed", offsetof(struct counters, handshakes_failed)},
        {"handshakes_resumed", offsetof(struct counters, handshakes_resumed)},
        {"handshakes_default", offsetof(struct counters, handshakes_default)},
        {"challenges_answered", offsetof(struct counters, challenges_answered)},
        {"challenges_missed", offsetof(struct counters, challenges_missed)},
    };
    int64_t dropped = sum(p, offsetof(struct counters, demands_dropped));

    json_out_object(j);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        json_out_member_int(j, rows[i].key, sum(p, rows[i].offset));
    json_out_member_int(j, "demands_waiting", (int64_t)demands_count(p->pass->demands));
    json_out_member_int(j, "demands_dropped", dropped + (int64_t)demands_dropped(p->pass->demands));
    /* What nginx counts by state of the connection has no counterpart here. */
    json_out_member_int(j, "connections_reading", 0);
    json_out_member_int(j, "connections_writing", 0);
    json_out_member_int(j, "connections_waiting", 0);
    json_out_end(j);
}

static unsigned print_status(const struct pages *p, struct buf *out)
{
    const struct configuration *g = *p->generation;
    struct json_out j = json_out_compact(out);

    json_out_object(&j);
    json_out_key(&j, "memory");
    json_out_object(&j);
    json_out_key(&j, "lua_shared_dicts");
    json_out_object(&j);
    json_out_end(&j);
    json_out_key(&j, "workers_lua_vms");
    json_out_array(&j);
    json_out_end(&j);
    json_out_end(&j);
    json_out_key(&j, "server");
    print_server(p, &j);
    json_out_member_cstr(&j, "configuration_hash",
                         g && g->loaded->model->entity_count && g->md5[0] ? g->md5
                                                                          : NOTHING_LOADED);
    json_out_end(&j);
    return 200;
}

static unsigned print_ready(const struct pages *p, struct buf *out)
{
    const struct configuration *g = *p->generation;
    char message[128];

    if (!g)
        snprintf(message, sizeof(message),
                 "no configuration available (configuration hash is not initialized)");
    else if (!g->loaded->model->entity_count)
        snprintf(message, sizeof(message),
                 "no configuration available (empty configuration present)");
    else if (p->current_workers < p->worker_count)
        snprintf(message, sizeof(message),
                 "router builds not yet complete, router ready in %zu of %zu workers",
                 p->current_workers, p->worker_count);
    else {
        print_message(out, "ready");
        return 200;
    }
    print_message(out, message);
    return 503;
}

/* ---- ours ---- */

/* `desired` NULL: it is listed only if its retirement waits. */
static void print_name(const struct pages *p, struct subject subject,
                       const struct desired_name *desired, const struct render_options *options,
                       struct json_out *j)
{
    const struct configuration_state *state = p->pass->state;
    const struct store_name *n = store_find(state->store, subject);
    struct configuration_name which = {.desired = desired};
    struct observed_name observed;
    struct action a;

    if (n) {
        observe_name(n, &state->observe, &observed);
        which.observed = &observed;
    }
    if (!desired && !n)
        return;
    a = configuration_decide(state, *p->generation, &which, options->now);
    if (a.action != PLAN_NOTHING && a.action != PLAN_RETIRE)
        render_certificate_json(&a, options, j);
}

/* A name that no line of the file asks for, and is listed all the same. */
struct unasked {
    const struct store_name *name; /* NULL: no more */
    const struct desired_name *desired;
    struct desired_name room;
};

/* By a line of the file: what came on demand before the file was read may be forgotten by now. */
static bool is_asked(const struct desired_name *d)
{
    return d && d->place_count;
}

/*
 * The next name that came on demand, or may have to wait for its
 * retirement, at or after *at.
 */
static void next_unasked(const struct pages *p, struct store_name *const *names, size_t count,
                         size_t *at, int64_t now, struct unasked *u)
{
    const struct configuration *g = *p->generation;

    for (u->name = NULL; *at < count && !u->name; ++*at) {
        const struct store_name *n = names[*at];
        bool may_retire = p->pass->state->approved && n->credential && n->managed.active;

        u->desired = NULL;
        if ((!n->last_seen_at && !may_retire) || is_asked(desired_find(g->desired, n->subject)))
            continue;
        if (n->last_seen_at)
            u->desired = pass_find_desired(p->pass, n->subject, now, &u->room);
        if (u->desired || may_retire)
            u->name = n;
    }
}

/* Both lists are sorted, and so is what is printed. */
static void print_certificates(const struct pages *p, int64_t now, struct json_out *j)
{
    const struct configuration *g = *p->generation;
    struct store_name *const *names;
    struct unasked u = {0};
    size_t count = 0, at = 0;

    json_out_array(j);
    names = g ? store_sorted(p->pass->state->store, &count) : NULL;
    if (g) {
        const struct render_options options = {
            .model = g->loaded->model, .desired = g->desired, .now = now};
        next_unasked(p, names, names ? count : 0, &at, now, &u);
        for (size_t i = 0; i <= g->desired->count; i++) {
            const struct desired_name *asked = i < g->desired->count ? &g->desired->names[i] : NULL;

            if (asked && !is_asked(asked))
                continue;
            for (; u.name && (!asked || subject_compare(&u.name->subject, &asked->subject) < 0);
                 next_unasked(p, names, count, &at, now, &u))
                print_name(p, u.name->subject, u.desired, &options, j);
            if (asked)
                print_name(p, asked->subject, asked, &options, j);
        }
    }
    json_out_end(j);
}

static void print_config(const struct configuration *g, struct json_out *j)
{
    if (!g) {
        json_out_null(j);
        return;
    }
    json_out_object(j);
    json_out_key(j, "files");
    json_out_array(j);
    for (size_t i = 0; i < g->loaded->file_count; i++) {
        json_out_object(j);
        json_out_member_cstr(j, "file", g->loaded->files[i].name);
        json_out_member_cstr(j, "sha256", g->loaded->files[i].sha256);
        json_out_end(j);
    }
    json_out_end(j);
    json_out_member_cstr(j, "sha256", g->loaded->sha256);
    json_out_end(j);
}

/* Those of the refused file where there is one, else the warnings of the one in force. */
static void print_problems(const struct pages *p, struct json_out *j)
{
    const struct loaded *of =
        *p->refused ? *p->refused : (*p->generation ? (*p->generation)->loaded : NULL);

    if (of) {
        problems_print_json(&of->problems, j);
        return;
    }
    json_out_array(j);
    json_out_end(j);
}

/* What is wrong, and the names: the same on both pages. */
static void print_state(const struct pages *p, int64_t now, struct json_out *j)
{
    json_out_key(j, "problems");
    print_problems(p, j);
    json_out_key(j, "conditions");
    condition_print(p->conditions, j);
    json_out_key(j, "certificates");
    print_certificates(p, now, j);
}

static unsigned print_ours(const struct pages *p, bool is_whole, int64_t now, struct buf *out)
{
    struct json_out j = json_out_pretty(out);

    json_out_object(&j);
    json_out_member_int(&j, "format", PAGES_FORMAT);
    if (is_whole)
        json_out_member_int(&j, "generation", (int64_t)p->generation_number);
    json_out_key(&j, "config");
    print_config(*p->generation, &j);
    print_state(p, now, &j);
    json_out_end(&j);
    buf_char(out, '\n');
    return 200;
}

unsigned pages_print(const struct pages *p, enum status_page page, int64_t now, struct buf *out)
{
    switch (page) {
    case STATUS_PAGE_STATUS:
        return print_status(p, out);
    case STATUS_PAGE_READY:
        return print_ready(p, out);
    case STATUS_PAGE_EVERYTHING:
    case STATUS_PAGE_CERTIFICATES:
        return print_ours(p, page == STATUS_PAGE_EVERYTHING, now, out);
    case STATUS_PAGE_RETRY:
    case STATUS_PAGE_COUNT:
        break;
    }
    return 404;
}

unsigned pages_print_failed(const struct pages *p, struct str name, int64_t now, struct buf *out)
{
    const struct configuration *g = *p->generation;
    const struct render_options options = {
        .model = g ? g->loaded->model : NULL, .desired = g ? g->desired : NULL, .now = now};
    struct json_out j = json_out_pretty(out);
    struct store_name *const *names;
    struct desired_name room;
    size_t count = 0;

    json_out_object(&j);
    json_out_member_int(&j, "format", PAGES_FORMAT);
    json_out_key(&j, "certificates");
    json_out_array(&j);
    if (g && name.len)
        print_name(p, subject_first(name),
                   pass_find_desired(p->pass, subject_first(name), now, &room), &options, &j);
    names = g && !name.len ? store_sorted(p->pass->state->store, &count) : NULL;
    for (size_t i = 0; names && i < count; i++)
        if (names[i]->failure)
            print_name(p, names[i]->subject,
                       pass_find_desired(p->pass, names[i]->subject, now, &room), &options, &j);
    json_out_end(&j);
    json_out_end(&j);
    buf_char(out, '\n');
    return 200;
}
