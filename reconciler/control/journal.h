#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/error.h"
#include "reconciler/issue/order_journal.h"

struct storage;
struct store;

/*
 * Writes values to the storage and applies them to the store, in that order: durable first, then
 * believed, then told. What comes in while a write is under way goes out together behind it.
 */
struct journal;

struct journal_options {
    struct storage *storage;
    struct store *store;
    /* Something can be delivered: call journal_deliver when nobody else owns the store. */
    void (*ready)(void *context);
    /* By journal_deliver: the storage is not there any more (STORAGE_VANISHED). What it did not
     * take and what comes waits, untold, until journal_go_on. */
    void (*vanished)(void *context, const struct error *e);
    void *context;
};

struct journal *journal_new(const struct journal_options *options, struct error *e) MUST_CHECK;
/* Only when nothing is pending, or the storage is closed. NULL is fine. */
void journal_free(struct journal *j);

/*
 * All of `values` in one durable step. They are copied. `done` may be NULL; it is called by
 * journal_deliver, exactly once. -1 with *e (memory): nothing will happen.
 */
int journal_put(struct journal *j, const struct value *values, size_t count,
                order_journal_done *done, void *context, struct error *e) MUST_CHECK;

/* storage_probe with room for `orders` orders; the answer as journal_put's. */
int journal_probe(struct journal *j, size_t orders, order_journal_done *done, void *context,
                  struct error *e) MUST_CHECK;

/* The same two for those who know the face alone; as long as `j` is there. */
struct order_journal journal_face(struct journal *j);

/* Applies what has become durable and calls the done functions. */
void journal_deliver(struct journal *j);

/*
 * After `vanished`: writes what waits, because the storage is there again, or, with `e`, has
 * failed what it did not take. Else nothing happens.
 */
void journal_go_on(struct journal *j, const struct error *e);

/* Anything not delivered yet? */
bool journal_is_busy(const struct journal *j);
/* Nothing is under way: at most it waits for journal_go_on. */
bool journal_is_idle(const struct journal *j);
