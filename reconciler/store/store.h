#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/base/value.h"

/*
 * The in-memory truth of control: what is known of each name, and the accounts. It follows the
 * storage: a value is applied after it has become durable. One thread owns a store.
 */
struct store;
struct ca;
struct credential;
struct chain_pool;

/* What storage holds of a name in records of its own (base/value.h), each with the directory that
 * it is of. Wiped when dropped. */
struct store_failure {
    struct str directory;
    struct failure failure;
};

/* An order under way; while its `url` is "", newOrder was not answered yet. */
struct store_order {
    struct str directory;
    struct value_order order;
};

/* When newOrders were sent for it, at the directory's CA. */
struct store_sent {
    struct str directory;
    struct value_sent sent;
};

/*
 * What is known of one name. To be read only; it changes by store_apply, which also frees a name of
 * which nothing is left.
 */
struct store_name {
    struct subject subject;
    struct credential *credential; /* managed; NULL = none. The store holds a reference */
    struct str directory;          /* URL that it came from; "" = unknown */
    bool apart;                    /* it lies among the state kept apart for that directory */
    struct managed_facts managed;
    int64_t last_seen_at;          /* on demand; 0 = never */
    struct store_failure *failure; /* NULL = none */
    struct store_order *order;     /* NULL = none */
    struct store_sent *sent;       /* NULL = none */
    int64_t due_at;                /* 0 = not in the due index */
    int64_t limited_until; /* an order of it does not fit the CA's limits before; 0 = it does */
    /* private */
    bool is_gone;      /* out of the store, only the sorted view still holds it */
    uint32_t due_slot; /* in the due index, if due_at */
};

struct store_account {
    struct str directory;
    struct value_account account;
};

/*
 * Which state counts: values of another scope are passed over by store_apply, but for certificates
 * and visits. A certificate of elsewhere is kept while there is none that is as good here, so that
 * a site stays up when the settings begin to name a directory, name another, or name none.
 */
struct store_options {
    bool apart;           /* the settings name the directory (acme_server) ... */
    struct str directory; /* ... this one; copied */
};

/*
 * `chains` is used for the chains of all credentials and must outlive the store. NULL: out of
 * memory.
 */
struct store *store_new(const struct store_options *options, struct chain_pool *chains) MUST_CHECK;
void store_free(struct store *s); /* NULL is fine */

/*
 * Takes over what we have put ourselves (copied): what the storage holds now; v->gone takes it
 * away. 0, or -1 with *e and nothing changed.
 */
int store_apply(struct store *s, const struct value *v, struct error *e) MUST_CHECK;
/*
 * The same of what was found in the storage, whoever wrote it, however late it comes. Of two
 * certificates of a name one stays, the same in whatever order they are found: one that can be used
 * now; of those the one of the greater fence, then one of our own scope; then one that names
 * `directory` (the file's; STR_NONE: not known yet) or none before one that names another; then by
 * notBefore, notAfter and fingerprint the greater.
 */
int store_meet(struct store *s, const struct value *v, struct str directory, int64_t now,
               struct error *e) MUST_CHECK;

/* NULL: nothing is known of it. Valid until the store changes. */
struct store_name *store_find(const struct store *s, struct subject subject);
/*
 * The name, made with nothing known of it where it is missing, so that it can be given a due time.
 * It stays until a value of it is applied and taken away again. NULL: out of memory.
 */
struct store_name *store_need(struct store *s, struct subject subject) MUST_CHECK;
size_t store_count(const struct store *s);
/*
 * All names in byte order, valid until the store changes; *count how many. NULL: out of memory.
 * Costs what changed since the last call.
 */
struct store_name *const *store_sorted(struct store *s, size_t *count) MUST_CHECK;
/* The account at this CA with its e-mail, or NULL. */
const struct store_account *store_find_account(const struct store *s, const struct ca *ca);

/*
 * The values behind a name, as views into the store, to be changed and put again (to retire, to
 * mark as revoked ...). False where there is no such record.
 */
bool store_credential_value(const struct store *s, const struct store_name *n, struct value *v);
/* Is there an order that may be taken up: not one whose certificate cannot be used yet? */
static inline bool store_order_is_open(const struct store_name *n, int64_t now)
{
    return n->order && (!n->order->order.chain.len || n->order->order.begins_at <= now);
}
bool store_order_value(const struct store *s, const struct store_name *n, struct value *v);
bool store_failure_value(const struct store *s, const struct store_name *n, struct value *v);
bool store_demand_value(const struct store *s, const struct store_name *n, struct value *v);
/* The same of the accounts, by their number from 0 on. */
bool store_account_value(const struct store *s, size_t i, struct value *v);

/* ---- the due index: when a name is looked at next ---- */

/* At `at` unix seconds; 0 takes it out. -1: out of memory. */
int store_due_set(struct store *s, struct store_name *n, int64_t at) MUST_CHECK;
/* Notes until when an order of it does not fit; forgotten with the process. */
void store_limit_set(struct store_name *n, int64_t until);
/* The earliest instant; 0 = none. */
int64_t store_due_next(const struct store *s);
/*
 * Takes a name that is due at `now` out of the due index and returns it, the earliest first; NULL:
 * none is.
 */
struct store_name *store_due_take(struct store *s, int64_t now);
