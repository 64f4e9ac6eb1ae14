#pragma once

#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/base/validity.h"

/*
 * What spec asks about PEM texts; signatures as in struct spec_outside (spec/spec.h). `context` is
 * not looked at. Only what Kong looks at: the first certificate, the key, and that they belong
 * together (the chain is read when the credential is made).
 */
int pki_check_certificate(void *context, struct str cert, struct str key, struct validity *valid,
                          const char **field, struct error *e);
/* *field is "pem". */
int pki_check_key(void *context, struct str private_key, struct str public_key, const char **field,
                  struct error *e);
/* Is the first certificate of `cert` one of a CA, and not expired? Kong's sentence in *e. */
int pki_check_ca_certificate(struct str cert, int64_t now, struct error *e) MUST_CHECK;
/* "RSA", "EC" ...; NULL if unreadable. */
const char *pki_certificate_algorithm(void *context, struct str cert);
/* Is the first certificate of `cert` for this SNI? One that cannot be read is for any. */
bool pki_covers_sni(struct str cert, struct str sni);
