#pragma once

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/base/value.h"

/* The forms of a record (base/value.h): its logical key, Kong's JSON, and a packed one. */

/*
 * The logical key: Kong's `kong_acme:cert_key:<host>`,
 * `kong_acme:account:<api_uri>:<base64(email)>`, `kong_acme:fail_backoff:<host>`,
 * `kong_acme:renew_config:<host>`; ours `reconcert:order:<host>`, `reconcert:failure:<host>`,
 * `reconcert:demand:<host>`, `reconcert:sent:<host>`. Of a further family of keys
 * `reconcert:<cert_key, order ...>:@<family>:<host>`. All with `reconcert:<16 hex digits of the
 * SHA-256 of the directory's URL>:` in front where `apart` is set. -1 with *e when a part is too
 * long, or out of memory.
 */
int value_key(const struct value *v, struct buf *out, struct error *e) MUST_CHECK;
/*
 * The reverse, as far as a key tells: type, apart, subject or api_uri as views into `key` (the
 * e-mail is decoded into `arena`). 1 known, 0 a key of somebody else, -1 out of memory.
 */
int value_key_parse(struct str key, struct arena *arena, struct value *v) MUST_CHECK;

/* Is every field within its limit, and are names and URLs printable? A put refuses what is not. */
int value_check(const struct value *v, struct error *e) MUST_CHECK;

/*
 * Kong's JSON value (facts of Kong 3.x's acme plugin) with our own facts as one member "reconcert"
 * that Kong ignores; decimal seconds for VALUE_BACKOFF. Appended to `out`, which should be secret.
 */
int value_to_json(const struct value *v, struct buf *out, struct error *e) MUST_CHECK;
/*
 * Reads what value_to_json or Kong wrote under `key`. Strings live in `arena`, which should be
 * secret. Hostile input safe: size and depth are bounded, wrong types are refused. A credential
 * that Kong wrote gets its facts from the certificate. -1 with *e (ERROR_SYNTAX, ERROR_INVALID,
 * ERROR_LIMIT, ERROR_MEMORY).
 */
int value_from_json(struct str key, struct str json, struct arena *arena, struct value *v,
                    struct error *e) MUST_CHECK;

/* A deep copy in `arena`. -1: out of memory. */
int value_copy(const struct value *v, struct arena *arena, struct value *copy) MUST_CHECK;
