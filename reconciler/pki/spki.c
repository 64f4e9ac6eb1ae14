#include "reconciler/pki/spki.h"

#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/der.h"

static const struct {
    struct str oid;
    const char *name;
    enum key_type key_type;
} algorithms[] = {
    {STR_INIT("\x2a\x86\x48\xce\x3d\x02\x01"), "EC", KEY_OTHER}, /* 1.2.840.10045.2.1; by curve */
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"), "RSA",
     KEY_RSA_2048}, /* 1.2.840.113549.1.1.1 */
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"), "RSA-PSS", KEY_OTHER}, /* ...1.1.10 */
    {STR_INIT("\x2b\x65\x70"), "ED25519", KEY_OTHER},                         /* 1.3.101.112 */
    {STR_INIT("\x2b\x65\x71"), "ED448", KEY_OTHER},                           /* 1.3.101.113 */
    {STR_INIT("\x2a\x86\x48\xce\x38\x04\x01"), "DSA", KEY_OTHER}, /* 1.2.840.10040.4.1 */
};

enum key_type spki_curve(struct str oid)
{
    if (str_equal(oid, STR("\x2a\x86\x48\xce\x3d\x03\x01\x07"))) /* 1.2.840.10045.3.1.7 */
        return KEY_P256;
    if (str_equal(oid, STR("\x2b\x81\x04\x00\x22"))) /* 1.3.132.0.34 */
        return KEY_P384;
    return KEY_OTHER;
}

enum key_type spki_algorithm(struct str identifier, const char **algorithm)
{
    struct str oid, curve;

    if (algorithm)
        *algorithm = "OTHER";
    if (!der_take(&identifier, DER_OID, &oid))
        return KEY_OTHER;
    for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++) {
        if (!str_equal(oid, algorithms[i].oid))
            continue;
        if (algorithm)
            *algorithm = algorithms[i].name;
        if (i == 0)
            return der_take(&identifier, DER_OID, &curve) && !identifier.len ? spki_curve(curve)
                                                                             : KEY_OTHER;
        return algorithms[i].key_type;
    }
    return KEY_OTHER;
}

enum key_type spki_rsa_type(struct str modulus)
{
    size_t bits = modulus.len * 8;

    for (unsigned top = modulus.len ? (unsigned char)modulus.ptr[0] : 0; bits && top < 0x80;
         top <<= 1)
        bits--;
    return key_type_of_rsa(bits);
}

bool spki_rsa(struct str public_key, struct str *modulus, struct str *exponent)
{
    struct str fields;

    return der_take(&public_key, DER_SEQUENCE, &fields) && !public_key.len &&
           der_take_unsigned(&fields, modulus) && der_take_unsigned(&fields, exponent) &&
           !fields.len;
}

bool spki_take(struct str *cursor, struct spki *spki)
{
    struct str rest = *cursor, identifier, modulus, exponent, content;
    struct der_element element;
    struct spki found;

    if (!der_next(&rest, &element) || element.tag != DER_SEQUENCE)
        return false;
    content = element.content;
    found.der = element.whole;
    if (!der_take(&content, DER_SEQUENCE, &identifier) ||
        !der_take_bits(&content, &found.public_key) || content.len)
        return false;
    found.key_type = spki_algorithm(identifier, &found.algorithm);
    if (found.key_type == KEY_RSA_2048) {
        if (!spki_rsa(found.public_key, &modulus, &exponent))
            return false;
        found.key_type = spki_rsa_type(modulus);
    }
    *spki = found;
    *cursor = rest;
    return true;
}
