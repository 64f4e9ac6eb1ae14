#include "tests/support/storage_contract.h"

#include <CUnit/Basic.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "tests/support/storage_model.h"
#include "tests/support/storage_side.h"
#include "tests/support/value_sample.h"

static const struct contract_adapter *adapter;
static struct event_base *base;

struct bench {
    struct storage_options options;
    void *place;
    struct side a;
};

static void open_ready(const struct storage_options *options, struct side *s)
{
    *s = (struct side){0};
    side_open(s, base, options);
    side_await_loaded(s);
    CU_ASSERT_EQUAL(s->error.kind, ERROR_NONE);
}

static void begin(struct bench *b)
{
    *b = (struct bench){0};
    base = event_base_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(base);
    b->place = adapter->make(&b->options);
    open_ready(&b->options, &b->a);
}

static void end(struct bench *b)
{
    side_close(&b->a);
    adapter->destroy(b->place);
    event_base_free(base);
}

/* ---- the contract ---- */

/* The same rows at the same places, and nothing in them yet. */
static struct storage_model *make_rows(const struct storage_model *like)
{
    struct storage_model *m = calloc(1, sizeof(*m));

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    for (size_t row = 0; row < like->count; row++)
        memcpy(m->rows[row].key, like->rows[row].key, sizeof(m->rows[row].key));
    m->count = like->count;
    return m;
}

/* Against a plain table, opened anew now and then. */
static void test_against_model(void)
{
    static struct storage_model model;
    static struct value_sample sample;
    struct bench b;

    begin(&b);
    memset(&model, 0, sizeof(model));
    for (unsigned i = 0; i < 400; i++) {
        value_sample_make(&sample, (enum value_type)(1 + i % 5), i * 7 % 8, i, 100);
        sample.v.gone = i % 6 == 5;
        CU_ASSERT_EQUAL(side_put_value(&b.a, &sample.v).outcome, STORAGE_OK);
        storage_model_put(&model, &sample.v);
        if (i % 100 != 99)
            continue;
        side_close(&b.a);
        b.a = (struct side){.model = make_rows(&model)};
        side_open(&b.a, base, &b.options);
        side_await_loaded(&b.a);
        CU_ASSERT_EQUAL(storage_model_differences(b.a.model, &model, NULL), 0);
        CU_ASSERT_EQUAL(b.a.problems, 0);
    }
    end(&b);
}

static void test_get(void)
{
    static struct value_sample one, other;
    struct bench b;
    struct heard h;

    begin(&b);
    for (int type = VALUE_ACCOUNT; type < VALUE_TYPE_COUNT; type++) {
        value_sample_make(&one, (enum value_type)type, 1, 1, 100);
        value_sample_make(&other, (enum value_type)type, 1, 2, 100);
        CU_ASSERT(side_lacks(&b.a, &one.v));
        CU_ASSERT_EQUAL(side_put_value(&b.a, &one.v).outcome, STORAGE_OK);
        CU_ASSERT(side_holds(&b.a, &one.v));
        CU_ASSERT_EQUAL(side_put_value(&b.a, &other.v).outcome, STORAGE_OK);
        CU_ASSERT(side_holds(&b.a, &other.v));
        other.v.gone = true;
        CU_ASSERT_EQUAL(side_put_value(&b.a, &other.v).outcome, STORAGE_OK);
        CU_ASSERT(side_lacks(&b.a, &other.v));
    }
    h = side_get(&b.a, &one.v);
    CU_ASSERT_FALSE(h.version.is_there);
    buf_free(&h.text);
    end(&b);
}

/* Of two who read the same, the second to write learns of it, and nothing is lost. */
static void test_guards(void)
{
    static struct value_sample first, second, third;
    struct storage_change change = {.guard = STORAGE_ABSENT};
    struct bench b;
    struct heard h;

    begin(&b);
    value_sample_make(&first, VALUE_ORDER, 1, 1, 0);
    value_sample_make(&second, VALUE_ORDER, 1, 2, 0);
    value_sample_make(&third, VALUE_ORDER, 1, 3, 0);
    change.value = &first.v;
    CU_ASSERT_EQUAL(side_put(&b.a, &change, 1).outcome, STORAGE_OK);
    CU_ASSERT_EQUAL(side_put(&b.a, &change, 1).outcome, STORAGE_CONFLICT);
    h = side_get(&b.a, &first.v);
    buf_free(&h.text);
    change = (struct storage_change){&second.v, STORAGE_UNCHANGED, h.version, 0};
    CU_ASSERT_EQUAL(side_put(&b.a, &change, 1).outcome, STORAGE_OK);
    change.value = &third.v;
    CU_ASSERT_EQUAL(side_put(&b.a, &change, 1).outcome, STORAGE_CONFLICT);
    CU_ASSERT(side_holds(&b.a, &second.v));
    second.v.gone = true;
    CU_ASSERT_EQUAL(side_put_value(&b.a, &second.v).outcome, STORAGE_OK);
    CU_ASSERT_EQUAL(side_put(&b.a, &change, 1).outcome, STORAGE_CONFLICT);
    /* What was not there when it was read. */
    change.version = (struct storage_version){0};
    CU_ASSERT_EQUAL(side_put(&b.a, &change, 1).outcome, STORAGE_OK);
    CU_ASSERT(side_holds(&b.a, &third.v));
    end(&b);
}

/* All or none, or the first ones: what a restart goes on from. */
static void test_order(void)
{
    static struct value_sample samples[3], there;
    struct storage_change changes[3];
    struct bench b;

    begin(&b);
    value_sample_make(&there, VALUE_DEMAND, 9, 9, 0);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &there.v).outcome, STORAGE_OK);
    for (unsigned i = 0; i < ARRAY_LENGTH(samples); i++) {
        value_sample_make(&samples[i], VALUE_FAILURE, i, i, 0);
        changes[i] = (struct storage_change){.value = &samples[i].v};
    }
    changes[1] = (struct storage_change){.value = &there.v, .guard = STORAGE_ABSENT};
    CU_ASSERT_EQUAL(side_put(&b.a, changes, 3).outcome, STORAGE_CONFLICT);
    CU_ASSERT_EQUAL(side_lacks(&b.a, &samples[0].v), storage_is_atomic(b.a.storage));
    CU_ASSERT(side_lacks(&b.a, &samples[2].v));
    changes[1].guard = STORAGE_ANY;
    CU_ASSERT_EQUAL(side_put(&b.a, changes, 3).outcome, STORAGE_OK);
    CU_ASSERT(side_holds(&b.a, &samples[0].v) && side_holds(&b.a, &samples[2].v));
    end(&b);
}

static void test_list(void)
{
    static struct value_sample sample;
    char cursor[64] = "";
    struct heard h = {0};
    struct bench b;
    struct error e;

    begin(&b);
    for (unsigned i = 0; i < 5; i++) {
        value_sample_make(&sample, VALUE_DEMAND, i, i, 0);
        sample.v.apart = false;
        CU_ASSERT_EQUAL(side_put_value(&b.a, &sample.v).outcome, STORAGE_OK);
        value_sample_make(&sample, VALUE_BACKOFF, i, i, 0);
        CU_ASSERT_EQUAL(side_put_value(&b.a, &sample.v).outcome, STORAGE_OK);
    }
    for (size_t page = 0; page < 3; page++) {
        CU_ASSERT_EQUAL(storage_list(b.a.storage, STR("reconcert:demand:"), str_from(cursor), 2,
                                     side_on_listed, &h, &e),
                        0);
        side_await(&b.a, &h, page + 1);
        CU_ASSERT_EQUAL(h.key_count, page < 2 ? 2 : 1);
        CU_ASSERT_EQUAL(h.is_whole, page == 2);
        for (size_t i = 0; i < h.key_count; i++) {
            CU_ASSERT(strcmp(cursor, h.keys[i]) < 0);
            snprintf(cursor, sizeof(cursor), "%s", h.keys[i]);
        }
    }
    CU_ASSERT_STRING_EQUAL(cursor, "reconcert:demand:n4.test");
    end(&b);
}

/* Told, not written, and usable as before. */
static void test_failing(void)
{
    static struct value_sample old, new;
    struct heard h = {0};
    struct bench b;
    struct error e;

    begin(&b);
    value_sample_make(&old, VALUE_ORDER, 1, 1, 0);
    value_sample_make(&new, VALUE_ORDER, 1, 2, 0);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &old.v).outcome, STORAGE_OK);
    adapter->fail_next(b.place);
    h = side_put_value(&b.a, &new.v);
    CU_ASSERT(h.outcome == STORAGE_FAILED && h.error.kind == ERROR_STORAGE);
    CU_ASSERT(side_holds(&b.a, &old.v));
    adapter->fail_next(b.place);
    h.count = 0;
    CU_ASSERT_EQUAL(storage_probe(b.a.storage, 4096, side_on_done, &h, &e), 0);
    side_await(&b.a, &h, 1);
    CU_ASSERT_EQUAL(h.outcome, STORAGE_FAILED);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &new.v).outcome, STORAGE_OK);
    CU_ASSERT(side_holds(&b.a, &new.v));
    end(&b);
}

/* Minutes in which the loop turns on; the answers come in order. */
static void test_delay(void)
{
    static struct value_sample samples[4];
    struct heard heard[ARRAY_LENGTH(samples)] = {0};
    struct storage_change changes[ARRAY_LENGTH(samples)];
    struct bench b;
    struct error e;

    begin(&b);
    adapter->hold(b.place, true);
    for (unsigned i = 0; i < ARRAY_LENGTH(samples); i++) {
        value_sample_make(&samples[i], VALUE_SENT, i, i, 0);
        changes[i] = (struct storage_change){.value = &samples[i].v};
        CU_ASSERT_EQUAL(storage_put(b.a.storage, &changes[i], 1, side_on_done, &heard[i], &e), 0);
        side_idle(&b.a);
        CU_ASSERT_EQUAL(heard[i].count, 0);
    }
    adapter->hold(b.place, false);
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        side_await(&b.a, &heard[i], 1);
        CU_ASSERT_EQUAL(heard[i].outcome, STORAGE_OK);
        CU_ASSERT(i == 0 || heard[i - 1].count == 1);
    }
    /* What is not answered when it is closed is not told. */
    heard[0].count = 0;
    CU_ASSERT_EQUAL(storage_put(b.a.storage, changes, 1, side_on_done, &heard[0], &e), 0);
    end(&b);
    CU_ASSERT_EQUAL(heard[0].count, 0);
}

/* What no storage takes is refused before it is asked. */
static void test_limits(void)
{
    static char long_text[VALUE_LEAF_MAX + 1];
    static struct value_sample sample;
    static struct storage_change changes[STORAGE_VALUES_MAX + 1];
    struct heard h = {0};
    struct bench b;
    struct error e;

    begin(&b);
    memset(long_text, 'x', sizeof(long_text));
    value_sample_make(&sample, VALUE_CREDENTIAL, 1, 1, 300);
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++)
        changes[i] = (struct storage_change){.value = &sample.v};
    sample.v.u.credential.leaf = (struct str){long_text, VALUE_LEAF_MAX + 1};
    CU_ASSERT(storage_put(b.a.storage, changes, 1, side_on_done, &h, &e) == -1 &&
              e.kind == ERROR_LIMIT);
    sample.v.u.credential.leaf.len = VALUE_LEAF_MAX;
    CU_ASSERT_EQUAL(side_put(&b.a, changes, 1).outcome, STORAGE_OK);
    sample.v.subject.name = (struct str){long_text, VALUE_NAME_MAX + 1};
    CU_ASSERT(storage_put(b.a.storage, changes, 1, side_on_done, &h, &e) == -1 &&
              e.kind == ERROR_LIMIT);
    sample.v.subject.name = STR("");
    CU_ASSERT(storage_put(b.a.storage, changes, 1, side_on_done, &h, &e) == -1 &&
              e.kind == ERROR_INVALID);
    sample.v.subject.name = STR("a b");
    CU_ASSERT(storage_put(b.a.storage, changes, 1, side_on_done, &h, &e) == -1 &&
              e.kind == ERROR_INVALID);
    sample.v.subject.name = STR("ok");
    CU_ASSERT(storage_put(b.a.storage, changes, STORAGE_VALUES_MAX + 1, side_on_done, &h, &e) ==
                  -1 &&
              e.kind == ERROR_LIMIT);
    CU_ASSERT_EQUAL(h.count, 0);
    end(&b);
}

/* One value that its taker cannot use does not take the others with it; memory does. */
static void test_refused_by_taker(void)
{
    static struct value_sample sample;
    struct bench b;

    begin(&b);
    for (int type = VALUE_CREDENTIAL; type <= VALUE_FAILURE; type++) {
        value_sample_make(&sample, (enum value_type)type, 1, 1, 100);
        CU_ASSERT_EQUAL(side_put_value(&b.a, &sample.v).outcome, STORAGE_OK);
    }
    side_close(&b.a);
    b.a = (struct side){.refuses = ERROR_CRYPTO};
    side_open(&b.a, base, &b.options);
    side_await_loaded(&b.a);
    CU_ASSERT(b.a.error.kind == ERROR_NONE && b.a.problems == 1 && b.a.found == 2);
    side_close(&b.a);
    b.a = (struct side){.refuses = ERROR_MEMORY};
    side_open(&b.a, base, &b.options);
    side_await_loaded(&b.a);
    CU_ASSERT_EQUAL(b.a.error.kind, ERROR_MEMORY);
    end(&b);
}

static void test_read_only(void)
{
    static struct value_sample sample;
    const struct storage_change change = {.value = &sample.v};
    struct heard h = {0};
    struct bench b;
    struct side reader;
    struct error e;

    begin(&b);
    value_sample_make(&sample, VALUE_ORDER, 1, 1, 0);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &sample.v).outcome, STORAGE_OK);
    b.options.read_only = true;
    open_ready(&b.options, &reader);
    CU_ASSERT(reader.found == 1 && side_holds(&reader, &sample.v));
    CU_ASSERT(storage_put(reader.storage, &change, 1, side_on_done, &h, &e) == -1);
    CU_ASSERT(storage_probe(reader.storage, 1, side_on_done, &h, &e) == -1 && h.count == 0);
    side_close(&reader);
    end(&b);
}

/* Somebody else's writes are heard of; where there can be nobody else, that is told. */
static void test_another(void)
{
    static struct value_sample sample, newer;
    struct bench b;
    struct side other = {0};

    begin(&b);
    if (!adapter->is_shared) {
        side_open(&other, base, &b.options);
        side_await_loaded(&other);
        CU_ASSERT_EQUAL(other.error.kind, ERROR_IN_USE);
        side_close(&other);
        end(&b);
        return;
    }
    open_ready(&b.options, &other);
    value_sample_make(&sample, VALUE_CREDENTIAL, 1, 1, 100);
    value_sample_make(&newer, VALUE_CREDENTIAL, 1, 2, 100);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &sample.v).outcome, STORAGE_OK);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &newer.v).outcome, STORAGE_OK);
    while (other.found < 2)
        event_base_loop(base, EVLOOP_ONCE);
    CU_ASSERT(b.a.found == 0 && side_holds(&other, &newer.v));
    storage_model_put(b.a.model, &newer.v);
    CU_ASSERT_EQUAL(storage_model_differences(b.a.model, other.model, NULL), 0);
    newer.v.gone = true;
    CU_ASSERT_EQUAL(side_put_value(&b.a, &newer.v).outcome, STORAGE_OK);
    while (other.found < 3)
        event_base_loop(base, EVLOOP_ONCE);
    CU_ASSERT_STRING_EQUAL(other.model->rows[0].text, "");
    side_close(&other);
    end(&b);
}

static void test_health(void)
{
    static struct value_sample sample;
    struct bench b;

    if (!adapter->away)
        return;
    begin(&b);
    value_sample_make(&sample, VALUE_DEMAND, 1, 1, 100);
    adapter->away(b.place, true);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &sample.v).outcome, STORAGE_FAILED);
    CU_ASSERT(b.a.away == 1 && b.a.back == 0);
    adapter->away(b.place, false);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &sample.v).outcome, STORAGE_OK);
    CU_ASSERT(b.a.away == 1 && b.a.back == 1);
    end(&b);
}

static int hand_out(void *context, storage_each *put_one, void *to, struct error *e)
{
    struct value_sample *samples = context;

    return put_one(to, &samples[0].v, e) || put_one(to, &samples[1].v, e) ? -1 : 0;
}

/* Nothing of what was asked behind it is carried out, until all is written anew. */
static void test_vanished(void)
{
    static struct value_sample samples[2];
    struct heard h[4] = {0};
    struct bench b;
    struct error e;

    if (!adapter->can_vanish)
        return;
    begin(&b);
    for (unsigned i = 0; i < ARRAY_LENGTH(samples); i++) {
        value_sample_make(&samples[i], VALUE_ORDER, i, i, 0);
        CU_ASSERT_EQUAL(side_put_value(&b.a, &samples[i].v).outcome, STORAGE_OK);
    }
    CU_ASSERT_EQUAL(storage_check(b.a.storage, side_on_done, &h[0], &e), 0);
    side_await(&b.a, &h[0], 1);
    CU_ASSERT_EQUAL(h[0].outcome, STORAGE_OK);
    adapter->vanish(b.place);
    CU_ASSERT_EQUAL(side_put_value(&b.a, &samples[0].v).outcome, STORAGE_VANISHED);
    CU_ASSERT_EQUAL(storage_check(b.a.storage, side_on_done, &h[1], &e), 0);
    CU_ASSERT_EQUAL(storage_probe(b.a.storage, 1, side_on_done, &h[2], &e), 0);
    CU_ASSERT_EQUAL(storage_restore(b.a.storage, hand_out, samples, side_on_done, &h[3], &e), 0);
    side_await(&b.a, &h[3], 1);
    CU_ASSERT(h[1].outcome == STORAGE_VANISHED && h[2].outcome == STORAGE_VANISHED);
    CU_ASSERT_EQUAL(h[3].outcome, STORAGE_OK);
    side_close(&b.a);
    open_ready(&b.options, &b.a);
    CU_ASSERT(b.a.found == 2 && side_holds(&b.a, &samples[1].v));
    end(&b);
}

void storage_contract_add(const struct contract_adapter *a)
{
    static CU_TestInfo tests[] = {{"against a table", test_against_model},
                                  {"get", test_get},
                                  {"guards", test_guards},
                                  {"order", test_order},
                                  {"list", test_list},
                                  {"failing", test_failing},
                                  {"delay", test_delay},
                                  {"limits", test_limits},
                                  {"refused by its taker", test_refused_by_taker},
                                  {"read only", test_read_only},
                                  {"another", test_another},
                                  {"health", test_health},
                                  {"vanished", test_vanished},
                                  CU_TEST_INFO_NULL};
    CU_pSuite suite = CU_add_suite(a->name, NULL, NULL);

    adapter = a;
    for (const CU_TestInfo *t = tests; t->pName; t++)
        CU_add_test(suite, t->pName, t->pTestFunc);
}
