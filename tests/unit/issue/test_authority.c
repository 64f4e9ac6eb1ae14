/* Accounts: whose key, where it is kept, and what becomes of orders while there is none. */
#include "reconciler/issue/authority.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/issue/issuance.h"
#include "tests/fakes/issuing.h"
#include "tests/support/suite.h"

#define MINUTE 60000

static struct issuing *started(const struct fake_ca_options *ca)
{
    static struct issuing i;

    issuing_start(&i, ca);
    issuing_use(&i);
    return &i;
}

static void a_key_of_our_own(void)
{
    struct issuing *i = started(NULL);

    issuing_restart(i);
    i->at.account_key = STR_NONE;
    i->at.email = STR("other@example.com");
    i->jobs = ISSUING_IS_SLOW;
    issuing_use(i);
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_run(i, NULL, MINUTE);
    CU_ASSERT_PTR_NULL(issuance_account_error(i->issuance)); /* not known yet */
    i->jobs = ISSUING_WORKS;
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
    issuing_restart(i); /* it is there, with its URL */
    fake_ca_log_clear(i->ca);
    issuing_use(i);
    issuing_want(i, "b.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued b.test\n", MINUTE));
    CU_ASSERT_PTR_NULL(strstr(fake_ca_log(i->ca), "POST /account\n"));
    issuing_stop(i);
}

/* No storage for the key, or for the account's URL: why is told, and it is tried again. */
static void no_account(void)
{
    static const struct {
        enum issuing_end journal;
        int spared;
        const char *why;
    } cases[] = {
        {ISSUING_FAILS, 0, "the disk is full"},
        {ISSUING_REFUSES, 0, "out of memory"},
        {ISSUING_FAILS, 1, "the disk is full"},
        {ISSUING_REFUSES, 1, "out of memory"},
    };

    for (size_t n = 0; n < ARRAY_LENGTH(cases); n++) {
        struct issuing *i = started(NULL);

        issuing_restart(i);
        i->at.account_key = STR_NONE;
        i->at.email = STR("other@example.com");
        i->journal_spares = cases[n].spared;
        i->journal = cases[n].journal;
        issuing_use(i);
        issuing_run(i, NULL, 1000);
        CU_ASSERT_PTR_NOT_NULL_FATAL(issuance_account_error(i->issuance));
        CU_ASSERT_STRING_EQUAL(issuance_account_error(i->issuance)->message, cases[n].why);
        i->journal = ISSUING_WORKS;
        issuing_want(i, "a.test", URGENCY_DECLARED);
        CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
        CU_ASSERT_PTR_NULL(issuance_account_error(i->issuance));
        issuing_stop(i);
    }
}

static void a_bad_key(void)
{
    struct issuing i;
    struct error e;

    issuing_start(&i, NULL);
    issuance_retry(i.issuance); /* nothing is in use */
    CU_ASSERT_PTR_NULL(issuance_account_error(i.issuance));
    i.at.account_key = STR("{\"kty\":\"what\"}");
    i.journal = ISSUING_REFUSES;
    CU_ASSERT_EQUAL(issuance_use(i.issuance, &i.at, &e), 0);
    CU_ASSERT_PTR_NOT_NULL(issuance_account_error(i.issuance));
    issuing_want(&i, "a.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(&i, "failed a.test: ", MINUTE));
    issuing_stop(&i);
}

/* Orders end where they began; what comes later begins elsewhere, or nowhere. */
static void another_ca(void)
{
    struct issuing *i = started(NULL);
    struct error e;

    i->is_unheard = true;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_run(i, NULL, 1000);
    CU_ASSERT_EQUAL(issuance_use(i->issuance, NULL, &e), 0);
    issuing_want(i, "b.test", URGENCY_DECLARED);
    i->is_unheard = false;
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
    CU_ASSERT_EQUAL(issuance_queued(i->issuance), 1);
    issuing_use(i);
    issuing_use(i); /* the same */
    CU_ASSERT_TRUE(issuing_run(i, "issued b.test\n", MINUTE));
    issuing_stop(i);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a key of our own", a_key_of_our_own},
        {"no account", no_account},
        {"a bad key", a_bad_key},
        {"another CA", another_ca},
        CU_TEST_INFO_NULL,
    };

    return suite_run("authority", tests);
}
