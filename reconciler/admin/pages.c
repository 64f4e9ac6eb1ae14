#include "reconciler/admin/pages.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/json_out.h"
#include "reconciler/core/desired.h"
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
    json_out_member_int(j, "demands_waiting", (int64_t)p->demands_waiting);
    json_out_member_int(j, "demands_dropped", dropped + (int64_t)p->demands_dropped);
    /* What nginx counts by state of the connection has no counterpart here. */
    json_out_member_int(j, "connections_reading", 0);
    json_out_member_int(j, "connections_writing", 0);
    json_out_member_int(j, "connections_waiting", 0);
    json_out_end(j);
}

static unsigned print_status(const struct pages *p, struct buf *out)
{
    struct json_out j = json_out_compact(out);

    json_out_object(&j);
    json_out_member_object(&j, "memory");
    json_out_member_object(&j, "lua_shared_dicts");
    json_out_end(&j);
    json_out_member_array(&j, "workers_lua_vms");
    json_out_end(&j);
    json_out_end(&j);
    json_out_key(&j, "server");
    print_server(p, &j);
    json_out_member_cstr(&j, "configuration_hash",
                         p->desired && !p->is_empty && p->hash[0] ? p->hash : NOTHING_LOADED);
    json_out_end(&j);
    return 200;
}

static unsigned print_ready(const struct pages *p, struct buf *out)
{
    char message[128];

    if (!p->desired)
        snprintf(message, sizeof(message),
                 "no configuration available (configuration hash is not initialized)");
    else if (p->is_empty)
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

/* By a line of the file: what came on demand before the file was read may be forgotten by now. */
static bool is_asked(const struct desired_name *d)
{
    return d && d->place_count;
}

/* A name that no line asks for, and is listed all the same: it came on demand, or may have to wait
 * for its retirement. */
static void print_unasked(const struct pages *p, const struct store_name *n, int64_t now,
                          struct json_out *j)
{
    bool may_wait = p->may_wait_to_retire || n->subject.family != FAMILY_FIRST;
    bool may_retire = may_wait && n->credential && n->managed.active;
    const struct desired_name *desired = NULL;
    struct desired_name room;

    if (n->last_seen_at)
        desired = p->find_desired(p->context, n->subject, now, &room);
    if (desired || may_retire)
        p->print_name(p->context, n->subject, desired, now, j);
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
    struct merged m = {.asked = p->desired->names, .asked_left = p->desired->count};
    size_t skip;

    m.known = store_sorted(p->store, &m.known_left);
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
static const struct subject *print_next(const struct pages *p, struct merged *m, int64_t now,
                                        struct json_out *j)
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
        p->print_name(p->context, asked->subject, asked, now, j);
    else if (order >= 0)
        print_unasked(p, known, now, j);
    return order <= 0 ? &asked->subject : &known->subject;
}

/* Some names; false: there are no more. */
static bool print_names(const struct pages *p, struct pages_cursor *cursor, int64_t now,
                        struct buf *out)
{
    const struct subject *last = NULL;
    size_t until = out->len + PAGES_PIECE;
    struct merged m;

    if (!p->desired)
        return false;
    m = merge_from(p, cursor);
    for (int i = 0; i < PAGES_PIECE_NAMES && out->len < until && (m.asked_left || m.known_left);
         i++)
        last = print_next(p, &m, now, &cursor->json);
    if (last) {
        memcpy(cursor->last, last->name.ptr, last->name.len);
        cursor->last_len = last->name.len;
        cursor->last_family = last->family;
    }
    return m.asked_left || m.known_left;
}

/* All in front of the names. */
static void print_front(const struct pages *p, const struct pages_cursor *cursor,
                        struct json_out *j)
{
    json_out_object(j);
    json_out_member_int(j, "format", PAGES_FORMAT);
    if (cursor->page == STATUS_PAGE_EVERYTHING)
        json_out_member_int(j, "generation", (int64_t)p->generation_number);
    p->print_front(p->context, j);
    json_out_member_array(j, "certificates");
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

static void print_known(const struct pages *p, struct subject subject, int64_t now,
                        struct json_out *j)
{
    struct desired_name room;

    p->print_name(p->context, subject, p->find_desired(p->context, subject, now, &room), now, j);
}

unsigned pages_print_failed(const struct pages *p, struct str name, int64_t now, struct buf *out)
{
    struct json_out j = json_out_pretty(out);
    struct store_name *const *names;
    size_t count = 0;

    json_out_object(&j);
    json_out_member_int(&j, "format", PAGES_FORMAT);
    json_out_member_array(&j, "certificates");
    for (int family = FAMILY_FIRST; p->desired && name.len && family < FAMILY_COUNT; family++)
        print_known(p, (struct subject){name, (enum key_family)family}, now, &j);
    names = p->desired && !name.len ? store_sorted(p->store, &count) : NULL;
    for (size_t i = 0; names && i < count; i++)
        if (names[i]->failure)
            print_known(p, names[i]->subject, now, &j);
    json_out_end(&j);
    json_out_end(&j);
    buf_char(out, '\n');
    return 200;
}
