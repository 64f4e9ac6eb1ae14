/* Addresses that are not public, and URLs: who is connected to. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/io/resolve.h"
#include "reconciler/io/url.h"

static const struct {
    const char *address;
    bool is_private;
} addresses[] = {
    {"127.0.0.1", true},
    {"10.1.2.3", true},
    {"172.16.0.1", true},
    {"172.31.255.255", true},
    {"172.32.0.1", false},
    {"172.15.255.255", false},
    {"192.168.9.9", true},
    {"192.169.0.1", false},
    {"169.254.169.254", true},
    {"100.64.0.1", true},
    {"100.63.255.255", false},
    {"100.128.0.0", false},
    {"0.0.0.0", true},
    {"255.255.255.255", true},
    {"9.255.255.255", false},
    {"11.0.0.0", false},
    {"::1", true},
    {"::", true},
    {"::2", false},
    {"fc00::1", true},
    {"fdff::1", true},
    {"fe00::1", false},
    {"fe80::1", true},
    {"fec0::1", false},
    {"2606:4700::1", false},
    {"::ffff:10.0.0.1", true},
    {"::ffff:9.9.9.9", false},
    {"8.8.8.8", false},
    {"not an address", false},
};

static void test_private(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++)
        if (resolve_is_private(addresses[i].address) != addresses[i].is_private)
            CU_FAIL(addresses[i].address);
}

static const struct {
    const char *base, *location, *result; /* NULL: refused */
} redirects[] = {
    {"https://a.example/dir", "/other", "https://a.example/other"},
    {"https://a.example/x/dir", "other", "https://a.example/x/other"},
    {"https://a.example/dir", "https://b.example:8443/d", "https://b.example:8443/d"},
    {"https://a.example/dir", "//b.example/d", "https://b.example/d"},
    {"https://a.example/dir", "http://a.example/dir", NULL},
    {"https://a.example/dir", "file:///etc/passwd", NULL},
    {"https://a.example/dir", "https://", NULL},
};

static void test_redirects(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(redirects); i++) {
        struct error e;
        char *got = url_relative(redirects[i].base, str_from(redirects[i].location), &e);
        if (!got != !redirects[i].result || (got && strcmp(got, redirects[i].result) != 0))
            CU_FAIL(redirects[i].location);
        free(got);
    }
}

static const struct {
    const char *url, *proxy, *host, *port;
} targets[] = {
    {"https://a.example/x", NULL, "a.example", "443"},
    {"https://a.example:14000/x", NULL, "a.example", "14000"},
    {"https://[2001:db8::1]:444/", NULL, "2001:db8::1", "444"},
    {"https://a.example/x", "http://p.example:3128", "p.example", "3128"},
    {"https://a.example/x", "p.example:3129", "p.example", "3129"},
};

static void test_targets(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(targets); i++) {
        struct error e;
        char *host = NULL, *port = NULL;
        CU_ASSERT_EQUAL_FATAL(url_connect_to(targets[i].url, targets[i].proxy, &host, &port, &e),
                              0);
        CU_ASSERT_STRING_EQUAL(host, targets[i].host);
        CU_ASSERT_STRING_EQUAL(port, targets[i].port);
        free(host);
        free(port);
    }
}

static const struct {
    const char *https_proxy, *no_proxy, *url, *proxy;
} proxies[] = {
    {NULL, NULL, "https://ca.example/", NULL},
    {"http://p:1", NULL, "https://ca.example/", "http://p:1"},
    {"http://p:1", "ca.example", "https://ca.example/", NULL},
    {"http://p:1", "other, .example", "https://ca.example/", NULL},
    {"http://p:1", "a.example", "https://ca.example/", "http://p:1"},
    {"http://p:1", "*", "https://ca.example/", NULL},
    {"", NULL, "https://ca.example/", NULL},
};

static void set_or_unset(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void test_proxies(void)
{
    static const char *const others[] = {"HTTPS_PROXY", "all_proxy", "ALL_PROXY", "NO_PROXY"};

    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        unsetenv(others[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(proxies); i++) {
        const char *got;
        set_or_unset("https_proxy", proxies[i].https_proxy);
        set_or_unset("no_proxy", proxies[i].no_proxy);
        got = url_proxy(proxies[i].url);
        if (!got != !proxies[i].proxy || (got && strcmp(got, proxies[i].proxy) != 0))
            CU_FAIL(proxies[i].no_proxy ? proxies[i].no_proxy : "proxy");
    }
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("resolve", NULL, NULL);
    CU_add_test(suite, "private addresses", test_private);
    CU_add_test(suite, "redirects", test_redirects);
    CU_add_test(suite, "targets", test_targets);
    CU_add_test(suite, "proxies", test_proxies);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
