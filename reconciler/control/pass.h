#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/control/configuration.h"
#include "reconciler/core/breaker.h"

struct chain_pool;
struct conditions;
struct demands;
struct issuance;
struct issuance_result;
struct journal;
struct store_name;
struct value;

/*
 * Carries plans out (design 1): one name or all of them, and what became of orders. It remembers
 * nothing: what is to come stands in the store's due index.
 */
struct pass {
    struct configuration_state *state;
    const struct configuration *generation; /* NULL before the first one */
    struct journal *journal;
    struct issuance *issuance;
    struct demands *demands;
    struct chain_pool *chains;
    struct budget *budget; /* what is left of the CA's limits; NULL: none are known */
    size_t retries;        /* asked for, and not recorded yet */
    size_t moving;         /* adopted or retired, and not recorded yet */
    struct breaker breaker;
    struct conditions *conditions;
    bool has_news; /* waits that conditions tell of have begun or ended: a sweep counts them */
    void *context;
    void (*storage_failed)(void *context, const struct error *e); /* nothing can be written down */
};

/*
 * The part of a full plan that only sets dates: for the thread that the state is lent to, ahead of
 * pass_carry_out. -1: memory.
 */
int pass_schedule(const struct configuration_state *state, const struct configuration_plan *plan,
                  int64_t now) MUST_CHECK;
/*
 * Names whose adoption or retirement is on its way to the storage at most: with a million of them
 * memory stays bounded, a turn short, and what else is recorded does not wait behind them.
 */
#define PASS_MOVES_MAX 256
static inline bool pass_may_move(const struct pass *p)
{
    return p->moving < PASS_MOVES_MAX;
}

/*
 * The rest of it, at most `max` actions from *cursor on (0 at first): what is put into the index or
 * taken out of it, while pass_may_move, then orders, the most urgent first. True while there is
 * more to do.
 */
bool pass_carry_out(struct pass *p, const struct configuration_plan *plan, size_t *cursor,
                    size_t max, int64_t now);
/* The names that are due. Returns when the next one is (unix seconds; 0 = none). */
int64_t pass_due(struct pass *p, int64_t now);
/* One name again: something about it has changed. */
void pass_name(struct pass *p, struct subject subject, int64_t now);

/* Outcomes of orders: recorded durably, then served, or counted; then the name is decided again. */
void pass_issued(struct pass *p, const struct issuance_result *result, int64_t now);
void pass_failed(struct pass *p, const struct issuance_result *result, const struct error *e,
                 bool is_resumable, int64_t now);
/*
 * Somebody wants what failed to be tried at once: `name`, or all where it is empty. The wait is
 * recorded as taken off, then the names are due: the CA's limits hold on. Counted in `retries`.
 */
void pass_retry(struct pass *p, struct str name);
/* These values, of one name; then it is decided again. */
void pass_record(struct pass *p, const struct value *values, size_t count);
/*
 * The name is looked at again at `at` (0: only a change brings it back), and what only visitors
 * asked for when it is to be forgotten. -1: memory.
 */
int pass_set_date(const struct configuration_state *state, struct store_name *n,
                  int64_t at) MUST_CHECK;

/* What is desired of a name, on demand too; NULL if it is not. `room` is used for on-demand ones.
 */
const struct desired_name *pass_find_desired(const struct pass *p, struct subject subject,
                                             int64_t now, struct desired_name *room);
