/* What a running server's page says of names that have several certificates. */
#include "reconciler/cli/client/certificates_page.h"

#include <CUnit/Basic.h>

#include "tests/support/suite.h"

#define NOW INT64_C(1800000000)
#define ENTRY(name, key, state, action, place)                                                    \
    "{\"name\":\"" name "\",\"state\":\"" state "\",\"issuer\":\"CA\","                           \
    "\"not_before\":\"2027-01-01T00:00:00Z\",\"not_after\":\"2027-04-01T00:00:00Z\","             \
    "\"ca\":\"https://ca.test/\",\"key_type\":\"" key "\",\"failures\":0,\"declared_at\":[" place \
    "],\"next\":{\"action\":\"" action "\",\"because\":{\"reason\":\"x\"}}}"
#define PAGE(entries) STR("{\"format\":1,\"certificates\":[" entries "]}")

/* The first of a name is its first family; what is said twice counts once. */
static void families(void)
{
    static const struct str body =
        PAGE(ENTRY("b.test", "rsa-2048", "valid", "renew", "\"x:1:1\"") "," ENTRY(
            "b.test", "ecdsa-p256", "valid", "retire",
            "") "," ENTRY("b.test", "ecdsa-p384", "valid", "retire",
                          "") "," ENTRY("a.test", "ecdsa-p256", "revoked", "renew",
                                        "") "," ENTRY("a.test", "rsa-4096", "valid", "retire", ""));
    struct arena *arena = arena_new(NULL);
    struct policy policy = {0};
    struct desired_options options = {0};
    struct certificates_page *page;
    struct observed *o;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(certificates_page_open(body, &page, &e), 0);
    CU_ASSERT_EQUAL_FATAL(certificates_page_observe(page, &policy, arena, &o, &e), 0);
    CU_ASSERT_EQUAL_FATAL(o->count, 4);
    for (size_t i = 0; i < o->count; i++)
        CU_ASSERT(str_equal_cstr(o->names[i].subject.name, i < 2 ? "a.test" : "b.test"));
    CU_ASSERT_EQUAL(o->names[0].subject.family, FAMILY_FIRST);
    CU_ASSERT_EQUAL(o->names[1].subject.family, FAMILY_RSA);
    CU_ASSERT_EQUAL(o->names[1].first_ends_at, 0); /* it was revoked */
    CU_ASSERT_EQUAL(o->names[2].subject.family, FAMILY_FIRST);
    CU_ASSERT_EQUAL(o->names[3].subject.family, FAMILY_ECDSA);
    CU_ASSERT_EQUAL(o->names[3].facts.key_type, KEY_P256);
    CU_ASSERT_EQUAL(o->names[3].first_ends_at, o->names[2].facts.not_after);
    CU_ASSERT_EQUAL(certificates_page_demands(page, NOW, arena, &options, &e), 0);
    CU_ASSERT(options.demand_count == 1 && str_equal_cstr(options.demands[0].name, "a.test"));
    certificates_page_close(page);
    arena_free(arena);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"families", families},
        CU_TEST_INFO_NULL,
    };

    return suite_run("certificates page", tests);
}
