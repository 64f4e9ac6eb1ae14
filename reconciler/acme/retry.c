#include "reconciler/acme/retry.h"

const struct acme_patience acme_patience = {ACME_RETRIES_MAX, ACME_RETRY_PAUSE_MS};
const struct acme_patience acme_patience_of_lag = {ACME_LAG_RETRIES_MAX, ACME_LAG_PAUSE_MS};

bool acme_retry_passes(const struct error *e)
{
    return e->kind == ERROR_NETWORK || e->kind == ERROR_TIMEOUT || e->kind == ERROR_CA_BROKEN ||
           ((e->kind == ERROR_RATE_LIMIT || e->kind == ERROR_ACCOUNT_LIMIT) && e->retry_at);
}

bool acme_retry_again(struct acme_retry *r, const struct acme_patience *p, const struct error *e,
                      int64_t now_ms)
{
    int64_t ours = p->pause_ms << r->count;
    int64_t asked = e->retry_at ? e->retry_at * 1000 - now_ms : 0;
    int64_t pause = asked > ours ? asked : ours;

    if (pause > ACME_RETRY_AFTER_WAITED_MS || r->count == p->times)
        return false;
    r->at_ms = now_ms + pause;
    r->count++;
    return true;
}
