#include "reconciler/issue/urgent.h"

void urgent_init(struct urgent *u)
{
    *u = (struct urgent){0};
    for (size_t i = 0; i < URGENCY_KINDS; i++)
        TAILQ_INIT(&u->lists[i]);
}

static bool goes_before(const struct task *a, const struct task *b)
{
    int order = urgency_compare(&a->urgency, &b->urgency);

    return order ? order < 0 : a->number < b->number;
}

/* They come in their order, nearly always: the place is sought from the end. */
void urgent_put(struct urgent *u, struct task *t)
{
    struct go_list *list = &u->lists[t->urgency.kind];
    struct task *before = TAILQ_LAST(list, go_list);

    while (before && goes_before(t, before))
        before = TAILQ_PREV(before, go_list, go);
    if (before)
        TAILQ_INSERT_AFTER(list, before, t, go);
    else
        TAILQ_INSERT_HEAD(list, t, go);
    u->counts[t->urgency.kind]++;
    u->count++;
}

void urgent_remove(struct urgent *u, struct task *t)
{
    TAILQ_REMOVE(&u->lists[t->urgency.kind], t, go);
    u->counts[t->urgency.kind]--;
    u->count--;
}

struct task *urgent_first(const struct urgent *u)
{
    struct task *t = NULL;

    for (size_t i = 0; i < URGENCY_KINDS && !t; i++)
        t = TAILQ_FIRST(&u->lists[i]);
    return t;
}

struct task *urgent_take(struct urgent *u)
{
    struct task *t = urgent_first(u);

    if (t)
        urgent_remove(u, t);
    return t;
}
