#include "entity.h"

#include <string.h>

#include "spec/check.h"
#include "spec/fault.h"
#include "spec/spec.h"

enum certificate_field {
    CERTIFICATE_CERT,
    CERTIFICATE_KEY,
    CERTIFICATE_CERT_ALT,
    CERTIFICATE_KEY_ALT
};

static const struct schema_field fields[] = {
    [CERTIFICATE_CERT] = {"cert", SCHEMA_STRING, "The certificate in PEM, its chain behind it.",
                          .flags = SCHEMA_REQUIRED | SCHEMA_REFERENCEABLE,
                          SCHEMA_KEPT(STORE_TEXT, struct certificate, cert)},
    [CERTIFICATE_KEY] = {"key", SCHEMA_STRING, "Its private key in PEM, without a passphrase.",
                         .flags = SCHEMA_REQUIRED | SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
                         SCHEMA_KEPT(STORE_TEXT, struct certificate, key)},
    [CERTIFICATE_CERT_ALT] = {"cert_alt", SCHEMA_STRING,
                              "A second certificate, with another kind of key.",
                              .flags = SCHEMA_REFERENCEABLE,
                              SCHEMA_KEPT(STORE_TEXT, struct certificate, cert_alt)},
    [CERTIFICATE_KEY_ALT] = {"key_alt", SCHEMA_STRING, "The private key of cert_alt.",
                             .flags = SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
                             SCHEMA_KEPT(STORE_TEXT, struct certificate, key_alt)},
};

static const struct schema_rule rules[] = {
    {.kind = RULE_ALL_OR_NONE, .fields = {CERTIFICATE_CERT_ALT, CERTIFICATE_KEY_ALT}, .count = 2},
};

/* The text of a field that is good so far and written out; else none. */
static struct str written(const struct schema_view *v, unsigned i)
{
    const struct document_node *n = v->slots[i];

    if (!n || n->kind != DOCUMENT_STRING || v->failed >> i & 1 ||
        schema_is_reference(document_text(n)))
        return STR_NONE;
    return document_text(n);
}

/* Asks about one pair; what is wrong is said where it belongs. True: all is well. */
static bool check_pair(struct schema_context *c, struct schema_view *v,
                       const struct schema_frame *at, unsigned cert_field, struct validity *valid)
{
    const struct spec_outside *outside = &c->options->outside;
    struct str cert = written(v, cert_field), key = written(v, cert_field + 1);
    const char *field = "", *prefix = cert_field == CERTIFICATE_CERT ? "" : "alternative ";
    struct error e;

    if ((!cert.ptr && !key.ptr) ||
        !outside->check_certificate(outside->context, cert, key, valid, &field, &e))
        return true;
    if (!field[0]) {
        fault_add_entity(c, at, document_place(v->node), "%s%s", prefix, e.message);
        return false;
    }
    if (field[0] == 'k') {
        fault_add_field(c, v, at, cert_field + 1, "%s", e.message);
        return false;
    }
    fault_add_field(c, v, at, cert_field, "%s", e.message);
    /* The certificate alone is broken so far; the key may be as well. */
    if (key.ptr && outside->check_certificate(outside->context, STR_NONE, key, NULL, &field, &e))
        fault_add_field(c, v, at, cert_field + 1, "%s", e.message);
    return false;
}

static void check_kinds(struct schema_context *c, const struct schema_view *v,
                        const struct schema_frame *at)
{
    const struct spec_outside *outside = &c->options->outside;
    struct str cert = written(v, CERTIFICATE_CERT), alt = written(v, CERTIFICATE_CERT_ALT);
    const char *kind, *alt_kind;

    if (!cert.ptr || !alt.ptr || !outside->certificate_algorithm)
        return;
    kind = outside->certificate_algorithm(outside->context, cert);
    alt_kind = outside->certificate_algorithm(outside->context, alt);
    if (kind && alt_kind && str_equal(str_from(kind), str_from(alt_kind)))
        fault_add_entity(c, at, document_place(v->node),
                         "certificate and alternative certificate need to have different type "
                         "(e.g. RSA and ECDSA), the provided certificates were both of the "
                         "same type");
}

/* What a reference gave must be what the field is for; else it is as good as unresolved. */
static void check_resolved(const struct schema_context *c, const struct schema_view *v,
                           struct certificate *certificate)
{
    const struct spec_outside *outside = &c->options->outside;
    const char *field = "";
    struct error e;

    certificate->unresolved = c->unresolved;
    certificate->unresolved_place = c->unresolved_place;
    if (!c->has_reference || c->unresolved.ptr || v->failed || !outside->check_certificate)
        return;
    if (!outside->check_certificate(outside->context, certificate->cert.value,
                                    certificate->key.value, &certificate->valid, &field, &e) &&
        (!certificate->cert_alt.value.ptr ||
         !outside->check_certificate(outside->context, certificate->cert_alt.value,
                                     certificate->key_alt.value, &certificate->valid_alt, &field,
                                     &e)))
        return;
    for (unsigned i = CERTIFICATE_CERT; i <= CERTIFICATE_KEY_ALT; i++)
        if (v->slots[i] && v->slots[i]->kind == DOCUMENT_STRING &&
            schema_is_reference(document_text(v->slots[i]))) {
            certificate->unresolved = document_text(v->slots[i]);
            certificate->unresolved_place = document_place(v->slots[i]);
        }
}

static void check(struct schema_context *c, struct schema_view *v, void *into,
                  const struct schema_frame *at)
{
    struct certificate *certificate = into;

    if (certificate)
        check_resolved(c, v, certificate);
    if (!c->options->outside.check_certificate)
        return;
    check_pair(c, v, at, CERTIFICATE_CERT, certificate ? &certificate->valid : NULL);
    check_pair(c, v, at, CERTIFICATE_CERT_ALT, certificate ? &certificate->valid_alt : NULL);
    check_kinds(c, v, at);
}

const struct schema_record entity_certificate = {
    "certificates",
    ENTITY_CERTIFICATE,
    "A certificate and its key, served for the SNIs that name it.",
    SCHEMA_FIELDS(fields),
    SCHEMA_RULES(rules),
    .is_entity = true,
    .rules_last = true,
    .check = check};

static const struct schema_field sni_fields[] = {
    {"name", SCHEMA_STRING, "The server name; *.x, x.* or * for many.",
     .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE | SCHEMA_LOWER, .check = check_server_name_pattern,
     SCHEMA_KEPT(STORE_TEXT, struct sni, name)},
    {"certificate", SCHEMA_FOREIGN, "Id of the certificate that is served for it.",
     .flags = SCHEMA_REQUIRED, .refers_to = ENTITY_CERTIFICATE,
     SCHEMA_KEPT(STORE_POINTER, struct sni, certificate)},
};

const struct schema_record entity_sni = {"snis", ENTITY_SNI, "A server name and its certificate.",
                                         SCHEMA_FIELDS(sni_fields), .is_entity = true};

static const struct schema_field ca_fields[] = {
    {"cert", SCHEMA_STRING, "One CA certificate in PEM.", .flags = SCHEMA_REQUIRED,
     SCHEMA_KEPT(STORE_TEXT, struct ca_certificate, cert)},
    {"cert_digest", SCHEMA_STRING, "Computed by databases; without effect here.",
     .flags = SCHEMA_UNIQUE},
};

static void check_ca(struct schema_context *c, struct schema_view *v, void *into,
                     const struct schema_frame *at)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    const struct spec_outside *outside = &c->options->outside;
    const struct document_node *n = v->slots[0];
    const char *first, *field = "";
    struct error e;
    struct str text;

    (void)into;
    if (!n || v->failed & 1 || n->kind != DOCUMENT_STRING)
        return;
    text = document_text(n);
    if (outside->check_certificate &&
        outside->check_certificate(outside->context, text, STR_NONE, NULL, &field, &e)) {
        fault_add_field(c, v, at, 0, "%s", e.message);
        return;
    }
    first = memmem(text.ptr, text.len, begin, sizeof(begin) - 1);
    if (first &&
        memmem(first + 1, text.len - (size_t)(first + 1 - text.ptr), begin, sizeof(begin) - 1)) {
        fault_add_entity(c, at, document_place(v->node),
                         "please submit only one certificate at a time");
        return;
    }
    if (outside->check_ca_certificate && outside->check_ca_certificate(outside->context, text, &e))
        fault_add_entity(c, at, document_place(v->node), "%s", e.message);
}

const struct schema_record entity_ca_certificate = {
    "ca_certificates",
    ENTITY_CA_CERTIFICATE,
    "A CA certificate for services to verify their upstream with.",
    SCHEMA_FIELDS(ca_fields),
    .is_entity = true,
    .check = check_ca};
