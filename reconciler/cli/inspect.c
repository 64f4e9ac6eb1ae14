#include "reconciler/cli/inspect.h"

#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/pem.h"
#include "spec/detail.h"

/* Names of a certificate that a message tells. */
#define NAMES_SHOWN 3
#define NAMES_TEXT_MAX ((size_t)800)
#define WHO_SIZE 64

/* A certificate entity has up to two pairs, of different key types. */
enum pair { PAIR_FIRST, PAIR_ALT, PAIR_COUNT };
static const char *const pair_fields[PAIR_COUNT] = {"cert", "cert_alt"};
static const char *const key_fields[PAIR_COUNT] = {"key", "key_alt"};

struct leaf {
    struct certificate_view views[PAIR_COUNT]; /* der.ptr NULL: not there, or unreadable */
};

struct inspection {
    struct catalog *catalog;
    struct arena *arena;
    const struct model *model;
    struct leaf *leaves; /* one a certificate entity, by its place in the model */
    int64_t now;
};

/* The certificate field at hand. */
struct inspected {
    struct catalog_ref ref;
    struct place place;
    const char *field;
};

static const char *who(size_t index, char room[WHO_SIZE])
{
    struct buf out = BUF_INIT(WHO_SIZE - 1);

    if (index)
        buf_printf(&out, "certificate %zu of the chain", index + 1);
    else
        buf_cstr(&out, "the certificate");
    memcpy(room, out.data ? out.data : "", out.len + 1);
    buf_free(&out);
    return room;
}

static void check_dates(const struct inspection *x, const struct inspected *s,
                        const struct certificate_view *view, size_t index)
{
    char room[WHO_SIZE];

    if (view->not_after < x->now)
        catalog_problem(x->catalog, s->ref, PROBLEM_WARNING, s->place, s->field, "%s expired at %s",
                        who(index, room), clock_text(view->not_after).text);
    else if (view->not_before > x->now)
        catalog_problem(x->catalog, s->ref, PROBLEM_WARNING, s->place, s->field,
                        "%s is not valid before %s", who(index, room),
                        clock_text(view->not_before).text);
}

/* Key ids speak before names: those may be written in several ways (RFC 5280 §7.1). */
static bool is_issued_by(const struct certificate_view *lower, const struct certificate_view *upper)
{
    if (lower->authority_key_id.len && upper->subject_key_id.len)
        return str_equal(lower->authority_key_id, upper->subject_key_id);
    return str_equal(lower->issuer, upper->subject);
}

static void check_step(const struct inspection *x, const struct inspected *s,
                       const struct certificate_view *lower, const struct certificate_view *upper,
                       size_t index)
{
    char room[WHO_SIZE];

    if (!is_issued_by(lower, upper))
        catalog_problem(x->catalog, s->ref, PROBLEM_WARNING, s->place, s->field,
                        "the chain does not lead upward: certificate %zu ('%.*s') is not the "
                        "issuer of %s",
                        index + 1, STR_ARG(str_slice(upper->subject_cn, 0, 200)),
                        who(index - 1, room));
}

/* 1: the next certificate is in *view; 0: no more; -1: unreadable, or memory, in *e. */
static int read_next(const struct inspection *x, struct pem_reader *reader,
                     struct certificate_view *view, struct error *e)
{
    struct pem_block block;
    unsigned char *room;
    ptrdiff_t len;
    int found = pem_next(reader, &block, e);

    if (found != 1)
        return found;
    room = arena_alloc(x->arena, pem_size_max(&block));
    if (!room)
        return error_memory(e);
    len = pem_decode(&block, room, e);
    if (len < 0 || certificate_parse((struct str){(const char *)room, (size_t)len}, view, e))
        return -1;
    return 1;
}

static void say_skipped(const struct inspection *x, const struct inspected *s,
                        const struct pem_reader *reader)
{
    struct buf text = BUF_INIT(ERROR_MESSAGE_MAX);

    if (reader->skipped) {
        pem_print_skipped(reader, &text);
        catalog_problem(x->catalog, s->ref, PROBLEM_WARNING, s->place, s->field, "%.*s",
                        STR_ARG(buf_view(&text)));
    }
    buf_free(&text);
}

/* What a reader of `kind` passes over in a text of which it takes the first block. */
static void check_skipped(const struct inspection *x, struct catalog_ref ref,
                          const struct text *text, const char *field, enum pem_kind kind)
{
    const struct inspected s = {.ref = ref, .place = text->place, .field = field};
    struct pem_reader reader = PEM_READER(kind, text->value);
    struct pem_block block;
    struct error ignored;

    if (!text->value.ptr)
        return;
    while (pem_next(&reader, &block, &ignored) == 1)
        continue;
    say_skipped(x, &s, &reader);
}

static int check_chain(const struct inspection *x, const struct inspected *s, struct str pem,
                       struct certificate_view *leaf, struct error *e)
{
    struct certificate_view views[2] = {0};
    struct pem_reader reader = PEM_READER(PEM_CERTIFICATE, pem);
    char room[WHO_SIZE];
    size_t count = 0;
    int found;

    while ((found = read_next(x, &reader, &views[count % 2], e)) == 1) {
        const struct certificate_view *view = &views[count % 2];

        check_dates(x, s, view, count);
        if (count)
            check_step(x, s, &views[(count - 1) % 2], view, count);
        else
            *leaf = *view;
        if (count++ > CHAIN_CERTIFICATES_MAX) {
            catalog_problem(x->catalog, s->ref, PROBLEM_WARNING, s->place, s->field,
                            "more than %d certificates above the first", CHAIN_CERTIFICATES_MAX);
            return 0;
        }
    }
    if (found < 0 && e->kind == ERROR_MEMORY)
        return -1;
    if (found < 0)
        catalog_problem(x->catalog, s->ref, PROBLEM_WARNING, s->place, s->field,
                        "%s cannot be read: %s", who(count, room), e->message);
    say_skipped(x, s, &reader);
    return 0;
}

static int check_certificate(const struct inspection *x, uint32_t i, struct error *e)
{
    const struct certificate *c = &x->model->certificates[i];
    const struct text *const texts[PAIR_COUNT] = {&c->cert, &c->cert_alt};
    const struct text *const keys[PAIR_COUNT] = {&c->key, &c->key_alt};

    for (int pair = 0; pair < PAIR_COUNT && !c->unresolved.ptr; pair++) {
        const struct inspected s = {.ref = {i, ENTITY_CERTIFICATE},
                                    .place = texts[pair]->place,
                                    .field = pair_fields[pair]};

        if (texts[pair]->value.ptr &&
            check_chain(x, &s, texts[pair]->value, &x->leaves[i].views[pair], e))
            return -1;
        check_skipped(x, s.ref, keys[pair], key_fields[pair], PEM_PRIVATE_KEY);
    }
    return 0;
}

static void check_others(const struct inspection *x)
{
    for (uint32_t i = 0; i < x->model->ca_certificate_count; i++)
        check_skipped(x, (struct catalog_ref){i, ENTITY_CA_CERTIFICATE},
                      &x->model->ca_certificates[i].cert, "cert", PEM_CERTIFICATE);
    for (uint32_t i = 0; i < x->model->key_count; i++) {
        const struct key *key = &x->model->keys[i];
        const struct catalog_ref ref = {i, ENTITY_KEY};

        check_skipped(x, ref, &key->private_key, "pem.private_key", PEM_PRIVATE_KEY);
        check_skipped(x, ref, &key->public_key, "pem.public_key", PEM_PUBLIC_KEY);
    }
}

static void print_names(const struct certificate_view *view, struct buf *out)
{
    struct str rest = view->san, name;
    enum certificate_name kind;
    size_t count = 0;

    while (certificate_next_name(&rest, &kind, &name)) {
        if (kind != CERTIFICATE_DNS)
            continue;
        if (count < NAMES_SHOWN)
            buf_printf(out, "%s%.*s", count ? ", " : "", STR_ARG(name));
        count++;
    }
    if (count > NAMES_SHOWN)
        buf_printf(out, " and %zu more", count - NAMES_SHOWN);
    if (!count)
        buf_cstr(out, "no DNS name");
}

static void check_sni(const struct inspection *x, uint32_t i)
{
    const struct sni *sni = &x->model->snis[i];
    const struct leaf *leaf;

    if (!sni->certificate)
        return;
    leaf = &x->leaves[sni->certificate - x->model->certificates];
    for (int pair = 0; pair < PAIR_COUNT; pair++) {
        struct buf names = BUF_INIT(NAMES_TEXT_MAX);

        if (!leaf->views[pair].der.ptr ||
            certificate_covers_sni(&leaf->views[pair], sni->name.value))
            continue;
        print_names(&leaf->views[pair], &names);
        catalog_problem(x->catalog, (struct catalog_ref){i, ENTITY_SNI}, PROBLEM_WARNING,
                        sni->name.place, "name",
                        "the certificate in %s is not for '%.*s': it has %.*s", pair_fields[pair],
                        STR_ARG(sni->name.value), STR_ARG(buf_view(&names)));
        buf_free(&names);
    }
}

int inspect_certificates(struct loaded *l, int64_t now, struct error *e)
{
    struct inspection x = {
        .catalog = &l->detail->catalog, .arena = l->arena, .model = l->model, .now = now};

    x.leaves = arena_array(l->arena, l->model->certificate_count, sizeof(*x.leaves));
    if (!x.leaves)
        return error_memory(e);
    for (uint32_t i = 0; i < l->model->certificate_count; i++)
        if (check_certificate(&x, i, e))
            return -1;
    for (uint32_t i = 0; i < l->model->sni_count; i++)
        check_sni(&x, i);
    check_others(&x);
    problems_mask(&l->problems, &l->detail->outside);
    problems_sort(&l->problems);
    return 0;
}
