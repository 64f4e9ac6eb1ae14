#include "reconciler/pki/digest.h"

#include <openssl/evp.h>

int digest_sha256(struct str bytes, unsigned char out[32])
{
    return EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, out, NULL, EVP_sha256(), NULL) == 1
               ? 0
               : -1;
}

int digest_sha256_hex(struct str bytes, char out[65])
{
    unsigned char hash[32];

    if (digest_sha256(bytes, hash))
        return -1;
    str_hex(hash, sizeof(hash), out);
    return 0;
}

int digest_md5_hex(const struct str *pieces, size_t count, char out[33])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char hash[16];
    int ok = context && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1;

    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_DigestUpdate(context, pieces[i].ptr, pieces[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(context, hash, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!ok)
        return -1;
    str_hex(hash, sizeof(hash), out);
    return 0;
}
