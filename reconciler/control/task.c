#include "reconciler/control/task.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/pki/key.h"
#include "reconciler/store/store.h"

struct task *task_new(struct issuance *owner, struct str name, enum key_type key_type,
                      bool is_renewal)
{
    struct task *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->owner = owner;
    t->key_type = key_type;
    t->is_renewal = is_renewal;
    t->key = BUF_SECRET(KEY_PACKED_MAX);
    t->name = str_dup(name);
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
    free(t->name);
    free(t);
}

bool task_resume(struct task *t, const struct store *store, struct str directory)
{
    const struct store_name *n = store_find(store, str_from(t->name));
    enum key_type type;
    struct error e;

    if (!n || !n->order || !str_equal(n->order->directory, directory))
        return false;
    buf_clear(&t->key);
    if (key_pack_pem(n->order->key, &type, &t->key, &e))
        return false;
    t->key_type = type;
    t->key_is_saved = true;
    t->started_at = n->order->started_at;
    free(t->url);
    t->url = n->order->url.len ? str_dup(n->order->url) : NULL;
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
