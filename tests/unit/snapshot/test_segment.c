#include "reconciler/snapshot/segment.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct segment_credential credential(const char *leaf, const char *key, const char *chain)
{
    return (struct segment_credential){.key_type = KEY_P256,
                                       .leaf = str_from(leaf),
                                       .key = str_from(key),
                                       .chain = str_from(chain)};
}

static struct segment_name name_of(const char *name, const char *leaf)
{
    struct segment_name n = {.name = str_from(name), .on_demand = true};

    if (leaf) {
        n.count = 1;
        n.credentials[0] = credential(leaf, "key", "chain");
    }
    return n;
}

static off_t mapped_size; /* of the last one, in bytes */

static struct segment *map_and_close(int fd)
{
    struct error e = {0};
    struct segment *s = NULL;

    if (fd >= 0) {
        s = segment_map(fd, NULL, &e);
        mapped_size = lseek(fd, 0, SEEK_END);
        close(fd);
    }
    if (!s)
        fprintf(stderr, "segment: %s\n", e.message);
    return s;
}

static struct segment *make(const struct segment_name *names, size_t count)
{
    struct error e = {0};
    int fd = segment_write_names(names, count, NULL, &e);

    if (fd < 0)
        fprintf(stderr, "segment: %s\n", e.message);
    return map_and_close(fd);
}

/* ---- names ---- */

static void test_names(void)
{
    struct segment_name names[] = {name_of("a.example", "leaf-a"), name_of("*.b.example", "leaf-b"),
                                   name_of("gone.example", NULL), name_of("", "default"),
                                   name_of("*", "star")};
    struct segment_name found;
    struct segment *s;

    names[1].count = 2;
    names[1].on_demand = false;
    names[1].credentials[1] =
        (struct segment_credential){KEY_RSA_2048, STR("leaf-rsa"), STR("rsa-key"), STR("other")};
    s = make(names, ARRAY_LENGTH(names));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_kind_of(s), SEGMENT_NAMES);
    CU_ASSERT_EQUAL(segment_count(s), 5);
    CU_ASSERT_EQUAL(mapped_size % 4096, 0);

    CU_ASSERT_EQUAL(segment_find_name(s, STR("a.example"), &found), 1);
    CU_ASSERT_EQUAL(found.count, 1);
    CU_ASSERT_TRUE(found.on_demand);
    CU_ASSERT_TRUE(str_equal(found.name, STR("a.example")));
    CU_ASSERT_TRUE(str_equal(found.credentials[0].leaf, STR("leaf-a")));
    CU_ASSERT_TRUE(str_equal(found.credentials[0].key, STR("key")));
    CU_ASSERT_TRUE(str_equal(found.credentials[0].chain, STR("chain")));

    CU_ASSERT_EQUAL(segment_find_name(s, STR("*.b.example"), &found), 1);
    CU_ASSERT_EQUAL(found.count, 2);
    CU_ASSERT_FALSE(found.on_demand);
    CU_ASSERT_EQUAL(found.credentials[1].key_type, KEY_RSA_2048);
    CU_ASSERT_TRUE(str_equal(found.credentials[1].leaf, STR("leaf-rsa")));
    CU_ASSERT_TRUE(str_equal(found.credentials[1].chain, STR("other")));

    CU_ASSERT_EQUAL(segment_find_name(s, STR("gone.example"), &found), 1);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(segment_find_name(s, STR(""), &found), 1);
    CU_ASSERT_TRUE(str_equal(found.credentials[0].leaf, STR("default")));
    CU_ASSERT_EQUAL(segment_find_name(s, STR("b.example"), &found), 0);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("A.example"), &found), 0);
    CU_ASSERT_EQUAL(segment_name_at(s, 5, &found), -1);
    segment_unref(s);
}

static void test_empty(void)
{
    struct segment *s = make(NULL, 0);
    struct segment_name found;
    struct str payload;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_count(s), 0);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("a"), &found), 0);
    CU_ASSERT_EQUAL(segment_find_challenge(s, CHALLENGE_HTTP_01, STR("a"), &payload), 0);
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_DOMAINS, STR("a")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_HOSTS, STR("a")));
    CU_ASSERT_FALSE(segment_lists_prefix(s, SEGMENT_PATHS, STR("/x"), 0));
    segment_unref(s);
}

/* What is shared is stored once: by pointer for leaves and keys, by content for chains. */
static void test_sharing(void)
{
    static char chain_a[4000], chain_b[4000], leaf[3000];
    struct segment_name names[200];
    char text[200][16];
    struct segment_name first, other;
    struct segment *s;

    memset(chain_a, 'c', sizeof(chain_a));
    memset(chain_b, 'c', sizeof(chain_b));
    memset(leaf, 'l', sizeof(leaf));
    for (size_t i = 0; i < 200; i++) {
        snprintf(text[i], sizeof(text[i]), "n%zu.example", i);
        names[i] = name_of(text[i], "x");
        names[i].credentials[0].leaf = (struct str){leaf, sizeof(leaf)};
        names[i].credentials[0].chain = (struct str){i % 2 ? chain_a : chain_b, sizeof(chain_a)};
    }
    s = make(names, 200);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_TRUE(mapped_size < 48 * 1024);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("n0.example"), &first), 1);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("n101.example"), &other), 1);
    CU_ASSERT_PTR_EQUAL(first.credentials[0].chain.ptr, other.credentials[0].chain.ptr);
    CU_ASSERT_PTR_EQUAL(first.credentials[0].leaf.ptr, other.credentials[0].leaf.ptr);
    segment_unref(s);
}

/* Keys lie in pages that hold nothing else. */
static void test_key_pages(void)
{
    struct segment_name names[] = {name_of("a", "leaf-a"), name_of("b", "leaf-b")};
    struct segment_name found;
    struct segment *s = make(names, 2);
    uintptr_t key, leaf, name;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("a"), &found), 1);
    key = (uintptr_t)found.credentials[0].key.ptr / 4096;
    leaf = (uintptr_t)found.credentials[0].leaf.ptr / 4096;
    name = (uintptr_t)found.name.ptr / 4096;
    CU_ASSERT_TRUE(key > leaf && key > name);
    segment_unref(s);
}

static void test_locking(void)
{
    struct rlimit before, none = {0, 0};
    struct segment_name n = name_of("a", "leaf");
    struct error e = {0};
    struct segment *s;
    bool locked = false;
    int fd = segment_write_names(&n, 1, NULL, &e);

    CU_ASSERT_TRUE_FATAL(fd >= 0);
    s = segment_map(fd, &locked, &e);
    CU_ASSERT_PTR_NOT_NULL(s);
    CU_ASSERT_TRUE(locked);
    segment_unref(s);
    if (geteuid() != 0 && getrlimit(RLIMIT_MEMLOCK, &before) == 0) {
        none.rlim_max = before.rlim_max;
        CU_ASSERT_EQUAL(setrlimit(RLIMIT_MEMLOCK, &none), 0);
        s = segment_map(fd, &locked, &e);
        CU_ASSERT_PTR_NOT_NULL(s);
        CU_ASSERT_FALSE(locked);
        segment_unref(s);
        CU_ASSERT_EQUAL(setrlimit(RLIMIT_MEMLOCK, &before), 0);
    }
    close(fd);
}

static void test_limits(void)
{
    static char text[SEGMENT_PART_MAX + 2];
    struct segment_name n = name_of("a", "leaf"), twice[3];
    struct segment_challenge t = {CHALLENGE_HTTP_01, STR("t"), STR("a")};
    struct error e = {0};
    int fd;

    memset(text, 'x', sizeof(text) - 1);
    n.name = (struct str){text, SEGMENT_KEY_MAX + 1};
    CU_ASSERT_EQUAL(segment_write_names(&n, 1, NULL, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    n.name.len = SEGMENT_KEY_MAX;
    fd = segment_write_names(&n, 1, NULL, &e);
    CU_ASSERT_TRUE(fd >= 0);
    close(fd);
    n = name_of("a", "leaf");
    n.credentials[0].leaf = (struct str){text, SEGMENT_PART_MAX + 1};
    CU_ASSERT_EQUAL(segment_write_names(&n, 1, NULL, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    n.credentials[0].leaf.len = SEGMENT_PART_MAX;
    fd = segment_write_names(&n, 1, NULL, &e);
    CU_ASSERT_TRUE(fd >= 0);
    close(fd);
    t.payload = (struct str){text, SEGMENT_ANSWER_MAX + 1};
    CU_ASSERT_EQUAL(segment_write_challenges(&t, 1, NULL, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    twice[0] = name_of("a", "1");
    twice[1] = name_of("b", "2");
    twice[2] = name_of("a", "3");
    e.kind = ERROR_NONE;
    CU_ASSERT_EQUAL(segment_write_names(twice, 3, NULL, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
}

static void test_chain(void)
{
    /* 30 03 .. 3 bytes; 30 81 80 + 128 bytes; a cut one */
    char der[5 + 131 + 2] = {0x30, 3, 1, 2, 3, 0x30, (char)0x81, (char)0x80};
    struct str chain = {der, 5 + 131}, got[4];

    CU_ASSERT_EQUAL(segment_chain(chain, got, 4), 2);
    CU_ASSERT_EQUAL(got[0].len, 5);
    CU_ASSERT_EQUAL(got[1].len, 131);
    CU_ASSERT_PTR_EQUAL(got[1].ptr, der + 5);
    CU_ASSERT_EQUAL(segment_chain(chain, got, 1), 1);
    der[136] = 0x30;
    der[137] = 4;
    chain.len += 2;
    CU_ASSERT_EQUAL(segment_chain(chain, got, 4), 2);
    CU_ASSERT_EQUAL(segment_chain(STR(""), got, 4), 0);
    CU_ASSERT_EQUAL(segment_chain(STR("\x31\x01x"), got, 4), 0);
    CU_ASSERT_EQUAL(segment_chain(STR("\x30\x80xx"), got, 4), 0);
    CU_ASSERT_EQUAL(segment_chain(STR("\x30\x84\xff\xff\xff\xff"), got, 4), 0);
}

/* ---- merging against a model ---- */

#define MODEL_NAMES 300
#define MODEL_SEGMENTS 7

static unsigned next_random(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 16;
}

static void merge_round(unsigned seed, bool is_bottom)
{
    /* who wins each name: the newest segment that has it; -1 none */
    int winner[MODEL_NAMES], is_tombstone[MODEL_NAMES];
    static char names[MODEL_NAMES][16], leaves[MODEL_SEGMENTS][MODEL_NAMES][16];
    struct segment *segments[MODEL_SEGMENTS], *merged;
    struct error e = {0};
    size_t expected = 0;
    uint64_t size = 0;
    unsigned state = seed;

    for (int i = 0; i < MODEL_NAMES; i++) {
        winner[i] = -1;
        snprintf(names[i], sizeof(names[i]), "%d.example", i);
    }
    for (int s = 0; s < MODEL_SEGMENTS; s++) { /* 0 = newest */
        struct segment_name in[MODEL_NAMES];
        size_t count = 0;
        for (int i = 0; i < MODEL_NAMES; i++) {
            unsigned dice = next_random(&state) % 10;
            if (dice > 3)
                continue;
            snprintf(leaves[s][i], sizeof(leaves[s][i]), "%d in %d", i, s);
            in[count++] = name_of(names[i], dice == 0 ? NULL : leaves[s][i]);
            if (winner[i] < 0) {
                winner[i] = s;
                is_tombstone[i] = dice == 0;
            }
        }
        segments[s] = make(in, count);
        CU_ASSERT_PTR_NOT_NULL_FATAL(segments[s]);
    }
    merged = map_and_close(segment_merge(segments, MODEL_SEGMENTS, is_bottom, &size, &e));
    CU_ASSERT_PTR_NOT_NULL_FATAL(merged);
    CU_ASSERT_EQUAL(size, (uint64_t)mapped_size);
    for (int s = 0; s < MODEL_SEGMENTS; s++)
        segment_unref(segments[s]);
    for (int i = 0; i < MODEL_NAMES; i++) {
        struct segment_name found;
        int got = segment_find_name(merged, str_from(names[i]), &found);
        bool is_there = winner[i] >= 0 && !(is_tombstone[i] && is_bottom);
        CU_ASSERT_EQUAL(got, is_there ? 1 : 0);
        expected += is_there;
        if (got != 1 || !is_there)
            continue;
        CU_ASSERT_EQUAL(found.count, is_tombstone[i] ? 0 : 1);
        if (found.count)
            CU_ASSERT_TRUE(str_equal_cstr(found.credentials[0].leaf, leaves[winner[i]][i]));
    }
    CU_ASSERT_EQUAL(segment_count(merged), expected);
    for (size_t i = 0; i < segment_count(merged); i++) {
        struct segment_name at, found;
        CU_ASSERT_EQUAL(segment_name_at(merged, i, &at), 0);
        CU_ASSERT_EQUAL(segment_find_name(merged, at.name, &found), 1);
        CU_ASSERT_PTR_EQUAL(at.name.ptr, found.name.ptr);
    }
    segment_unref(merged);
}

static void test_merge(void)
{
    for (unsigned seed = 1; seed <= 6; seed++) {
        merge_round(seed, false);
        merge_round(seed, true);
    }
}

static void test_merge_refuses(void)
{
    struct segment_challenge t = {CHALLENGE_HTTP_01, STR("t"), STR("a")};
    struct error e = {0};
    struct segment *tokens = map_and_close(segment_write_challenges(&t, 1, NULL, &e));

    CU_ASSERT_PTR_NOT_NULL_FATAL(tokens);
    CU_ASSERT_EQUAL(segment_merge(&tokens, 1, true, NULL, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
    segment_unref(tokens);
}

/* Equal chains of several segments are one again in the merged one. */
static void test_merge_shares_chains(void)
{
    static char chain[8000];
    struct segment *parts[5], *merged;
    struct error e = {0};
    char text[5][8];

    memset(chain, 'c', sizeof(chain));
    for (int i = 0; i < 5; i++) {
        struct segment_name n;
        snprintf(text[i], sizeof(text[i]), "n%d", i);
        n = name_of(text[i], "leaf");
        n.credentials[0].chain = (struct str){chain, sizeof(chain)};
        parts[i] = make(&n, 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(parts[i]);
    }
    merged = map_and_close(segment_merge(parts, 5, true, NULL, &e));
    CU_ASSERT_PTR_NOT_NULL_FATAL(merged);
    CU_ASSERT_TRUE(mapped_size < 3 * (off_t)sizeof(chain));
    segment_unref(merged);
    for (int i = 0; i < 5; i++)
        segment_unref(parts[i]);
}

static void test_references(void)
{
    struct segment_name n = name_of("a", "leaf"), found;
    struct segment *s = make(&n, 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_PTR_EQUAL(segment_ref(s), s);
    segment_unref(s);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("a"), &found), 1);
    segment_unref(s);
    segment_unref(NULL);
}

int main(void)
{
    CU_TestInfo tests[] = {{"names", test_names},
                           {"empty", test_empty},
                           {"sharing", test_sharing},
                           {"key pages", test_key_pages},
                           {"locking", test_locking},
                           {"limits", test_limits},
                           {"chain", test_chain},
                           {"merge", test_merge},
                           {"merge refuses", test_merge_refuses},
                           {"merge shares chains", test_merge_shares_chains},
                           {"references", test_references},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "segment", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
