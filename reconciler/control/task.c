#include "reconciler/control/task.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/sent.h"
#include "reconciler/control/issuance.h"
#include "reconciler/pki/key.h"
#include "reconciler/store/store.h"

struct task *task_new(struct issuance *owner, const struct issuance_wish *wish)
{
    struct task *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->owner = owner;
    t->key_type = wish->key_type;
    t->is_renewal = wish->is_renewal;
    t->urgency = wish->urgency;
    t->key = BUF_SECRET(KEY_PACKED_MAX);
    t->wanted_at = clock_now();
    t->name = str_dup(wish->name);
    if (t->name)
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
    free(t->url);
    free(t->chain);
    free(t->trouble);
    free(t->name);
    free(t);
}

bool task_resume(struct task *t, const struct store *store, struct str directory, int64_t now)
{
    const struct store_name *n = store_find(store, str_from(t->name));
    enum key_type type;
    struct error e;

    if (!n || !store_order_is_open(n, now) || !str_equal(n->order->directory, directory))
        return false;
    buf_clear(&t->key);
    if (key_pack_pem(n->order->key, &type, &t->key, &e))
        return false;
    t->key_type = type;
    t->started_at = n->order->started_at;
    free(t->url);
    t->url = n->order->url.len ? str_dup(n->order->url) : NULL;
    free(t->chain);
    t->chain = n->order->chain.len ? str_dup(n->order->chain) : NULL;
    return true;
}

void task_make_key(struct task *t)
{
    buf_clear(&t->key);
    t->failed = key_generate_packed(t->key_type, &t->key, &t->error) != 0;
    t->started_at = clock_now();
}

int task_value(const struct task *t, bool apart, struct str directory, struct buf *pem,
               struct value *v, struct error *e)
{
    if (key_print_packed(t->key_type, buf_view(&t->key), STR_NONE, pem, e))
        return -1;
    *v = (struct value){
        .type = VALUE_ORDER,
        .apart = apart,
        .directory = directory,
        .name = str_from(t->name),
        .u.order = {.key = buf_view(pem),
                    .url = t->url ? str_from(t->url) : STR(""),
                    .state = t->url ? VALUE_ORDER_CREATED : VALUE_ORDER_KEY_MADE,
                    .started_at = t->started_at},
    };
    return 0;
}

/* The times of the store that count still, without one of `but` (0 = with all): the newest. */
static void keep_sent(const struct store_sent *known, int64_t but, struct buf *text)
{
    struct str rest = known->times;
    int surplus = sent_count(rest) - (SENT_MAX - 2); /* two more may be put in */
    struct sent s;

    while (sent_next(&rest, &s) == 1) {
        if (surplus-- > 0 || s.at <= clock_now() - SENT_SECONDS)
            continue;
        if (s.at == but)
            but = 0;
        else
            sent_append(text, &s);
    }
}

/* The issuance that the next one will hide, unless the times tell of it: no newOrder was before. */
static void add_issuance(const struct store_name *n, int64_t first_sent_at, struct buf *text)
{
    if (n->issued_at > clock_now() - SENT_SECONDS && n->issued_at < first_sent_at)
        sent_append(text, &(struct sent){n->issued_at, n->renewed});
}

int task_sent_value(const struct task *t, const struct store *store, bool apart,
                    struct str directory, struct buf *text, struct value *v)
{
    const struct store_name *n = store_find(store, str_from(t->name));
    bool is_known = n && n->sent && str_equal(n->sent->directory, directory);
    bool is_theirs = n && n->credential && str_equal(n->directory, directory);
    struct str rest = is_known ? n->sent->times : STR_NONE;
    struct sent first = {.at = t->sent_at};

    sent_next(&rest, &first);
    if (t->is_counted && is_theirs)
        add_issuance(n, first.at, text);
    if (is_known)
        keep_sent(n->sent, t->is_counted ? 0 : t->sent_at, text);
    if (t->is_counted)
        sent_append(text, &(struct sent){t->sent_at, is_theirs});
    *v = (struct value){.type = VALUE_SENT,
                        .gone = !text->len,
                        .apart = apart,
                        .directory = directory,
                        .name = str_from(t->name),
                        .u.sent.times = buf_view(text)};
    return text->failed ? -1 : 0;
}
