/* What each kind of entity takes and refuses, in Kong's words and with the place. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "tests/support/spec_text.h"

struct row {
    const char *yaml, *problems;
};

static void run(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CU_ASSERT(spec_text_says(rows[i].yaml, rows[i].problems));
}

/* Line 1 is the version, so that each text begins in line 2. */

static const struct row documents[] = {
    {"", ""},
    {"services: []\nroutes: {}\nplugins: null\nsnis:\n", ""},
    {"_comment: x\n_ignore: [1, {a: b}, [null]]\n_transform: false\n", ""},
    {"_ignore: [null]\n", "2:11: _ignore[1]: required field missing\n"},
    {"_transform: null\n", ""},
    {"_ignore: {}\n", ""},
    {"_comment: 1\n", "2:11: _comment: expected a string\n"},
    {"_ignore: x\n", "2:10: _ignore: expected an array\n"},
    {"services: {a: {host: b}}\n", "2:11: services: expected an array\n"},
    {"services: x\n", "2:11: services: expected an array\n"},
    {"services: [1]\n", "2:12: services[1]: expected a record\n"},
    {"services: [null]\n", "2:12: services[1]: required field missing\n"},
    {"services: [[x]]\n",
     "2:12: services[1].host: required field missing\n2:13: services[1][1]: unknown field\n"},
    {"nope: 1\n", "2:1: nope: unknown field\n"},
    {"_info: {select_tags: [a]}\n_workspace: x\n",
     "2:1: _info: unknown field: decK's own key; read it with --deck-format, run `deck file "
     "render` or remove it\n"
     "3:1: _workspace: unknown field: decK's own key; read it with --deck-format, run `deck file "
     "render` or remove it\n"},
    {"consumer_groups: []\n", "2:1: consumer_groups: unknown field: known to Kong Enterprise, not "
                              "to 3.9; --ignore-unsupported leaves it out\n"},
};

static const struct row services[] = {
    {"services: [{host: h}]\n", ""},
    {"services: [{host: h, name: null, path: null, tags: null, retries: null, _comment: c}]\n", ""},
    {"services: [{}]\n", "2:12: services[1].host: required field missing\n"},
    {"services: [{host: null}]\n", "2:19: services[1].host: required field missing\n"},
    {"services: [{host: h, port: null}]\n", "2:28: services[1].port: required field missing\n"},
    {"services: [{host: h, nope: 1, _ignore: [1]}]\n", "2:22: services[1].nope: unknown field\n"},
    {"services: [{host: 5}]\n", "2:19: services[1].host: expected a string\n"},
    {"services: [{host: ''}]\n", "2:19: services[1].host: length must be at least 1\n"},
    {"services: [{host: h, port: 80.0, retries: 1e2}]\n", ""},
    {"services: [{host: h, port: 80.5}]\n", "2:28: services[1].port: expected an integer\n"},
    {"services: [{host: h, port: 65536}]\n",
     "2:28: services[1].port: value should be between 0 and 65535\n"},
    {"services: [{host: h, connect_timeout: 0}]\n",
     "2:39: services[1].connect_timeout: value should be between 1 and 2147483646\n"},
    {"services: [{host: h, read_timeout: 2147483647}]\n",
     "2:36: services[1].read_timeout: value should be between 1 and 2147483646\n"},
    {"services: [{host: h, enabled: 1}]\n", "2:31: services[1].enabled: expected a boolean\n"},
    {"services: [{host: h, enabled: off}]\n", ""},
    {"services: [{host: h, protocol: ws}]\n",
     "2:32: services[1].protocol: expected one of: grpc, grpcs, http, https, tcp, tls, "
     "tls_passthrough, udp\n"},
    {"services: [{host: h, protocol: udp, path: /x}]\n",
     "2:12: services[1]: failed conditional validation given value of field 'protocol'\n"
     "2:43: services[1].path: value must be null\n"},
    {"services: [{host: h, protocol: tls_passthrough, path: /x}]\n", ""},
    {"services: [{host: h, tls_verify: false}]\n",
     "2:12: services[1]: failed conditional validation given value of field 'protocol'\n"
     "2:34: services[1].tls_verify: value must be null\n"},
    {"services: [{host: h, protocol: tls, tls_verify: false, tls_verify_depth: 64}]\n", ""},
    {"services: [{host: h, protocol: https, tls_verify_depth: 65}]\n",
     "2:57: services[1].tls_verify_depth: value should be between 0 and 64\n"},
    {"services: [{host: h, created_at: 0}]\n",
     "2:34: services[1].created_at: expected a valid timestamp\n"},
    {"services: [{host: h, created_at: 1, updated_at: whatever}]\n", ""},
    {"services: [{host: h, tags: [a, a, 'x/y']}]\n",
     "2:35: services[1].tags[3]: invalid tag 'x/y': expected printable ascii (except `,` and `/`) "
     "or valid utf-8 sequences\n"},
    {"services: [{host: h, tags: x}]\n", "2:28: services[1].tags: expected a set\n"},
    {"services: [{host: h, tags: {a: b}}]\n", "2:28: services[1].tags: expected a set\n"},
    {"services: [{host: h, tags: {}}]\n", ""},
    {"services: [{host: h, tags: [null]}]\n",
     "2:29: services[1].tags[1]: required field missing\n"},
    /* The shorthand overrides what stands beside it. */
    {"services: [{url: 'https://h:8443/p', protocol: nope, host: a b, port: x, path: y}]\n", ""},
    {"services: [{url: 'http://h:x/'}]\n", "2:18: services[1].port: expected an integer\n"},
    {"services: [{url: 'http://h:70000/'}]\n",
     "2:18: services[1].port: value should be between 0 and 65535\n"},
    {"services: [{url: 'tcp://h/p'}]\n",
     "2:12: services[1]: failed conditional validation given value of field 'protocol'\n"
     "2:18: services[1].path: value must be null\n"},
    {"services: [{host: h, url: 5}]\n", "2:27: services[1].url: expected a string\n"},
    {"services: [{host: h, url: ''}]\n", "2:27: services[1].url: length must be at least 1\n"},
};

static const struct row routes[] = {
    {"routes: [{paths: [/]}]\n", ""},
    {"routes: [{paths: {}, hosts: [a]}]\n", ""},
    {"routes: [{name: a}]\n",
     "2:10: routes[1]: must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when "
     "'protocols' is 'https'\n"},
    {"routes: [{paths: [], protocols: [http]}]\n",
     "2:10: routes[1]: must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is "
     "'http'\n"},
    {"routes: [{protocols: [grpc], methods: [POST]}]\n",
     "2:10: routes[1]: must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'\n"
     "2:39: routes[1].methods: cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'\n"},
    {"routes: [{protocols: [grpcs], snis: [a]}]\n", ""},
    {"routes: [{protocols: [grpc, grpcs]}]\n",
     "2:10: routes[1]: must set one of 'hosts', 'headers', 'paths', 'snis' when 'protocols' is "
     "'grpcs'\n"},
    {"routes: [{protocols: [grpc], paths: [/], sources: [{port: 1}], destinations: [{port: 1}]}]\n",
     "2:51: routes[1].sources: cannot set 'sources' when 'protocols' is 'grpc' or 'grpcs'\n"
     "2:78: routes[1].destinations: cannot set 'destinations' when 'protocols' is 'grpc' or "
     "'grpcs'\n"},
    {"routes: [{protocols: [tcp], sources: [{ip: 10.0.0.0/8, port: 5}], destinations: [{port: "
     "1}]}]\n",
     ""},
    {"routes: [{protocols: [tcp, udp], snis: [a]}]\n",
     "2:10: routes[1]: 'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or "
     "'tls_passthrough'\n2:40: routes[1].snis: length must be 0\n"},
    {"routes: [{protocols: [tls], snis: [a]}]\n", ""},
    {"routes: [{protocols: [tcp], sources: [{port: 1}], hosts: [a], paths: [/], headers: {a: [b]}, "
     "methods: [GET]}]\n",
     "2:58: routes[1].hosts: cannot set 'hosts' when 'protocols' is 'tcp', 'tls', "
     "'tls_passthrough' or 'udp'\n"
     "2:70: routes[1].paths: cannot set 'paths' when 'protocols' is 'tcp', 'tls', "
     "'tls_passthrough' or 'udp'\n"
     "2:84: routes[1].headers: cannot set 'headers' when 'protocols' is 'tcp', 'tls', "
     "'tls_passthrough' or 'udp'\n"
     "2:103: routes[1].methods: cannot set 'methods' when 'protocols' is 'tcp', 'tls', "
     "'tls_passthrough' or 'udp'\n"},
    {"routes: [{protocols: [], paths: [/]}]\n", "2:22: routes[1].protocols: unknown type: nil\n"},
    {"routes: [{protocols: null, paths: [/]}]\n",
     "2:22: routes[1].protocols: required field missing\n"},
    {"routes: [{protocols: [nope], paths: 5}]\n",
     "2:22: routes[1].protocols: unknown type: nope\n"},
    {"routes: [{protocols: [nope, http], paths: [/]}]\n",
     "2:23: routes[1].protocols[1]: expected one of: grpc, grpcs, http, https, tcp, tls, "
     "tls_passthrough, udp\n"},
    {"routes: [{protocols: http, paths: [/]}]\n", "2:22: routes[1].protocols: expected a set\n"},
    {"routes: [{protocols: 5, paths: [/]}]\n", "2:22: routes[1].protocols: expected a set\n"},
    {"routes: [{protocols: [http, grpc], paths: [/]}]\n",
     "2:22: routes[1].protocols: these sets are mutually exclusive: ('http', 'https'), ('grpc', "
     "'grpcs')\n"},
    {"routes: [{paths: [/], https_redirect_status_code: 301.0}]\n", ""},
    {"routes: [{paths: [/], https_redirect_status_code: 300}]\n",
     "2:51: routes[1].https_redirect_status_code: expected one of: 426, 301, 302, 307, 308\n"},
    {"routes: [{paths: [/], headers: {Host: [a]}}]\n",
     "2:33: routes[1].headers: cannot contain 'host' header, which must be specified in the "
     "'hosts' attribute\n"},
    {"routes: [{paths: [/], headers: {'a b': [c]}}]\n",
     "2:33: routes[1].headers: bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', "
     "and '-'\n"},
    {"routes: [{paths: [/], headers: {a: x, b: [1]}}]\n",
     "2:36: routes[1].headers.a: expected an array\n"
     "2:43: routes[1].headers.b[1]: expected a string\n"},
    {"routes: [{paths: [/], headers: x}]\n", "2:32: routes[1].headers: expected a map\n"},
    {"routes: [{paths: [/], headers: {a: null}}]\n",
     "2:36: routes[1].headers.a: required field missing\n"},
    {"routes: [{protocols: [tcp], sources: [x]}]\n",
     "2:39: routes[1].sources[1]: expected a record\n"},
    {"routes: [{protocols: [tcp], sources: [{ip: 1.2.3.4, nope: 1}]}]\n",
     "2:53: routes[1].sources[1].nope: unknown field\n"},
    {"routes: [{paths: [/], expression: x, priority: 1}]\n",
     "2:23: routes[1].expression: unknown field: routes are those of the router "
     "flavor traditional_compatible\n2:38: routes[1].priority: unknown field\n"},
    {"routes: [{paths: ['~/(', '~/(?=a)', '~/a']}]\n",
     "2:19: routes[1].paths[1]: invalid regex: '/(' (PCRE returned: missing closing parenthesis at "
     "2)\n2:26: routes[1].paths[2]: invalid regex: '/(?=a)' (Kong's router does not have "
     "look-around)\n"},
    {"routes: [{paths: [/], strip_path: true, protocols: [grpc]}]\n",
     "2:35: routes[1].strip_path: cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'\n"},
};

static const struct row upstreams[] = {
    {"upstreams: [{name: a.b}]\n", ""},
    {"upstreams: [{name: 1.2.3.4}]\n",
     "2:20: upstreams[1].name: Invalid name ('1.2.3.4'); no ip addresses allowed\n"},
    {"upstreams: [{name: 'a:80'}]\n",
     "2:20: upstreams[1].name: Invalid name ('a:80'); no port allowed\n"},
    {"upstreams: [{name: a b}]\n",
     "2:20: upstreams[1].name: Invalid name ('a b'); must be a valid hostname\n"},
    {"upstreams: [{name: a, slots: 9}]\n",
     "2:30: upstreams[1].slots: value should be between 10 and 65536\n"},
    {"upstreams: [{name: a, hash_on: cookie}]\n",
     "2:13: upstreams[1]: failed conditional validation given value of field 'hash_on'\n"
     "2:13: upstreams[1].hash_on_cookie: required field missing\n"},
    {"upstreams: [{name: a, hash_on: cookie, hash_on_cookie: c, hash_fallback: ip}]\n",
     "2:13: upstreams[1]: failed conditional validation given value of field 'hash_on'\n"
     "2:74: upstreams[1].hash_fallback: expected one of: none\n"},
    {"upstreams: [{name: a, hash_on: header, hash_on_header: H, hash_fallback: header, "
     "hash_fallback_header: H}]\n",
     "2:13: upstreams[1]: values of these fields must be distinct: 'hash_on_header', "
     "'hash_fallback_header'\n"},
    {"upstreams: [{name: a, hash_on: query_arg, hash_on_query_arg: q, hash_fallback: "
     "uri_capture}]\n",
     "2:13: upstreams[1]: failed conditional validation given value of field 'hash_fallback'\n"
     "2:13: upstreams[1].hash_fallback_uri_capture: required field missing\n"},
    {"upstreams: [{name: a, hash_on: header, hash_on_header: 'x y'}]\n",
     "2:13: upstreams[1]: failed conditional validation given value of field 'hash_on'\n"
     "2:56: upstreams[1].hash_on_header: bad header name 'x y', allowed characters are A-Z, a-z, "
     "0-9, '_', and '-'\n"},
    {"upstreams: [{name: a, hash_on: null}]\n", ""},
    {"upstreams: [{name: a, healthchecks: null}]\n",
     "2:37: upstreams[1].healthchecks: required field missing\n"},
    {"upstreams: [{name: a, healthchecks: {active: {healthy: {interval: 1.5}}}}]\n", ""},
    {"upstreams: [{name: a, healthchecks: {active: {nope: 1}}}]\n",
     "2:47: upstreams[1].healthchecks.active.nope: unknown field\n"},
    {"upstreams: [{name: a, healthchecks: {active: x}}]\n",
     "2:46: upstreams[1].healthchecks.active: expected a record\n"},
    {"upstreams: [{name: a, host_header: 'h:80'}]\n", ""},
    {"upstreams: [{name: a, targets: [{target: 'h:80'}, {target: '[::1]:1', weight: 65536}]}]\n",
     "2:79: upstreams[1].targets[2].weight: value should be between 0 and 65535\n"},
    {"upstreams: [{name: a, targets: [{}]}]\n",
     "2:33: upstreams[1].targets[1].target: required field missing\n"},
    {"upstreams: [{name: a, targets: [{target: h, created_at: 1.5}]}]\n", ""},
    {"targets: [{target: h}]\n", "2:11: targets[1].upstream: required field missing\n"},
};

static const struct row others[] = {
    {"consumers: [{username: a}, {custom_id: b}]\n", ""},
    {"consumers: [{username: null}]\n",
     "2:13: consumers[1]: at least one of these fields must be non-empty: 'custom_id', "
     "'username'\n"},
    {"consumers: [{custom_id: 5}]\n", "2:25: consumers[1].custom_id: expected a string\n"},
    {"consumers: [{username: a, keyauth_credentials: [{key: k, ttl: 5}], basicauth_credentials: "
     "[{username: u, password: p}], acls: [{group: g}], jwt_secrets: [{}], hmacauth_credentials: "
     "[{username: u}], oauth2_credentials: [{name: n}]}]\n",
     ""},
    {"consumers: [{username: a, basicauth_credentials: [{}], jwt_secrets: [{algorithm: RS256}]}]\n",
     "2:51: consumers[1].basicauth_credentials[1].password: required field missing\n"
     "2:51: consumers[1].basicauth_credentials[1].username: required field missing\n"
     "2:70: consumers[1].jwt_secrets[1]: failed conditional validation given value of field "
     "'algorithm'\n2:70: consumers[1].jwt_secrets[1].rsa_public_key: required field missing\n"},
    {"keyauth_credentials: [{key: k}]\n",
     "2:23: keyauth_credentials[1].consumer: required field missing\n"},
    {"vaults: [{name: env, prefix: my-env, config: {prefix: A_}}]\n", ""},
    {"vaults: [{name: env, prefix: env}]\n", "2:30: vaults[1].prefix: must not be one of: env\n"},
    {"vaults: [{name: env, prefix: My}]\n", "2:30: vaults[1].prefix: invalid value: My\n"},
    {"vaults: [{name: env, prefix: my-}]\n", "2:30: vaults[1].prefix: invalid value: my-\n"},
    {"vaults: [{name: env}]\n", "2:10: vaults[1].prefix: required field missing\n"},
    {"vaults: [{prefix: a1}]\n", "2:10: vaults[1].name: required field missing\n"},
    {"vaults: [{name: env, prefix: a1, config: {prefix: 1A, nope: 1}}]\n",
     "2:51: vaults[1].config.prefix: invalid value: 1A\n"
     "2:55: vaults[1].config.nope: unknown field\n"},
    {"workspaces: [{name: services}, {name: mine, meta: {}, config: {}}]\n",
     "2:21: workspaces[1].name: must not be one of: workspaces, consumers, certificates, services, "
     "routes, snis, upstreams, targets, plugins, tags, ca_certificates, clustering_data_planes, "
     "parameters, vaults, key_sets, keys, filter_chains\n"},
    {"servces: []\n", "2:1: servces: unknown field, did you mean services?\n"},
    {"services: [{name: a, host: b, route: []}]\n",
     "2:31: services[1].route: unknown field, did you mean routes?\n"},
    {"services: [{name: a, host: b, flavour: 1}]\n", "2:31: services[1].flavour: unknown field\n"},
    {"plugins: [{name: acme, config: {account_email: a@b.test, domain: [c]}}]\n",
     "2:58: plugins[1].config.domain: unknown field, did you mean domains?\n"},
    {"workspaces: [{name: a, tags: [b]}]\n", "2:24: workspaces[1].tags: unknown field\n"},
    /* Known to others than 3.9. */
    {"services: [{name: a, host: b, tls_sans: {}}]\nconsumer_groups: []\n",
     "2:31: services[1].tls_sans: unknown field: known to Kong Enterprise 3.11 and later, not to "
     "3.9; --ignore-unsupported leaves it out\n3:1: consumer_groups: unknown field: known to Kong "
     "Enterprise, not to 3.9; --ignore-unsupported leaves it out\n"},
    {"parameters: [{key: a, value: b}]\n", ""},
    {"parameters: [{key: a}]\n", "2:14: parameters[1].value: required field missing\n"},
    {"acme_storage: [{key: a, value: b, ttl: 5}]\n", ""},
    {"filter_chains: [{filters: [{name: f}]}]\n",
     "2:17: filter_chains[1]: wasm support is not enabled\n"},
    {"clustering_data_planes: [{ip: 1.2.3.4, hostname: h}]\n", ""},
    {"clustering_data_planes: [{ip: x, hostname: h, config_hash: a}]\n",
     "2:31: clustering_data_planes[1].ip: not an ip address: x\n"
     "2:60: clustering_data_planes[1].config_hash: length must be 32\n"},
};

static const struct row secrets[] = {
    {"certificates: [{cert: a, key: b}]\n", ""}, /* without a judge of certificates */
    {"certificates: [{}]\n", "2:16: certificates[1].cert: required field missing\n"
                             "2:16: certificates[1].key: required field missing\n"},
    {"certificates: [{cert: '', key: 5}]\n",
     "2:23: certificates[1].cert: length must be at least 1\n"
     "2:32: certificates[1].key: expected a string\n"},
    {"certificates: [{cert: a, key: b, key_alt: c}]\n",
     "2:16: certificates[1]: all or none of these fields must be set: 'cert_alt', 'key_alt'\n"},
    {"certificates: [{cert: a, key: b, snis: [x.y]}]\n",
     "2:41: certificates[1].snis[1]: expected a record: write '- name: HOST' (a plain list of "
     "names is the Admin API's form)\n"},
    {"certificates: [{cert: a, key: b, snis: x}]\n",
     "2:40: certificates[1].snis: expected an array\n"},
    {"snis: [{name: a}]\n", "2:8: snis[1].certificate: required field missing\n"},
    {"keys: [{kid: a, jwk: '{\"kid\":\"a\",\"kty\":\"oct\"}'}]\n", ""},
    {"keys: [{kid: a, jwk: '{\"kid\":\"b\",\"kty\":\"oct\"}'}]\n",
     "2:8: keys[1]: kid in jwk.kid must be equal to keys.kid\n"},
    {"keys: [{kid: a, jwk: '{'}]\n", "2:8: keys[1]: could not json decode jwk string\n"},
    {"keys: [{kid: a, jwk: '[]'}]\n", "2:8: keys[1]: kid in jwk.kid must be equal to keys.kid\n"},
    {"keys: [{kid: a, pem: {}}]\n",
     "2:22: keys[1].pem: at least one of these fields must be non-empty: 'private_key', "
     "'public_key'\n"},
    {"keys: [{kid: a, pem: {private_key: x, nope: 1}}]\n",
     "2:39: keys[1].pem.nope: unknown field\n"},
    {"keys: [{jwk: '{}'}]\n", "2:8: keys[1].kid: required field missing\n"},
    {"ca_certificates: [{cert: x, cert_digest: y}]\n", ""},
    {"ca_certificates: [{cert: '-----BEGIN CERTIFICATE----- -----BEGIN CERTIFICATE-----'}]\n",
     "2:19: ca_certificates[1]: please submit only one certificate at a time\n"},
};

static void test_documents(void)
{
    run(documents, ARRAY_LENGTH(documents));
}

static void test_services(void)
{
    run(services, ARRAY_LENGTH(services));
}

static void test_routes(void)
{
    run(routes, ARRAY_LENGTH(routes));
}

static void test_upstreams(void)
{
    run(upstreams, ARRAY_LENGTH(upstreams));
}

static void test_others(void)
{
    run(others, ARRAY_LENGTH(others));
}

static void test_secrets(void)
{
    run(secrets, ARRAY_LENGTH(secrets));
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("entity", NULL, NULL);
    CU_add_test(suite, "documents", test_documents);
    CU_add_test(suite, "services", test_services);
    CU_add_test(suite, "routes", test_routes);
    CU_add_test(suite, "upstreams", test_upstreams);
    CU_add_test(suite, "certificates and keys", test_secrets);
    CU_add_test(suite, "others", test_others);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
