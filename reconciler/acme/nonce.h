#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/acme/step.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * The nonces of one session (RFC 8555 §6.5), newest first out, and who is after them. Each signed
 * request takes one and its answer brings one, so that what circulates bounds the requests under
 * way.
 */
struct acme_nonces {
    struct {
        char *text;
        int64_t at_ms;
    } items[ACME_NONCES_MAX];
    size_t count;
    size_t waiting; /* requests without a nonce */
    size_t busy;    /* signed requests under way: each should bring one back */
};

void acme_nonces_fini(struct acme_nonces *n);
/* Is it base64url of a sane length (§6.5.1)? -1 with ERROR_PROTOCOL. */
int acme_nonce_check(struct str nonce, struct error *e) MUST_CHECK;
/* Keeps a nonce; the oldest goes where there is no room. An unfit one is ignored. */
void acme_nonces_put(struct acme_nonces *n, struct str nonce, int64_t now_ms);
/* The newest one that is not too old, malloc'd; NULL where there is none. */
char *acme_nonces_take(struct acme_nonces *n, int64_t now_ms);
