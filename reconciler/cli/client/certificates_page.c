#include "reconciler/cli/client/certificates_page.h"

#include <stdlib.h>

#include "reconciler/control/reading.h"
#include "reconciler/core/plan.h"

#define PAGE_FORMAT 1

struct named {
    const struct document_node *entry;
    struct subject subject;
};

struct certificates_page {
    struct reading reading;
    struct named *entries; /* sorted, each once */
    size_t count;
    struct str config; /* hash of what the server runs with */
};

/* Nothing asks for it any more, and its retirement waits for something. */
static bool is_to_retire(const struct reading *r, const struct document_node *entry)
{
    struct str action = reading_text(r, reading_get(r, entry, "next"), "action");

    return str_equal_cstr(action, plan_action_name(PLAN_RETIRE));
}

/* Those of one name as the page has them. */
static int by_name(const void *left, const void *right)
{
    const struct named *a = left, *b = right;
    int order = str_compare(a->subject.name, b->subject.name);

    return order ? order : (a->entry > b->entry) - (a->entry < b->entry);
}

/*
 * Of one name the first family comes first, then others that are to be retired, told apart by their
 * keys. A page that says something twice is not one of ours: the first one counts.
 */
static int sort_entries(struct certificates_page *p, const struct document_node *items,
                        size_t count, struct error *e)
{
    struct named *all = p->entries = calloc(count + 1, sizeof(*p->entries));
    size_t kept = 0;

    if (!all)
        return error_memory(e);
    for (size_t i = 0; i < count; i++) {
        struct str name = reading_text(&p->reading, &items[i], "name");
        if (name.len && name.len <= HOSTNAME_MAX)
            all[kept++] = (struct named){&items[i], subject_first(name)};
    }
    qsort(all, kept, sizeof(*all), by_name);
    for (size_t i = 0; i < kept; i++) {
        struct named x = all[i];

        if (p->count && str_equal(x.subject.name, all[p->count - 1].subject.name) &&
            is_to_retire(&p->reading, x.entry))
            x.subject.family =
                subject_family(key_type_from(reading_text(&p->reading, x.entry, "key_type")));
        if (!p->count || subject_compare(&all[p->count - 1].subject, &x.subject) < 0)
            all[p->count++] = x;
    }
    return 0;
}

int certificates_page_open(struct str body, struct certificates_page **page, struct error *e)
{
    struct certificates_page *p = calloc(1, sizeof(*p));
    const struct document_node *items, *list;
    size_t count;

    *page = p;
    if (!p)
        return error_memory(e);
    if (reading_open(&p->reading, body, e))
        return e->kind == ERROR_MEMORY ? -1 : error_set(e, ERROR_INVALID, "%s", "not JSON");
    list = reading_get(&p->reading, &p->reading.root, "certificates");
    if (!list || !document_is_list(list))
        return error_set(e, ERROR_INVALID, "no member \"certificates\"");
    if (reading_number(&p->reading, &p->reading.root, "format") != PAGE_FORMAT)
        return error_set(e, ERROR_INVALID, "not of format %d", PAGE_FORMAT);
    items = reading_list(&p->reading, &p->reading.root, "certificates", &count);
    if (count > CERTIFICATES_PAGE_NAMES_MAX)
        return error_set(e, ERROR_LIMIT, "more than %zu certificates", CERTIFICATES_PAGE_NAMES_MAX);
    p->config =
        reading_text(&p->reading, reading_get(&p->reading, &p->reading.root, "config"), "sha256");
    return sort_entries(p, items, count, e);
}

void certificates_page_close(struct certificates_page *p)
{
    if (!p)
        return;
    reading_close(&p->reading);
    free(p->entries);
    free(p);
}

int certificates_page_demands(const struct certificates_page *p, int64_t now, struct arena *arena,
                              struct desired_options *options, struct error *e)
{
    struct desired_demand *demands = arena_array(arena, p->count, sizeof(*demands));

    if (!demands)
        return error_memory(e);
    options->demands = demands;
    options->demand_count = 0;
    for (size_t i = 0; i < p->count; i++) {
        size_t places;

        reading_list(&p->reading, p->entries[i].entry, "declared_at", &places);
        if (!places && !is_to_retire(&p->reading, p->entries[i].entry))
            demands[options->demand_count++] =
                (struct desired_demand){.name = p->entries[i].subject.name, .last_seen_at = now};
    }
    return 0;
}

/* `until` is when the name is tried again; the plan wants to know when it failed. */
static void read_failures(const struct certificates_page *p, const struct document_node *entry,
                          struct str reason, int64_t until, const struct policy *policy,
                          struct observed_name *o)
{
    int64_t failures = reading_number(&p->reading, entry, "failures");
    int64_t lifetime =
        o->has_certificate ? policy_lifetime(o->facts.not_before, o->facts.not_after) : 0;

    if (failures <= 0)
        return;
    o->failure.count = failures < UINT16_MAX ? (unsigned)failures : UINT16_MAX;
    o->failure.text = reading_text(&p->reading, entry, "last_error");
    o->failure.permanent = str_equal_cstr(reason, plan_reason_id(REASON_REFUSED_BY_CA));
    o->failure.config = p->config;
    if (str_equal_cstr(reason, plan_reason_id(REASON_NEEDLESS)))
        o->failure.kind = ERROR_NEEDLESS;
    if (o->failure.permanent) {
        if (o->failure.count < POLICY_DAILY_FAILURES)
            o->failure.count = POLICY_DAILY_FAILURES;
        o->failure.failed_at =
            until - policy_retry_at(o->failure.count, 0, 0, 0, o->subject.name, policy);
    } else if (o->failure.kind == ERROR_NEEDLESS) {
        o->failure.failed_at =
            until - policy_needless_until(o->failure.count, 0, o->subject.name, policy);
    } else if (str_equal_cstr(reason, plan_reason_id(REASON_BACKOFF))) {
        o->failure.failed_at =
            until - policy_retry_at(o->failure.count, 0, 0, lifetime, o->subject.name, policy);
    } else if (str_equal_cstr(reason, plan_reason_id(REASON_RATE_LIMITED)) ||
               str_equal_cstr(reason, plan_reason_id(REASON_ACCOUNT_LIMITED))) {
        o->failure.retry_at = until;
        o->failure.failed_at = until - 1;
    }
}

static void observe_entry(const struct certificates_page *p, const struct named *named,
                          const struct policy *policy, struct observed_name *o)
{
    const struct document_node *entry = named->entry;
    const struct reading *r = &p->reading;
    struct str state = reading_text(r, entry, "state");
    const struct document_node *next = reading_get(r, entry, "next");
    struct str reason = reading_text(r, reading_get(r, next, "because"), "reason");

    *o = (struct observed_name){
        .subject = named->subject,
        .facts.not_before = reading_time(r, entry, "not_before"),
        .facts.not_after = reading_time(r, entry, "not_after"),
        .managed.issuer = reading_text(r, entry, "issuer"),
        .managed.revoked = str_equal_cstr(state, "revoked"),
        .order_open = str_equal_cstr(reason, plan_reason_id(REASON_ORDER_OPEN)),
    };
    o->has_certificate = o->facts.not_after != 0;
    if (o->has_certificate) {
        /* Close enough for the CA's limits; the page does not say what our own clock said. */
        o->managed.issued_at = o->facts.not_before;
        o->directory = reading_text(r, entry, "ca");
        o->facts.key_type = key_type_from(reading_text(r, entry, "key_type"));
        o->managed.active = !str_equal_cstr(state, "retired") &&
                            !str_equal_cstr(reason, plan_reason_id(REASON_FOUND_VALID));
    }
    if (str_equal_cstr(reason, plan_reason_id(REASON_NEXT_IN_HAND))) {
        o->next_at = reading_time(r, next, "at");
        o->next_ends_at = INT64_MAX;
    }
    read_failures(p, entry, reason, reading_time(r, next, "at"), policy, o);
}

int certificates_page_observe(const struct certificates_page *p, const struct policy *policy,
                              struct arena *arena, struct observed **observed, struct error *e)
{
    struct observed *o = arena_alloc(arena, sizeof(*o));
    struct observed_name *names = arena_array(arena, p->count, sizeof(*names));
    const struct observed_name *first = names; /* what comes first of a name is of that family */

    if (!o || !names)
        return error_memory(e);
    for (size_t i = 0; i < p->count; i++) {
        observe_entry(p, &p->entries[i], policy, &names[i]);
        if (names[i].subject.family == FAMILY_FIRST)
            first = &names[i];
        else if (first->managed.active && !first->managed.revoked)
            names[i].first_ends_at = first->facts.not_after;
    }
    o->names = names;
    o->count = p->count;
    o->storage_usable = true;
    *observed = o;
    return 0;
}
