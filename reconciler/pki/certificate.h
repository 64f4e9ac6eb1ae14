#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/ip.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/*
 * Reading certificates (RFC 5280 §4) by a strict DER reader of our own, a microsecond or two each;
 * d2i_X509 takes a hundred. Nothing is verified: no signature, no path.
 */

#define CERTIFICATE_DER_MAX ((size_t)64 << 10)

struct certificate_facts; /* base */

/* What a certificate says. Views into its DER; STR_NONE where it does not say. */
struct certificate_view {
    struct str der;
    struct str serial;                /* content of the INTEGER */
    struct str issuer, subject;       /* Names, whole DER */
    struct str issuer_cn, subject_cn; /* the first commonName, raw bytes: escape before printing */
    int64_t not_before, not_after;    /* unix seconds */
    struct str spki;                  /* SubjectPublicKeyInfo, whole DER */
    struct str public_key;            /* its BIT STRING: EC point, RSAPublicKey ... */
    enum key_type key_type;
    const char *algorithm; /* "RSA", "EC", "ED25519", "OTHER" */
    struct str san;        /* content of GeneralNames; see certificate_next_name */
    struct str subject_key_id, authority_key_id;
    bool is_ca; /* basicConstraints */
};

/* -1 with ERROR_CRYPTO on anything that is not one DER certificate with nothing behind it. */
int certificate_parse(struct str der, struct certificate_view *view, struct error *e) MUST_CHECK;
/* The facts alone, fingerprint included. */
int certificate_read_facts(struct str der, struct certificate_facts *facts,
                           struct error *e) MUST_CHECK;

enum certificate_name { CERTIFICATE_DNS, CERTIFICATE_IP };

/*
 * Walks the subjectAltName: `struct str rest = view.san; while (certificate_next_name(&rest, &kind,
 * &name))`. dNSName as text, iPAddress as 4 or 16 bytes; other kinds are passed over.
 */
bool certificate_next_name(struct str *rest, enum certificate_name *kind, struct str *name);
/* A textual IPv4 or IPv6 address as 4 or 16 bytes in `room`; false for a host name. */
bool certificate_parse_ip(struct str name, struct str *bytes, unsigned char room[IP_BYTES_MAX]);
/*
 * Does the subjectAltName cover this host name (any case) or IP literal? A leftmost `*` label
 * covers exactly one label (RFC 6125 §6.4.3). The common name does not count. A name that is itself
 * "*.x" is covered by an equal entry only.
 */
bool certificate_covers(const struct certificate_view *view, struct str name);
/* The same for a declared SNI: "www.*" is covered by any name that begins so, "*" by every one. */
bool certificate_covers_sni(const struct certificate_view *view, struct str sni);
