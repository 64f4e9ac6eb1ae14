/*
 * Everybody who asks about a host name gets hostname.h's answer: the plan, explain, the gate of
 * control and the one of workers, the choice of a certificate in both, Host headers, settings. Over
 * a table and names made by a seeded generator, against the rules as Kong's documentation words
 * them: entry by entry, where the program looks patterns up.
 */

#include <CUnit/Basic.h>
#include <stdio.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/hostname.h"
#include "reconciler/control/routes.h"
#include "reconciler/core/desired.h"
#include "reconciler/core/explain.h"
#include "reconciler/core/gate.h"
#include "reconciler/core/public_ca.h"
#include "reconciler/net/http1.h"
#include "reconciler/serve/view.h"
#include "reconciler/settings/listen.h"
#include "tests/support/model_builder.h"
#include "tests/support/segment_maker.h"

#define NAMES 4000
#define NAME_ROOM (HOSTNAME_MAX + 8)

static const char *const table[] = {
    "",          ".",         "a",          "a.b",       "a.b.c",    "x.a.b.c",  "A.B.C",
    "a.b.c.",    "a..b",      ".a.b",       "1.2.3.4",   "1.2.3",    "10.1.1.1", "999.1.1.1",
    "1.2.3.4.",  "1.2.3.4.5", "*.b.c",      "a.*",       "*",        "a_b.-.c",  "a b.c",
    "a.b.c:80",  "[::1]",     "\xc3\xa4.b", "xa.b",      "b.c",      "c",        "1.b.c",
    "b.b.b.b.b", "x.10.b",    "a.b.c..",    "1.1.1.1.c", "1..1.1.1",
};

/* What files list: domains, hosts of routes, SNIs. */
static const char *const domains[] = {"a.b", "*.b.c", "*.a", "a.*", "c:80", "10.1.1.1", "x", "*"};
static const char *const hosts[] = {"a.b", "*.b.c", "a.*", "b.a.*", "c:80", "*.c:81", "x.*:80"};
static const char *const snis[] = {"a.b", "*.b.c", "*.a", "a.b.*", "b.*", "1.*"};

/* xorshift: the same names every time. */
static uint64_t next_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 32;
}

static struct str make_name(size_t i, uint64_t *state, char room[NAME_ROOM])
{
    static const char *const labels[] = {"a", "b", "c", "x", "A", "1", "10", "a_b", "", "*", "ab"};
    size_t count, len = 0;

    if (i < ARRAY_LENGTH(table))
        return str_from(table[i]);
    count = 1 + next_number(state) % 5;
    for (size_t k = 0; k < count; k++) {
        /* The last ones are rare, or few names would be normal. */
        size_t label = next_number(state) % (next_number(state) % 8 ? 6 : ARRAY_LENGTH(labels));
        const char *dot = k + 1 < count || next_number(state) % 16 == 0 ? "." : "";

        len += (size_t)snprintf(room + len, NAME_ROOM - len, "%s%s", labels[label], dot);
    }
    if (next_number(state) % 64 == 0)
        for (size_t longest = HOSTNAME_MAX - 1 + next_number(state) % 3; len < longest; len++)
            room[len] = "a."[len % 2];
    return (struct str){room, len};
}

/* ---- Kong's rules, word by word ---- */

static bool ends_below(struct str name, struct str suffix)
{
    return name.len > suffix.len && str_ends(name, suffix);
}

/* "*.rest" and "head.*" stand for one label or more. */
static bool entry_matches(const char *entry, struct str name, bool with_head)
{
    struct str e = str_from(entry);

    if (str_equal(e, name))
        return true;
    if (str_starts(e, STR("*.")))
        return ends_below(name, str_slice(e, 1, e.len));
    return with_head && str_ends(e, STR(".*")) && name.len > e.len - 1 &&
           str_starts(name, str_slice(e, 0, e.len - 1));
}

static bool is_claimed(struct str name, unsigned port)
{
    bool is_found = false;

    for (size_t i = 0; i < ARRAY_LENGTH(hosts) && name.len <= HOSTNAME_MAX; i++) {
        struct str entry_port, host = str_cut(str_from(hosts[i]), ':', &entry_port);
        char plain[16];
        uint64_t wanted = port;

        snprintf(plain, sizeof(plain), "%.*s", STR_ARG(host));
        is_found =
            is_found ||
            (entry_matches(plain, name, true) &&
             (!entry_port.ptr || (str_to_u64(entry_port, &wanted) && port && wanted == port)));
    }
    return is_found;
}

static bool is_address(struct str name)
{
    unsigned value[4];
    char text[NAME_ROOM + 2], end;

    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    return !strpbrk(text, " +-") && strspn(text, "0123456789.") == name.len &&
           sscanf(text, "%u.%u.%u.%u%c", &value[0], &value[1], &value[2], &value[3], &end) == 4;
}

static bool is_let_through(struct str name, bool ipv4)
{
    bool is_found = false;

    for (size_t i = 0; i < ARRAY_LENGTH(domains); i++)
        is_found = is_found || entry_matches(domains[i], name, false);
    return is_found && (ipv4 || !is_address(name));
}

static enum hostname_rung rung_of(struct str name)
{
    size_t first = str_find(name, '.', 0), last = name.len;
    enum hostname_rung best = HOSTNAME_RUNGS;

    while (last > 0 && name.ptr[last - 1] != '.')
        last--;
    for (size_t i = 0; i < ARRAY_LENGTH(snis); i++) {
        struct str sni = str_from(snis[i]);
        enum hostname_rung here = HOSTNAME_RUNGS;

        if (str_equal(sni, name))
            here = HOSTNAME_EXACT;
        else if (sni.ptr[0] == '*' && first + 1 < last &&
                 str_equal(str_slice(sni, 1, sni.len), str_slice(name, first, name.len)))
            here = HOSTNAME_FIRST_LABEL;
        else if (sni.ptr[sni.len - 1] == '*' && last &&
                 str_equal(str_slice(sni, 0, sni.len - 1), str_slice(name, 0, last)))
            here = HOSTNAME_LAST_LABEL;
        best = here < best ? here : best;
    }
    return best;
}

/* ---- the askers ---- */

struct askers {
    struct model_builder *model;
    struct desired *desired; /* what the gate lets through */
    struct view *view;       /* what workers know of the same file, its SNIs served */
    bool ipv4;
};

static void add_snis(struct askers *a, struct segment **segment)
{
    struct segment_name names[ARRAY_LENGTH(snis)];
    struct certificate *certificate = model_builder_certificate(a->model, "");

    certificate->valid = (struct validity){.to = INT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(snis); i++) {
        model_builder_sni(a->model, certificate, snis[i], "", 9);
        names[i] =
            (struct segment_name){.name = str_from(snis[i]),
                                  .credentials = {{KEY_P256, str_from(snis[i]), STR("k"), STR("")}},
                                  .count = 1};
    }
    *segment = segment_maker_names(names, ARRAY_LENGTH(names));
}

static void begin(struct askers *a, bool ipv4)
{
    static const struct desired_options options = {0};
    struct model_builder *b = model_builder_new();
    struct publisher_rules rules;
    struct segment *segments[3];
    char list[256] = "";
    size_t len = 0;
    uint64_t hash;
    struct error e;

    *a = (struct askers){.model = b, .ipv4 = ipv4};
    model_builder_acme(b)->enable_ipv4_common_name = ipv4;
    for (size_t i = 0; i < ARRAY_LENGTH(domains); i++)
        model_builder_domain(b, domains[i], 5);
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s ", hosts[i]);
    model_builder_route(b, NULL, list, "", 7)->protocols = model_builder_texts(b, "http", 7);
    add_snis(a, &segments[0]);
    CU_ASSERT_EQUAL_FATAL(desired_make(&b->model, &options, b->arena, &a->desired, &e), 0);
    CU_ASSERT_EQUAL_FATAL(routes_make(&b->model, b->arena, &rules, &hash, &e), 0);
    segments[1] = segment_maker_gate(&rules.gate);
    segments[2] = segment_maker_routes(&rules.routes);
    a->view = segment_maker_view(1, segments, 3);
}

static void end(struct askers *a)
{
    view_free(a->view);
    model_builder_free(a->model);
}

static bool same(bool is_same, const char *asker, struct str name)
{
    if (!is_same) {
        fprintf(stderr, "%s: \"%.*s\"\n", asker, STR_ARG(name));
        CU_FAIL("an asker of its own mind");
    }
    return is_same;
}

static void ask_form(const struct askers *a, struct str text)
{
    struct desired_demand demand = {.name = text};
    struct desired_name room;
    char lower[NAME_ROOM], host[HTTP1_HOST_MAX + 1];
    struct str name = hostname_lower(text, lower);
    bool is_normal = hostname_is_normal(name) && !is_address(name);
    bool is_new = !desired_find(a->desired, subject_first(text)) && is_let_through(text, a->ipv4);
    struct http_head request = {.authority = text};
    struct view_choice choice;
    uint16_t port;

    view_choose(a->view, text, &choice);
    same(choice.is_name == is_normal, "the worker's name", text);
    if (choice.is_name)
        same(str_equal_cstr(name, choice.name), "the worker's form", text);
    same(desired_on_demand(a->desired, &demand, &room) == (hostname_is_normal(text) && is_new),
         "on demand", text);
    if (hostname_is_normal(name)) {
        same(str_equal(http1_host(&request, host, &port), name), "Host", text);
        same(str_equal(explain_normal_name(text, a->model->arena), name), "explain's form", text);
        same((public_ca_refuses(name) && strstr(public_ca_refuses(name), "IP address")) ==
                 is_address(name),
             "public CAs", name);
    }
}

static void ask_gate(const struct askers *a, struct str name)
{
    static const uint16_t ports[] = {0, 80, 81};
    const struct acme *acme = a->model->model.acme;
    const struct text *entry;
    bool is_open = is_let_through(name, a->ipv4);

    same((gate_ask(acme, name, &entry) >= HOSTNAME_OPEN_ANY) == is_open, "the scan", name);
    same(!is_open || entry, "the entry", name);
    same(desired_passes(a->desired, name) == is_open, "the plan's gate", name);
    same(view_gate(a->view, name) == is_open, "the worker's gate", name);
    for (size_t i = 0; i < ARRAY_LENGTH(ports); i++)
        same(view_claims_host(a->view, name, ports[i]) == is_claimed(name, ports[i]), "routes",
             name);
}

static void ask_ladder(const struct askers *a, struct str name)
{
    static const enum explain_served served[] = {SERVED_EXACT, SERVED_FIRST_WILDCARD,
                                                 SERVED_LAST_WILDCARD, SERVED_STAR, SERVED_DEFAULT};
    const struct policy policy = {.jitter_seed = 1};
    enum hostname_rung rung = rung_of(name);
    struct view_choice choice;

    view_choose(a->view, name, &choice);
    if (choice.is_name)
        same(choice.match == (rung < HOSTNAME_RUNGS ? (enum view_match)rung : VIEW_NONE),
             "the worker's choice", name);
    same(explain_choose(&a->model->model, name, NULL, &policy, 1).served == served[rung],
         "explain's choice", name);
}

static void ask_all(bool ipv4)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    char text[NAME_ROOM], lower[NAME_ROOM];
    size_t passed = 0, claimed = 0, found = 0;
    struct askers a;

    begin(&a, ipv4);
    for (size_t i = 0; i < NAMES; i++) {
        struct str made = make_name(i, &state, text), name;

        ask_form(&a, made);
        name = hostname_lower(made, lower);
        if (!hostname_is_normal(name))
            continue;
        ask_gate(&a, name);
        ask_ladder(&a, name);
        passed += is_let_through(name, ipv4);
        claimed += is_claimed(name, 80);
        found += rung_of(name) < HOSTNAME_RUNGS;
    }
    /* The names are of a kind that says something. */
    CU_ASSERT(passed > NAMES / 20 && claimed > NAMES / 20 && found > NAMES / 20);
    end(&a);
}

static void askers(void)
{
    ask_all(true);
    ask_all(false);
}

/* Settings take names and addresses, and no number that looks like one and is none. */
static void listeners(void)
{
    static const struct {
        const char *text;
        bool is_taken;
    } rows[] = {{"1.2.3.4:80", true}, {"999.1.1.1:80", false}, {"1.2.3:80", false},
                {"a_b.c:80", true},   {"A.B:80", true},        {"a*:80", false}};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct settings_listen l;
        struct error e;

        same(!listen_parse(str_from(rows[i].text), LISTEN_HTTP, &l, &e) == rows[i].is_taken,
             "proxy_listen", str_from(rows[i].text));
    }
}

int main(void)
{
    CU_TestInfo tests[] = {{"askers", askers}, {"listeners", listeners}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "askers", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
