#include "reconciler/publish/index.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"

#define NAMES 24
#define CREDENTIALS 16

/* Credentials with different bytes, and the index under test. */
struct bench {
    struct chain_pool *chains;
    struct credential *credentials[CREDENTIALS];
    struct index *index;
};

static struct credential *make(struct chain_pool *chains, unsigned number)
{
    char leaf[300], key[32];
    struct credential_raw raw = {.facts = {.key_type = number % 2 ? KEY_P256 : KEY_RSA_2048},
                                 .leaf = {leaf, sizeof(leaf)},
                                 .key = {key, sizeof(key)},
                                 .chain = STR("\x30\x03\x02\x01\x05")};
    struct error e;

    memset(leaf, (int)number + 1, sizeof(leaf));
    memset(key, (int)number + 100, sizeof(key));
    return credential_new_raw(chains, &raw, &e);
}

static void begin(struct bench *b)
{
    b->chains = chain_pool_new();
    for (unsigned i = 0; i < CREDENTIALS; i++)
        b->credentials[i] = make(b->chains, i);
    b->index = index_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(b->index);
}

static void end(struct bench *b)
{
    index_free(b->index);
    for (unsigned i = 0; i < CREDENTIALS; i++) {
        CU_ASSERT(b->credentials[i]->references == 1);
        credential_unref(b->credentials[i]);
    }
    chain_pool_free(b->chains);
}

static struct str name_of(unsigned i, char room[32])
{
    if (i == 0)
        return STR(""); /* the default certificate */
    snprintf(room, 32, "n%02u.test", i);
    return str_from(room);
}

/* What should be served, and what the segments taken so far say. */
struct model {
    struct credential *managed[NAMES], *primary[NAMES], *alternate[NAMES];
    struct str served[NAMES][2]; /* leaves */
    size_t served_count[NAMES];
    bool known[NAMES]; /* a segment has a credential for it */
};

static size_t expect_of(const struct model *m, unsigned i, struct credential *out[2])
{
    if (m->managed[i]) {
        out[0] = m->managed[i];
        return 1;
    }
    out[0] = m->primary[i];
    out[1] = m->alternate[i];
    return !m->primary[i] ? 0 : m->alternate[i] ? 2 : 1;
}

static void take(struct bench *b, struct model *m)
{
    struct index_changes *changes;
    struct error e;

    CU_ASSERT(index_take_changes(b->index, 0, &changes, &e) == 0);
    for (size_t c = 0; changes && c < changes->count; c++) {
        const struct segment_name *name = &changes->names[c];
        for (unsigned i = 0; i < NAMES; i++) {
            char room[32];
            if (!str_equal(name_of(i, room), name->name))
                continue;
            /* No tombstone for what no segment ever knew. */
            CU_ASSERT(name->count > 0 || m->known[i]);
            m->known[i] = name->count > 0;
            m->served_count[i] = name->count;
            for (size_t k = 0; k < name->count; k++)
                m->served[i][k] = name->credentials[k].leaf;
        }
    }
    index_changes_free(changes);
}

static bool serves_what_it_should(const struct bench *b, const struct model *m)
{
    for (unsigned i = 0; i < NAMES; i++) {
        struct credential *expected[2];
        size_t count = expect_of(m, i, expected);
        char room[32];
        if (m->served_count[i] != count ||
            index_overrides(b->index, name_of(i, room)) != (m->managed[i] && m->primary[i]))
            return false;
        for (size_t k = 0; k < count; k++)
            if (!str_equal(m->served[i][k], expected[k]->leaf))
                return false;
    }
    return true;
}

static void declare(struct bench *b, struct model *m, uint64_t seed)
{
    struct index_declared names[NAMES];
    char rooms[NAMES][32];
    size_t count = 0;
    struct error e;

    for (unsigned i = 0; i < NAMES; i++) {
        unsigned dice = (unsigned)(seed >> (i % 29)) % 8;
        /* Mostly as it was: that is what reloads are like. */
        if (dice < 2) {
            m->primary[i] = dice ? b->credentials[(seed >> 7) % CREDENTIALS] : NULL;
            m->alternate[i] =
                dice && (seed & 1) ? b->credentials[(seed >> 11) % CREDENTIALS] : NULL;
        }
        if (m->primary[i])
            names[count++] = (struct index_declared){.name = name_of(i, rooms[i]),
                                                     .primary = m->primary[i],
                                                     .alternate = m->alternate[i]};
    }
    CU_ASSERT(index_replace_declared(b->index, names, count, &e) == 0);
}

static void test_random(void)
{
    static struct model m;
    uint64_t seed = 3;
    struct bench b;
    struct error e;

    begin(&b);
    memset(&m, 0, sizeof(m));
    for (int step = 0; step < 5000; step++) {
        char room[32];
        unsigned i;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        i = (unsigned)(seed >> 33) % NAMES;
        if (seed >> 61 == 0) {
            declare(&b, &m, seed >> 3);
        } else {
            m.managed[i] = (seed >> 50) % 2 ? b.credentials[(seed >> 40) % CREDENTIALS] : NULL;
            CU_ASSERT(
                index_set_managed(b.index, subject_first(name_of(i, room)), m.managed[i], &e) == 0);
        }
        if ((seed >> 45) % 3)
            continue;
        take(&b, &m);
        if (!serves_what_it_should(&b, &m)) {
            fprintf(stderr, "step %d\n", step);
            CU_FAIL("another credential is served");
            break;
        }
    }
    end(&b);
}

static void test_only_changes(void)
{
    struct bench b;
    struct index_changes *changes;
    struct error e;
    struct index_declared names[3];

    begin(&b);
    names[0] = (struct index_declared){STR(""), b.credentials[0], b.credentials[1]};
    names[1] = (struct index_declared){STR("*.a.test"), b.credentials[2], NULL};
    names[2] = (struct index_declared){STR("a.test"), b.credentials[2], NULL};
    CU_ASSERT(index_replace_declared(b.index, names, 3, &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes->count == 3);
    index_changes_free(changes);
    CU_ASSERT(index_replace_declared(b.index, names, 3, &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes == NULL);
    /* Under a managed one the declared one may change unseen. */
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("a.test")), b.credentials[5], &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes->count == 1);
    index_changes_free(changes);
    names[2].primary = b.credentials[3];
    CU_ASSERT(index_replace_declared(b.index, names, 3, &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes == NULL);
    /* It comes to light when the managed one goes. */
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("a.test")), NULL, &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes->count == 1);
    CU_ASSERT(str_equal(changes->names[0].credentials[0].leaf, b.credentials[3]->leaf));
    index_changes_free(changes);
    CU_ASSERT(index_replace_declared(b.index, names, 1, &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes->count == 2);
    CU_ASSERT(changes->names[0].count == 0 && changes->names[1].count == 0);
    index_changes_free(changes);
    end(&b);
}

/* Workers are told anew when visitors begin, or cease, to be what keeps a name. */
static void test_on_demand(void)
{
    static const bool rows[] = {true, true, false};
    struct index_changes *changes;
    struct bench b;
    struct error e;
    bool was = false;

    begin(&b);
    CU_ASSERT(index_set_on_demand(b.index, STR("a.test"), true, &e) == 0); /* nothing is served */
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes == NULL);
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("a.test")), b.credentials[0], &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0);
    CU_ASSERT_FALSE(changes->names[0].on_demand);
    index_changes_free(changes);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CU_ASSERT(index_set_on_demand(b.index, STR("a.test"), rows[i], &e) == 0);
        CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0);
        CU_ASSERT_EQUAL(changes != NULL, rows[i] != was);
        if (changes)
            CU_ASSERT_EQUAL(changes->names[0].on_demand, rows[i]);
        was = rows[i];
        index_changes_free(changes);
    }
    end(&b);
}

/* What a.test is served from now on: `count` credentials of ours, these. */
static void expect_change(struct bench *b, size_t count, const struct credential *first,
                          const struct credential *second)
{
    struct index_changes *changes;
    struct error e;

    CU_ASSERT_FATAL(index_take_changes(b->index, 0, &changes, &e) == 0 && changes->count == 1);
    CU_ASSERT(changes->names[0].count == count);
    CU_ASSERT(str_equal(changes->names[0].credentials[0].leaf, first->leaf));
    CU_ASSERT(!second || str_equal(changes->names[0].credentials[1].leaf, second->leaf));
    index_changes_free(changes);
}

/* Both families of a name are served, whichever comes or goes first. */
static void test_families(void)
{
    const struct subject first = subject_first(STR("a.test")),
                         further = {STR("a.test"), FAMILY_RSA};
    struct bench b;
    struct error e;

    begin(&b);
    CU_ASSERT(index_set_managed(b.index, further, b.credentials[2], &e) == 0);
    expect_change(&b, 1, b.credentials[2], NULL);
    CU_ASSERT(index_set_managed(b.index, first, b.credentials[1], &e) == 0);
    expect_change(&b, 2, b.credentials[1], b.credentials[2]);
    CU_ASSERT(index_set_managed(b.index, further, NULL, &e) == 0);
    expect_change(&b, 1, b.credentials[1], NULL);
    end(&b);
}

/* Of a first and a further one with the same kind of key the first is served; neither further one
 * is taken for the other. */
static void test_first_changes_family(void)
{
    const struct subject first = subject_first(STR("a.test")),
                         ecdsa = {STR("a.test"), FAMILY_ECDSA}, rsa = {STR("a.test"), FAMILY_RSA};
    struct bench b;
    struct index_changes *changes;
    struct error e;

    begin(&b);
    CU_ASSERT(index_set_managed(b.index, ecdsa, b.credentials[1], &e) == 0);
    CU_ASSERT(index_set_managed(b.index, rsa, b.credentials[2], &e) == 0);
    expect_change(&b, 2, b.credentials[1], b.credentials[2]);
    CU_ASSERT(index_set_managed(b.index, first, b.credentials[4], &e) == 0);
    expect_change(&b, 2, b.credentials[4], b.credentials[1]);
    CU_ASSERT(index_set_managed(b.index, rsa, NULL, &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && !changes);
    CU_ASSERT(index_set_managed(b.index, first, b.credentials[3], &e) == 0);
    expect_change(&b, 1, b.credentials[3], NULL);
    CU_ASSERT(index_set_managed(b.index, first, NULL, &e) == 0);
    expect_change(&b, 1, b.credentials[1], NULL);
    end(&b);
}

static void test_slices_and_giving_back(void)
{
    struct bench b;
    struct index_changes *changes;
    struct error e;
    char room[32];

    begin(&b);
    for (unsigned i = 1; i < 8; i++)
        CU_ASSERT(
            index_set_managed(b.index, subject_first(name_of(i, room)), b.credentials[i], &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 3, &changes, &e) == 0 && changes->count == 3);
    CU_ASSERT(str_equal_cstr(changes->names[0].name, "n01.test"));
    CU_ASSERT(index_give_back(b.index, changes) == 0);
    index_changes_free(changes);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes->count == 7);
    index_changes_free(changes);
    /* A tombstone whose name the index has forgotten. */
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("n01.test")), NULL, &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes->count == 1);
    CU_ASSERT(changes->names[0].count == 0);
    CU_ASSERT(index_give_back(b.index, changes) == 0);
    index_changes_free(changes);
    CU_ASSERT(index_take_changes(b.index, 0, &changes, &e) == 0 && changes->count == 1);
    CU_ASSERT(changes->names[0].count == 0);
    CU_ASSERT(str_equal_cstr(changes->names[0].name, "n01.test"));
    index_changes_free(changes);
    end(&b);
}

/* The changes as a mapped segment. */
static struct segment *segment_of(struct bench *b, bool keep, struct index_changes **changes)
{
    struct segment *mapped;
    uint64_t size;
    struct error e;
    int fd;

    CU_ASSERT_FATAL(index_take_changes(b->index, 0, changes, &e) == 0 && *changes);
    fd = segment_write_names((*changes)->names, (*changes)->count, &size, &e);
    CU_ASSERT_FATAL(fd >= 0);
    mapped = segment_map(fd, NULL, &e);
    close(fd);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mapped);
    if (!keep) {
        index_changes_free(*changes);
        *changes = NULL;
    }
    return mapped;
}

static bool lies_in(const struct credential *c, struct segment *segment, const char *name)
{
    struct segment_name found;

    return segment_find_name(segment, str_from(name), &found) == 1 && found.count &&
           found.credentials[0].leaf.ptr == c->leaf.ptr &&
           found.credentials[0].key.ptr == c->key.ptr;
}

static void test_rebinding(void)
{
    struct index_changes *changes;
    struct segment *first, *second;
    struct index_declared declared;
    struct bench b;
    struct error e;
    char expected[300];

    begin(&b);
    memset(expected, 1, sizeof(expected)); /* credential 0's leaf */
    declared = (struct index_declared){STR("a.test"), b.credentials[0], NULL};
    CU_ASSERT(index_replace_declared(b.index, &declared, 1, &e) == 0);
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("b.test")), b.credentials[1], &e) == 0);
    first = segment_of(&b, false, &changes);
    index_rebind(b.index, first);
    CU_ASSERT(lies_in(b.credentials[0], first, "a.test"));
    CU_ASSERT(lies_in(b.credentials[1], first, "b.test"));
    /* What is not served any more does not keep the mapping. */
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("a.test")), b.credentials[2], &e) == 0);
    CU_ASSERT(!lies_in(b.credentials[0], first, "a.test"));
    CU_ASSERT(str_equal(b.credentials[0]->leaf, (struct str){expected, sizeof(expected)}));
    second = segment_of(&b, false, &changes);
    index_rebind(b.index, second);
    CU_ASSERT(lies_in(b.credentials[2], second, "a.test"));
    /* An older segment that holds something else for the name binds nothing. */
    index_rebind(b.index, first);
    CU_ASSERT(lies_in(b.credentials[2], second, "a.test"));
    CU_ASSERT(lies_in(b.credentials[1], first, "b.test"));
    segment_unref(first);
    segment_unref(second);
    CU_ASSERT(b.credentials[1]->leaf.ptr[0] == 2);
    end(&b);
}

/* While another thread may be reading what was taken, nothing moves. */
static void test_changes_stay_put(void)
{
    struct index_changes *first, *second;
    struct segment *mapped;
    struct bench b;
    struct error e;
    const char *leaf;

    begin(&b);
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("a.test")), b.credentials[1], &e) == 0);
    mapped = segment_of(&b, true, &first);
    leaf = first->names[0].credentials[0].leaf.ptr;
    index_rebind(b.index, mapped);
    CU_ASSERT(b.credentials[1]->leaf.ptr == leaf);
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("a.test")), NULL, &e) == 0);
    CU_ASSERT(index_take_changes(b.index, 0, &second, &e) == 0);
    CU_ASSERT(b.credentials[1]->leaf.ptr == leaf && leaf[299] == 2);
    index_changes_free(first);
    CU_ASSERT(index_set_managed(b.index, subject_first(STR("a.test")), b.credentials[1], &e) == 0);
    CU_ASSERT(b.credentials[1]->leaf.ptr == leaf);
    index_changes_free(second);
    /* Now it is done: the name is served again, and from the segment. */
    CU_ASSERT(lies_in(b.credentials[1], mapped, "a.test"));
    segment_unref(mapped);
    end(&b);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("publish/index", NULL, NULL);
    CU_add_test(suite, "random", test_random);
    CU_add_test(suite, "on demand", test_on_demand);
    CU_add_test(suite, "only changes", test_only_changes);
    CU_add_test(suite, "families", test_families);
    CU_add_test(suite, "first changes family", test_first_changes_family);
    CU_add_test(suite, "slices and giving back", test_slices_and_giving_back);
    CU_add_test(suite, "rebinding", test_rebinding);
    CU_add_test(suite, "changes stay put", test_changes_stay_put);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
