#include "reconciler/core/explain_chain.h"

#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/core/span.h"

static bool has_certificate(const struct explain_subject *s)
{
    return s->observed && s->observed->has_certificate;
}

/* Entries of `texts` that are this name; hosts of routes may carry a port. */
static void gather(struct explain_subject *s, const struct texts *texts, bool is_host)
{
    for (size_t i = 0; i < texts->count; i++) {
        struct str entry = texts->items[i].value, port;

        if (is_host)
            entry = str_cut(entry, ':', &port);
        if (str_equal_nocase(entry, s->name))
            explanation_add_place(&s->chain, texts->items[i].place);
    }
}

enum asker { ASKER_HOST, ASKER_SNI, ASKER_DISABLED };

static void gather_routes(struct explain_subject *s, enum asker asker)
{
    const struct model *model = s->options->model;

    for (size_t i = 0; i < model->route_count; i++) {
        const struct route *route = &model->routes[i];
        bool is_off = route->service && !route->service->enabled;

        if (is_off != (asker == ASKER_DISABLED))
            continue;
        if (asker != ASKER_SNI)
            gather(s, &route->hosts, true);
        if (asker != ASKER_HOST)
            gather(s, &route->snis, false);
    }
}

/* Ends a "declared" link: dropped if nothing was gathered. */
static void close_declared(struct explain_subject *s, const char *sentence)
{
    struct explanation_link *link = &s->chain.links[s->chain.count - 1];

    if (!link->places.len) {
        s->chain.count--;
        return;
    }
    buf_cstr(&link->text, sentence);
    explanation_write_places(&s->chain, 0);
}

static void say_routes(struct explain_subject *s)
{
    explanation_begin(&s->chain, "declared");
    gather_routes(s, ASKER_HOST);
    close_declared(s, "a host of a route");
    explanation_begin(&s->chain, "declared");
    gather_routes(s, ASKER_SNI);
    close_declared(s, "an SNI of a route");
    explanation_begin(&s->chain, "declared");
    gather_routes(s, ASKER_DISABLED);
    close_declared(s, "named by a route of a disabled service, which does not count");
}

static void say_declared(struct explain_subject *s)
{
    const struct acme *acme = s->options->model->acme;
    size_t before = s->chain.count;
    struct buf *out;

    if (acme) {
        explanation_begin(&s->chain, "declared");
        gather(s, &acme->domains, false);
        close_declared(s, "an entry of the acme plugin's domains");
    }
    say_routes(s);
    if (s->declared) {
        out = explanation_begin(&s->chain, "declared");
        buf_cstr(out, "an SNI of a certificate");
        explanation_at(&s->chain, s->declared->name.place);
    }
    if (s->desired && s->desired->origins & DESIRED_ON_DEMAND) {
        out = explanation_begin(&s->chain, "declared");
        span_print_time(out, "asked for on demand, last at ", s->desired->last_seen_at);
    }
    if (s->chain.count == before)
        buf_cstr(explanation_begin(&s->chain, "declared"), "nowhere in the file");
}

/* Was this entry meant for the name, it seems, though it can never match it? */
static bool is_near_miss(struct str entry, struct str name)
{
    struct str port, host = str_cut(entry, ':', &port);

    if (str_starts(entry, STR("*.")))
        return str_equal_nocase(str_slice(entry, 2, entry.len), name);
    if (str_ends(host, STR(".*")))
        return str_equal_nocase(str_slice(host, 0, host.len - 1), str_slice(name, 0, host.len - 1));
    if (str_ends(host, STR(".")))
        host.len--;
    return str_equal_nocase(host, name);
}

static const struct text *near_miss(const struct explain_subject *s)
{
    const struct texts *domains = &s->options->model->acme->domains;

    for (size_t i = 0; i < domains->count; i++)
        if (is_near_miss(domains->items[i].value, s->name))
            return &domains->items[i];
    return NULL;
}

static void say_no_match(struct explain_subject *s, struct buf *out)
{
    const struct acme *acme = s->options->model->acme;
    const struct text *miss = near_miss(s);

    if (!acme->domains.count) {
        buf_cstr(out, "closed: domains is empty and allow_any_domain is not set");
        explanation_at(&s->chain, acme->entity.place);
        return;
    }
    buf_cstr(out, "closed: no entry of domains lets it through");
    if (!miss)
        return;
    buf_cstr(out, "; the entry \"");
    buf_str(out, miss->value);
    buf_cstr(out, str_starts(miss->value, STR("*.")) ? "\" covers only names below it"
                                                     : "\" never matches any name");
    explanation_at(&s->chain, miss->place);
}

static void say_gate(struct explain_subject *s)
{
    const struct acme *acme = s->options->model->acme;
    struct buf *out = explanation_begin(&s->chain, "gate");

    switch (s->gate) {
    case HOSTNAME_CLOSED:
        buf_cstr(out, acme ? "closed: the acme plugin is disabled"
                           : "closed: the file has no acme plugin");
        if (acme)
            explanation_at(&s->chain, acme->entity.place);
        break;
    case HOSTNAME_CLOSED_IPV4:
        buf_cstr(out, "closed: it is an IPv4 address, and enable_ipv4_common_name is false");
        break;
    case HOSTNAME_CLOSED_NO_MATCH:
        say_no_match(s, out);
        break;
    case HOSTNAME_OPEN_ANY:
        buf_cstr(out, "open: allow_any_domain is true");
        break;
    case HOSTNAME_OPEN_EXACT:
    case HOSTNAME_OPEN_WILDCARD:
        buf_cstr(out, "open: \"");
        buf_str(out, s->gate_entry->value);
        buf_cstr(out, "\" in domains");
        explanation_at(&s->chain, s->gate_entry->place);
    }
}

static void write_sni(struct explain_subject *s, const struct sni *sni, struct buf *out)
{
    if (sni == s->declared) {
        buf_cstr(out, "the certificate declared for this very name");
    } else {
        buf_cstr(out, "the certificate declared for \"");
        buf_str(out, sni->name.value);
        buf_char(out, '"');
    }
    explanation_at(&s->chain, sni->name.place);
}

/* " is not valid before ..." where that is so. */
static void write_dates(const struct explain_subject *s, const char *before, const struct sni *sni,
                        struct buf *out)
{
    const struct validity *valid = &sni->certificate->valid;

    if (explain_is_valid(sni->certificate, s->options->policy, s->options->now))
        return;
    buf_cstr(out, before);
    span_print_time(out, valid->from > s->options->now ? " is not valid before " : " expired at ",
                    valid->from > s->options->now ? valid->from : valid->to);
}

/* The declared certificate that a handshake gets: "*.example.com" and where. */
static void write_declared(struct explain_subject *s, struct buf *out)
{
    write_sni(s, s->choice.sni, out);
    write_dates(s, ", although it", s->choice.sni, out);
    if (s->choice.passed) {
        buf_cstr(out, ", because ");
        write_sni(s, s->choice.passed, out);
        write_dates(s, "", s->choice.passed, out);
    }
}

/* Why a name is not desired. */
static void say_unmanaged(struct explain_subject *s)
{
    struct buf *out = explanation_begin(&s->chain, "managed");

    buf_cstr(out, "no: ");
    if (s->name.len > HOSTNAME_MAX)
        buf_cstr(out, "a host name has at most 253 characters");
    else if (memchr(s->name.ptr, '*', s->name.len))
        buf_cstr(out,
                 "a wildcard only selects names; each name below it gets a certificate of its own");
    else if (s->gate < HOSTNAME_OPEN_ANY)
        buf_cstr(out, "the gate is closed");
    else if (s->left_alone)
        buf_cstr(out, "its declared SNI, or the certificate of it, is tagged " DESIRED_TAG_OFF);
    else if (!hostname_is_normal(s->name))
        buf_cstr(out, "it is no host name that a handshake could ask for");
    else if (s->choice.sni) {
        buf_cstr(out, "nothing asks for it by name, and a handshake gets ");
        write_declared(s, out);
    } else {
        buf_cstr(out, "nothing asks for it by name; its first handshake will");
    }
}

static void say_certificate(struct explain_subject *s)
{
    struct buf *out = explanation_begin(&s->chain, "certificate");
    const struct observed_name *o = s->observed;

    if (!has_certificate(s)) {
        buf_cstr(out, "none in the storage");
        return;
    }
    buf_printf(out, "%s, of ", key_type_name(o->facts.key_type));
    span_print(out, policy_lifetime(o->facts.not_before, o->facts.not_after), SPAN_EXACT);
    span_print_time(out, ", from ", o->facts.not_before);
    span_print_time(out, " to ", o->facts.not_after);
    if (o->managed.issuer.len) {
        buf_cstr(out, ", issuer ");
        buf_str(out, o->managed.issuer);
    }
    if (o->directory.len) {
        buf_cstr(out, ", from ");
        buf_str(out, o->directory);
    }
}

/* A preferred chain that was not to be had. */
static void say_chain(struct explain_subject *s)
{
    struct str preferred = s->desired ? s->desired->ca->preferred_chain : STR_NONE;
    const struct observed_name *o = s->observed;
    struct buf *out;

    if (!preferred.len || !has_certificate(s) || str_equal(preferred, o->top_issuer))
        return;
    out = explanation_begin(&s->chain, "chain");
    buf_printf(out,
               "it ends under \"%.*s\" and not under the preferred \"%.*s\", which the CA did "
               "not offer, or was not asked for yet",
               STR_ARG(o->top_issuer), STR_ARG(preferred));
}

static void write_why_not_managed(const struct explain_subject *s, struct buf *out)
{
    const struct observed_name *o = s->observed;

    if (s->left_alone)
        buf_cstr(out, ", which is left alone");
    else if (!has_certificate(s))
        buf_cstr(out, s->desired ? ", because there is no managed one yet" : "");
    else if (o->managed.revoked)
        buf_cstr(out, ", because the managed one was revoked");
    else if (o->facts.not_after < s->options->now)
        buf_cstr(out, ", because the managed one has expired");
    else if (plan_is_early(o, s->options->policy, s->options->now))
        span_print_time(out, ", because the managed one is not valid before ", o->facts.not_before);
    else if (!o->managed.active)
        buf_cstr(out, ", because the stored one is not in use");
}

static void say_served(struct explain_subject *s)
{
    struct buf *out = explanation_begin(&s->chain, "served");

    switch (s->choice.served) {
    case SERVED_MANAGED:
        buf_cstr(out, "the managed certificate: it comes before any declared one");
        return;
    case SERVED_MANAGED_STALE:
        buf_cstr(out, "the managed certificate, although it ");
        if (plan_is_early(s->observed, s->options->policy, s->options->now))
            span_print_time(out, "is not valid before ", s->observed->facts.not_before);
        else
            buf_cstr(out, s->observed->managed.revoked ? "was revoked" : "has expired");
        buf_cstr(out, ": nothing declared covers the name");
        return;
    case SERVED_DEFAULT:
        buf_cstr(out, "the default certificate (ssl_cert)");
        write_why_not_managed(s, out);
        return;
    case SERVED_EXACT:
    case SERVED_FIRST_WILDCARD:
    case SERVED_LAST_WILDCARD:
    case SERVED_STAR:
        write_declared(s, out);
        write_why_not_managed(s, out);
    }
}

static void say_override(struct explain_subject *s)
{
    const struct sni *overrides = s->desired ? s->desired->overrides : NULL;
    bool does_already = s->choice.served == SERVED_MANAGED;
    struct buf *out;

    if (!overrides)
        return;
    out = explanation_begin(&s->chain, "overrides");
    buf_cstr(out, "the certificate declared for this very name");
    explanation_at(&s->chain, overrides->name.place);
    if (does_already)
        buf_cstr(out, ", which is served again should the managed one expire or be revoked");
    else if (s->action.action == PLAN_BLOCK)
        buf_cstr(out, ", once the managed one can be had");
    else
        buf_cstr(out, ", as soon as the managed one is there");
}

static void say_failures(struct explain_subject *s)
{
    const struct observed_name *o = s->observed;
    struct buf *out;

    if (!o || !o->failure.count)
        return;
    out = explanation_begin(&s->chain, "last try");
    span_print_time(out, o->failure.kind == ERROR_NEEDLESS ? "in vain at " : "failed at ",
                    o->failure.failed_at);
    if (o->failure.count > 1)
        buf_printf(out, ", %u in a row", o->failure.count);
    buf_printf(out, " (%s)", error_kind_name(o->failure.kind));
    if (o->failure.text.len) {
        buf_cstr(out, ": ");
        buf_str(out, o->failure.text);
    }
    if (o->failure.retry_at)
        span_print_time(out, "; the CA asks to wait until ", o->failure.retry_at);
    if (o->failure.waived)
        buf_cstr(out, "; somebody asked for another try at once (reconcert retry)");
    if (plan_is_forgiven(o, s->desired ? s->desired->ca : NULL, s->options->policy))
        buf_cstr(out, "; the file has changed since, which brings another try at once");
}

/* Why a certificate is renewed when it is renewed. */
static void write_why_then(const struct explain_subject *s, struct buf *out)
{
    const struct observed_name *o = s->observed;
    const struct policy *policy = s->options->policy;
    int64_t lifetime = policy_lifetime(o->facts.not_before, o->facts.not_after);
    int64_t jitter = policy_jitter(lifetime, o->subject.name, policy);
    bool is_named = o->ari_at && o->ari_at == s->action.renew_at;

    if (is_named) {
        buf_cstr(out, "the CA's renewal information names that time");
    } else if (s->action.clamp == POLICY_CLAMPED_LOW) {
        buf_printf(out,
                   "renew_threshold_days: %g is less than a twentieth of the lifetime, which is "
                   "the least: ",
                   policy->threshold_days);
        span_print(out, lifetime / 20, SPAN_EXACT);
    } else if (s->action.clamp == POLICY_CLAMPED_HIGH) {
        buf_printf(
            out, "renew_threshold_days: %g is more than half of the lifetime, which is the most: ",
            policy->threshold_days);
        span_print(out, lifetime / 2, SPAN_EXACT);
    } else if (policy->threshold_is_stated) {
        buf_printf(out, "renew_threshold_days is %g", policy->threshold_days);
    } else {
        int64_t left = o->facts.not_after + 1 - s->action.renew_at - jitter;
        buf_printf(out, "%s of its lifetime is left then, ",
                   left * 5 > lifetime * 2 ? "half" : "a third");
        span_print(out, left, SPAN_EXACT);
    }
    if (!is_named && jitter) {
        buf_cstr(out, ", and ");
        span_print(out, jitter, SPAN_COARSE);
        buf_cstr(out, " so that names are not all renewed at once");
    }
}

/* The id that names no CA certificate, in a service that a route for the name leads to. */
static struct place missing_ca_certificate(const struct explain_subject *s)
{
    const struct model *m = s->options->model;

    for (size_t i = 0; i < m->route_count; i++) {
        const struct route *route = &m->routes[i];
        const struct texts *lists[] = {&route->hosts, &route->snis};

        if (!route->service || !route->service->missing_ca_certificate.line)
            continue;
        for (size_t k = 0; k < ARRAY_LENGTH(lists); k++)
            for (size_t n = 0; n < lists[k]->count; n++)
                if (str_equal_nocase(lists[k]->items[n].value, s->action.subject.name))
                    return route->service->missing_ca_certificate;
    }
    return (struct place){0};
}

/* What stands behind a block, with its place in the file. */
static void write_block_place(struct explain_subject *s, struct buf *out)
{
    const struct acme *acme = s->options->model->acme;

    if (s->action.reason == REASON_NO_CA_CERTIFICATE) {
        explanation_at(&s->chain, missing_ca_certificate(s));
    } else if (s->action.reason == REASON_UNRESOLVED) {
        buf_cstr(out, ": ");
        buf_str(out, acme->unresolved.ptr ? acme->unresolved : acme->account_key->unresolved);
        explanation_at(&s->chain, acme->unresolved.ptr ? acme->unresolved_place
                                                       : acme->account_key->unresolved_place);
    } else if (s->action.action == PLAN_BLOCK) {
        struct place place = desired_block_place(acme, s->desired->block);
        if (place.line)
            explanation_at(&s->chain, place);
    }
}

/* Why a failed name waits that long; what went wrong stands in the link before. */
static void write_backoff(const struct explain_subject *s, struct buf *out)
{
    const struct observed_name *o = s->observed;

    buf_printf(out, "after %u failure%s in a row the wait is about ", o->failure.count,
               o->failure.count == 1 ? "" : "s");
    span_print(out, s->action.at - o->failure.failed_at, SPAN_COARSE);
    buf_cstr(out, " (1, 10, 100 minutes, then a day; never more than a tenth of the certificate's "
                  "lifetime, never less than fail_backoff_minutes if stated, 10 % jitter)");
}

static void write_unlisted(const struct explain_subject *s, struct buf *out)
{
    const struct observed_name *o = s->observed;

    buf_cstr(out, "nothing");
    if (has_certificate(s) && !o->managed.revoked && o->facts.not_after > s->options->now) {
        buf_cstr(
            out,
            "; the stored certificate is taken up again if the file asks for the name before ");
        span_print_time(out, "", o->facts.not_after);
    }
}

static void write_kept(const struct explain_subject *s, struct buf *out)
{
    if (s->action.reason == REASON_NEXT_IN_HAND || s->action.reason == REASON_CLOCK) {
        plan_reason_print(&s->action, s->options->now, out);
        return;
    }
    span_print_time(out, "renew at ", s->action.at);
    buf_cstr(out, ": ");
    write_why_then(s, out);
    if (s->action.reason == REASON_OTHER_KEY_TYPE)
        buf_printf(out, "; the new key will be %s", key_type_name(s->desired->key_type));
}

/* "issue now", "renew not before ...", "nothing before ...". */
static void write_verb(const struct action *a, struct buf *out)
{
    bool is_held = a->action == PLAN_WAIT || a->action == PLAN_BLOCK;

    buf_cstr(out, a->action == PLAN_BLOCK ? "nothing" : plan_action_name(a->wanted));
    if (!is_held)
        buf_cstr(out, " now");
    else if (a->at)
        span_print_time(out, a->action == PLAN_BLOCK ? " before " : " not before ", a->at);
    buf_cstr(out, ": ");
}

static void write_reason(struct explain_subject *s, struct buf *out)
{
    const struct action *a = &s->action;

    switch (a->reason) {
    case REASON_BACKOFF:
        write_backoff(s, out);
        return;
    case REASON_RATE_LIMITED:
        if (s->action.asked_at)
            span_print_time(out, "the CA asked to wait longer than can be waited, until ",
                            s->action.asked_at);
        else
            buf_cstr(out,
                     "the CA asked to wait until then (of several limits it names the one that "
                     "is free last)");
        return;
    case REASON_NEEDLESS:
        buf_printf(out,
                   "%u certificate%s in a row needed to be renewed at once (the wait grows as "
                   "behind failures: 1, 10, 100 minutes, then a day)",
                   s->observed->failure.count, s->observed->failure.count == 1 ? "" : "s");
        return;
    case REASON_REFUSED_BY_CA:
        buf_cstr(out, "the CA refuses for good; a change of the file brings another try at once");
        return;
    default:
        plan_reason_print(a, s->options->now, out);
        write_block_place(s, out);
    }
}

static void say_next(struct explain_subject *s)
{
    struct buf *out = explanation_begin(&s->chain, "next");

    if (s->action.action == PLAN_NOTHING) {
        write_unlisted(s, out);
    } else if (s->action.action == PLAN_KEEP) {
        write_kept(s, out);
    } else {
        write_verb(&s->action, out);
        write_reason(s, out);
    }
}

void explain_chain_say(struct explain_subject *s, enum key_family family)
{
    bool is_first = family == FAMILY_FIRST;

    if (is_first) {
        say_declared(s);
        say_gate(s);
        if (!s->desired)
            say_unmanaged(s);
    }
    say_certificate(s);
    say_chain(s);
    if (is_first) {
        say_served(s);
        say_override(s);
    }
    say_failures(s);
    say_next(s);
}
