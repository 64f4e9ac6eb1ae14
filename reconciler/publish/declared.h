#pragma once

#include <stddef.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * Declared credentials, interned by the SHA-256 of their PEM texts, so that a reload parses only
 * those that it has not seen. Two steps, since parsing is a job and the pool lives on the loop:
 * declared_prepare reads the pool only, declared_commit changes it.
 */
struct declared;
struct declared_batch;
struct chain_pool;
struct credential;

#define DECLARED_PAIR_MAX ((size_t)4 << 20) /* both PEM texts together, comments and all */

struct declared_pem {
    struct str certificate; /* leaf first, then the chain */
    struct str key;
};

/* One prepared entry: a credential, or why there is none. */
struct declared_result {
    struct credential *credential; /* valid while the pool holds it: reference it to keep it */
    struct error *error;           /* NULL = fine; the batch's */
};

/* `chains` must outlive the pool. NULL: out of memory. */
struct declared *declared_new(struct chain_pool *chains) MUST_CHECK;
void declared_free(struct declared *d); /* NULL is fine */

/*
 * Looks up or parses each of `pems`. Reads the pool without changing it, so it may run on another
 * thread as long as nobody commits meanwhile. `pems` may be freed afterwards. -1 with *e on memory
 * only: a pair that does not parse or match is an error of its own in the results.
 */
int declared_prepare(const struct declared *d, const struct declared_pem *pems, size_t count,
                     struct declared_batch **batch, struct error *e) MUST_CHECK;
/*
 * Makes the batch the newest generation: new credentials enter the pool, those that it does not
 * use leave. Results are in the order of `pems`. -1 with *e (memory): the pool is as before.
 */
int declared_commit(struct declared *d, struct declared_batch *batch, struct error *e) MUST_CHECK;
const struct declared_result *declared_results(const struct declared_batch *batch, size_t *count);
void declared_batch_free(struct declared_batch *batch); /* NULL is fine */
size_t declared_count(const struct declared *d);
