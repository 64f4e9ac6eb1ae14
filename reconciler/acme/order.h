#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/acme/step.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/http.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

struct acme_client;
struct ca;

/*
 * One order for one name from newOrder to the certificate (RFC 8555 §7.4, §7.5), http-01 only.
 * Reused authorizations, an order that is ready or even valid at once, and an order of an earlier
 * life are normal ways through it.
 */
struct acme_order;

/* For moving a batch in step; grows, but for a resumed order that has to begin anew. */
enum acme_phase {
    ACME_PHASE_NEW_ORDER, /* or the look at a resumed one */
    ACME_PHASE_AUTHORIZATION,
    ACME_PHASE_PUBLISH,
    ACME_PHASE_CHALLENGE,
    ACME_PHASE_VALIDATE,
    ACME_PHASE_FINALIZE,
    ACME_PHASE_ISSUE,
    ACME_PHASE_DOWNLOAD,
    ACME_PHASE_CLEAN_UP, /* failed; its pending authorizations are being deactivated */
    ACME_PHASE_DONE      /* or failed */
};

struct acme_order_options {
    struct acme_client *session; /* outlives the order */
    struct str name;             /* host name or IP literal (RFC 8738) */
    enum key_type key_type;      /* of the certificate's key */
    struct str key;              /* packed (pki/key.h) */
    struct str resume;           /* order URL of an earlier life; STR_NONE = a new order */
    const struct ca *ca;         /* whose preferred chain is taken where it is offered */
    bool is_demanded; /* by a visitor: a refusal is the account's only where the CA says so */
};

/* Copies everything. NULL with *e. */
struct acme_order *acme_order_new(const struct acme_order_options *options,
                                  struct error *e) MUST_CHECK;
void acme_order_free(struct acme_order *o); /* wipes the key; NULL is fine */

/*
 * SAVE: journal, then acme_order_saved. It comes before each newOrder, acme_order_url being
 * STR_NONE (that one is about to be sent, so that a crash cannot make it uncounted), and with the
 * order's URL before anything is done with the order. PUBLISH: acme_order_published once every
 * worker serves it; may come more than once. WAIT_SESSION: the session lacks a nonce or its
 * account. DONE: acme_order_chain. FAILED: acme_order_error.
 */
enum acme_next acme_order_next(struct acme_order *o, int64_t now_ms, struct acme_step *step);
void acme_order_reply(struct acme_order *o, const struct http_reply *reply, int64_t now_ms);
void acme_order_no_reply(struct acme_order *o, const struct error *why, int64_t now_ms);
void acme_order_saved(struct acme_order *o);
void acme_order_published(struct acme_order *o);
/* Gives up: pending authorizations are deactivated (steps still to be driven), then FAILED with
 * `why`. */
void acme_order_abandon(struct acme_order *o, const struct error *why);

/* ACME_PHASE_... of the step that acme_order_next is about to give. */
enum acme_phase acme_order_phase(const struct acme_order *o);
/* Does that step ask the CA? Else it is SAVE (of a URL), PUBLISH, DONE or FAILED. */
bool acme_order_asks(const struct acme_order *o);
/* Does it keep a nonce, of a badNonce answer, for the request that it sends again next? */
bool acme_order_holds_nonce(const struct acme_order *o);
struct str acme_order_url(const struct acme_order *o); /* STR_NONE before the CA named it */
/* PEM, leaf first, checked against key and name. STR_NONE before DONE. */
struct str acme_order_chain(const struct acme_order *o);
/* DONE, but the CA offered no chain that ends under the preferred issuer. */
bool acme_order_lacks_chain(const struct acme_order *o);
/* NULL unless FAILED. The CA's own words; kind, permanent, retry_at. */
const struct error *acme_order_error(const struct acme_order *o);
/* While it is under way: what the CA reports of a try that it has not given up, or NULL. */
const struct error *acme_order_trouble(const struct acme_order *o);
/* After FAILED: is the order alive at the CA, so that the next attempt should resume its URL? */
bool acme_order_is_resumable(const struct acme_order *o);
/* The i-th token that was published and its end; to take it from the workers some time after the
 * order ended. */
struct str acme_order_token(const struct acme_order *o, size_t i); /* STR_NONE behind the last */
