#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/channel.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * The server side of TLS: one SSL_CTX that is never changed once connections use it; certificates
 * are chosen per handshake from the current view. No session cache: tickets, under keys that all
 * workers share.
 */
struct tls;
struct view;

#define TLS_RESUME_SECONDS 7200      /* a ticket's life; its key lives one to three hours more */
#define TLS_FAILURES_LOGGED_MS 10000 /* credentials that cannot be used are logged this often */

/* What a handshake was given. */
struct tls_outcome {
    bool is_default;        /* no certificate but the default one covers what it asked for */
    bool is_on_demand;      /* one does that its visitors keep */
    struct str name;        /* its SNI as a lower-case host name; STR_NONE where it is none */
    unsigned hits, misses;  /* of the parsed cache */
    const void *connection; /* whose handshake: SSL_set_app_data; NULL where nothing was set */
};

struct tls_options {
    const char *const *protocols; /* "TLSv1.2", "TLSv1.3"; none of them = both */
    size_t protocol_count;
    const char *ciphers; /* of TLS 1.2, OpenSSL's syntax; NULL = the library's */
    bool prefer_server_ciphers;
    size_t parsed_cache; /* slots */
    void *context;
    /* A certificate was chosen; the handshake goes on behind it. May be NULL. */
    void (*chosen)(void *context, const struct tls_outcome *outcome);
};

/* NULL with *e. Makes a ticket key of its own until tls_set_ticket_keys is called. */
struct tls *tls_new(const struct tls_options *options, struct error *e) MUST_CHECK;
void tls_free(struct tls *t); /* NULL is fine */

/* Handshakes choose from this view from now on; it stays the caller's. NULL = none. */
void tls_set_view(struct tls *t, const struct view *view);
/* Parsed credentials that the view does not serve any more go, with their keys. */
void tls_forget_retired(struct tls *t);
/* The first encrypts, all decrypt; `count` 0 changes nothing. Keys are copied. */
void tls_set_ticket_keys(struct tls *t, unsigned char (*keys)[CHANNEL_TICKET_KEY_SIZE],
                         size_t count);

/* A connection to be accepted; NULL when memory is out. */
SSL *tls_accept(struct tls *t) MUST_CHECK;
