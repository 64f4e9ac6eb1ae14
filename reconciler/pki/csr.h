#pragma once

#include <openssl/types.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

#define CSR_COMMON_NAME_MAX 64 /* X.520 ub-common-name */
#define CSR_NAME_MAX 253       /* RFC 1035 §2.3.4, without the last dot */

/*
 * Appends a PKCS#10 request in DER (RFC 2986, RFC 8555 §7.4) for one host name or IP literal:
 * always in the SAN, and as CN where it has at most CSR_COMMON_NAME_MAX characters, else an empty
 * subject.
 */
int csr_build(EVP_PKEY *key, struct str name, struct buf *der, struct error *e) MUST_CHECK;
