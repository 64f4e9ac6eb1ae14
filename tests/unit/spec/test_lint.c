/* Warnings about what is valid and useless. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "tests/support/spec_text.h"

#define ACME "plugins: [{name: acme, config: {account_email: a@b, api_uri: 'https://ca.test/d', "
#define NEVER " can never match: "
#define UNASKED " asks for no certificate: "
#define WILD                                                                                      \
    " would need a wildcard certificate, which http-01 cannot get: each name gets its own, once " \
    "it is first asked for\n"

static const struct {
    const char *yaml, *problems;
} rows[] = {
    {"services: [{name: s, host: h, routes: [{paths: [/]}, {paths: [/a]}]}]\n", ""},
    /* Domains. */
    {ACME "domains: [a.b, '*.c', 'x.*', 'a.b:80', 'a.b.', 1.2.3.4]}}]\n",
     "2:105: warning: plugins[1].config.domains[3]: 'x.*'" NEVER
     "only a star at the left stands for anything\n"
     "2:112: warning: plugins[1].config.domains[4]: 'a.b:80'" NEVER "names come without a port\n"
     "2:122: warning: plugins[1].config.domains[5]: 'a.b.'" NEVER
     "names come without a dot at their end\n"},
    {ACME "domains: ['::1']}}]\n", "2:93: warning: plugins[1].config.domains[1]: '::1'" NEVER
                                   "no handshake names an IPv6 address\n"},
    {ACME "domains: [1.2.3.4], enable_ipv4_common_name: false}}]\n",
     "2:93: warning: plugins[1].config.domains[1]: '1.2.3.4'" NEVER
     "enable_ipv4_common_name is off\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, api_uri: "
     "'https://ACME-v02.api.letsencrypt.org/x'}}]\n",
     "2:12: warning: plugins[1].config.tos_accepted: the terms of Let's Encrypt are not accepted, "
     "so no account will be made: see https://letsencrypt.org/repository/\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, tos_accepted: true}}]\n", ""},
    {ACME "allow_any_domain: true, storage: consul}}]\n",
     "2:116: note: plugins[1].config.storage: not in this build yet: run takes 'shm' alone, which "
     "survives restarts here\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, api_uri: "
     "'https://notletsencrypt.org/x'}}]\n",
     ""},
    /* Names that need a wildcard certificate, where the gate lets them through. */
    {ACME "domains: ['*.c.d']}}]\nroutes: [{hosts: ['*.b.c.d', '*.c.d', '*.d', a.c.d, 'c.*']}]\n",
     "3:19: warning: routes[1].hosts[1]: '*.b.c.d'" WILD
     "3:30: warning: routes[1].hosts[2]: '*.c.d'" WILD
     "3:53: note: routes[1].hosts[5]: 'c.*'" UNASKED
     "each name gets its own, once it is first asked for\n"},
    /* Names of routes of which no certificate can come. */
    {ACME "domains: ['*.b']}}]\nroutes: [{hosts: [a.b., 'a.b.:80', '::1', a.b]}, {protocols: "
          "[https], snis: [c.b.]}]\n",
     "3:19: warning: routes[1].hosts[1]: 'a.b.'" UNASKED "names come without a dot at their end\n"
     "3:25: warning: routes[1].hosts[2]: 'a.b.:80'" UNASKED
     "names come without a dot at their end\n"
     "3:36: warning: routes[1].hosts[3]: '::1'" UNASKED "no handshake names an IPv6 address\n"
     "3:78: warning: routes[2].snis[1]: 'c.b.'" UNASKED "names come without a dot at their end\n"},
    {ACME "domains: ['*.b']}, enabled: false}]\nroutes: [{hosts: [a.b.]}]\n", ""},
    {ACME "allow_any_domain: true}}]\nroutes: [{snis: ['*.x'], protocols: [https]}]\n",
     "3:18: note: routes[1].snis[1]: '*.x'" WILD},
    {ACME "domains: ['*.d']}}]\nroutes: [{hosts: ['*.b.d', '*.c.d']}]\ncertificates: [{cert: c, "
          "key: k, snis: [{name: a.d}, {name: '*.c.d'}]}]\n",
     "3:19: warning: routes[1].hosts[1]: '*.b.d'" WILD},
    {ACME "domains: ['*.c']}, enabled: false}]\nroutes: [{hosts: ['*.c']}]\n", ""},
    {"routes: [{hosts: ['*.c']}]\n", ""},
    /* SNIs that no handshake can name. */
    {"certificates: [{cert: c, key: k, snis: [{name: '*'}, {name: '*.a'}, {name: '*.a.b'}, {name: "
     "'*a'}, {name: 'a*'}, {name: a.b.}, {name: 'a.*'}]}]\n",
     "2:61: warning: certificates[1].snis[2].name: '*.a'" NEVER
     "a star at the left needs two labels behind it\n"
     "2:93: warning: certificates[1].snis[4].name: '*a'" NEVER "a star stands for a whole label\n"
     "2:107: warning: certificates[1].snis[5].name: 'a*'" NEVER "a star stands for a whole label\n"
     "2:121: warning: certificates[1].snis[6].name: 'a.b.'" NEVER
     "names come without a dot at their end\n"},
    /* Plugins that nothing here enforces. */
    {"plugins: [{name: cors}, {name: key-auth}]\n",
     "2:18: note: plugins[1]: plugin 'cors': not checked, not enforced here\n"
     "2:32: note: plugins[2]: plugin 'key-auth': not enforced here\n"},
    {"services: [{host: h, updated_at: 5, routes: [{paths: [/], updated_at: x}]}]\n",
     "2:71: warning: services[1].routes[1].updated_at: expected seconds since 1970, and has no "
     "effect here\n"},
    /* Routes behind others. */
    {"routes:\n- {name: a, hosts: [x, Y], paths: [/]}\n- {hosts: [y, x], paths: [/], protocols: "
     "[http]}\n- {hosts: [x], paths: [/]}\n",
     "4:4: warning: routes[2]: unreachable: routes[1] (line 3) matches the same requests\n"},
    {"routes:\n- {headers: {A: [x, y], B: [z]}}\n- {headers: {B: [z], A: [y, x]}}\n- {headers: "
     "{B: [z], A: [y]}}\n",
     "4:4: warning: routes[2]: unreachable: routes[1] (line 3) matches the same requests\n"},
    {"routes:\n- {protocols: [tcp], sources: [{port: 1}]}\n- {protocols: [tcp], destinations: "
     "[{port: 1}]}\n",
     ""},
    {"routes:\n- {protocols: [tls], snis: [a.b]}\n- {protocols: [https], snis: [a.b]}\n- "
     "{protocols: "
     "[tls_passthrough], snis: [a.b]}\n- {protocols: [tls], snis: [a.b]}\n",
     "6:4: warning: routes[4]: unreachable: routes[1] (line 3) matches the same requests\n"},
    {"routes:\n- {paths: ['~/a'], regex_priority: 1}\n- {paths: ['~/a']}\n", ""},
    {"services: [{name: out, host: h, enabled: false, routes: [{paths: [/]}]}]\nroutes: [{paths: "
     "[/]}]\n",
     "2:59: warning: services[1].routes[1]: unreachable: its service 'out' is not enabled\n"},
    {"routes: [{paths: ['~/{id}', '~/a{2}\\{[{]\\p{L}x{1,}y{2,3}', '/{id}', '~/a{,3}']}]\n",
     "2:19: warning: routes[1].paths[1]: Kong's router refuses the brace in '~/{id}': write "
     "\\{\n2:69: warning: routes[1].paths[4]: Kong's router refuses the brace in '~/a{,3}': "
     "write \\{\n"},
};

static void test_rows(void)
{
    struct spec_options options = {.lint = true};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        CU_ASSERT(spec_text_says_with(rows[i].yaml, rows[i].problems, &options));
}

static void test_only_if_asked(void)
{
    CU_ASSERT(spec_text_says("plugins: [{name: cors}]\n", ""));
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("lint", NULL, NULL);
    CU_add_test(suite, "warnings", test_rows);
    CU_add_test(suite, "only if asked", test_only_if_asked);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
