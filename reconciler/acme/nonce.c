#include "reconciler/acme/nonce.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/base64.h"

void acme_nonces_fini(struct acme_nonces *n)
{
    while (n->count)
        free(n->items[--n->count].text);
}

int acme_nonce_check(struct str nonce, struct error *e)
{
    if (!nonce.len)
        return error_set(e, ERROR_PROTOCOL, "the CA gives no nonce");
    if (nonce.len > ACME_NONCE_MAX)
        return error_set(e, ERROR_PROTOCOL, "the CA's nonce has %zu bytes, more than %d", nonce.len,
                         ACME_NONCE_MAX);
    if (!base64_is(BASE64_URL, nonce))
        return error_set(e, ERROR_PROTOCOL, "the CA's nonce is not base64url");
    return 0;
}

void acme_nonces_put(struct acme_nonces *n, struct str nonce, int64_t now_ms)
{
    struct error ignored;
    char *text = acme_nonce_check(nonce, &ignored) ? NULL : str_dup(nonce);

    if (!text)
        return;
    if (n->count == ACME_NONCES_MAX) {
        free(n->items[0].text);
        memmove(&n->items[0], &n->items[1], --n->count * sizeof(n->items[0]));
    }
    n->items[n->count].text = text;
    n->items[n->count++].at_ms = now_ms;
}

char *acme_nonces_take(struct acme_nonces *n, int64_t now_ms)
{
    if (n->count && now_ms - n->items[n->count - 1].at_ms > ACME_NONCE_AGE_MS)
        acme_nonces_fini(n); /* the newest is too old: so are all */
    return n->count ? n->items[--n->count].text : NULL;
}
