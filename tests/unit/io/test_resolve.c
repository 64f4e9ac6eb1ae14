/* URLs: who is connected to. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/io/destination.h"

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
        char *got = destination_relative(redirects[i].base, str_from(redirects[i].location), &e);
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
        CU_ASSERT_EQUAL_FATAL(destination_connect_to(targets[i].url, targets[i].proxy, &host, &port, &e),
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
        got = destination_proxy(proxies[i].url);
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
    CU_add_test(suite, "redirects", test_redirects);
    CU_add_test(suite, "targets", test_targets);
    CU_add_test(suite, "proxies", test_proxies);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
