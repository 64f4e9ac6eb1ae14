#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"

struct chain_pool;
struct credential;

struct default_pair_options {
    const char *prefix;
    char *const *certificates, *const *keys; /* what ssl_cert and ssl_cert_key give, pairwise */
    size_t count;
    struct chain_pool *chains;
    int64_t now;
};

/*
 * What is served where nothing else fits: what ssl_cert and ssl_cert_key give or name (PEM text,
 * base64 of it, or a file, as in Kong), else a self-signed CN=localhost pair, RSA-2048 and P-256,
 * made once under prefix/ssl. pair[1] may stay NULL. -1 with *e, which quotes nothing of the
 * settings: a value or file that cannot be used, or a prefix that cannot be written.
 */
int default_pair_load(const struct default_pair_options *options, struct credential *pair[2],
                      struct error *e) MUST_CHECK;
