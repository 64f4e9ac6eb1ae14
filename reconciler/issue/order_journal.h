#pragma once

#include <stddef.h>

#include "reconciler/base/error.h"
#include "reconciler/base/value.h"

/* `e` NULL: durable, and in the store. */
typedef void order_journal_done(void *context, const struct error *e);

/*
 * Where orders and accounts are written down before use: whoever keeps the storage hands it in.
 * `done` may be NULL; it is called later, exactly once, and never from within put or probe. -1 with
 * *e (memory): nothing will happen.
 */
struct order_journal {
    void *context;
    /* All of `values` in one durable step. They are copied. */
    int (*put)(void *context, const struct value *values, size_t count, order_journal_done *done,
               void *done_context, struct error *e);
    /* Is there room for what `orders` orders will write? */
    int (*probe)(void *context, size_t orders, order_journal_done *done, void *done_context,
                 struct error *e);
};
