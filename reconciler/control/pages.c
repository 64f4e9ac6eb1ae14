#include "reconciler/control/pages.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

/* By a line of the file: what came on demand before the file was read may be forgotten by now. */
static bool is_asked(const struct desired_name *d)
{
    return d && d->place_count;
}

/* A name that no line asks for, and is listed all the same: it came on demand, or may have to wait
 * for its retirement. */
static void print_unasked(const struct pages *p, const struct store_name *n,
                          const struct render_options *options, struct json_out *j)
{
    bool may_retire = p->pass->state->approved && n->credential && n->managed.active;
    const struct desired_name *desired = NULL;
    struct desired_name room;

    if (n->last_seen_at)
        desired = pass_find_desired(p->pass, n->subject, options->now, &room);
    if (desired || may_retire)
        print_name(p, n->subject, desired, options, j);
}

/* How many of `count` sorted items, each of which begins with its subject, are at or before `s`. */
static size_t passed(const void *items, size_t count, size_t size, bool is_list,
                     const struct subject *s)
{
    size_t from = 0;

    while (from < count) {
        size_t middle = from + (count - from) / 2;
        const char *at = (const char *)items + middle * size;
        const struct subject *of = is_list
                                       ? &(*(struct store_name *const *)(const void *)at)->subject
                                       : (const struct subject *)(const void *)at;

        if (subject_compare(of, s) <= 0)
            from = middle + 1;
        else
            count = middle;
    }
    return from;
}

/* What is desired and what is known, both sorted: where to go on. */
struct merged {
    const struct desired_name *asked;
    struct store_name *const *known;
    size_t asked_left, known_left;
};

static struct merged merge_from(const struct pages *p, const struct pages_cursor *cursor)
{
    const struct subject last = {{cursor->last, cursor->last_len}, cursor->last_family};
    const struct desired *d = (*p->generation)->desired;
    struct merged m = {.asked = d->names, .asked_left = d->count};
    size_t skip;

    m.known = store_sorted(p->pass->state->store, &m.known_left);
    m.known_left = m.known ? m.known_left : 0;
    if (!cursor->last_len)
        return m;
    skip = passed(m.asked, m.asked_left, sizeof(*m.asked), false, &last);
    m.asked += skip;
    m.asked_left -= skip;
    skip = passed(m.known, m.known_left, sizeof(struct store_name *), true, &last);
    m.known += skip;
    m.known_left -= skip;
    return m;
}

/* The next of both, and what it is called. */
static const struct subject *print_next(const struct pages *p, struct merged *m,
                                        const struct render_options *options, struct json_out *j)
{
    const struct desired_name *asked = m->asked_left ? m->asked : NULL;
    const struct store_name *known = m->known_left ? *m->known : NULL;
    int order = !asked ? 1 : !known ? -1 : subject_compare(&asked->subject, &known->subject);

    if (order <= 0) {
        m->asked++;
        m->asked_left--;
    }
    if (order >= 0) {
        m->known++;
        m->known_left--;
    }
    if (order <= 0 && is_asked(asked))
        print_name(p, asked->subject, asked, options, j);
    else if (order >= 0)
        print_unasked(p, known, options, j);
    return order <= 0 ? &asked->subject : &known->subject;
}

/* Some names; false: there are no more. */
static bool print_names(const struct pages *p, struct pages_cursor *cursor, int64_t now,
                        struct buf *out)
{
    const struct configuration *g = *p->generation;
    const struct subject *last = NULL;
    size_t until = out->len + PAGES_PIECE;
    struct render_options options;
    struct merged m;

    if (!g)
        return false;
    options = (struct render_options){.model = g->loaded->model, .desired = g->desired, .now = now};
    m = merge_from(p, cursor);
    for (int i = 0; i < PAGES_PIECE_NAMES && out->len < until && (m.asked_left || m.known_left);
         i++)
        last = print_next(p, &m, &options, &cursor->json);
    if (last) {
        memcpy(cursor->last, last->name.ptr, last->name.len);
        cursor->last_len = last->name.len;
        cursor->last_family = last->family;
    }
    return m.asked_left || m.known_left;
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

/* All in front of the names. */
static void print_front(const struct pages *p, const struct pages_cursor *cursor,
                        struct json_out *j)
{
    json_out_object(j);
    json_out_member_int(j, "format", PAGES_FORMAT);
    if (cursor->page == STATUS_PAGE_EVERYTHING)
        json_out_member_int(j, "generation", (int64_t)p->generation_number);
    json_out_key(j, "config");
    print_config(*p->generation, j);
    json_out_key(j, "problems");
    print_problems(p, j);
    json_out_key(j, "conditions");
    condition_print(p->conditions, j);
    json_out_key(j, "certificates");
    json_out_array(j);
}

void pages_begin(struct pages_cursor *cursor, enum status_page page)
{
    *cursor = (struct pages_cursor){.page = page};
}

bool pages_more(const struct pages *p, struct pages_cursor *cursor, int64_t now, struct buf *out)
{
    if (!cursor->is_begun) {
        cursor->json = json_out_pretty(out);
        cursor->is_begun = true;
        print_front(p, cursor, &cursor->json);
        return true;
    }
    cursor->json.out = out;
    if (print_names(p, cursor, now, out))
        return true;
    json_out_end(&cursor->json);
    json_out_end(&cursor->json);
    buf_char(out, '\n');
    return false;
}

unsigned pages_print(const struct pages *p, enum status_page page, struct buf *out)
{
    return page == STATUS_PAGE_READY ? print_ready(p, out) : print_status(p, out);
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
