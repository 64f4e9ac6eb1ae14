#pragma once

#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/* SHA-256 (FIPS 180-4). -1 only when libcrypto fails to allocate. */
int digest_sha256(struct str bytes, unsigned char out[32]) MUST_CHECK;
/* As 64 lower-case hexadecimal digits and a NUL. */
int digest_sha256_hex(struct str bytes, char out[65]) MUST_CHECK;
/* MD5 of `count` pieces as 32 digits, for nothing but Kong's configuration_hash. */
int digest_md5_hex(const struct str *pieces, size_t count, char out[33]) MUST_CHECK;
