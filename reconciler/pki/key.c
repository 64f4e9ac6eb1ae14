#include "reconciler/pki/key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <string.h>

#include "reconciler/pki/certificate.h"
#include "reconciler/pki/jwk.h"
#include "reconciler/pki/pem.h"
#include "reconciler/pki/private_key.h"
#include "reconciler/pki/spki.h"

#define KEY_NUMBER_MAX 2048 /* bytes of an RSA number: 16,384 bits */

/* libcrypto's last reason behind `what`; empties its queue, which nobody else should find filled.
 */
static int refuse(struct error *e, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    error_set(e, ERROR_CRYPTO, reason ? "%s: %s" : "%s", what, reason);
    ERR_clear_error();
    return -1;
}

static void *refuse_null(struct error *e, const char *what)
{
    refuse(e, what);
    return NULL;
}

static int curve_nid(enum key_type type)
{
    return type == KEY_P384 ? NID_secp384r1 : NID_X9_62_prime256v1;
}

/* ---- making ---- */

EVP_PKEY *key_generate(enum key_type type, struct error *e)
{
    static const struct {
        enum key_type type;
        const char *curve;
        size_t bits;
    } kinds[] = {{KEY_P256, "P-256", 0},
                 {KEY_P384, "P-384", 0},
                 {KEY_RSA_2048, NULL, 2048},
                 {KEY_RSA_3072, NULL, 3072},
                 {KEY_RSA_4096, NULL, 4096}};
    EVP_PKEY *key = NULL;

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (kinds[i].type != type)
            continue;
        key = kinds[i].curve ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", kinds[i].curve)
                             : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", kinds[i].bits);
        return key ? key : refuse_null(e, "cannot make a key");
    }
    error_set(e, ERROR_INVALID, "keys of type %s are not made here", key_type_name(type));
    return NULL;
}

int key_generate_packed(enum key_type type, struct buf *packed, struct error *e)
{
    EVP_PKEY *key = key_generate(type, e);
    int result;

    if (!key)
        return -1;
    result = key_pack(key, &type, packed, e);
    EVP_PKEY_free(key);
    return result;
}

enum key_type key_type_of(const EVP_PKEY *key)
{
    char group[64];

    if (EVP_PKEY_is_a(key, "RSA"))
        return key_type_of_rsa((size_t)EVP_PKEY_get_bits(key));
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1) {
        int nid = OBJ_sn2nid(group);
        return nid == NID_X9_62_prime256v1 ? KEY_P256 : nid == NID_secp384r1 ? KEY_P384 : KEY_OTHER;
    }
    return KEY_OTHER;
}

/* ---- packing ---- */

static int pack_ec(const EVP_PKEY *key, enum key_type type, struct buf *packed, struct error *e)
{
    size_t size = private_key_scalar_size(type);
    char *room = buf_reserve(packed, size);
    BIGNUM *scalar = NULL;
    int result = -1;

    if (!room)
        return error_memory(e);
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1 || BN_is_zero(scalar) ||
        BN_bn2binpad(scalar, (unsigned char *)room, (int)size) < 0) {
        refuse(e, "not a private key");
        goto out;
    }
    buf_commit(packed, size);
    result = 0;
out:
    BN_clear_free(scalar);
    return result;
}

static int pack_pkcs8(const EVP_PKEY *key, struct buf *packed, struct error *e)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    unsigned char *der = NULL;
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1, result;

    result = len > 0 ? buf_append(packed, der, (size_t)len) : -1;
    if (len <= 0)
        refuse(e, "not a private key");
    else if (result)
        error_memory(e);
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    return result;
}

int key_pack(const EVP_PKEY *key, enum key_type *type, struct buf *packed, struct error *e)
{
    enum key_type found = key_type_of(key);
    int result = private_key_scalar_size(found) ? pack_ec(key, found, packed, e)
                                                : pack_pkcs8(key, packed, e);

    if (!result)
        *type = found;
    return result;
}

/* The public point as a PEM text states it; len 0 where it does not. */
struct stated_point {
    size_t len;
    char bytes[PRIVATE_KEY_POINT_MAX];
};

/* What the fast reader knows; 1 packed, 0 it does not know it, -1 memory. */
static int pack_read(const struct private_key *key, enum key_type *type, struct buf *packed,
                     struct stated_point *stated)
{
    unsigned char scalar[PRIVATE_KEY_SCALAR_MAX];
    int result;

    if (key->is_rsa) {
        private_key_put_rsa(packed, key->rsa);
        result = packed->failed ? -1 : 1;
    } else if (!private_key_scalar(key, scalar)) {
        return 0;
    } else {
        result = buf_append(packed, scalar, private_key_scalar_size(key->type)) ? -1 : 1;
        explicit_bzero(scalar, sizeof(scalar));
        /* Uncompressed only. */
        if (key->point.len == 2 * private_key_scalar_size(key->type) + 1) {
            stated->len = key->point.len;
            memcpy(stated->bytes, key->point.ptr, key->point.len);
        }
    }
    if (result == 1)
        *type = key->type;
    return result;
}

/* Whatever else OpenSSL reads: other curves, Ed25519, explicit parameters. */
static int pack_slowly(struct str der, enum key_type *type, struct buf *packed, struct error *e)
{
    const unsigned char *p = (const unsigned char *)der.ptr;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)der.len);
    int result;

    if (!key)
        return refuse(e, "not a private key");
    result = key_pack(key, type, packed, e);
    EVP_PKEY_free(key);
    return result;
}

static int pack_der(struct str label, struct str der, enum key_type *type, struct buf *packed,
                    struct stated_point *stated, struct error *e)
{
    static const struct {
        struct str label;
        bool (*read)(struct str der, struct private_key *key);
    } readers[] = {{STR_INIT("PRIVATE KEY"), private_key_read_pkcs8},
                   {STR_INIT("EC PRIVATE KEY"), private_key_read_sec1},
                   {STR_INIT("RSA PRIVATE KEY"), private_key_read_rsa}};
    struct private_key key;

    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++) {
        if (!str_equal(label, readers[i].label) || !readers[i].read(der, &key))
            continue;
        switch (pack_read(&key, type, packed, stated)) {
        case 1:
            return 0;
        case -1:
            return error_memory(e);
        default:
            break;
        }
    }
    return pack_slowly(der, type, packed, e);
}

static int pack_pem(struct str pem, enum key_type *type, struct buf *packed,
                    struct stated_point *stated, struct error *e)
{
    struct buf der = BUF_SECRET(KEY_PEM_MAX);
    struct pem_reader reader = PEM_READER(PEM_PRIVATE_KEY, pem);
    struct pem_block block;
    int result = pem_read_first(&reader, &der, &block, e);

    if (result == 0 && str_starts(block.label, STR("ENCRYPTED")))
        result = error_set(e, ERROR_INVALID, "it is encrypted; passphrases are not supported");
    stated->len = 0;
    if (result == 0)
        result = pack_der(block.label, buf_view(&der), type, packed, stated, e);
    buf_free(&der);
    return result;
}

int key_pack_pem(struct str pem, enum key_type *type, struct buf *packed, struct error *e)
{
    struct stated_point stated;

    return pack_pem(pem, type, packed, &stated, e);
}

/* ---- unpacking ---- */

/* scalar * G, uncompressed; its length or 0. */
static size_t derive_point(enum key_type type, struct str scalar, unsigned char *out)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(curve_nid(type));
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    BIGNUM *number = BN_secure_new();
    size_t len = 0;

    if (point && number && scalar.len == private_key_scalar_size(type) &&
        BN_bin2bn((const unsigned char *)scalar.ptr, (int)scalar.len, number)) {
        BN_set_flags(number, BN_FLG_CONSTTIME);
        if (!BN_is_zero(number) && BN_cmp(number, EC_GROUP_get0_order(group)) < 0 &&
            EC_POINT_mul(group, point, number, NULL, NULL, NULL) == 1)
            len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out,
                                     PRIVATE_KEY_POINT_MAX, NULL);
    }
    BN_clear_free(number);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return len;
}

/* The public point: the leaf's where it is of that type, else computed into `room`. */
static int find_point(enum key_type type, struct str scalar, struct str leaf,
                      unsigned char room[PRIVATE_KEY_POINT_MAX], struct str *point, struct error *e)
{
    struct certificate_view view;

    if (leaf.ptr) {
        if (certificate_parse(leaf, &view, e))
            return -1;
        if (view.key_type == type) {
            *point = view.public_key;
            return 0;
        }
    }
    *point = (struct str){(char *)room, derive_point(type, scalar, room)};
    return point->len ? 0 : refuse(e, "not a private key of its curve");
}

/* OSSL_PARAM integers are in the machine's order, which is little-endian wherever this runs. */
static void reverse(struct str number, unsigned char *out)
{
    for (size_t i = 0; i < number.len; i++)
        out[i] = (unsigned char)number.ptr[number.len - 1 - i];
}

static EVP_PKEY *from_params(const char *algorithm, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    EVP_PKEY *key = NULL;

    if (context && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

static EVP_PKEY *unpack_ec(enum key_type type, struct str packed, struct str leaf, struct error *e)
{
    unsigned char scalar[PRIVATE_KEY_SCALAR_MAX], room[PRIVATE_KEY_POINT_MAX];
    char group[] = "P-256";
    struct str point;
    OSSL_PARAM params[4];
    EVP_PKEY *key;

    if (packed.len != private_key_scalar_size(type))
        return refuse_null(e, "a packed key of the wrong size");
    if (find_point(type, packed, leaf, room, &point, e))
        return NULL;
    if (type == KEY_P384)
        memcpy(group, "P-384", sizeof(group));
    reverse(packed, scalar);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[1] =
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point.ptr, point.len);
    params[2] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, scalar, packed.len);
    params[3] = OSSL_PARAM_construct_end();
    key = from_params("EC", params);
    explicit_bzero(scalar, sizeof(scalar));
    return key ? key : refuse_null(e, "not a usable key");
}

static EVP_PKEY *unpack_rsa(const struct private_key *rsa, struct error *e)
{
    static const char *const names[PRIVATE_KEY_NUMBERS] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    struct buf numbers = BUF_SECRET((size_t)PRIVATE_KEY_NUMBERS * KEY_NUMBER_MAX);
    OSSL_PARAM params[PRIVATE_KEY_NUMBERS + 1];
    size_t total = 0;
    EVP_PKEY *key = NULL;
    char *room;

    for (size_t i = 0; i < PRIVATE_KEY_NUMBERS; i++)
        total += rsa->numbers[i].len;
    room = buf_reserve(&numbers, total);
    if (!room)
        return refuse_null(e, "an RSA key too long");
    for (size_t i = 0; i < PRIVATE_KEY_NUMBERS; i++) {
        reverse(rsa->numbers[i], (unsigned char *)room);
        params[i] = OSSL_PARAM_construct_BN(names[i], (unsigned char *)room, rsa->numbers[i].len);
        room += rsa->numbers[i].len;
    }
    params[PRIVATE_KEY_NUMBERS] = OSSL_PARAM_construct_end();
    key = from_params("RSA", params);
    buf_free(&numbers);
    return key ? key : refuse_null(e, "not a usable key");
}

static EVP_PKEY *unpack_pkcs8(struct str packed, struct error *e)
{
    const unsigned char *p = (const unsigned char *)packed.ptr;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)packed.len);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

    PKCS8_PRIV_KEY_INFO_free(info);
    return key ? key : refuse_null(e, "not a private key");
}

EVP_PKEY *key_unpack(enum key_type type, struct str packed, struct str leaf, struct error *e)
{
    struct private_key key;

    if (packed.len > KEY_PACKED_MAX) {
        error_set(e, ERROR_LIMIT, "the private key is too long");
        return NULL;
    }
    if (private_key_scalar_size(type))
        return unpack_ec(type, packed, leaf, e);
    if (private_key_read_pkcs8(packed, &key) && key.is_rsa)
        return unpack_rsa(&key, e);
    return unpack_pkcs8(packed, e);
}

EVP_PKEY *key_parse(struct str pem, struct error *e)
{
    struct buf packed = BUF_SECRET(KEY_PACKED_MAX);
    enum key_type type;
    EVP_PKEY *key = NULL;

    if (!key_pack_pem(pem, &type, &packed, e))
        key = key_unpack(type, buf_view(&packed), STR_NONE, e);
    buf_free(&packed);
    return key;
}

EVP_PKEY *key_parse_text(struct str text, struct error *e)
{
    struct str trimmed = str_trim(text);

    return trimmed.len && trimmed.ptr[0] == '{' ? key_parse_jwk(trimmed, e) : key_parse(text, e);
}

EVP_PKEY *key_parse_jwk(struct str json, struct error *e)
{
    struct buf bytes = BUF_SECRET(JWK_TEXT_MAX);
    unsigned char scalar[PRIVATE_KEY_SCALAR_MAX];
    struct private_key read;
    EVP_PKEY *key = NULL;

    if (jwk_read_private(json, &bytes, &read, e))
        goto out;
    if (read.is_rsa)
        key = unpack_rsa(&read, e);
    else if (private_key_scalar(&read, scalar))
        key = unpack_ec(read.type, (struct str){(char *)scalar, private_key_scalar_size(read.type)},
                        STR_NONE, e);
    else
        refuse(e, "the JWK's \"d\" does not fit its curve");
    explicit_bzero(scalar, sizeof(scalar));
out:
    buf_free(&bytes);
    return key;
}

/* ---- printing ---- */

int key_print_packed(enum key_type type, struct str packed, struct str leaf, struct buf *pem,
                     struct error *e)
{
    unsigned char room[PRIVATE_KEY_POINT_MAX];
    struct buf der = BUF_SECRET(KEY_PACKED_MAX);
    struct str point;
    int result = -1;

    if (private_key_scalar_size(type)) {
        if (find_point(type, packed, leaf, room, &point, e))
            return -1;
        private_key_put_ec(&der, type, packed, point);
    } else {
        buf_str(&der, packed);
    }
    pem_append(pem, "PRIVATE KEY", buf_view(&der));
    if (der.failed || pem->failed)
        error_memory(e);
    else
        result = 0;
    buf_free(&der);
    return result;
}

int key_print(const EVP_PKEY *key, struct buf *pem, struct error *e)
{
    struct buf packed = BUF_SECRET(KEY_PACKED_MAX);
    enum key_type type;
    int result = key_pack(key, &type, &packed, e);

    if (!result)
        result = key_print_packed(type, buf_view(&packed), STR_NONE, pem, e);
    buf_free(&packed);
    return result;
}

/* ---- comparing ---- */

/* A point in the leaf may be compressed: 02 or 03 by the parity of y, then x (SEC 1 §2.3.3). */
static bool points_equal(struct str point, struct str other)
{
    struct str x = str_slice(point, 1, 1 + point.len / 2);
    unsigned char sign = (unsigned char)(2 | (point.ptr[point.len - 1] & 1));

    if (other.len == x.len + 1 && (unsigned char)other.ptr[0] == sign)
        return str_equal(x, str_slice(other, 1, other.len));
    return str_equal(point, other);
}

static bool rsa_equal(const struct private_key *key, struct str public_key)
{
    struct str modulus, exponent;

    return spki_rsa(public_key, &modulus, &exponent) &&
           str_equal(modulus, key->numbers[PRIVATE_KEY_N]) &&
           str_equal(exponent, key->numbers[PRIVATE_KEY_E]);
}

static int matches_slowly(enum key_type type, struct str packed,
                          const struct certificate_view *leaf, struct error *e)
{
    const unsigned char *p = (const unsigned char *)leaf->spki.ptr;
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &p, (long)leaf->spki.len), *key = NULL;
    int result = -1;

    if (!public_key)
        refuse(e, "the certificate's public key");
    else if ((key = key_unpack(type, packed, STR_NONE, e)))
        result = EVP_PKEY_eq(public_key, key) == 1;
    EVP_PKEY_free(key);
    EVP_PKEY_free(public_key);
    ERR_clear_error();
    return result;
}

int key_matches(enum key_type type, struct str packed, struct str leaf, struct error *e)
{
    unsigned char room[PRIVATE_KEY_POINT_MAX];
    struct certificate_view view;
    struct private_key key;
    struct str point;

    if (certificate_parse(leaf, &view, e))
        return -1;
    if (private_key_scalar_size(type) && view.key_type == type) {
        if (find_point(type, packed, STR_NONE, room, &point, e))
            return -1;
        return points_equal(point, view.public_key);
    }
    if (private_key_read_pkcs8(packed, &key) && key.is_rsa && strcmp(view.algorithm, "RSA") == 0)
        return rsa_equal(&key, view.public_key);
    return matches_slowly(type, packed, &view, e);
}

int key_pack_pem_for(struct str pem, struct str leaf, enum key_type *type, struct buf *packed,
                     bool *matches, struct error *e)
{
    struct stated_point stated;
    struct certificate_view view;
    int result;

    if (pack_pem(pem, type, packed, &stated, e) || certificate_parse(leaf, &view, e))
        return -1;
    if (stated.len && view.key_type == *type) {
        *matches = points_equal((struct str){stated.bytes, stated.len}, view.public_key);
        return 0;
    }
    result = key_matches(*type, buf_view(packed), leaf, e);
    if (result >= 0)
        *matches = result == 1;
    return result < 0 ? -1 : 0;
}
