/*
 * Rules over several fields, and values that Kong reads in ways of its own: null, "", references.
 * Each row was compared with what Kong's own code answers.
 */

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

static const struct row upstreams[] = {
    {"upstreams: [{name: u, hash_on: none, hash_fallback: query_arg}]\n",
     "2:13: upstreams[1]: failed conditional validation given value of field 'hash_fallback'\n"
     "2:13: upstreams[1]: failed conditional validation given value of field 'hash_on'\n"
     "2:13: upstreams[1].hash_fallback_query_arg: required field missing\n"
     "2:53: upstreams[1].hash_fallback: expected one of: none\n"},
    {"upstreams: [{name: u, hash_on: header, hash_on_header: 'a b'}]\n",
     "2:13: upstreams[1]: failed conditional validation given value of field 'hash_on'\n"
     "2:56: upstreams[1].hash_on_header: bad header name 'a b', allowed characters are A-Z, a-z, "
     "0-9, '_', and '-'\n"},
    {"upstreams: [{name: u, hash_fallback: null}]\n",
     "2:13: upstreams[1]: failed conditional validation given value of field 'hash_fallback'\n"
     "2:13: upstreams[1].hash_fallback_header: required field missing\n"
     "2:13: upstreams[1].hash_fallback_query_arg: required field missing\n"
     "2:13: upstreams[1].hash_fallback_uri_capture: required field missing\n"
     "2:13: upstreams[1].hash_on_cookie: required field missing\n"},
};

static const struct row routes[] = {
    {"routes: [{protocols: [http, tcp], snis: [a]}]\n",
     "2:22: routes[1].protocols: these sets are mutually exclusive: ('http', 'https'), ('tcp', "
     "'tls', 'udp')\n"},
    {"routes: [{protocols: [http, nope], hosts: [a], snis: [a]}]\n",
     "2:10: routes[1]: 'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or "
     "'tls_passthrough'\n"
     "2:29: routes[1].protocols[2]: expected one of: grpc, grpcs, http, https, tcp, tls, "
     "tls_passthrough, udp\n"
     "2:54: routes[1].snis: length must be 0\n"},
    {"routes: [{protocols: [1], hosts: [a]}]\n", "2:22: routes[1].protocols: unknown type: 1\n"},
    {"routes: [{hosts: [a], regex_priority: 1e300}]\n", ""},
    {"routes: [{protocols: [tcp], sources: [{ip: '[::1]'}, {ip: '[::1]/64'}, {ip: "
     "'[1.2.3.4]'}]}]\n",
     "2:77: routes[1].sources[3].ip: invalid ip or cidr range: '[1.2.3.4]'\n"},
};

static const struct row services[] = {
    {"services: [{url: null}]\n",
     "2:12: services[1].host: required field missing\n"
     "2:18: services[1].url: required field missing: leave url out, or write one\n"},
    {"services: [{url: 'http://a: 80'}, {url: 'http://a:0x50'}, {url: 'http://a:-1'}, {url: "
     "'http://a:1.5'}, {url: 'http://a:8x'}]\n",
     "2:65: services[3].port: value should be between 0 and 65535\n"
     "2:87: services[4].port: expected an integer\n"
     "2:110: services[5].port: expected an integer\n"},
    {"services: [{host: h, protocol: https, id: '', ca_certificates: ['']}]\n",
     "2:43: services[1].id: expected a valid UUID\n"
     "2:65: services[1].ca_certificates[1]: expected a valid UUID\n"},
    {"services: [{host: h, path: '/%4%20'}]\n",
     "2:28: services[1].path: invalid url-encoded value: '%4_'\n"},
};

static const struct row keys[] = {
    {"keys: [{kid: a, jwk: 1, pem: {public_key: '{vault://env/x}'}}]\n",
     "2:22: keys[1].jwk: expected a string\n"},
    {"keys: [{kid: a, jwk: '{vault://env/x}', pem: {public_key: '{vault://env/x}'}}]\n", ""},
    {"keys: [{kid: a, pem: ''}]\n",
     "2:8: keys[1]: at least one of these fields must be non-empty: 'jwk', 'pem'\n"
     "2:22: keys[1].pem: expected a record\n"},
    {"keys: [{kid: a, jwk: '{\"kid\":\"a\"}'}, {kid: b, jwk: "
     "'{\"kid\":\"b\",\"kty\":\"RSA\",\"n\":\"AQ\"}'}]\n",
     "2:8: keys[1]: could not load JWK, likely not a valid key\n"
     "2:38: keys[2]: could not load JWK, likely not a valid key\n"},
    {"keys: [{kid: c, jwk: "
     "'{\"kid\":\"c\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\",\"nope\":1}'}]\n",
     "2:8: keys[1]: Validation error: nope: unknown field\n"},
    {"keys: [{kid: d, jwk: '{\"kid\":\"d\",\"kty\":\"oct\",\"use\":1}'}, {kid: e, jwk: "
     "'{\"kid\":\"e\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQ\",\"key_ops\":\"sign\"}'}]\n",
     "2:8: keys[1]: Validation error: use: expected a string\n"
     "2:58: keys[2]: Validation error: key_ops: expected an array\n"},
};

static const struct row references[] = {
    {"services: [{name: s, host: h, routes: [{paths: [/], service: ''}, {paths: [/], service: {id: "
     "x}}]}]\n",
     "2:62: services[1].routes[1].service: value must be null, or {id: UUID} of one of 'services'\n"
     "2:89: services[1].routes[2].service: value must be null, or {id: UUID} of one of "
     "'services'\n"},
    {"routes: [{paths: [/], service: {id: null}}]\nplugins: [{name: cors, consumer: {}}]\n",
     "2:37: routes[1].service.id: required field missing\n"
     "3:34: plugins[1].consumer.id: missing primary key\n"},
    {"services: [{name: s, host: h, routes: [{paths: [/], service: {id: "
     "0855b320-0dd2-547d-891d-601e9b386472}}]}, {host: h, port: x}]\n",
     "2:62: services[1].routes[1].service: value must be null, or name one of 'services': there is "
     "no '0855b320-0dd2-547d-891d-601e9b386472'\n"
     "2:125: services[2].port: expected an integer\n"},
};

static const struct row acme[] = {
    {"plugins: [{name: acme, config: {account_email: a@b, api_uri: null}}]\n",
     "2:32: plugins[1]: terms of service must be accepted, see "
     "https://letsencrypt.org/repository/\n"
     "2:32: plugins[1].config.tos_accepted: value must be true\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, storage_config: {redis: {namespace: "
     "null, scan_count: null}}}}]\n",
     "2:89: plugins[1].config.storage_config.redis.extra_options.namespace: required field "
     "missing\n"},
};

/* What people write into the wrong place. */
static const struct row mistakes[] = {
    {"plugins: [{name: acme, config: {account_email: a@b, storage: consul, storage_config: {port: "
     "1, "
     "nope: 1}}}]\n",
     "2:87: plugins[1].config.storage_config.port: unknown field: write it into "
     "storage_config.consul\n"
     "2:96: plugins[1].config.storage_config.nope: unknown field\n"},
    {"routes: [{expression: x, hosts: [a]}]\n",
     "2:11: routes[1].expression: unknown field: routes are those of the router flavor "
     "traditional_compatible\n"},
    {"consumers: [{username: a, jwt_secrets: [{key: k, algorithm: RS256}]}]\n",
     "2:41: consumers[1].jwt_secrets[1]: failed conditional validation given value of field "
     "'algorithm'\n"
     "2:41: consumers[1].jwt_secrets[1].rsa_public_key: required field missing\n"},
};

static const struct row certificates[] = {
    {"certificates: [{cert: c, key: k, cert_alt: '{vault://env/c}'}]\n", ""},
    {"certificates: [{cert: c, key: k, cert_alt: c}]\n",
     "2:16: certificates[1]: all or none of these fields must be set: 'cert_alt', 'key_alt'\n"},
};

static const struct row others[] = {
    {"acme_storage: [{}, {ttl: x}]\n", ""},
    {"clustering_data_planes: [{ip: 1.2.3.4, hostname: h, version: x}, {ip: 1.2.3.4, hostname: h, "
     "version: 1..2, config_hash: ''}]\n",
     "2:62: clustering_data_planes[1].version: invalid version number: must be in format of X.Y.Z\n"
     "2:102: clustering_data_planes[2].version: must not have empty version segments\n"
     "2:121: clustering_data_planes[2].config_hash: length must be 32\n"},
};

static void test_upstreams(void)
{
    run(upstreams, ARRAY_LENGTH(upstreams));
}

static void test_routes(void)
{
    run(routes, ARRAY_LENGTH(routes));
}

static void test_services(void)
{
    run(services, ARRAY_LENGTH(services));
}

static void test_keys(void)
{
    run(keys, ARRAY_LENGTH(keys));
}

static void test_references(void)
{
    run(references, ARRAY_LENGTH(references));
}

static void test_acme(void)
{
    run(acme, ARRAY_LENGTH(acme));
}

static void test_mistakes(void)
{
    run(mistakes, ARRAY_LENGTH(mistakes));
}

static void test_certificates(void)
{
    run(certificates, ARRAY_LENGTH(certificates));
}

static void test_others(void)
{
    run(others, ARRAY_LENGTH(others));
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("rules", NULL, NULL);
    CU_add_test(suite, "upstreams", test_upstreams);
    CU_add_test(suite, "routes", test_routes);
    CU_add_test(suite, "services", test_services);
    CU_add_test(suite, "keys", test_keys);
    CU_add_test(suite, "references", test_references);
    CU_add_test(suite, "acme", test_acme);
    CU_add_test(suite, "mistakes", test_mistakes);
    CU_add_test(suite, "certificates", test_certificates);
    CU_add_test(suite, "others", test_others);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
