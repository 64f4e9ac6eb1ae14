#pragma once

#include <openssl/x509v3.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/*
 * A subjectAltName of one dNSName, or one iPAddress where the name is an IP literal (RFC 5280
 * §4.2.1.6); inside pki only. NULL when memory is out. Free with GENERAL_NAMES_free.
 */
GENERAL_NAMES *alt_name_make(struct str name) MUST_CHECK;
