#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ca.h"
#include "certificate_facts.h"
#include "failure.h"
#include "str.h"
#include "subject.h"

/*
 * One logical record, plain data that storage writes and reads, and store takes over; neither may
 * include the other. All strings are views that somebody else keeps alive: the caller of a put, the
 * storage during a load's callback, the arena of value_from_json. What its records consist of:
 * base/record.h; what can be done with it: storage/value.h.
 */

#define VALUE_NAME_MAX SUBJECT_NAME_MAX
#define VALUE_EMAIL_MAX 320
#define VALUE_URL_MAX 2048
#define VALUE_KEY_MAX ((size_t)16 << 10)    /* of a private key, PEM or DER */
#define VALUE_LEAF_MAX ((size_t)64 << 10)   /* DER */
#define VALUE_CHAIN_MAX ((size_t)128 << 10) /* DER certificates, one behind the other */
#define VALUE_PEM_MAX ((size_t)512 << 10)   /* leaf and chain of an order */
#define VALUE_TEXT_MAX 2048
#define VALUE_HASH_MAX 64
#define VALUE_OWNER_MAX 64
#define VALUE_JSON_MAX ((size_t)1 << 20)
#define VALUE_JSON_DEPTH_MAX 8
#define VALUE_LOGICAL_KEY_MAX 4096

/* The numbers are written to disk: never renumber. */
enum value_type {
    VALUE_NONE = 0,
    VALUE_ACCOUNT = 1,
    VALUE_CREDENTIAL = 2,
    VALUE_ORDER = 3,        /* the journal entry of an order under way */
    VALUE_FAILURE = 4,      /* what policy needs to know of failed orders of a name */
    VALUE_DEMAND = 5,       /* a name that came on demand */
    VALUE_BACKOFF = 6,      /* what Kong nodes read of a failure */
    VALUE_RENEW_CONFIG = 7, /* what Kong nodes read of a credential: who renews it, and when */
    VALUE_SENT = 8,         /* the newOrders of a name, counted before they were sent */
    VALUE_TYPE_COUNT
};

/* How far an order has come, as far as a crash must know. The numbers are written to disk. */
enum value_order_state {
    VALUE_ORDER_KEY_MADE = 1, /* the key exists, newOrder may have been sent: no URL is known */
    VALUE_ORDER_CREATED = 2,  /* the CA answered: `url` is set */
    VALUE_ORDER_FINALIZED = 3 /* the CSR was sent: only the certificate is still to be fetched, or
                                 it is in `chain` */
};

struct value_account {
    struct str api_uri; /* as the file writes it: part of Kong's key */
    struct str email;   /* the other part */
    struct str key;     /* PEM of a private key, or a JWK as Kong may have stored it */
    struct str url;     /* of the account at the CA; "" = not known yet */
    int64_t created_at;
};

struct value_credential {
    struct str leaf;  /* DER */
    struct str chain; /* DER certificates above it, in sending order; may be empty */
    struct str key;   /* as struct credential's: scalar for P-256 and P-384, else PKCS#8 DER */
    struct certificate_facts facts;
    struct managed_facts managed;
    unsigned char chain_id[32]; /* SHA-256 of chain; zeros: not computed (a put computes it) */
};

struct value_order {
    struct str key;         /* PKCS#8 DER of the certificate's key */
    struct str url;         /* "" until VALUE_ORDER_CREATED */
    struct str account_url; /* whose order it is */
    enum value_order_state state;
    int64_t started_at;
    /* What it brought, PEM, where that begins too late to be used at once; "" = nothing yet. */
    struct str chain;
    int64_t begins_at, ends_at;
    /* Who orders it where several may, and under which lease: the later one has the greater fence;
     * "" and 0 where the storage is one machine's. */
    struct str owner;
    int64_t fence;
};

struct value_demand {
    int64_t last_seen_at;
};

struct value_sent {
    struct str times; /* as base/sent.h has them */
};

struct value_backoff {
    int64_t retry_at;
};

struct value_renew_config {
    int64_t expire_at;
};

struct value {
    enum value_type type;
    bool gone;  /* in a put: the key is deleted, in the same step; only what it needs is read */
    bool apart; /* of a directory that the settings name (acme_server): keys apart from Kong's */
    struct str directory;   /* URL it belongs to; "" = unknown (Kong's own records do not tell) */
    struct subject subject; /* of all but accounts */
    union {
        struct value_account account;
        struct value_credential credential;
        struct value_order order;
        struct failure failure;
        struct value_demand demand;
        struct value_sent sent;
        struct value_backoff backoff;
        struct value_renew_config renew_config;
    } u;
};

/* A record of what is done at `ca`; what it says is the caller's to fill in. */
static inline struct value value_at(const struct ca *ca, enum value_type type,
                                    struct subject subject)
{
    return (struct value){
        .type = type, .apart = ca->apart, .directory = ca->directory, .subject = subject};
}
