#include "reconciler/issue/authorities.h"

#include <stdlib.h>

#include "reconciler/io/httpc.h"

static void destroy(struct authority_use *use)
{
    LIST_REMOVE(use, link);
    authority_free(use->authority);
    free(use);
}

static void drop_if_unused(const struct authorities *a, struct authority_use *use)
{
    if (use && !use->tasks && use != a->current)
        destroy(use);
}

int authorities_use(struct authorities *a, const struct authority_options *options, struct error *e)
{
    struct authority_use *before = a->current, *use;
    struct authority_options with;
    int adapted = options && before ? authority_adapt(before->authority, &options->ca, e) : 0;

    if (adapted)
        return adapted < 0 ? -1 : 0;
    a->current = NULL;
    drop_if_unused(a, before);
    if (!options)
        return 0;
    use = calloc(1, sizeof(*use));
    if (!use)
        return error_memory(e);
    use->number = ++a->next_number;
    with = *options;
    with.cookie_base = use->number << 8;
    use->authority = authority_new(&with, e);
    if (!use->authority) {
        free(use);
        return -1;
    }
    LIST_INSERT_HEAD(&a->list, use, link);
    a->current = use;
    return 0;
}

struct authority_use *authorities_hold(struct authorities *a)
{
    a->current->tasks++;
    return a->current;
}

void authorities_release(struct authorities *a, struct authority_use *use)
{
    if (!use)
        return;
    use->tasks--;
    drop_if_unused(a, use);
}

void authorities_run(struct authorities *a, int64_t now_ms, int64_t *wake_ms)
{
    struct authority_use *use;

    LIST_FOREACH(use, &a->list, link)
    {
        authority_run(use->authority, now_ms, wake_ms);
    }
}

void authorities_reply(struct authorities *a, const struct httpc_done *done, int64_t now_ms)
{
    struct authority_use *use;

    LIST_FOREACH(use, &a->list, link)
    {
        if (use->number == done->cookie >> 8)
            authority_reply(use->authority, done, now_ms);
    }
}

void authorities_free(struct authorities *a)
{
    while (!LIST_EMPTY(&a->list))
        destroy(LIST_FIRST(&a->list));
}
