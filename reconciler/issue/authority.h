#pragma once

#include <stdint.h>

#include "reconciler/acme/client.h"
#include "reconciler/base/ca.h"
#include "reconciler/base/error.h"
#include "reconciler/issue/order_journal.h"

struct httpc;
struct httpc_done;
struct job_thread;
struct store;

/*
 * One CA and our account there, driven: finds or makes the account key and has it journaled before
 * it is used, carries the session's requests to the CA, keeps the account URL.
 */
struct authority;

struct authority_options {
    struct httpc *httpc;
    struct job_thread *jobs;
    struct order_journal journal;
    const struct store *store; /* looked into by authority_new only */
    uint64_t cookie_base;      /* its requests carry cookie_base + enum acme_exchange */
    struct ca ca;              /* copied */
    /* It got on: orders may be asked again. Never from within a call. */
    void (*changed)(void *context);
    void *context;
};

struct authority *authority_new(const struct authority_options *options,
                                struct error *e) MUST_CHECK;
void authority_free(struct authority *a); /* its orders go first; NULL is fine */

/*
 * 1: it speaks to this CA as this account, and takes over what else is wanted of it; 0: to another
 * one. -1 with *e: memory.
 */
int authority_adapt(struct authority *a, const struct ca *ca, struct error *e) MUST_CHECK;
const struct ca *authority_ca(const struct authority *a);

/*
 * Does what the session asks for; *wake_ms (unix ms) is lowered to when it wants to be called
 * again.
 */
void authority_run(struct authority *a, int64_t now_ms, int64_t *wake_ms);
void authority_reply(struct authority *a, const struct httpc_done *done, int64_t now_ms);

/* NULL until the account key is there. */
struct acme_client *authority_session(struct authority *a);
/* Why it cannot be used, or NULL: no key, or the session failed. */
const struct error *authority_error(const struct authority *a);
/* The same while it tries again too: NULL once it can be used. */
const struct error *authority_trouble(struct authority *a);
/* Begins again after an error, if the CA has not named a later time. */
void authority_retry(struct authority *a, int64_t now);
