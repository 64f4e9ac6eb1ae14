/* What a task knows of the newOrders that were sent for its name, and what it writes down. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/sent.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/issue/task.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/key.h"
#include "reconciler/store/store.h"

#define DIRECTORY STR("https://ca.test/dir")
#define NAME STR("a.test")

static const struct ca ca = {.directory = STR_INIT("https://ca.test/dir")},
                       other = {.directory = STR_INIT("https://other.test/")};

static struct chain_pool *chains;
static struct store *store;

static void begin(void)
{
    chains = chain_pool_new();
    store = store_new(&(struct store_options){0}, chains);
    CU_ASSERT_PTR_NOT_NULL_FATAL(store);
}

static void end(void)
{
    store_free(store);
    chain_pool_free(chains);
}

static void apply_sent(struct str directory, struct str times)
{
    const struct value v = {
        .type = VALUE_SENT, .directory = directory, .subject.name = NAME, .u.sent.times = times};
    struct error e;

    CU_ASSERT_EQUAL_FATAL(store_apply(store, &v, &e), 0);
}

/* As an order was journaled before sent ones were. */
static void apply_order(struct str url)
{
    struct buf packed = BUF_SECRET(KEY_PACKED_MAX), pem = BUF_SECRET(KEY_PEM_MAX);
    struct value v = {.type = VALUE_ORDER, .directory = DIRECTORY, .subject.name = NAME};
    struct error e;

    CU_ASSERT_EQUAL_FATAL(key_generate_packed(KEY_P256, &packed, &e), 0);
    CU_ASSERT_EQUAL_FATAL(key_print_packed(KEY_P256, buf_view(&packed), STR_NONE, &pem, &e), 0);
    v.u.order = (struct value_order){.key = buf_view(&pem),
                                     .url = url,
                                     .account_url = STR(""),
                                     .state = url.len ? VALUE_ORDER_CREATED : VALUE_ORDER_KEY_MADE,
                                     .started_at = 1};
    CU_ASSERT_EQUAL_FATAL(store_apply(store, &v, &e), 0);
    buf_free(&packed);
    buf_free(&pem);
}

/* The times that are written down as the task stands; -1 where the record goes. */
static int written(const struct task *t, struct buf *times)
{
    struct value v;

    buf_clear(times);
    CU_ASSERT_EQUAL(task_sent_value(t, &ca, times, &v), 0);
    CU_ASSERT_EQUAL(v.gone, times->len == 0);
    return v.gone ? -1 : sent_count(v.u.sent.times);
}

static void counted_and_sent(void)
{
    struct task *t =
        task_new(NULL, &(struct issuance_wish){.subject.name = NAME, .key_type = KEY_P256});
    struct buf times = BUF_INIT(SENT_TEXT_MAX);

    begin();
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    task_take_up(t, store, &ca, clock_now());
    CU_ASSERT_TRUE(t->is_drawn);
    CU_ASSERT_EQUAL(written(t, &times), -1);
    t->is_counted = true;
    t->sent_at = 1000;
    CU_ASSERT_EQUAL(written(t, &times), 1);
    task_sent(t, false);
    CU_ASSERT_EQUAL(written(t, &times), -1);
    /* Two in one second are two. */
    for (int i = 0; i < 2; i++) {
        t->is_counted = true;
        CU_ASSERT_EQUAL(written(t, &times), i + 1);
        task_sent(t, true);
    }
    CU_ASSERT_EQUAL(written(t, &times), 2);
    CU_ASSERT(str_equal(buf_view(&times), STR("1000 1000")));
    buf_free(&times);
    task_free(t);
    end();
}

static void earlier_lives(void)
{
    struct task *t =
        task_new(NULL, &(struct issuance_wish){.subject.name = NAME, .key_type = KEY_P256});
    struct buf known = BUF_INIT(SENT_TEXT_MAX), times = BUF_INIT(SENT_TEXT_MAX);
    int64_t now = clock_now();

    begin();
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    sent_append(&known, &(struct sent){.at = now - SENT_SECONDS - 60}); /* too old to count */
    for (int i = 0; i < 8; i++)
        sent_append(&known, &(struct sent){.at = now - 100 + i});
    apply_sent(DIRECTORY, buf_view(&known));
    apply_order(STR(""));
    task_take_up(t, store, &ca, clock_now());
    CU_ASSERT(t->key.len > 0 && !t->url && t->is_drawn);
    CU_ASSERT_EQUAL(written(t, &times), 8);
    task_free(t);
    /* Those of another CA are none of ours. */
    t = task_new(NULL, &(struct issuance_wish){.subject.name = NAME, .key_type = KEY_P256});
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    task_take_up(t, store, &other, clock_now());
    CU_ASSERT_EQUAL(written(t, &times), -1);
    CU_ASSERT_EQUAL(t->key.len, 0);
    task_free(t);
    buf_free(&known);
    buf_free(&times);
    end();
}

/* A name that is ordered for ever does not grow: the newest are kept. */
static void bounded(void)
{
    struct buf known = BUF_INIT(SENT_TEXT_MAX), times = BUF_INIT(SENT_TEXT_MAX);
    struct sent first;
    struct str rest;

    begin();
    for (int i = 0; i < SENT_MAX + 50; i++) {
        struct task *t =
            task_new(NULL, &(struct issuance_wish){.subject.name = NAME, .key_type = KEY_P256});

        CU_ASSERT_PTR_NOT_NULL_FATAL(t);
        task_take_up(t, store, &ca, clock_now());
        t->is_counted = true;
        t->sent_at = t->wanted_at - 1000 + i;
        CU_ASSERT(written(t, &times) > 0);
        apply_sent(DIRECTORY, buf_view(&times));
        task_free(t);
    }
    rest = buf_view(&times);
    CU_ASSERT(sent_count(rest) > SENT_MAX / 2);
    CU_ASSERT_EQUAL(sent_next(&rest, &first), 1);
    CU_ASSERT(first.at > clock_now() - 1000);
    buf_free(&known);
    buf_free(&times);
    end();
}

/* An order of a log that knows nothing of sent ones is taken up as it stands. */
static void older_log(void)
{
    struct task *t =
        task_new(NULL, &(struct issuance_wish){.subject.name = NAME, .key_type = KEY_P256});
    struct buf times = BUF_INIT(SENT_TEXT_MAX);

    begin();
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    apply_order(STR("https://ca.test/order/1"));
    task_take_up(t, store, &ca, clock_now());
    CU_ASSERT_STRING_EQUAL_FATAL(t->url, "https://ca.test/order/1");
    CU_ASSERT_FALSE(t->is_drawn); /* a newOrder after all would be one more */
    CU_ASSERT_EQUAL(written(t, &times), -1);
    buf_free(&times);
    task_free(t);
    end();
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("task", NULL, NULL);
    CU_add_test(suite, "counted and sent", counted_and_sent);
    CU_add_test(suite, "earlier lives", earlier_lives);
    CU_add_test(suite, "bounded", bounded);
    CU_add_test(suite, "older log", older_log);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
