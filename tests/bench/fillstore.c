/*
 * fillstore PREFIX N DIRECTORY-URL [-d NUMBER] [-r]: what a server would have stored after N orders
 * at that directory: names h0000000.bench.test on, P-256. With -d, certificate NUMBER is due; with
 * -r all are retired, so that a file that asks for them adopts them.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "leaf.h"
#include "reconciler/base/value.h"
#include "reconciler/storage/file.h"

#define BATCH 1024
#define SCALAR_SIZE 32

/* What the values of one batch point to. */
struct record {
    char name[LEAF_NAME_SIZE];
    unsigned char leaf[LEAF_DER_MAX];
};

/* One key serves all: what differs is made from it. */
struct key {
    EVP_PKEY *pkey;
    unsigned char point[LEAF_POINT_SIZE], scalar[SCALAR_SIZE];
};

static int key_make(struct key *k)
{
    BIGNUM *number = NULL;
    int rc;

    k->pkey = leaf_key(k->point);
    rc = k->pkey && EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number) &&
         BN_bn2binpad(number, k->scalar, SCALAR_SIZE) == SCALAR_SIZE;
    BN_free(number);
    return rc;
}

static int make_value(struct leaf_maker *m, unsigned number, const struct key *k, struct str chain,
                      struct str directory, struct record *r, struct value *v)
{
    long long begin, end;
    size_t size = leaf_make(m, number, k->point, r->leaf);
    struct value_credential *c = &v->u.credential;

    leaf_name(number, r->name);
    leaf_maker_times(m, &begin, &end);
    *v = (struct value){.type = VALUE_CREDENTIAL,
                        .apart = true,
                        .directory = directory,
                        .subject.name = str_from(r->name)};
    c->leaf = (struct str){(const char *)r->leaf, size};
    c->chain = chain;
    c->key = (struct str){(const char *)k->scalar, SCALAR_SIZE};
    c->facts.key_type = KEY_P256;
    c->facts.not_before = begin;
    c->facts.not_after = end;
    SHA256(r->leaf, size, c->facts.fingerprint);
    c->managed.issuer = STR("Bench Intermediate");
    c->managed.issued_at = begin;
    return size != 0;
}

static int pass_over(void *context, const struct value *v, struct error *e)
{
    (void)context;
    (void)v;
    (void)e;
    return 0;
}

struct fill {
    unsigned count;
    long due; /* number of the one that is; -1: none */
    bool is_retired;
    struct str directory;
};

static int fill(struct file *s, const struct fill *f, struct error *e)
{
    static struct record records[BATCH];
    static struct value values[BATCH];
    static struct storage_change changes[BATCH];
    struct leaf_maker *fresh = leaf_maker_new(1, 90), *old = leaf_maker_new(80, 90);
    unsigned char *der = NULL;
    struct key k;
    struct str chain;
    size_t pending = 0;
    int rc = fresh && old && key_make(&k) ? 0 : -1;

    chain = (struct str){NULL, 0};
    if (rc == 0) {
        chain.len = (size_t)i2d_X509(leaf_maker_issuer(fresh), &der);
        chain.ptr = (const char *)der;
    }
    for (unsigned i = 0; i < f->count && rc == 0; i++) {
        struct leaf_maker *m = (long)i == f->due ? old : fresh;
        if (!make_value(m, i, &k, chain, f->directory, &records[pending], &values[pending]))
            rc = -1;
        values[pending].u.credential.managed.active = !f->is_retired;
        changes[pending].value = &values[pending];
        if (++pending == BATCH || i + 1 == f->count) {
            rc = rc == 0 && file_put(s, changes, pending, e) == STORAGE_OK ? 0 : -1;
            pending = 0;
        }
    }
    OPENSSL_free(der);
    leaf_maker_free(fresh);
    leaf_maker_free(old);
    return rc;
}

int main(int argc, char **argv)
{
    struct storage_problems problems = {0};
    struct fill wish = {.due = -1};
    struct file *s;
    struct error e = {0};
    int option, rc;

    while ((option = getopt(argc, argv, "d:r")) > 0)
        if (option == 'd')
            wish.due = strtol(optarg, NULL, 10);
        else
            wish.is_retired = true;
    if (argc - optind != 3)
        return 64;
    wish.count = (unsigned)strtoul(argv[optind + 1], NULL, 10);
    wish.directory = str_from(argv[optind + 2]);
    s = file_open(argv[optind], false, &e);
    rc = s ? 0 : -1;
    if (rc == 0)
        rc = file_load(s, pass_over, NULL, &problems, &e);
    if (rc == 0)
        rc = fill(s, &wish, &e);
    if (rc)
        fprintf(stderr, "fillstore: %s\n", e.message);
    file_close(s);
    return rc ? 1 : 0;
}
