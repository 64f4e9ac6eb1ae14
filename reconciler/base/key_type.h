#pragma once

#include "str.h"

/* The kinds of key a certificate can have here. The numbers are written to disk: never renumber. */
enum key_type {
    KEY_NONE = 0,
    KEY_P256 = 1,
    KEY_P384 = 2,
    KEY_RSA_2048 = 3,
    KEY_RSA_3072 = 4,
    KEY_RSA_4096 = 5,
    KEY_OTHER = 6 /* whatever a declared certificate brings: RSA-1024, Ed25519 ... */
};

/* "ecdsa-p256", "rsa-2048" ...; what JSON output prints as key_type. */
const char *key_type_name(enum key_type type);
/* The reverse; KEY_NONE for any other word. */
enum key_type key_type_from(struct str name);
/* Of RSA with so many bits. */
enum key_type key_type_of_rsa(size_t bits);
