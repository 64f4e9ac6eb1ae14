#include "reconciler/acme/nonce.h"

#include <stdlib.h>
#include <string.h>

static bool is_nonce(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return s.len > 0 && s.len <= ACME_NONCE_MAX;
}

void acme_nonces_fini(struct acme_nonces *n)
{
    while (n->count)
        free(n->items[--n->count].text);
}

void acme_nonces_put(struct acme_nonces *n, struct str nonce, int64_t now_ms)
{
    char *text = is_nonce(nonce) ? str_dup(nonce) : NULL;

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
