#include "reconciler/core/public_ca.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"

static void directories(void)
{
    static const struct {
        const char *url;
        bool is_public, is_lets_encrypt;
    } rows[] = {
        {"https://acme-v02.api.letsencrypt.org/directory", true, true},
        {"https://acme-staging-v02.api.letsencrypt.org/directory", true, true},
        {"https://ACME-v02.API.LetsEncrypt.org/directory", true, true},
        {"https://letsencrypt.org", true, true},
        {"https://acme.zerossl.com/v2/DV90", true, false},
        {"https://dv.acme-v02.api.pki.goog/directory", true, false},
        {"https://api.buypass.com/acme/directory", true, false},
        {"https://acme.ssl.com/sslcom-dv-ecc", true, false},
        {"https://acme.zerossl.com:443/v2/DV90", true, false},
        {"https://user:secret@acme.ssl.com/x", true, false},
        {"https://acme.ssl.com./x", true, false},
        {"https://localhost:14000/dir", false, false},
        {"https://notletsencrypt.org/directory", false, false},
        {"https://letsencrypt.org.evil.com/directory", false, false},
        {"https://ca.example/letsencrypt.org", false, false},
        {"https://ca.example?x=https://letsencrypt.org", false, false},
        {"https://acme.zerossl.com@ca.example/", false, false},
        {"https://[2001:db8::1]:14000/dir", false, false},
        {"", false, false},
        {"://", false, false},
        {"letsencrypt.org", true, true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str url = str_from(rows[i].url);

        if (public_ca_runs(url) != rows[i].is_public)
            fprintf(stderr, "%s\n", rows[i].url);
        CU_ASSERT_EQUAL(public_ca_runs(url), rows[i].is_public);
        CU_ASSERT_EQUAL(public_ca_is_lets_encrypt(url), rows[i].is_lets_encrypt);
    }
}

static void names(void)
{
    static const char long_label[] =
        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.com";
    static const char just_fits[] =
        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg.com";
    static const struct {
        const char *name, *why; /* a word of the reason, NULL: may be certified */
    } rows[] = {
        {"example.com", NULL},
        {"a.b.c.example.com", NULL},
        {"xn--bcher-kva.de", NULL},
        {"1.2.3.com", NULL},
        {"localhost.com", NULL},
        {"test.org", NULL},
        {"arpa.com", NULL},
        {just_fits, NULL},
        {"localhost", "one label"},
        {"intranet", "one label"},
        {"under_score.com", "underscore"},
        {"_acme.com", "underscore"},
        {"10.0.0.1", "IP address"},
        {"1.2.3.4.5", "number"},
        {"a.localhost", "reserved"},
        {"a.local", "reserved"},
        {"a.internal", "reserved"},
        {"a.invalid", "reserved"},
        {"a.onion", "reserved"},
        {"a.test", "reserved"},
        {"a.example", "reserved"},
        {"a.alt", "reserved"},
        {"a.lan", "reserved"},
        {"router.home.arpa", "home.arpa"},
        {"home.arpa", "home.arpa"},
        {"-a.com", "hyphen"},
        {"a-.com", "hyphen"},
        {long_label, "63"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *why = public_ca_refuses(str_from(rows[i].name));
        bool right = rows[i].why ? why && strstr(why, rows[i].why) : !why;

        if (!right)
            fprintf(stderr, "%s: %s\n", rows[i].name, why ? why : "fine");
        CU_ASSERT(right);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {{"directories", directories}, {"names", names}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"public ca", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
