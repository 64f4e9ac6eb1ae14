/* Single strings: names, hosts, addresses, paths, URLs, regular expressions. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <string.h>

#include "spec/address.h"
#include "spec/check.h"
#include "spec/regex.h"
#include "spec/route_path.h"
#include "spec/schema.h"
#include "spec/kong_url.h"

struct row {
    const char *value, *why; /* "": fine */
};

static bool answers(schema_check *check, const struct row *row)
{
    struct buf why = BUF_INIT(4096);
    bool is_right;

    check(str_from(row->value), &why);
    is_right = str_equal(buf_view(&why), str_from(row->why));
    if (!is_right)
        printf("\n%s: wanted '%s', got '%.*s'\n", row->value, row->why, STR_ARG(buf_view(&why)));
    buf_free(&why);
    return is_right;
}

static const struct row uuids[] = {
    {"0855b320-0dd2-547d-891d-601e9b38647f", ""},
    {"0855B320-0DD2-547D-891D-601E9B38647F", ""},
    {"0855b320-0dd2-547d-891d-601e9b38647", "expected a valid UUID"},
    {"0855b3200-dd2-547d-891d-601e9b38647f", "expected a valid UUID"},
    {"0855b320-0dd2-547d-891d-601e9b38647g", "expected a valid UUID"},
};

#define BAD_NAME ": the only accepted ascii characters are alphanumerics or ., -, _, and ~"

static const struct row names[] = {
    {"a", ""},
    {"A.b-c_d~9", ""},
    {"\xe5\xad\x94", ""},
    {"a b", "invalid value 'a b'" BAD_NAME},
    {"a:b", "invalid value 'a:b'" BAD_NAME},
    {"a/b", "invalid value 'a/b'" BAD_NAME},
};

#define BAD_TAG ": expected printable ascii (except `,` and `/`) or valid utf-8 sequences"

static const struct row tags[] = {
    {"x", ""},
    {"two words", ""},
    {"k8s-name:x", ""},
    {"\xc3\xbc", ""},
    {"a,b", "invalid tag 'a,b'" BAD_TAG},
    {"a/b", "invalid tag 'a/b'" BAD_TAG},
    {"a\tb", "invalid tag 'a\tb'" BAD_TAG},
};

static const struct row hosts[] = {
    {"example.com", ""},
    {"EXAMPLE.com", ""},
    {"a_b.c-d", ""},
    {"-a", ""},
    {"example.com.", ""},
    {"localhost", ""},
    {"192.0.2.7", ""},
    {"::1", ""},
    {"2001:db8::1", ""},
    {"[::1]", ""},
    {"1:2:3:4:5:6:7:8", ""},
    {"a:80", "must not have a port"},
    {"a:99999", "must not have a port"},
    {"192.0.2.7:80", "must not have a port"},
    {"[::1]:80", "must not have a port"},
    {"a-", "invalid value: a-"},
    {"a-.b", "invalid value: a-.b"},
    {"a..b", "invalid value: a..b"},
    {".a", "invalid value: .a"},
    {".", "invalid value: ."},
    {"a b", "invalid value: a b"},
    {"a/b", "invalid value: a/b"},
    {"a:b", "invalid value: a:b"},
    {"256.1.1.1", "invalid value: 256.1.1.1"},
    {"1.2.3", "invalid value: 1.2.3"},
    {"12345", "invalid value: 12345"},
    {"1:2:3:4:5:6:7", "invalid value: 1:2:3:4:5:6:7"},
    {"1::2::3", "invalid value: 1::2::3"},
    {"[::1", "invalid value: [::1"},
    {"[::1]x", "invalid value: [::1]x"},
    {"::12345", "invalid value: ::12345"},
    {"::g", "invalid value: ::g"},
};

static const struct row hosts_and_ports[] = {
    {"a", ""},
    {"a:80", ""},
    {"[::1]:8080", ""},
    {"a:65536", "invalid port number"},
    {"1.2.3.4:70000", "invalid port number"},
    {"[::1]:70000", "invalid port number"},
    {"a:99999999999999999999", "invalid port number"},
    {"http://a", "invalid hostname: http://a"},
    {"1.2.3.4.5", "invalid ipv4 address: 1.2.3.4.5"},
    {"1:2:3", "invalid ipv6 address: 1:2:3"},
};

static const struct row host_patterns[] = {
    {"a.b", ""},
    {"*.a.b", ""},
    {"a.b.*", ""},
    {"*.a:80", ""},
    {"127.0.0.1", ""},
    {"*", "invalid wildcard: must be placed at leftmost or rightmost label"},
    {"*a.b", "invalid wildcard: must be placed at leftmost or rightmost label"},
    {"a.*.b", "invalid wildcard: must be placed at leftmost or rightmost label"},
    {"a.b*", "invalid wildcard: must be placed at leftmost or rightmost label"},
    {"*.*", "invalid wildcard: must have at most one wildcard"},
    {"**.a", "invalid wildcard: must have at most one wildcard"},
    {"*.a b", "invalid hostname: abc.a b"},
    {"*.a:70000", "invalid port number"},
    {"a..b", "invalid hostname: a..b"},
};

static const struct row server_names[] = {
    {"a.b", ""},
    {"1.2.3.4", "must not be an IP"},
    {"1.2.3.4:80", "must not be an IP"},
    {"::1", "must not be an IP"},
    {"a:80", "must not have a port"},
    {"a:70000", "must not have a port"},
    {"a b", "invalid value: a b"},
};

static const struct row server_name_patterns[] = {
    {"a.b", ""},
    {"*", ""},
    {"*.a", ""},
    {"a.*", ""},
    {"a.b.*", ""},
    {"*a", ""},
    {"a.*.b", "wildcard must be leftmost or rightmost character"},
    {"*.*", "only one wildcard must be specified"},
    {"*.a:80", "must not have a port"},
    {"*.a b", "invalid value: wildcard.a b"},
    {"1.2.3.4", "must not be an IP"},
};

static const struct row addresses[] = {
    {"1.2.3.4", ""},
    {"::1", ""},
    {"10.0.0.0/8", ""},
    {"::/0", ""},
    {"::/128", ""},
    {"0.0.0.0/33", "invalid ip or cidr range: '0.0.0.0/33'"},
    {"::/129", "invalid ip or cidr range: '::/129'"},
    {"10.0.0.0/08", "invalid ip or cidr range: '10.0.0.0/08'"},
    {"10.0.0.0/", "invalid ip or cidr range: '10.0.0.0/'"},
    {"localhost", "invalid ip or cidr range: 'localhost'"},
    {"1.2.3", "invalid ip or cidr range: '1.2.3'"},
};

static const struct row paths[] = {
    {"/", ""},
    {"/a/b~c", ""},
    {"/%aa%10%FF", ""},
    {"/p$with!&'()*+,;=:@", ""},
    {"a", "should start with: /"},
    {"//", "must not have empty segments"},
    {"/a//b", "must not have empty segments"},
    {"/a b", "invalid path: '/a b' (characters outside of the reserved list of RFC 3986 found)"},
    {"/a?b", "invalid path: '/a?b' (characters outside of the reserved list of RFC 3986 found)"},
    {"/a%2w", "invalid url-encoded value: '%2w'"},
    {"/a%", "invalid url-encoded value: '%'"},
    {"/a%2", "invalid url-encoded value: '%2'"},
};

static const struct row methods[] = {
    {"GET", ""},
    {"BREW", ""},
    {"get", "invalid value: get"},
    {"M-SEARCH", "invalid value: M-SEARCH"},
    {" GET", "invalid value:  GET"},
};

static const struct row header_names[] = {
    {"X-A_1", ""},
    {"X A", "bad header name 'X A', allowed characters are A-Z, a-z, 0-9, '_', and '-'"},
    {"X:", "bad header name 'X:', allowed characters are A-Z, a-z, 0-9, '_', and '-'"},
};

static const struct row cookies[] = {
    {"a", ""},
    {"a.b|c!", ""},
    {"a b", "contains one or more invalid characters. ASCII control characters (0-31;127), space, "
            "tab and the characters ()<>@,;:\\\"/?={}[] are not allowed."},
};

static const struct row urls[] = {
    {"https://a", ""},
    {"https://a:80/b", ""},
    {"ftp://a", ""},
    {"a", "missing host in url"},
    {"https:", "missing host in url"},
    {"//a", "missing scheme in url"},
};

static const struct row route_paths[] = {
    {"/", ""},
    {"/a b", ""},
    {"/\xc3\xbc", ""},
    {"/x?y", ""},
    {"/a%2Fb", ""},
    {"~/a/\\d+$", ""},
    {"~/(?<id>[a-z]{2,3})", ""},
    {"a", "should start with: / (fixed path) or ~/ (regex path)"},
    {"~a", "should start with: / (fixed path) or ~/ (regex path)"},
    {"/a//b", "must not have empty segments"},
    {"~/a//b", "must not have empty segments"},
    {"/a/../b", "non-normalized path, consider use '/b' instead"},
    {"/a/./b", "non-normalized path, consider use '/a/b' instead"},
    {"/%61", "non-normalized path, consider use '/a' instead"},
    {"/a%2fb", "non-normalized path, consider use '/a%2Fb' instead"},
    {"/a%zz", "invalid url-encoded value: '%zz'"},
    {"/a b%zz", ""},
    {"/.hidden", ""},
    {"/a.b", ""},
};

static const struct {
    schema_check *check;
    const struct row *rows;
    size_t count;
} tables[] = {
    {check_uuid, uuids, ARRAY_LENGTH(uuids)},
    {check_name, names, ARRAY_LENGTH(names)},
    {check_tag, tags, ARRAY_LENGTH(tags)},
    {check_host, hosts, ARRAY_LENGTH(hosts)},
    {check_host_and_port, hosts_and_ports, ARRAY_LENGTH(hosts_and_ports)},
    {check_host_pattern, host_patterns, ARRAY_LENGTH(host_patterns)},
    {check_server_name, server_names, ARRAY_LENGTH(server_names)},
    {check_server_name_pattern, server_name_patterns, ARRAY_LENGTH(server_name_patterns)},
    {check_ip_or_cidr, addresses, ARRAY_LENGTH(addresses)},
    {check_path, paths, ARRAY_LENGTH(paths)},
    {check_method, methods, ARRAY_LENGTH(methods)},
    {check_header_name, header_names, ARRAY_LENGTH(header_names)},
    {check_cookie_name, cookies, ARRAY_LENGTH(cookies)},
    {check_url, urls, ARRAY_LENGTH(urls)},
    {route_path_check, route_paths, ARRAY_LENGTH(route_paths)},
};

static void test_checks(void)
{
    for (size_t t = 0; t < ARRAY_LENGTH(tables); t++)
        for (size_t i = 0; i < tables[t].count; i++)
            CU_ASSERT(answers(tables[t].check, &tables[t].rows[i]));
}

static void test_address_parts(void)
{
    struct address a;

    CU_ASSERT(address_parse(STR("h.example:8080"), &a) == ADDRESS_FINE);
    CU_ASSERT(a.type == ADDRESS_NAME && a.has_port && a.port == 8080);
    CU_ASSERT(str_equal(a.host, STR("h.example")));
    CU_ASSERT(address_parse(STR("[2001:db8::1]:443"), &a) == ADDRESS_FINE);
    CU_ASSERT(a.type == ADDRESS_IPV6 && a.port == 443 && str_equal(a.host, STR("2001:db8::1")));
    CU_ASSERT(address_parse(STR("192.0.2.1:1"), &a) == ADDRESS_FINE);
    CU_ASSERT(a.type == ADDRESS_IPV4 && str_equal(a.host, STR("192.0.2.1")));
    CU_ASSERT(address_parse(STR("h:"), &a) == ADDRESS_BAD_HOST);
}

static const struct {
    const char *text, *scheme, *host, *port, *path;
} url_parts[] = {
    {"http://h:80/p", "http", "h", "80", "/p"},
    {"https://user:pw@h/p?q#f", "https", "h", NULL, "/p"},
    {"grpcs://h", "grpcs", "h", NULL, NULL},
    {"http://[::1]:8080/x;y", "http", "::1", "8080", "/x"},
    {"http://[::1]", "http", "::1", NULL, NULL},
    {"h/p", NULL, NULL, NULL, "h/p"},
    {"h:80/p", "h", NULL, NULL, "80/p"},
    {"//h/p", NULL, "h", NULL, "/p"},
    {"http:/p", "http", NULL, NULL, "/p"},
    {"http://:80/", "http", NULL, "80", "/"},
    {"http://h:/", "http", "h", "", "/"},
};

static bool is_part(struct str part, const char *wanted)
{
    return wanted ? part.ptr && str_equal_cstr(part, wanted) : !part.ptr;
}

static void test_url_parts(void)
{
    struct kong_url u;

    CU_ASSERT_FALSE(kong_url_parse(STR(""), &u));
    for (size_t i = 0; i < ARRAY_LENGTH(url_parts); i++) {
        CU_ASSERT(kong_url_parse(str_from(url_parts[i].text), &u));
        CU_ASSERT(is_part(u.scheme, url_parts[i].scheme));
        CU_ASSERT(is_part(u.host, url_parts[i].host));
        CU_ASSERT(is_part(u.port, url_parts[i].port));
        CU_ASSERT(is_part(u.path, url_parts[i].path));
    }
}

static const struct {
    const char *path, *normal, *migrated;
} normal_paths[] = {
    {"/", "/", "/"},
    {"", "", ""},
    {"/a/b/", "/a/b/", "/a/b/"},
    {"/a/b/..", "/a/", "/a/"},
    {"/a/../../b", "/b", "/b"},
    {"/.", "/", "/"},
    {"/..", "/", "/"},
    {"/a/.", "/a/", "/a/"},
    {"..", "", ""},
    {"../a", "a", "a"},
    {"./a", "a", "a"},
    {"/a//b", "/a/b", "/a/b"},
    {"//", "/", "/"},
    {"/%2e%2E/a", "/a", "/a"},
    {"/%41%7e%20", "/A~ ", "/A~ "},
    {"/%2f%3F%25", "/%2F%3F%25", "/%2F%3F%25"},
    {"/%c3%a9", "/\xc3\xa9", "/\xc3\xa9"},
    {"/%zz%4", "/%zz%4", "/%zz%4"},
    {"/a.b/...", "/a.b/...", "/a.b/..."},
    {"/a+", "/a+", "~/a+"},
    {"/foo\\d+", "/foo\\d+", "~/foo\\d+"},
    {"/%41(x)%2f", "/A(x)%2F", "~/A(x)%2F"},
    {"/%2e*%7c%5e", "/.*|^", "~/\\.*\\|\\^"},
};

static void test_paths(void)
{
    struct arena *arena = arena_new(NULL);

    CU_ASSERT_FATAL(arena != NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(normal_paths); i++) {
        struct str normal = route_path_normalize(arena, str_from(normal_paths[i].path));
        struct str migrated = route_path_migrate(arena, str_from(normal_paths[i].path));
        bool is_right = str_equal_cstr(normal, normal_paths[i].normal) &&
                        str_equal_cstr(migrated, normal_paths[i].migrated);

        if (!is_right)
            printf("\n%s: %.*s and %.*s\n", normal_paths[i].path, STR_ARG(normal),
                   STR_ARG(migrated));
        CU_ASSERT(is_right);
    }
    arena_free(arena);
}

static const struct {
    const char *pattern, *what; /* NULL: fine */
} patterns[] = {
    {"/a", NULL},
    {"/(a|b)*?c+$", NULL},
    {"/(?<n>x)(?P<m>y)(?:z)(?i)w", NULL},
    {"/[(?=]\\(?=", NULL},
    {"/[[:alpha:]]+[]a]\\d\\w\\s\\b", NULL},
    {"/[\\]\\1]", NULL},
    {"/a{2,3}?b{4}c{5,}", NULL},
    {"/\\p{L}\\x{41}\\x41", NULL},
    {"/(?=a)", "look-around"},
    {"/(?!a)", "look-around"},
    {"/(?<=a)b", "look-around"},
    {"/(?<!a)b", "look-around"},
    {"/(a)\\1", "a back-reference"},
    {"/(?<n>a)\\k<n>", "a back-reference"},
    {"/(?P<n>a)(?P=n)", "a back-reference"},
    {"/(a)\\g1", "a back-reference"},
    {"/(?>a)", "an atomic group"},
    {"/a++", NULL}, /* a repeated repetition to that engine */
    {"/a{2}+", NULL},
    {"/(a)(?(1)b|c)", "a condition"},
    {"/(?R)?", "a recursion"},
    {"/(a(?1)?)", "a recursion"},
    {"/(?|(a)|(b))", "a branch reset"},
    {"/(*UTF8)a", "a verb"},
    {"/a\\Kb", "a match reset"},
    {"/\\Ga", "an anchor of the last match"},
    {"/\\Qa.b\\E", "a quoted part"},
    {"/a(?#comment)", "a comment"},
    {"/\\R", "an escape of PCRE alone"},
    {"/\\07\\o{7}", "an escape of PCRE alone"},
};

static void test_regexes(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        const char *what = regex_foreign_construct(str_from(patterns[i].pattern));
        bool is_right = patterns[i].what ? what && strcmp(what, patterns[i].what) == 0 : !what;

        if (!is_right)
            printf("\n%s: %s\n", patterns[i].pattern, what ? what : "fine");
        CU_ASSERT(is_right);
    }
    CU_ASSERT(answers(regex_check, &(struct row){"/a(b", "invalid regex: '/a(b' (PCRE returned: "
                                                         "missing closing parenthesis at 4)"}));
    CU_ASSERT(answers(regex_check, &(struct row){"/(?=a)", "invalid regex: '/(?=a)' (Kong's router "
                                                           "does not have look-around)"}));
    CU_ASSERT(answers(regex_check, &(struct row){"/a\\d+", ""}));
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("check", NULL, NULL);
    CU_add_test(suite, "checks", test_checks);
    CU_add_test(suite, "parts of addresses", test_address_parts);
    CU_add_test(suite, "parts of URLs", test_url_parts);
    CU_add_test(suite, "paths", test_paths);
    CU_add_test(suite, "regular expressions", test_regexes);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
