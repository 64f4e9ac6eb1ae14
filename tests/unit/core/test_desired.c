#include "reconciler/core/desired.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/core/gate.h"
#include "tests/support/model_builder.h"

#define DUMP_MAX ((size_t)1 << 20)

static const char *const block_names[] = {
    "", " not-public", " no-account-key", " unresolved", " tos", " no-ca-certificate", " storage"};

/* "a.test DHSCO 12:9,13:9 >30:11 @7 tos" a line: name, origins, places, override, last seen, block.
 */
static void dump(const struct desired_name *names, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct desired_name *n = &names[i];

        buf_str(out, n->subject.name);
        buf_char(out, ' ');
        for (int bit = 0; bit < 5; bit++)
            if (n->origins & 1u << bit)
                buf_char(out, "DHSCO"[bit]);
        for (size_t k = 0; k < n->place_count; k++)
            buf_printf(out, "%c%u:%u", k ? ',' : ' ', n->places[k].line, n->places[k].column);
        if (n->overrides)
            buf_printf(out, " >%u:%u", n->overrides->name.place.line,
                       n->overrides->name.place.column);
        if (n->last_seen_at)
            buf_printf(out, " @%lld", (long long)n->last_seen_at);
        buf_cstr(out, block_names[n->block]);
        buf_char(out, '\n');
    }
}

/* Makes desired of what `b` holds and compares its dump; the names left alone follow a "--" line.
 */
static void expect_with(struct model_builder *b, const struct desired_options *options,
                        const char *expected)
{
    struct buf text = BUF_INIT(DUMP_MAX);
    struct desired *desired;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(desired_make(&b->model, options, b->arena, &desired, &e), 0);
    dump(desired->names, desired->count, &text);
    if (desired->left_alone_count) {
        buf_cstr(&text, "--\n");
        dump(desired->left_alone, desired->left_alone_count, &text);
    }
    if (!str_equal_cstr(buf_view(&text), expected)) {
        fprintf(stderr, "expected:\n%sactual:\n%.*s", expected, STR_ARG(buf_view(&text)));
        CU_FAIL("desired differs");
    }
    buf_free(&text);
}

static void expect(struct model_builder *b, const char *expected)
{
    expect_with(b, &(struct desired_options){0}, expected);
}

static void exact_domains(void)
{
    struct model_builder *b = model_builder_new();

    expect(b, "");
    model_builder_acme(b);
    expect(b, "");
    model_builder_domain(b, "b.test", 10);
    model_builder_domain(b, "a.test", 11);
    model_builder_domain(b, "b.test", 12);
    model_builder_domain(b, "*.wild.test", 13);
    model_builder_domain(b, "tail.*", 14);
    model_builder_domain(b, "port.test:8443", 15);
    model_builder_domain(b, "dot.test.", 16);
    model_builder_domain(b, "[::1]", 17);
    model_builder_domain(b, "10.0.0.1", 18);
    model_builder_domain(b, "under_score.test", 19);
    model_builder_domain(b, "two..dots.test", 20);
    expect(b, "10.0.0.1 D 18:9\n"
              "a.test D 11:9\n"
              "b.test D 10:9,12:9\n"
              "under_score.test D 19:9\n");
    b->acme.enable_ipv4_common_name = false;
    expect(b, "a.test D 11:9\n"
              "b.test D 10:9,12:9\n"
              "under_score.test D 19:9\n");
    b->acme.enabled = false;
    expect(b, "");
    model_builder_free(b);
}

static void name_length(void)
{
    struct model_builder *b = model_builder_new();
    char longest[HOSTNAME_MAX + 2], expected[HOSTNAME_MAX + 16];

    for (size_t i = 0; i <= HOSTNAME_MAX; i++)
        longest[i] = i % 50 == 49 ? '.' : 'a';
    longest[HOSTNAME_MAX] = '\0';
    snprintf(expected, sizeof(expected), "%s D 10:9\n", longest);
    model_builder_acme(b);
    model_builder_domain(b, longest, 10);
    longest[HOSTNAME_MAX] = 'a';
    longest[HOSTNAME_MAX + 1] = '\0';
    model_builder_domain(b, longest, 11);
    expect(b, expected);
    model_builder_free(b);
}

static void routes(void)
{
    struct model_builder *b = model_builder_new();
    const struct service *on = model_builder_service(b, true);
    const struct service *off = model_builder_service(b, false);

    model_builder_acme(b);
    model_builder_domain(b, "*.example.com", 5);
    model_builder_route(b, on, "a.example.com b.example.com:8080 *.example.com outside.com",
                        "s.example.com *.example.com", 20);
    model_builder_route(b, off, "off.example.com", "off2.example.com", 30);
    model_builder_route(b, NULL, "alone.example.com example.com x.y.example.com", "", 40);
    model_builder_route(b, on, "a.example.com", "a.example.com", 50);
    expect(b, "a.example.com HS 20:9,50:9,51:9\n"
              "alone.example.com H 40:9\n"
              "b.example.com H 20:10\n"
              "s.example.com S 21:9\n"
              "x.y.example.com H 40:11\n");
    b->acme.allow_any_domain = true;
    expect(b, "a.example.com HS 20:9,50:9,51:9\n"
              "alone.example.com H 40:9\n"
              "b.example.com H 20:10\n"
              "example.com H 40:10\n"
              "outside.com H 20:12\n"
              "s.example.com S 21:9\n"
              "x.y.example.com H 40:11\n");
    b->acme.allow_any_domain = false;
    b->acme.domains.count = 0;
    expect(b, "");
    /* An exact entry lets a route's host through, and both places are kept. */
    model_builder_domain(b, "outside.com", 6);
    expect(b, "outside.com DH 6:9,20:12\n");
    model_builder_free(b);
}

static void declared_snis(void)
{
    struct model_builder *b = model_builder_new();
    const struct certificate *plain = model_builder_certificate(b, "team:web");
    const struct certificate *off = model_builder_certificate(b, "x acme:off");

    model_builder_acme(b);
    model_builder_domain(b, "*.example.com", 5);
    model_builder_domain(b, "exact.com", 6);
    model_builder_sni(b, plain, "a.example.com", "", 30);
    model_builder_sni(b, plain, "exact.com", "", 31);
    model_builder_sni(b, plain, "outside.com", "", 32);
    model_builder_sni(b, plain, "*.example.com", "", 33);
    model_builder_sni(b, plain, "*", "", 34);
    model_builder_sni(b, plain, "off1.example.com", "acme:off", 35);
    model_builder_sni(b, off, "off2.example.com", "", 36);
    model_builder_sni(b, off, "outside.org", "", 37);
    expect(b, "a.example.com C 30:11 >30:11\n"
              "exact.com DC 6:9,31:11 >31:11\n"
              "--\n"
              "off1.example.com C 35:11\n"
              "off2.example.com C 36:11\n");
    /* acme:off speaks for the name: other origins do not bring it back. */
    model_builder_domain(b, "off1.example.com", 7);
    model_builder_route(b, NULL, "off2.example.com", "", 50);
    expect(b, "a.example.com C 30:11 >30:11\n"
              "exact.com DC 6:9,31:11 >31:11\n"
              "--\n"
              "off1.example.com DC 7:9,35:11\n"
              "off2.example.com HC 36:11,50:9\n");
    model_builder_free(b);
}

static void on_demand(void)
{
    struct model_builder *b = model_builder_new();
    static const struct desired_demand demands[] = {
        {STR_INIT("seen.example.com"), 100}, {STR_INIT("a.example.com"), 70},
        {STR_INIT("outside.com"), 100},      {STR_INIT("a.example.com"), 90},
        {STR_INIT("*.example.com"), 1},      {STR_INIT(""), 1},
        {STR_INIT("a.example.com"), 80},
    };
    struct desired_options options = {.demands = demands, .demand_count = 7};

    model_builder_acme(b);
    model_builder_domain(b, "*.example.com", 5);
    model_builder_route(b, NULL, "a.example.com", "", 20);
    expect_with(b, &options,
                "a.example.com HO 20:9 @90\n"
                "seen.example.com O @100\n");
    model_builder_free(b);
}

/* One name at a time, as a worker reports them, gives what a whole desired_make gives. */
static void single_demands(void)
{
    static const struct {
        const char *name;
        bool desired;
        enum desired_block block;
    } rows[] = {
        {"new.example.com", true, DESIRED_STORAGE},    {"a.b.example.com", true, DESIRED_STORAGE},
        {"x_y.example.com", true, DESIRED_NOT_PUBLIC}, {"here.example.com", false, DESIRED_FREE},
        {"off.example.com", false, DESIRED_FREE},      {"outside.com", false, DESIRED_FREE},
        {"*.example.com", false, DESIRED_FREE},        {"Upper.example.com", false, DESIRED_FREE},
        {"dot.example.com.", false, DESIRED_FREE},     {"", false, DESIRED_FREE},
    };
    struct model_builder *b = model_builder_new();
    struct acme *acme = model_builder_acme(b);
    const struct certificate *off = model_builder_certificate(b, "acme:off");
    struct desired *desired, *whole;
    struct error e;

    acme->api_uri.value = STR("https://acme-v02.api.letsencrypt.org/directory");
    model_builder_domain(b, "*.example.com", 5);
    model_builder_route(b, NULL, "here.example.com", "", 20);
    model_builder_sni(b, off, "off.example.com", "", 30);
    CU_ASSERT_EQUAL_FATAL(desired_make(&b->model,
                                       &(struct desired_options){.block = DESIRED_STORAGE},
                                       b->arena, &desired, &e),
                          0);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct desired_demand demand = {str_from(rows[i].name), 77};
        struct desired_options options = {
            .demands = &demand, .demand_count = 1, .block = DESIRED_STORAGE};
        struct desired_name room = {0};
        const struct desired_name *found;

        CU_ASSERT_EQUAL(desired_on_demand(desired, &demand, &room), rows[i].desired);
        if (!rows[i].desired)
            continue;
        CU_ASSERT_EQUAL_FATAL(desired_make(&b->model, &options, b->arena, &whole, &e), 0);
        found = desired_find(whole, subject_first(demand.name));
        CU_ASSERT_PTR_NOT_NULL_FATAL(found);
        CU_ASSERT_EQUAL(room.block, rows[i].block);
        CU_ASSERT_EQUAL(room.block, found->block);
        CU_ASSERT_EQUAL(room.origins, found->origins);
        CU_ASSERT_EQUAL(room.last_seen_at, found->last_seen_at);
        CU_ASSERT(room.ca == &desired->ca && found->ca == &whole->ca);
        CU_ASSERT(found->ca->limits && !found->ca->fallback);
    }
    model_builder_free(b);
}

static void shared_places(void)
{
    struct model_builder *b = model_builder_new();
    struct route *first, *second;

    model_builder_acme(b)->allow_any_domain = true;
    first = model_builder_route(b, NULL, "a.com", "", 20);
    second = model_builder_route(b, NULL, "", "", 30);
    second->hosts = first->hosts; /* hosts: *anchor */
    expect(b, "a.com H 20:9\n");
    model_builder_free(b);
}

static void blocks(void)
{
    struct model_builder *b = model_builder_new();
    struct acme *acme = model_builder_acme(b);
    struct service *lacking;
    static struct key key;

    model_builder_domain(b, "a.com", 5);
    model_builder_domain(b, "b.test", 6);
    expect(b, "a.com D 5:9\nb.test D 6:9\n");
    acme->tos_accepted = false; /* at a CA that is not Let's Encrypt */
    expect(b, "a.com D 5:9\nb.test D 6:9\n");
    acme->api_uri.value = STR("https://acme-v02.api.letsencrypt.org/directory");
    expect(b, "a.com D 5:9 tos\nb.test D 6:9 not-public\n");
    acme->tos_accepted = true;
    expect(b, "a.com D 5:9\nb.test D 6:9 not-public\n");
    acme->tos_accepted = false;
    expect_with(b, &(struct desired_options){.acme_server = STR("https://localhost:14000/dir")},
                "a.com D 5:9\nb.test D 6:9\n");
    acme->api_uri.value = STR("https://acme.zerossl.com/v2/DV90");
    expect(b, "a.com D 5:9\nb.test D 6:9 not-public\n");
    expect_with(b, &(struct desired_options){.block = DESIRED_STORAGE},
                "a.com D 5:9 storage\nb.test D 6:9 not-public\n");
    acme->account_key_id.value = STR("kid");
    expect(b, "a.com D 5:9 no-account-key\nb.test D 6:9 not-public\n");
    acme->account_key = &key;
    expect(b, "a.com D 5:9\nb.test D 6:9 not-public\n");
    key.unresolved = STR("{vault://env/key}");
    expect(b, "a.com D 5:9 unresolved\nb.test D 6:9 not-public\n");
    key.unresolved = STR_NONE;
    acme->unresolved = STR("{vault://env/mail}");
    expect(b, "a.com D 5:9 unresolved\nb.test D 6:9 not-public\n");
    acme->unresolved = STR_NONE;
    lacking = model_builder_service(b, true);
    lacking->missing_ca_certificate = (struct place){.line = 3};
    model_builder_route(b, lacking, "a.com", "", 7);
    expect(b, "a.com DH 5:9,7:9 no-ca-certificate\nb.test D 6:9 not-public\n");
    model_builder_free(b);
}

static void key_types(void)
{
    static const struct {
        struct str cert_type;
        int64_t bits;
        enum key_type type;
    } rows[] = {{STR_INIT("ecc"), 4096, KEY_P256},
                {STR_INIT("rsa"), 2048, KEY_RSA_2048},
                {STR_INIT("rsa"), 3072, KEY_RSA_3072},
                {STR_INIT("rsa"), 4096, KEY_RSA_4096}};
    struct model_builder *b = model_builder_new();
    struct desired *desired;
    struct error e;

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct acme *acme = model_builder_acme(b);
        acme->cert_type = rows[i].cert_type;
        acme->rsa_key_size = rows[i].bits;
        CU_ASSERT_EQUAL_FATAL(
            desired_make(&b->model, &(struct desired_options){0}, b->arena, &desired, &e), 0);
        CU_ASSERT_EQUAL(desired->key_type, rows[i].type);
    }
    model_builder_free(b);
}

static void directories(void)
{
    static const char *const rows[][2] = {
        {"https://acme-v02.api.letsencrypt.org", "https://acme-v02.api.letsencrypt.org/directory"},
        {"https://acme-v02.api.letsencrypt.org/", "https://acme-v02.api.letsencrypt.org/directory"},
        {"https://acme-staging-v02.api.letsencrypt.org",
         "https://acme-staging-v02.api.letsencrypt.org/directory"},
        {"https://acme-v02.api.letsencrypt.org/directory",
         "https://acme-v02.api.letsencrypt.org/directory"},
        {"https://localhost:14000/dir", "https://localhost:14000/dir"},
        {"https://acme.zerossl.com/v2/DV90", "https://acme.zerossl.com/v2/DV90"},
        {"https://api.acme.example", "https://api.acme.example"},
    };
    struct arena *arena = arena_new(NULL);

    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        CU_ASSERT(str_equal_cstr(desired_directory(str_from(rows[i][0]), arena), rows[i][1]));
    arena_free(arena);
}

static bool asks(const struct acme *acme, struct str host)
{
    const struct text *entry;
    bool is_open = gate_ask(acme, host, &entry) >= HOSTNAME_OPEN_ANY;

    CU_ASSERT_EQUAL(entry != NULL, is_open && !acme->allow_any_domain);
    return is_open;
}

/* Both ways of asking, over the same questions. */
static void gate(void)
{
    static const struct {
        const char *host;
        bool open;
    } rows[] = {
        {"exact.com", true},  {"x.exact.com", false}, {"a.a.com", true},  {"a.b.a.com", true},
        {"a.com", false},     {"xa.com", false},      {".a.com", false},  {"example.net", false},
        {"example.x", false}, {"port.com", false},    {"10.0.0.1", true}, {"10.0.0.2", false},
        {"upper.com", true},  {"b.upper.org", true},  {"off.com", true},  {"", false},
        {"com", false},       {"z.off.com", false},
    };
    struct model_builder *b = model_builder_new();
    struct acme *acme = model_builder_acme(b);
    const struct certificate *certificate = model_builder_certificate(b, "acme:off");
    struct desired *desired;
    struct error e;

    model_builder_domain(b, "exact.com", 1);
    model_builder_domain(b, "*.a.com", 2);
    model_builder_domain(b, "*.a.com", 3);
    model_builder_domain(b, "example.*", 4);
    model_builder_domain(b, "port.com:8443", 5);
    model_builder_domain(b, "10.0.0.1", 6);
    model_builder_domain(b, "upper.com", 7);
    model_builder_domain(b, "*.upper.org", 8);
    model_builder_domain(b, "off.com", 9);
    model_builder_sni(b, certificate, "off.com", "", 20);
    CU_ASSERT_EQUAL_FATAL(desired_make(&b->model,
                                       &(struct desired_options){.block = DESIRED_STORAGE},
                                       b->arena, &desired, &e),
                          0);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str host = str_from(rows[i].host);
        bool scanned = asks(acme, host), looked_up = desired_passes(desired, host);

        if (scanned != rows[i].open || looked_up != rows[i].open)
            fprintf(stderr, "gate: %s\n", rows[i].host);
        CU_ASSERT_EQUAL(scanned, rows[i].open);
        CU_ASSERT_EQUAL(looked_up, rows[i].open);
    }
    CU_ASSERT_FALSE(asks(NULL, STR("exact.com")));
    acme->enable_ipv4_common_name = false;
    CU_ASSERT_FALSE(asks(acme, STR("10.0.0.1")));
    CU_ASSERT_FALSE(desired_passes(desired, STR("10.0.0.1")));
    acme->allow_any_domain = true;
    CU_ASSERT(asks(acme, STR("anything.at.all")));
    CU_ASSERT(desired_passes(desired, STR("anything.at.all")));
    CU_ASSERT_FALSE(asks(acme, STR("10.0.0.1")));
    CU_ASSERT_FALSE(asks(acme, STR("")));
    acme->enabled = false;
    CU_ASSERT_FALSE(asks(acme, STR("exact.com")));
    model_builder_free(b);
}

static void gate_reasons(void)
{
    struct model_builder *b = model_builder_new();
    struct acme *acme = model_builder_acme(b);
    const struct text *entry;

    model_builder_domain(b, "*.a.com", 2);
    model_builder_domain(b, "b.a.com", 3);
    CU_ASSERT_EQUAL(gate_ask(NULL, STR("a"), &entry), HOSTNAME_CLOSED);
    CU_ASSERT_PTR_NULL(entry);
    CU_ASSERT_EQUAL(gate_ask(acme, STR("x.a.com"), &entry), HOSTNAME_OPEN_WILDCARD);
    CU_ASSERT_PTR_EQUAL(entry, &acme->domains.items[0]);
    CU_ASSERT_EQUAL(gate_ask(acme, STR("b.a.com"), &entry), HOSTNAME_OPEN_EXACT);
    CU_ASSERT_PTR_EQUAL(entry, &acme->domains.items[1]);
    CU_ASSERT_EQUAL(gate_ask(acme, STR("*.a.com"), &entry), HOSTNAME_OPEN_EXACT);
    CU_ASSERT_EQUAL(gate_ask(acme, STR("c.com"), &entry), HOSTNAME_CLOSED_NO_MATCH);
    acme->enable_ipv4_common_name = false;
    CU_ASSERT_EQUAL(gate_ask(acme, STR("1.2.3.4"), &entry), HOSTNAME_CLOSED_IPV4);
    acme->allow_any_domain = true;
    CU_ASSERT_EQUAL(gate_ask(acme, STR("c.com"), &entry), HOSTNAME_OPEN_ANY);
    acme->enabled = false;
    CU_ASSERT_EQUAL(gate_ask(acme, STR("c.com"), &entry), HOSTNAME_CLOSED);
    model_builder_free(b);
}

static void finds(void)
{
    struct model_builder *b = model_builder_new();
    struct desired *desired;
    char name[32];
    struct error e;

    model_builder_acme(b);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "n%u.com", i * 7 % 500);
        model_builder_domain(b, name, i);
    }
    CU_ASSERT_EQUAL_FATAL(
        desired_make(&b->model, &(struct desired_options){0}, b->arena, &desired, &e), 0);
    CU_ASSERT_EQUAL(desired->count, 500);
    for (size_t i = 0; i < desired->count; i++)
        CU_ASSERT_PTR_EQUAL(desired_find(desired, desired->names[i].subject), &desired->names[i]);
    CU_ASSERT_PTR_NULL(desired_find(desired, subject_first(STR("n500.com"))));
    CU_ASSERT_PTR_NULL(desired_find(desired, subject_first(STR(""))));
    CU_ASSERT_PTR_NULL(desired_find(desired, subject_first(STR("zzz"))));
    model_builder_free(b);
}

static void memory_runs_out(void)
{
    struct model_builder *b = model_builder_new();
    struct desired *desired = NULL;
    struct error e;
    int rc = -1;

    model_builder_acme(b);
    model_builder_domain(b, "*.Wild.com", 1);
    model_builder_domain(b, "upper.com", 2);
    for (size_t n = 1; n < 100 && rc; n++) {
        arena_fail_after(b->arena, n);
        rc = desired_make(&b->model, &(struct desired_options){0}, b->arena, &desired, &e);
        CU_ASSERT(rc == 0 || e.kind == ERROR_MEMORY);
        CU_ASSERT(rc == 0 || n < 50);
    }
    arena_fail_after(b->arena, 0);
    CU_ASSERT_EQUAL(rc, 0);
    model_builder_free(b);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"exact domains", exact_domains},
        {"name length", name_length},
        {"routes", routes},
        {"declared snis", declared_snis},
        {"on demand", on_demand},
        {"single demands", single_demands},
        {"shared places", shared_places},
        {"blocks", blocks},
        {"key types", key_types},
        {"directories", directories},
        {"gate", gate},
        {"gate reasons", gate_reasons},
        {"finds", finds},
        {"memory runs out", memory_runs_out},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"desired", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
