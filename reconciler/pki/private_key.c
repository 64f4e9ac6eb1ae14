#include "reconciler/pki/private_key.h"

#include <string.h>

#include "reconciler/pki/der.h"
#include "reconciler/pki/spki.h"

/* The AlgorithmIdentifiers that are written, whole. */
static const struct str algorithm_p256 = STR_INIT(
    "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
static const struct str algorithm_p384 =
    STR_INIT("\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22");
static const struct str algorithm_rsa =
    STR_INIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00");

/* The [0] of an ECPrivateKey: a named curve, which must not contradict what is known already. */
static bool read_curve(struct str parameters, enum key_type *type)
{
    struct str oid;
    enum key_type stated;

    if (!parameters.ptr)
        return true;
    if (!der_take(&parameters, DER_OID, &oid) || parameters.len)
        return false;
    stated = spki_curve(oid);
    if (*type != KEY_NONE && *type != stated)
        return false;
    *type = stated;
    return true;
}

static bool read_point(struct str bits, struct str *point)
{
    *point = STR_NONE;
    return !bits.ptr || (der_take_bits(&bits, point) && !bits.len);
}

/* ECPrivateKey; `type` is what an outer AlgorithmIdentifier said, KEY_NONE without one. */
static bool read_ec(struct str der, enum key_type type, struct private_key *key)
{
    struct private_key found = {0};
    struct str fields, version, parameters, bits;

    if (!der_take(&der, DER_SEQUENCE, &fields) || der.len ||
        !der_take_unsigned(&fields, &version) || !str_equal(version, STR("\x01")) ||
        !der_take(&fields, DER_OCTET_STRING, &found.scalar) ||
        !der_take_optional(&fields, DER_CONSTRUCTED(0), &parameters) ||
        !der_take_optional(&fields, DER_CONSTRUCTED(1), &bits) || fields.len)
        return false;
    if (!read_curve(parameters, &type) || !read_point(bits, &found.point) ||
        !private_key_scalar_size(type))
        return false;
    found.type = type;
    *key = found;
    return true;
}

bool private_key_read_sec1(struct str der, struct private_key *key)
{
    return read_ec(der, KEY_NONE, key);
}

bool private_key_read_rsa(struct str der, struct private_key *key)
{
    struct private_key found = {.is_rsa = true, .rsa = der};
    struct str fields, version;

    if (!der_take(&der, DER_SEQUENCE, &fields) || der.len ||
        !der_take_unsigned(&fields, &version) || !str_equal(version, STR("\0")))
        return false;
    for (size_t i = 0; i < PRIVATE_KEY_NUMBERS; i++)
        if (!der_take_unsigned(&fields, &found.numbers[i]))
            return false;
    if (fields.len)
        return false;
    found.type = spki_rsa_type(found.numbers[PRIVATE_KEY_N]);
    *key = found;
    return true;
}

bool private_key_read_pkcs8(struct str der, struct private_key *key)
{
    struct str fields, version, algorithm, inner;
    const char *name;
    enum key_type type;

    /* Attributes and a version 2 public key may follow: both are passed over. */
    if (!der_take(&der, DER_SEQUENCE, &fields) || der.len ||
        !der_take_unsigned(&fields, &version) || version.len != 1 || version.ptr[0] > 1 ||
        !der_take(&fields, DER_SEQUENCE, &algorithm) ||
        !der_take(&fields, DER_OCTET_STRING, &inner))
        return false;
    type = spki_algorithm(algorithm, &name);
    if (type == KEY_RSA_2048)
        return private_key_read_rsa(inner, key);
    return private_key_scalar_size(type) && read_ec(inner, type, key);
}

size_t private_key_scalar_size(enum key_type type)
{
    return type == KEY_P256 ? 32 : type == KEY_P384 ? 48 : 0;
}

bool private_key_scalar(const struct private_key *key, unsigned char *out)
{
    size_t size = private_key_scalar_size(key->type);
    struct str scalar = key->scalar;

    while (scalar.len && scalar.ptr[0] == 0)
        scalar = str_slice(scalar, 1, scalar.len);
    if (!scalar.len || scalar.len > size)
        return false;
    memset(out, 0, size - scalar.len);
    memcpy(out + size - scalar.len, scalar.ptr, scalar.len);
    return true;
}

/* What OpenSSL writes: ECPrivateKey without parameters, with the public point. */
void private_key_put_ec(struct buf *out, enum key_type type, struct str scalar, struct str point)
{
    const struct str algorithm = type == KEY_P384 ? algorithm_p384 : algorithm_p256;
    const size_t bits = point.len + 1, tagged = der_header_size(bits) + bits;
    const size_t octets = der_header_size(scalar.len) + scalar.len;
    const size_t inner = 3 + octets + der_header_size(tagged) + tagged;
    const size_t wrapped = der_header_size(inner) + inner;

    der_header(out, DER_SEQUENCE, 3 + algorithm.len + der_header_size(wrapped) + wrapped);
    der_put(out, DER_INTEGER, STR("\0"));
    buf_str(out, algorithm);
    der_header(out, DER_OCTET_STRING, wrapped);
    der_header(out, DER_SEQUENCE, inner);
    der_put(out, DER_INTEGER, STR("\x01"));
    der_put(out, DER_OCTET_STRING, scalar);
    der_header(out, DER_CONSTRUCTED(1), tagged);
    der_header(out, DER_BIT_STRING, bits);
    buf_char(out, 0);
    buf_str(out, point);
}

void private_key_put_rsa(struct buf *out, struct str rsa)
{
    const size_t wrapped = der_header_size(rsa.len) + rsa.len;

    der_header(out, DER_SEQUENCE, 3 + algorithm_rsa.len + wrapped);
    der_put(out, DER_INTEGER, STR("\0"));
    buf_str(out, algorithm_rsa);
    der_put(out, DER_OCTET_STRING, rsa);
}
