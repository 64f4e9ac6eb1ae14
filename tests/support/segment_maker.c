#include "segment_maker.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/pki/key.h"
#include "test_issuer.h"

#define CREDENTIALS_MAX 64
#define BYTES_MAX 16384

struct segment_maker {
    struct test_issuer *root, *issuer;
    struct buf chain;
    struct buf bytes[2 * CREDENTIALS_MAX]; /* leaf, key */
    size_t count;
};

static void fail(const struct error *e)
{
    fprintf(stderr, "segment_maker: %s\n", e->message);
    abort();
}

struct segment_maker *segment_maker_new(const char *issuer)
{
    struct segment_maker *m = calloc(1, sizeof(*m));

    if (!m)
        abort();
    m->root = test_issuer_new("segment maker's root", NULL);
    m->issuer = test_issuer_new(issuer, m->root);
    m->chain = BUF_INIT(BYTES_MAX);
    test_issuer_der(m->issuer, &m->chain);
    return m;
}

void segment_maker_free(struct segment_maker *m)
{
    for (size_t i = 0; i < m->count; i++)
        buf_free(&m->bytes[i]);
    buf_free(&m->chain);
    test_issuer_free(m->issuer);
    test_issuer_free(m->root);
    free(m);
}

struct segment_credential segment_maker_credential(struct segment_maker *m, const char *name,
                                                   enum key_type type)
{
    struct buf *leaf = &m->bytes[m->count++], *key = &m->bytes[m->count++];
    struct error e = {0};
    EVP_PKEY *made = key_generate(type, &e);
    char alt[300];
    struct test_leaf options = {.key = made,
                                .names = alt,
                                .cn = name,
                                .not_before = time(NULL) - 3600,
                                .not_after = time(NULL) + 86400};
    enum key_type packed_type;

    if (!made || m->count > 2 * CREDENTIALS_MAX)
        fail(&e);
    snprintf(alt, sizeof(alt), "DNS:%s", name);
    *leaf = BUF_INIT(BYTES_MAX);
    *key = BUF_SECRET(BYTES_MAX);
    test_issuer_sign(m->issuer, &options, leaf);
    if (key_pack(made, &packed_type, key, &e))
        fail(&e);
    EVP_PKEY_free(made);
    return (struct segment_credential){.key_type = packed_type,
                                       .leaf = buf_view(leaf),
                                       .key = buf_view(key),
                                       .chain = buf_view(&m->chain)};
}

struct segment_name segment_maker_name(struct segment_maker *m, const char *served_as,
                                       const char *name, enum key_type type)
{
    return (struct segment_name){.name = str_from(served_as),
                                 .credentials = {segment_maker_credential(m, name, type)},
                                 .count = 1};
}

static struct segment *map(int fd, struct error *e)
{
    struct segment *s = fd < 0 ? NULL : segment_map(fd, NULL, e);

    if (!s)
        fail(e);
    close(fd);
    return s;
}

struct segment *segment_maker_names(const struct segment_name *names, size_t count)
{
    struct error e = {0};

    return map(segment_write_names(names, count, NULL, &e), &e);
}

struct segment *segment_maker_challenges(const struct segment_challenge *challenges, size_t count)
{
    struct error e = {0};

    return map(segment_write_challenges(challenges, count, NULL, &e), &e);
}

struct segment *segment_maker_gate(const struct segment_gate *gate)
{
    struct error e = {0};

    return map(segment_write_gate(gate, NULL, &e), &e);
}

struct segment *segment_maker_routes(const struct segment_routes *routes)
{
    struct error e = {0};

    return map(segment_write_routes(routes, NULL, &e), &e);
}

struct view *segment_maker_view(uint64_t generation, struct segment **segments, size_t count)
{
    struct view *view = view_new(generation);

    if (!view)
        abort();
    for (size_t i = 0; i < count; i++) {
        view_add(view, segments[i]);
        segment_unref(segments[i]);
    }
    return view;
}
