#include "reconciler/core/explain.h"

#include <CUnit/Basic.h>
#include <stdio.h>

#include "reconciler/base/attr.h"
#include "tests/support/fake_source.h"
#include "tests/support/golden.h"
#include "tests/support/model_builder.h"

#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)
#define OUT_MAX ((size_t)1 << 20)
#define CA STR("https://ca.test/directory")

/* A file and a state to explain: what the cases below change before they are explained. */
struct scene {
    struct model_builder *b;
    struct acme *acme;
    struct observed_name there;   /* of the name in question; has no name: nothing is known */
    struct observed_name further; /* of it too, with another kind of key */
    struct desired_demand demand;
    bool storage_broken, storage_unsupported;
    bool needs_approval; /* of which there is none */
    char *limits;        /* of the CA; NULL: none */
};

static struct observed_name issued(int age_days)
{
    return (struct observed_name){.has_certificate = true,
                                  .facts.not_before = NOW - age_days * DAY,
                                  .facts.not_after = NOW + (90 - age_days) * DAY - 1,
                                  .managed.issuer = STR("Test CA 1"),
                                  .directory = CA,
                                  .facts.key_type = KEY_P256,
                                  .managed.active = true};
}

static void listed(struct scene *s)
{
    model_builder_domain(s->b, "www.shop.com", 12);
}

static void declared(struct scene *s, const char *name, const char *tags)
{
    model_builder_sni(s->b, model_builder_certificate(s->b, ""), name, tags, 40);
}

static void first_issue(struct scene *s)
{
    listed(s);
}

static void kept(struct scene *s)
{
    listed(s);
    s->there = issued(10);
}

static void kept_short(struct scene *s)
{
    kept(s);
    s->there.facts.not_before = NOW - DAY;
    s->there.facts.not_after = NOW - DAY + 6 * DAY - 1;
}

static void kept_by_threshold(struct scene *s)
{
    kept(s);
    s->acme->renew_threshold_is_stated = true;
}

static void kept_clamped_low(struct scene *s)
{
    kept_by_threshold(s);
    s->acme->renew_threshold_days = 0;
}

static void kept_clamped_high(struct scene *s)
{
    kept_by_threshold(s);
    s->acme->renew_threshold_days = 60;
}

static void kept_by_ari(struct scene *s)
{
    kept(s);
    s->there.ari_at = NOW + 5 * DAY;
}

static void kept_other_key(struct scene *s)
{
    kept(s);
    s->there.facts.key_type = KEY_RSA_4096;
}

/* The next key was asked for beside the old one once, and is no more. */
static void families(struct scene *s)
{
    kept(s);
    s->further = issued(20);
    s->further.facts.key_type = KEY_RSA_2048;
    s->further.first_ends_at = s->there.facts.not_after;
}

/* What is served is the further one; of the first, and of it, the last try failed. */
static void further_alone(struct scene *s)
{
    families(s);
    s->there = (struct observed_name){.failure = {.count = 1,
                                                  .failed_at = NOW - 9,
                                                  .kind = ERROR_CHALLENGE,
                                                  .text = STR("no route to host")}};
    s->further.failure = s->there.failure;
    s->further.first_ends_at = 0;
}

static void due(struct scene *s)
{
    listed(s);
    s->there = issued(61);
}

static void failing_renewal(struct scene *s)
{
    due(s);
    s->there.failure.count = 2;
    s->there.failure.failed_at = NOW - 60;
    s->there.failure.kind = ERROR_CHALLENGE;
    s->there.failure.text = STR("203.0.113.9: Fetching http://www.shop.com/.well-known/"
                                "acme-challenge/abc: Connection \"refused\"\x1b[2J");
}

static void retry_asked(struct scene *s)
{
    failing_renewal(s);
    s->there.failure.waived = true;
}

static void expired_alone(struct scene *s)
{
    failing_renewal(s);
    s->there.facts.not_before -= 60 * DAY;
    s->there.facts.not_after -= 60 * DAY;
    s->there.failure.count = 7;
}

static void expired_overriding(struct scene *s)
{
    expired_alone(s);
    declared(s, "www.shop.com", "");
}

static void revoked(struct scene *s)
{
    kept(s);
    s->there.managed.revoked = true;
    declared(s, "*.shop.com", "");
}

static void override_to_come(struct scene *s)
{
    listed(s);
    declared(s, "www.shop.com", "");
}

static void override_done(struct scene *s)
{
    kept(s);
    declared(s, "www.shop.com", "");
}

static void override_blocked(struct scene *s)
{
    override_to_come(s);
    s->acme->account_key_id = (struct text){STR("kid-1"), {0, 9, 17}};
}

static void through_wildcard(struct scene *s)
{
    model_builder_domain(s->b, "*.shop.com", 12);
    model_builder_route(s->b, model_builder_service(s->b, true), "www.shop.com:8443",
                        "www.shop.com", 20);
    model_builder_route(s->b, NULL, "WWW.shop.com", "", 30);
}

static void through_any(struct scene *s)
{
    s->acme->allow_any_domain = true;
    model_builder_route(s->b, NULL, "www.shop.com", "", 20);
}

static void many_routes(struct scene *s)
{
    listed(s);
    for (unsigned i = 0; i < 8; i++)
        model_builder_route(s->b, NULL, "www.shop.com", "", 20 + i);
}

static void on_demand(struct scene *s)
{
    model_builder_domain(s->b, "*.shop.com", 12);
    s->demand = (struct desired_demand){STR("www.shop.com"), NOW - 7};
}

static void adopted(struct scene *s)
{
    kept(s);
    s->there.managed.active = false;
}

static void other_ca(struct scene *s)
{
    kept(s);
    s->there.directory = STR("https://staging.test/directory");
}

static void order_open(struct scene *s)
{
    listed(s);
    s->there.order_open = true;
}

static void rate_limited(struct scene *s)
{
    listed(s);
    s->there.failure.count = 1;
    s->there.failure.failed_at = NOW - 60;
    s->there.failure.retry_at = NOW + 3600;
    s->there.failure.kind = ERROR_RATE_LIMIT;
    s->there.failure.text = STR("too many new orders recently");
}

static void refused(struct scene *s)
{
    listed(s);
    s->there.failure.count = 1;
    s->there.failure.failed_at = NOW - 60;
    s->there.failure.permanent = true;
    s->there.failure.kind = ERROR_CA_REFUSED;
    s->there.failure.text = STR("The ACME server refuses to issue a certificate for this domain "
                                "name, because it is forbidden by policy");
}

/* By the CA before. */
static void refused_elsewhere(struct scene *s)
{
    refused(s);
    s->there.failure_directory = STR("https://other.test/directory");
}

static void storage_broken(struct scene *s)
{
    listed(s);
    s->storage_broken = true;
}

static void storage_unsupported(struct scene *s)
{
    listed(s);
    s->acme->storage_place = (struct place){0, 8, 14};
    s->storage_unsupported = true;
}

static void terms(struct scene *s)
{
    listed(s);
    s->acme->tos_accepted = false;
    s->acme->tos_place = (struct place){0, 6, 19};
    s->acme->api_uri.value = STR("https://acme-v02.api.letsencrypt.org/directory");
}

static void unresolved(struct scene *s)
{
    listed(s);
    s->acme->unresolved = STR("{vault://env/acme-mail}");
    s->acme->unresolved_place = (struct place){0, 5, 22};
}

static void unresolved_key(struct scene *s)
{
    static struct key key = {.entity = {.place = {0, 70, 3}},
                             .unresolved = STR_INIT("{vault://env/account-key}"),
                             .unresolved_place = {0, 71, 11}};
    listed(s);
    s->acme->account_key_id = (struct text){STR("kid-1"), {0, 9, 17}};
    s->acme->account_key = &key;
}

static void not_public(struct scene *s)
{
    model_builder_domain(s->b, "shop.internal", 12);
    s->acme->api_uri.value = STR("https://acme.zerossl.com/v2/DV90");
}

static void retiring(struct scene *s)
{
    s->there = issued(10);
    declared(s, "www.*", "");
}

static void retired(struct scene *s)
{
    s->there = issued(10);
    s->there.managed.active = false;
}

static void no_plugin(struct scene *s)
{
    s->b->model.acme = NULL;
    declared(s, "*", "");
}

static void disabled_plugin(struct scene *s)
{
    listed(s);
    s->acme->enabled = false;
}

static void empty_domains(struct scene *s)
{
    model_builder_route(s->b, NULL, "www.shop.com", "", 20);
}

static void closed_gate(struct scene *s)
{
    model_builder_domain(s->b, "other.com", 12);
    model_builder_route(s->b, NULL, "www.shop.com", "", 20);
}

static void port_in_domains(struct scene *s)
{
    model_builder_domain(s->b, "www.shop.com:8443", 12);
}

static void tail_in_domains(struct scene *s)
{
    model_builder_domain(s->b, "www.shop.*", 12);
}

static void below_wildcard(struct scene *s)
{
    model_builder_domain(s->b, "*.www.shop.com", 12);
}

static void ipv4_switch(struct scene *s)
{
    model_builder_domain(s->b, "10.1.2.3", 12);
    s->acme->enable_ipv4_common_name = false;
}

static void wildcard_asked(struct scene *s)
{
    model_builder_domain(s->b, "*.shop.com", 12);
}

static void left_alone(struct scene *s)
{
    listed(s);
    declared(s, "www.shop.com", "acme:off");
}

/* A managed one was served until the tag came. */
static void left_alone_since(struct scene *s)
{
    left_alone(s);
    s->there = issued(10);
}

static void nobody_asks(struct scene *s)
{
    model_builder_domain(s->b, "*.shop.com", 12);
}

static void nobody_asks_but_covered(struct scene *s)
{
    nobody_asks(s);
    declared(s, "*.shop.com", "");
}

static void disabled_service(struct scene *s)
{
    nobody_asks(s);
    model_builder_route(s->b, model_builder_service(s->b, false), "www.shop.com", "", 20);
}

static void unusable_declared(struct scene *s)
{
    struct certificate *certificate = model_builder_certificate(s->b, "");

    certificate->unresolved = STR("{vault://env/cert}");
    model_builder_sni(s->b, certificate, "www.shop.com", "", 40);
    model_builder_sni(s->b, model_builder_certificate(s->b, ""), "*", "", 41);
    listed(s);
}

static void awaits_approval(struct scene *s)
{
    first_issue(s);
    s->needs_approval = true;
}

static void override_awaits_approval(struct scene *s)
{
    override_to_come(s);
    s->needs_approval = true;
}

static void retirement_awaits_approval(struct scene *s)
{
    retiring(s);
    s->needs_approval = true;
}

static void limited(struct scene *s)
{
    static char once[] = "https://ca.test/ domain=1/7d";

    first_issue(s);
    model_builder_domain(s->b, "a.shop.com", 13);
    s->limits = once;
}

static const struct {
    const char *file; /* under tests/golden/explain */
    const char *name;
    void (*set)(struct scene *s);
} cases[] = {
    {"first-issue", "www.shop.com", first_issue},
    {"kept", "www.shop.com", kept},
    {"kept-short-lifetime", "www.shop.com", kept_short},
    {"kept-by-threshold", "www.shop.com", kept_by_threshold},
    {"kept-clamped-low", "www.shop.com", kept_clamped_low},
    {"kept-clamped-high", "www.shop.com", kept_clamped_high},
    {"kept-by-ari", "www.shop.com", kept_by_ari},
    {"kept-other-key", "www.shop.com", kept_other_key},
    {"families", "www.shop.com", families},
    {"further-alone", "www.shop.com", further_alone},
    {"due", "www.shop.com", due},
    {"failing-renewal", "www.shop.com", failing_renewal},
    {"retry-asked", "www.shop.com", retry_asked},
    {"expired-alone", "www.shop.com", expired_alone},
    {"expired-overriding", "www.shop.com", expired_overriding},
    {"revoked-under-wildcard", "www.shop.com", revoked},
    {"override-to-come", "www.shop.com", override_to_come},
    {"override-done", "www.shop.com", override_done},
    {"override-blocked", "www.shop.com", override_blocked},
    {"through-wildcard", " WWW.Shop.com.", through_wildcard},
    {"through-any-domain", "www.shop.com:443", through_any},
    {"many-routes", "www.shop.com", many_routes},
    {"on-demand", "www.shop.com", on_demand},
    {"adopted", "www.shop.com", adopted},
    {"other-ca", "www.shop.com", other_ca},
    {"order-open", "www.shop.com", order_open},
    {"rate-limited", "www.shop.com", rate_limited},
    {"refused", "www.shop.com", refused},
    {"refused-elsewhere", "www.shop.com", refused_elsewhere},
    {"storage-broken", "www.shop.com", storage_broken},
    {"storage-unsupported", "www.shop.com", storage_unsupported},
    {"terms", "www.shop.com", terms},
    {"unresolved", "www.shop.com", unresolved},
    {"unresolved-account-key", "www.shop.com", unresolved_key},
    {"not-public", "shop.internal", not_public},
    {"retiring", "www.shop.com", retiring},
    {"retired", "www.shop.com", retired},
    {"no-plugin", "www.shop.com", no_plugin},
    {"disabled-plugin", "www.shop.com", disabled_plugin},
    {"empty-domains", "www.shop.com", empty_domains},
    {"closed-gate", "www.shop.com", closed_gate},
    {"port-in-domains", "www.shop.com", port_in_domains},
    {"tail-in-domains", "www.shop.com", tail_in_domains},
    {"below-wildcard", "www.shop.com", below_wildcard},
    {"ipv4-switch", "10.1.2.3", ipv4_switch},
    {"wildcard", "*.shop.com", wildcard_asked},
    {"left-alone", "www.shop.com", left_alone},
    {"left-alone-since", "www.shop.com", left_alone_since},
    {"nobody-asks", "www.shop.com", nobody_asks},
    {"nobody-asks-but-covered", "www.shop.com", nobody_asks_but_covered},
    {"disabled-service", "www.shop.com", disabled_service},
    {"unusable-declared", "www.shop.com", unusable_declared},
    {"awaits-approval", "www.shop.com", awaits_approval},
    {"override-awaits-approval", "www.shop.com", override_awaits_approval},
    {"retirement-awaits-approval", "www.shop.com", retirement_awaits_approval},
    {"limited", "www.shop.com", limited},
    {"ipv6", "[2001:db8::1]", nobody_asks},
    {"hostile-name", "\x1b[2J\n\"x\".shop.com", nobody_asks},
};

/* Explains `name` in the scene that `set` makes. */
static int explain(const char *name, void (*set)(struct scene *s), bool as_json, struct buf *out)
{
    static const struct saved_plan nothing;
    struct scene s = {.b = model_builder_new()};
    struct observed_name known[2];
    struct fake_source there;
    struct reconcile_source source;
    struct reconciliation made;
    struct error e;
    int rc;

    s.acme = model_builder_acme(s.b);
    set(&s);
    there = (struct fake_source){.observed = {.names = known, .storage_usable = !s.storage_broken},
                                 .demands = &s.demand,
                                 .demand_count = s.demand.name.ptr != NULL};
    s.there.subject.name = str_from("www.shop.com");
    s.further.subject = (struct subject){s.there.subject.name, FAMILY_RSA};
    if (s.there.has_certificate || s.there.failure.count || s.there.order_open)
        known[there.observed.count++] = s.there;
    if (s.further.has_certificate)
        known[there.observed.count++] = s.further;
    source = fake_source(&there);
    const struct reconcile_options options = {.model = &s.b->model,
                                              .asked.block = s.storage_unsupported ? DESIRED_STORAGE
                                                                                   : DESIRED_FREE,
                                              .asked.limits = &s.limits,
                                              .asked.limit_count = s.limits != NULL,
                                              .approved = s.needs_approval ? &nothing : NULL,
                                              .is_foretold = true,
                                              .now = NOW};
    CU_ASSERT_EQUAL_FATAL(reconcile_make(&options, &source, s.b->arena, &made, &e), 0);
    const struct explain_options eo = {.model = &s.b->model,
                                       .desired = made.desired,
                                       .observed = made.observed,
                                       .policy = &made.rules.policy,
                                       .plan = made.plan,
                                       .now = NOW};
    rc = as_json ? explain_name_json(str_from(name), &eo, out, &e)
                 : explain_name_text(str_from(name), &eo, out, &e);
    reconcile_fini(&made);
    model_builder_free(s.b);
    return rc;
}

static void situations(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (int as_json = 0; as_json < 2; as_json++) {
            struct buf out = BUF_INIT(OUT_MAX);
            char path[128];

            snprintf(path, sizeof(path), "tests/golden/explain/%s.%s", cases[i].file,
                     as_json ? "json" : "txt");
            CU_ASSERT_EQUAL(explain(cases[i].name, cases[i].set, as_json, &out), 0);
            CU_ASSERT(golden_matches(path, buf_view(&out)));
            buf_free(&out);
        }
}

/* No two situations read the same. */
static void are_distinct(void)
{
    static struct buf texts[ARRAY_LENGTH(cases)];

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        texts[i] = BUF_INIT(OUT_MAX);
        CU_ASSERT_EQUAL(explain("www.shop.com", cases[i].set, false, &texts[i]), 0);
    }
    for (size_t i = 0; i < 40; i++)
        for (size_t k = 0; k < i; k++)
            CU_ASSERT_FALSE(str_equal(buf_view(&texts[i]), buf_view(&texts[k])));
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        buf_free(&texts[i]);
}

static void small_buffer(void)
{
    struct buf out = BUF_INIT(40);

    CU_ASSERT_EQUAL(explain("www.shop.com", kept, false, &out), -1);
    buf_clear(&out);
    CU_ASSERT_EQUAL(explain("www.shop.com", kept, true, &out), -1);
    buf_free(&out);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"situations", situations},
        {"are distinct", are_distinct},
        {"small buffer", small_buffer},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"explain", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
