/* A name with certificates of several key families: what is stored, kept, served, tried again. */
#include "reconciler/control/pass.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/control/observe.h"
#include "reconciler/pki/credential.h"
#include "reconciler/storage/sync.h"
#include "reconciler/store/store.h"
#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define DAY_MS INT64_C(86400000)
#define ECDSA "domains: [a.test], cert_type: ecc"
#define RSA "domains: [a.test], cert_type: rsa, rsa_key_size: 2048"

static struct controlled c;

static const struct subject first = {.name = STR_INIT("a.test")},
                            further = {STR_INIT("a.test"), FAMILY_RSA};

static bool has_orders(struct controlled *of, const char *count)
{
    return controlled_orders(of) >= (unsigned)atoi(count);
}

static void start(const char *config)
{
    controlled_open(&c, NULL);
    controlled_write(&c, config);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"state\": \"valid\""));
}

/* So many days after its beginning what is there is due, and what the CA issues begins. */
static void pass_until(int days)
{
    pthread_mutex_lock(&c.guard);
    fake_ca_options(c.ca)->not_before = c.began + days * INT64_C(86400);
    pthread_mutex_unlock(&c.guard);
    controlled_pass(&c, 62 * DAY_MS);
}

/* ---- what lies in the storage while nothing runs ---- */

static int take(void *context, const struct value *v, struct error *e)
{
    return store_apply(context, v, e);
}

/* Puts what is stored of the first family to the further one, too, or there alone; with a failure. */
static void store_further(bool alone)
{
    const struct storage_options options = {.kind = STORAGE_FILE, .prefix = c.prefix};
    struct storage_problems problems = {0};
    struct observation o;
    struct value values[3];
    struct error e;
    struct storage_sync *storage;

    CU_ASSERT_EQUAL_FATAL(observation_new(&c.settings, &o, &e), 0);
    storage = storage_sync_open(&options, take, o.store, &problems, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(storage);
    CU_ASSERT_FATAL(store_credential_value(o.store, store_find(o.store, first), &values[0]));
    values[2] = values[1] = values[0];
    values[0].subject = values[1].subject = further;
    values[1].type = VALUE_FAILURE;
    values[1].u.failure =
        (struct failure){.count = 1, .kind = ERROR_CHALLENGE, .text = STR("it was away")};
    values[2].gone = true;
    for (int i = 0; i < (alone ? 3 : 2); i++)
        CU_ASSERT_EQUAL(storage_sync_put(storage, &values[i], &e), 0);
    storage_problems_free(&problems);
    storage_sync_close(storage);
    observation_close(&o);
}

struct stored {
    enum key_type type; /* KEY_NONE: nothing */
    bool active;
    bool is_tried_again;
};

static struct stored stored(struct subject subject)
{
    struct stored found = {0};
    const struct store_name *n;
    struct observation o;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(observation_open(&c.settings, &o, &e), 0);
    n = store_find(o.store, subject);
    if (n && n->credential)
        found = (struct stored){n->credential->facts.key_type, n->managed.active, false};
    if (n && n->failure)
        found.is_tried_again = n->failure->failure.waived;
    observation_close(&o);
    return found;
}

static bool further_is(struct controlled *of, const char *word)
{
    (void)of;
    return stored(further).active == (strcmp(word, "active") == 0);
}

/* ---- */

/*
 * cert_type there and back: what is there is kept until it is due, whatever its key, and nothing is
 * ordered before. What is stored of a further family is retired beside it, and stays.
 */
static void cert_type_changes(void)
{
    start(RSA);
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    store_further(false);
    controlled_write(&c, ECDSA);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, further_is, "retired"));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "other_key_type"));
    CU_ASSERT_EQUAL(controlled_orders(&c), 1);
    CU_ASSERT(stored(first).type == KEY_RSA_2048 && stored(first).active);
    pass_until(62);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"ecdsa-p256\""));
    CU_ASSERT(stored(first).type == KEY_P256 && stored(first).active);
    controlled_write(&c, RSA);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "other_key_type"));
    CU_ASSERT_EQUAL(controlled_orders(&c), 2);
    CU_ASSERT_EQUAL(stored(further).type, KEY_RSA_2048);
    pass_until(124);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"rsa-2048\""));
    CU_ASSERT_EQUAL(controlled_orders(&c), 3);
    CU_ASSERT_EQUAL(stored(further).type, KEY_RSA_2048);
    controlled_close(&c);
}

#define RETRY                                                          \
    "POST /retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n" \
    "Connection: close\r\n\r\na.test"

static bool both_are_tried_again(struct controlled *of, const char *word)
{
    (void)of;
    (void)word;
    return stored(first).is_tried_again && stored(further).is_tried_again;
}

/* The further one is all there is: it is served until there is a first. A retry is for both. */
static void further_stands_in(void)
{
    start(RSA);
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    store_further(true);
    controlled_write(&c, ECDSA);
    atomic_store(&c.is_cut, true);
    controlled_start(&c);
    c.turn_ms = CONTROLLED_LONG_TURN_MS;
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"state\": \"failing\""));
    CU_ASSERT_TRUE(stored(further).active);
    CU_ASSERT_TRUE(controlled_lists(&c, "\"stands_in\""));
    controlled_ask(&c, true, RETRY);
    CU_ASSERT(c.page.data && strstr(c.page.data, "ecdsa-p256") && strstr(c.page.data, "rsa-2048"));
    CU_ASSERT_TRUE(controlled_wait(&c, both_are_tried_again, NULL));
    atomic_store(&c.is_cut, false);
    CU_ASSERT_TRUE(controlled_wait(&c, has_orders, "2"));
    CU_ASSERT_TRUE(controlled_wait(&c, further_is, "retired"));
    CU_ASSERT_EQUAL(stored(first).type, KEY_P256);
    CU_ASSERT_EQUAL(stored(further).type, KEY_RSA_2048);
    controlled_close(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"cert_type changes", cert_type_changes},
        {"further stands in", further_stands_in},
        CU_TEST_INFO_NULL,
    };

    return suite_run("families", tests);
}
