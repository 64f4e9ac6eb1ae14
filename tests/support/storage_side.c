#include "tests/support/storage_side.h"

#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/value_sample.h"

#define TURNS 200 /* of a loop in which nothing may be answered */

static int on_found(void *context, const struct value *v, struct error *e)
{
    struct side *s = context;

    if (v->type == VALUE_ORDER && s->refuses)
        return error_set(e, s->refuses, "not this one");
    s->found++;
    storage_model_put(s->model, v);
    return 0;
}

static void on_loaded(void *context, const struct storage_problems *problems, const struct error *e)
{
    struct side *s = context;

    CU_ASSERT_FALSE(s->is_loaded);
    s->is_loaded = true;
    s->problems = problems->total;
    s->error = e ? *e : (struct error){.kind = ERROR_NONE};
}

static void on_health(void *context, const struct error *e)
{
    struct side *s = context;

    s->away += e != NULL;
    s->back += e == NULL;
}

void side_on_done(void *context, enum storage_outcome outcome, const struct error *e)
{
    struct heard *h = context;

    CU_ASSERT_EQUAL(e != NULL, outcome == STORAGE_FAILED || outcome == STORAGE_VANISHED);
    h->count++;
    h->outcome = outcome;
    if (e)
        h->error = *e;
}

static void on_got(void *context, const struct value *v, const struct storage_version *version,
                   const struct error *e)
{
    struct heard *h = context;

    side_on_done(h, e ? STORAGE_FAILED : STORAGE_OK, e);
    CU_ASSERT_EQUAL(v != NULL, version->is_there);
    h->is_there = v != NULL;
    h->version = *version;
    h->text = BUF_INIT(4096);
    if (v)
        value_sample_print(v, &h->text);
}

void side_on_listed(void *context, const struct str *keys, size_t count, bool is_whole,
                    const struct error *e)
{
    struct heard *h = context;

    side_on_done(h, e ? STORAGE_FAILED : STORAGE_OK, e);
    CU_ASSERT_FATAL(count <= ARRAY_LENGTH(h->keys));
    for (size_t i = 0; i < count; i++)
        snprintf(h->keys[i], sizeof(h->keys[i]), "%.*s", STR_ARG(keys[i]));
    h->key_count = count;
    h->is_whole = is_whole;
}

/* ---- steps ---- */

void side_open(struct side *s, struct event_base *base, const struct storage_options *options)
{
    const struct storage_face face = {
        .found = on_found, .loaded = on_loaded, .health = on_health, .context = s};
    struct error e;

    s->base = base;
    if (!s->model)
        s->model = calloc(1, sizeof(*s->model));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s->model);
    s->storage = storage_open(base, options, &face, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s->storage);
    CU_ASSERT_FALSE(s->is_loaded); /* never during the call */
}

void side_await_loaded(struct side *s)
{
    while (!s->is_loaded)
        event_base_loop(s->base, EVLOOP_ONCE);
}

void side_close(struct side *s)
{
    storage_close(s->storage);
    free(s->model);
}

void side_await(const struct side *s, const struct heard *h, size_t count)
{
    while (h->count < count)
        event_base_loop(s->base, EVLOOP_ONCE);
}

void side_idle(const struct side *s)
{
    for (int i = 0; i < TURNS; i++)
        event_base_loop(s->base, EVLOOP_NONBLOCK);
}

struct heard side_put(struct side *s, const struct storage_change *changes, size_t count)
{
    struct heard h = {0};
    struct error e;

    CU_ASSERT_EQUAL(storage_put(s->storage, changes, count, side_on_done, &h, &e), 0);
    CU_ASSERT_EQUAL(h.count, 0);
    side_await(s, &h, 1);
    return h;
}

struct heard side_put_value(struct side *s, const struct value *v)
{
    return side_put(s, &(struct storage_change){.value = v}, 1);
}

struct heard side_get(struct side *s, const struct value *which)
{
    struct heard h = {0};
    struct error e;

    CU_ASSERT_EQUAL(storage_get(s->storage, which, on_got, &h, &e), 0);
    side_await(s, &h, 1);
    return h;
}

bool side_holds(struct side *s, const struct value *v)
{
    struct buf text = BUF_INIT(4096);
    struct heard h = side_get(s, v);
    bool same;

    value_sample_print(v, &text);
    same = h.is_there && str_equal(buf_view(&text), buf_view(&h.text));
    buf_free(&text);
    buf_free(&h.text);
    return same;
}

bool side_lacks(struct side *s, const struct value *v)
{
    struct heard h = side_get(s, v);

    buf_free(&h.text);
    return h.outcome == STORAGE_OK && !h.is_there;
}
