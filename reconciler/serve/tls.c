#include "tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "parsed.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "recent.h"
#include "view.h"

/* A key of CHANNEL_TICKET_KEY_SIZE bytes: 16 name, 32 AES, 32 HMAC. */
#define TICKET_NAME_SIZE 16
#define TICKET_CIPHER_AT 16
#define TICKET_MAC_AT 48
#define TICKET_MAC_SIZE 32

#define FAILURES_REMEMBERED 256

struct tls {
    SSL_CTX *context;
    struct parsed_cache *parsed;
    const struct view *view;
    struct tls_options options;
    unsigned char keys[CHANNEL_TICKET_KEYS][CHANNEL_TICKET_KEY_SIZE];
    size_t key_count;
    EVP_CIPHER *ticket_cipher; /* fetched once: a fetch costs microseconds */
    struct recent *failures;   /* names whose credential was complained about */
};

/* ---- what is spoken ---- */

/* TLS 1.3 suites are always all of OpenSSL's; `ciphers` are those of TLS 1.2. */
static bool set_ciphers(SSL_CTX *context, const struct tls_options *o)
{
    if (o->prefer_server_ciphers)
        SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return !o->ciphers || !*o->ciphers || SSL_CTX_set_cipher_list(context, o->ciphers) == 1;
}

static bool has_protocol(const struct tls_options *o, const char *name)
{
    for (size_t i = 0; i < o->protocol_count; i++)
        if (strcmp(o->protocols[i], name) == 0)
            return true;
    return false;
}

static bool set_protocols(SSL_CTX *context, const struct tls_options *o)
{
    bool has12 = has_protocol(o, "TLSv1.2"), has13 = has_protocol(o, "TLSv1.3");

    return SSL_CTX_set_min_proto_version(context,
                                         has13 && !has12 ? TLS1_3_VERSION : TLS1_2_VERSION) &&
           SSL_CTX_set_max_proto_version(context,
                                         has12 && !has13 ? TLS1_2_VERSION : TLS1_3_VERSION);
}

/*
 * The hybrid of ML-KEM and X25519 first, where the linked OpenSSL has it (3.5 on): what is recorded
 * today is not read by tomorrow's computers. An older one refuses a list with a name that it does
 * not know.
 */
static bool set_groups(SSL_CTX *context)
{
    static const char *const lists[] = {"X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"};

    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        if (SSL_CTX_set1_groups_list(context, lists[i]) == 1)
            return true;
        ERR_clear_error();
    }
    return false;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned int in_len, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found;

    (void)ssl;
    (void)context;
    /* RFC 7301 §3.2: nothing in common is fatal, so that nobody speaks h2 or acme-tls/1 to us. */
    if (SSL_select_next_proto(&found, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 6066 §3: an SNI is acknowledged. */
static int on_servername(SSL *ssl, int *alert, void *context)
{
    (void)alert;
    (void)context;
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) ? SSL_TLSEXT_ERR_OK
                                                              : SSL_TLSEXT_ERR_NOACK;
}

/* ---- tickets (RFC 5077 §4, RFC 8446 §4.6.1) ---- */

static int init_mac(EVP_MAC_CTX *mac, const unsigned char *key)
{
    unsigned char copy[TICKET_MAC_SIZE];
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, copy, sizeof(copy)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    int ok;

    memcpy(copy, key + TICKET_MAC_AT, sizeof(copy));
    ok = EVP_MAC_CTX_set_params(mac, params);
    OPENSSL_cleanse(copy, sizeof(copy));
    return ok;
}

static int seal_ticket(struct tls *t, unsigned char *name, unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const unsigned char *key = t->keys[0];

    memcpy(name, key, TICKET_NAME_SIZE);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->ticket_cipher)) != 1 ||
        !EVP_EncryptInit_ex(cipher, t->ticket_cipher, NULL, key + TICKET_CIPHER_AT, iv) ||
        !init_mac(mac, key))
        return -1;
    return 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing)
{
    struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (is_sealing)
        return seal_ticket(t, name, iv, cipher, mac);
    for (size_t i = 0; i < t->key_count; i++) {
        const unsigned char *key = t->keys[i];
        if (CRYPTO_memcmp(key, name, TICKET_NAME_SIZE) != 0)
            continue;
        if (!EVP_DecryptInit_ex(cipher, t->ticket_cipher, NULL, key + TICKET_CIPHER_AT, iv) ||
            !init_mac(mac, key))
            return -1;
        return i == 0 ? 1 : 2; /* 2: under an older key, so a new ticket is due */
    }
    return 0; /* unknown: a full handshake */
}

void tls_set_ticket_keys(struct tls *t, unsigned char (*keys)[CHANNEL_TICKET_KEY_SIZE],
                         size_t count)
{
    if (!count || count > CHANNEL_TICKET_KEYS)
        return;
    OPENSSL_cleanse(t->keys, sizeof(t->keys));
    memcpy(t->keys, keys, count * CHANNEL_TICKET_KEY_SIZE);
    t->key_count = count;
}

/* ---- certificates ---- */

static void complain(struct tls *t, const struct view_choice *choice, const struct error *e)
{
    struct str name = choice->found.name;
    int64_t now = clock_steady_ms();

    if (recent_has(t->failures, name, now))
        return;
    recent_mark(t->failures, name, now);
    happening_tell_error_of(HAPPENING_CERTIFICATE_UNUSABLE, e, name);
}

static int use_credential(struct tls *t, SSL *ssl, struct str name,
                          const struct segment_credential *credential, struct tls_outcome *outcome,
                          struct error *e)
{
    struct parsed parsed;

    if (parsed_get(t->parsed, name, credential, &parsed, e))
        return -1;
    if (parsed.was_there)
        outcome->hits++;
    else
        outcome->misses++;
    if (SSL_use_cert_and_key(ssl, parsed.leaf, parsed.key, parsed.chain, 1) == 1)
        return 0;
    error_set(e, ERROR_CRYPTO, "OpenSSL refuses the certificate: %s",
              ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    return -1;
}

/* Of an RSA and an ECDSA credential one is enough. */
static int use_choice(struct tls *t, SSL *ssl, const struct view_choice *choice,
                      struct tls_outcome *outcome)
{
    unsigned used = 0;

    for (size_t i = 0; i < choice->found.count; i++) {
        struct error e;
        if (use_credential(t, ssl, choice->found.name, &choice->found.credentials[i], outcome, &e))
            complain(t, choice, &e);
        else
            used++;
    }
    return used ? 1 : 0;
}

static int on_certificate(SSL *ssl, void *context)
{
    struct tls *t = context;
    struct str sni = str_from(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    struct tls_outcome outcome = {0};
    struct view_choice choice;
    int ok = 0;

    if (!t->view)
        return 0;
    view_choose(t->view, sni, &choice);
    if (choice.match != VIEW_NONE)
        ok = use_choice(t, ssl, &choice, &outcome);
    outcome.is_default = choice.match == VIEW_NONE || choice.match == VIEW_DEFAULT;
    outcome.is_on_demand = choice.match != VIEW_NONE && choice.found.on_demand;
    outcome.connection = SSL_get_app_data(ssl);
    if (choice.is_name)
        outcome.name = (struct str){choice.name, choice.name_len};
    if (t->options.chosen)
        t->options.chosen(t->options.context, &outcome);
    return ok;
}

/* ---- life ---- */

static int configure(struct tls *t)
{
    static const unsigned char id[] = "reconcert";
    SSL_CTX *c = t->context;

    SSL_CTX_set_app_data(c, t);
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(c, TLS_RESUME_SECONDS);
    SSL_CTX_set_cert_cb(c, on_certificate, t);
    SSL_CTX_set_alpn_select_cb(c, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(c, on_servername);
    /* Level 1 as Kong's own OpenSSL has it: Debian's 2 would refuse declared RSA-1024 ones. */
    SSL_CTX_set_security_level(c, 1);
    return set_protocols(c, &t->options) && set_ciphers(c, &t->options) && set_groups(c) &&
           SSL_CTX_set_session_id_context(c, id, sizeof(id) - 1) &&
           /* One: each costs an encryption and bytes, and a resumption brings the next. */
           SSL_CTX_set_num_tickets(c, 1) && SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket) &&
           RAND_bytes(t->keys[0], CHANNEL_TICKET_KEY_SIZE) == 1;
}

struct tls *tls_new(const struct tls_options *options, struct error *e)
{
    struct tls *t = calloc(1, sizeof(*t));

    if (!t)
        return error_no_memory(e);
    t->options = *options;
    t->key_count = 1;
    t->context = SSL_CTX_new(TLS_server_method());
    t->parsed = parsed_cache_new(options->parsed_cache);
    t->failures = recent_new(FAILURES_REMEMBERED, TLS_FAILURES_LOGGED_MS);
    t->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (t->context && t->parsed && t->failures && t->ticket_cipher && configure(t))
        return t;
    error_set(e, ERROR_CRYPTO, "TLS cannot be set up: %s",
              ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    tls_free(t);
    return NULL;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->context);
    parsed_cache_free(t->parsed);
    recent_free(t->failures);
    EVP_CIPHER_free(t->ticket_cipher);
    OPENSSL_cleanse(t->keys, sizeof(t->keys));
    free(t);
}

void tls_set_view(struct tls *t, const struct view *view)
{
    t->view = view;
}

static bool is_served(const void *context, struct str name, struct str leaf)
{
    return view_serves(context, name, leaf);
}

void tls_forget_retired(struct tls *t)
{
    if (t->view)
        parsed_forget(t->parsed, is_served, t->view);
}

SSL *tls_accept(struct tls *t)
{
    SSL *ssl = SSL_new(t->context);

    if (!ssl)
        ERR_clear_error();
    return ssl;
}
