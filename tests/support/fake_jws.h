#pragma once

#include <cjson/cJSON.h>
#include <openssl/types.h>
#include <stdbool.h>

/* The other side of pki/jws.h, for tests: a flattened JWS taken apart by other means. */

/* A member's string, or NULL. */
const char *fake_jws_member(const cJSON *object, const char *name);
/* "protected" or "payload" as JSON; NULL where it is empty or none. Free with cJSON_Delete. */
cJSON *fake_jws_part(const char *base64);
/* Is it signed by this key, ES256 or RS256? */
bool fake_jws_is_signed(const cJSON *jws, EVP_PKEY *key);
