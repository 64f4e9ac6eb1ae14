#include "reconciler/issue/task.h"

#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/sent.h"
#include "reconciler/issue/authorities.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/pki/key.h"
#include "reconciler/store/store.h"

/* newOrders of one order at most: it is begun anew, and each time tried again, a few times. */
#define TASK_SENT_MAX 16

struct task *task_new(struct issuance *owner, const struct issuance_wish *wish)
{
    struct task *t = calloc(1, sizeof(*t));
    char room[SUBJECT_KEY_MAX];

    if (!t)
        return NULL;
    t->owner = owner;
    t->key_type = wish->key_type;
    t->is_renewal = wish->is_renewal;
    t->urgency = wish->urgency;
    t->key = BUF_SECRET(KEY_PACKED_MAX);
    t->sent = BUF_INIT(SENT_TEXT_MAX);
    t->wanted_at = clock_now();
    t->key_text = str_dup(subject_key(&wish->subject, room));
    if (t->key_text && subject_parse(str_from(t->key_text), &t->subject))
        return t;
    task_free(t);
    return NULL;
}

void task_free(struct task *t)
{
    if (!t)
        return;
    acme_order_free(t->order);
    buf_free(&t->key);
    buf_free(&t->sent);
    free(t->url);
    free(t->chain);
    free(t->told_trouble);
    free(t->trouble);
    free(t->key_text);
    free(t);
}

const struct ca *task_ca(const struct task *t)
{
    return authority_ca(t->authority->authority);
}

/* The newest of the times that count still, with room for those of one order more. */
static void keep_sent(struct task *t, struct str times)
{
    int surplus = sent_count(times) - (SENT_MAX - TASK_SENT_MAX);
    struct sent s;

    while (sent_next(&times, &s) == 1)
        if (surplus-- <= 0 && s.at > t->wanted_at - SENT_SECONDS)
            sent_append(&t->sent, &s);
}

static void take_sent(struct task *t, const struct store_name *n, const struct ca *ca)
{
    bool is_known = n->sent && str_equal(n->sent->directory, ca->directory);
    struct str rest = is_known ? n->sent->sent.times : STR_NONE;
    struct sent first;

    t->is_theirs = n->credential && str_equal(n->directory, ca->directory);
    if (t->is_theirs && n->managed.issued_at > t->wanted_at - SENT_SECONDS &&
        (sent_next(&rest, &first) != 1 || n->managed.issued_at < first.at))
        sent_append(&t->sent, &(struct sent){n->managed.issued_at, n->managed.renewed});
    if (is_known)
        keep_sent(t, n->sent->sent.times);
}

static void resume(struct task *t, const struct value_order *order)
{
    enum key_type type;
    struct error e;

    if (key_pack_pem(order->key, &type, &t->key, &e)) {
        buf_clear(&t->key);
        return;
    }
    t->key_type = type;
    t->started_at = order->started_at;
    t->url = order->url.len ? str_dup(order->url) : NULL;
    t->chain = order->chain.len ? str_dup(order->chain) : NULL;
}

void task_take_up(struct task *t, const struct store *store, const struct ca *ca, int64_t now)
{
    const struct store_name *n = store_find(store, t->subject);

    if (n)
        take_sent(t, n, ca);
    if (n && store_order_is_open(n, now) && str_equal(n->order->directory, ca->directory))
        resume(t, &n->order->order);
    t->is_drawn = !t->url;
}

void task_make_key(struct task *t)
{
    buf_clear(&t->key);
    t->failed = key_generate_packed(t->key_type, &t->key, &t->error) != 0;
    t->started_at = clock_now();
}

int task_value(const struct task *t, const struct ca *ca, struct buf *pem, struct value *v,
               struct error *e)
{
    if (key_print_packed(t->key_type, buf_view(&t->key), STR_NONE, pem, e))
        return -1;
    *v = value_at(ca, VALUE_ORDER, t->subject);
    v->u.order = (struct value_order){.key = buf_view(pem),
                                      .url = t->url ? str_from(t->url) : STR(""),
                                      .state = t->url ? VALUE_ORDER_CREATED : VALUE_ORDER_KEY_MADE,
                                      .started_at = t->started_at};
    return 0;
}

void task_sent(struct task *t, bool is_sent)
{
    if (t->is_counted && is_sent)
        sent_append(&t->sent, &(struct sent){t->sent_at, t->is_theirs});
    t->is_counted = false;
}

int task_sent_value(const struct task *t, const struct ca *ca, struct buf *times, struct value *v)
{
    buf_str(times, buf_view(&t->sent));
    if (t->is_counted)
        sent_append(times, &(struct sent){t->sent_at, t->is_theirs});
    *v = value_at(ca, VALUE_SENT, t->subject);
    v->gone = !times->len;
    v->u.sent.times = buf_view(times);
    return t->sent.failed || times->failed ? -1 : 0;
}
