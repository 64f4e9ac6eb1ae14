#pragma once

#include <openssl/types.h>
#include <stddef.h>

/*
 * Makes leaf certificates in bulk: one is built by OpenSSL, the others are its bytes with another
 * name, key and number, signed anew. P-256 throughout.
 */
struct leaf_maker;

#define LEAF_DER_MAX 1024
#define LEAF_NAME_SIZE 20 /* "h0000042.bench.test" with its NUL */
#define LEAF_NUMBERS 10000000u
#define LEAF_POINT_SIZE 65

/* Leaves are `age` days old and live `days`. NULL on failure. */
struct leaf_maker *leaf_maker_new(long age, long days);
void leaf_maker_free(struct leaf_maker *m);
/* The intermediate above the leaves. */
X509 *leaf_maker_issuer(const struct leaf_maker *m);
/* When leaves begin and end, in unix seconds. */
void leaf_maker_times(const struct leaf_maker *m, long long *begin, long long *end);

/* DER of leaf `number` for a key's public point, into out[LEAF_DER_MAX]; 0 on failure. */
size_t leaf_make(struct leaf_maker *m, unsigned number, const unsigned char *point,
                 unsigned char *out);
/* The name of leaf `number`, below LEAF_NUMBERS. */
void leaf_name(unsigned number, char out[LEAF_NAME_SIZE]);
/* A fresh P-256 key and its point. */
EVP_PKEY *leaf_key(unsigned char point[LEAF_POINT_SIZE]);
