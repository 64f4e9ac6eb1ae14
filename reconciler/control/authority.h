#ifndef CONTROL_AUTHORITY_H
#define CONTROL_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/acme/session.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

struct httpc;
struct httpc_done;
struct job_thread;
struct journal;
struct store;

/*
 * One CA and our account there, driven: finds or makes the account key and has it journaled before
 * it is used, carries the session's requests to the CA, keeps the account URL.
 */
struct authority;

struct authority_options {
    struct httpc *httpc;
    struct job_thread *jobs;
    struct journal *journal;
    const struct store *store; /* looked into by authority_new only */
    uint64_t cookie_base;      /* its requests carry cookie_base + enum acme_exchange */
    struct str directory;      /* everything here is copied */
    struct str api_uri;        /* as the file has it: part of Kong's storage key */
    struct str email;
    bool apart;             /* the settings name the directory */
    struct str account_key; /* the file's: PEM or JWK; STR_NONE = ours to make */
    struct str eab_kid, eab_hmac_key;
    /* It got on: orders may be asked again. Never from within a call. */
    void (*changed)(void *context);
    void *context;
};

struct authority *authority_new(const struct authority_options *options,
                                struct error *e) MUST_CHECK;
void authority_free(struct authority *a); /* its orders go first; NULL is fine */

/* Is it the CA and account that these options ask for? */
bool authority_is(const struct authority *a, const struct authority_options *options);

/*
 * Does what the session asks for; *wake_ms (unix ms) is lowered to when it wants to be called
 * again.
 */
void authority_run(struct authority *a, int64_t now_ms, int64_t *wake_ms);
void authority_reply(struct authority *a, const struct httpc_done *done, int64_t now_ms);

/* NULL until the account key is there. */
struct acme_session *authority_session(struct authority *a);
/* Why it cannot be used, or NULL: no key, or the session failed. */
const struct error *authority_error(const struct authority *a);
/* The same while it tries again too: NULL once it can be used. */
const struct error *authority_trouble(struct authority *a);
/* Begins again after an error, if the CA has not named a later time. */
void authority_retry(struct authority *a, int64_t now);

#endif
