#include "reconciler/snapshot/segment.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/snapshot/segment_format.h"

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

/* A sealed memfd of any bytes. */
static int sealed(const char *bytes, size_t size, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || fcntl(fd, F_ADD_SEALS, seals))
        abort();
    return fd;
}

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static char *bytes_of(int fd, size_t *size)
{
    struct stat st;
    char *bytes;

    if (fstat(fd, &st))
        abort();
    *size = (size_t)st.st_size;
    bytes = malloc(*size);
    if (!bytes || pread(fd, bytes, *size, 0) != st.st_size)
        abort();
    return bytes;
}

/* ---- hostile bytes ---- */

static void test_refuses_unsealed(void)
{
    static const int seals[] = {0, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_WRITE,
                                F_SEAL_GROW | F_SEAL_WRITE};
    struct segment_name n = name_of("a", "leaf");
    struct error e = {0};
    int fd = segment_write_names(&n, 1, NULL, &e), pipes[2];
    size_t size;
    char *bytes = bytes_of(fd, &size);

    for (size_t i = 0; i < ARRAY_LENGTH(seals); i++) {
        int other = sealed(bytes, size, seals[i]);
        e.kind = ERROR_NONE;
        CU_ASSERT_PTR_NULL(segment_map(other, NULL, &e));
        CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
        close(other);
    }
    CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
    CU_ASSERT_PTR_NULL(segment_map(pipes[0], NULL, &e));
    close(pipes[0]);
    close(pipes[1]);
    /* ours can be written by nobody, not even by its maker */
    CU_ASSERT_EQUAL(write(fd, "x", 1), -1);
    CU_ASSERT_EQUAL(ftruncate(fd, 0), -1);
    CU_ASSERT_PTR_EQUAL(mmap(NULL, size, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    close(fd);
    free(bytes);
}

/* SEGMENT_ENTRIES_MAX is crossed by what a header claims, not by 64 Mi names. */
static void test_entries_limit(void)
{
    struct segment_name n = name_of("a", "leaf");
    struct error e = {0};
    int fd = segment_write_names(&n, 1, NULL, &e), garbled;
    uint64_t huge = UINT64_C(1) + SEGMENT_ENTRIES_MAX;
    struct segment_section names; /* the first of the directory */
    size_t size;
    char *bytes = bytes_of(fd, &size);

    memcpy(&names, bytes + sizeof(struct segment_header), sizeof(names));
    memcpy(bytes + names.at + offsetof(struct segment_table, count), &huge, sizeof(huge));
    garbled = sealed(bytes, size, ALL_SEALS);
    CU_ASSERT_PTR_NULL(segment_map(garbled, NULL, &e));
    close(garbled);
    close(fd);
    free(bytes);
}

/* Everything a reader does; what it finds must at least be readable memory. */
static unsigned touch(struct str s)
{
    unsigned sum = 0;

    for (size_t i = 0; i < s.len; i++)
        sum += (unsigned char)s.ptr[i];
    return sum;
}

static unsigned exercise(const struct segment *s)
{
    static const char *const keys[] = {"a.example", "b.example", "", "*.c.example", "tok", "none"};
    unsigned sum = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        struct str key = str_from(keys[i]), answer;
        struct segment_name n;
        if (segment_find_name(s, key, &n) == 1)
            sum += touch(n.name) + touch(n.credentials[0].leaf) + touch(n.credentials[0].key) +
                   touch(n.credentials[1].chain);
        if (segment_find_challenge(s, CHALLENGE_HTTP_01, key, &answer) == 1 ||
            segment_find_challenge(s, CHALLENGE_TLS_ALPN_01, key, &answer) == 1)
            sum += touch(answer);
        sum += segment_lists(s, SEGMENT_DOMAINS, key) + segment_lists(s, SEGMENT_HOSTS, key);
    }
    sum += segment_lists_prefix(s, SEGMENT_PATHS, STR("/.well-known/acme-challenge/xyz"), 0);
    for (size_t i = 0; i < segment_count(s) && i < 100; i++) {
        struct segment_name n;
        if (segment_name_at(s, i, &n) == 0)
            sum += touch(n.name) + touch(n.credentials[0].chain);
    }
    return sum;
}

static void garble(int fd)
{
    struct error e = {0};
    size_t size, refused = 0, taken = 0;
    char *bytes = bytes_of(fd, &size);
    volatile unsigned sink = 0;

    for (size_t i = 0; i < size && i < 1400; i++) {
        static const unsigned char masks[] = {0x01, 0x80, 0xff};
        for (size_t m = 0; m < sizeof(masks); m++) {
            struct segment *s;
            int other;
            bytes[i] ^= (char)masks[m];
            other = sealed(bytes, size, ALL_SEALS);
            s = segment_map(other, NULL, &e);
            close(other);
            if (s)
                sink += exercise(s);
            taken += s != NULL;
            refused += s == NULL;
            segment_unref(s);
            bytes[i] ^= (char)masks[m];
        }
    }
    CU_ASSERT_TRUE(refused > 100);
    CU_ASSERT_TRUE(taken > 100);
    for (size_t cut = 0; cut < size; cut += cut < 600 ? 1 : 97) {
        int other = sealed(bytes, cut, ALL_SEALS);
        CU_ASSERT_PTR_NULL(segment_map(other, NULL, &e));
        close(other);
    }
    free(bytes);
    (void)sink;
}

static void test_garbled(void)
{
    static const struct str texts[] = {STR_INIT("a.example"), STR_INIT("*.c.example")};
    static const struct str path = STR_INIT("/.well-known/acme-challenge/x");
    struct segment_name names[] = {name_of("a.example", "leaf-a"), name_of("b.example", "leaf-b"),
                                   name_of("", "default"), name_of("gone", NULL)};
    struct segment_challenge challenges[] = {
        {CHALLENGE_HTTP_01, STR("tok"), STR("tok.thumb")},
        {CHALLENGE_TLS_ALPN_01, STR("a.example"), STR("t2.x")}};
    struct segment_gate g = {.is_open = true, .domains = texts, .domain_count = 2};
    struct segment_routes r = {
        .hosts = texts, .host_count = 2, .challenge_prefixes = &path, .challenge_prefix_count = 1};
    struct error e = {0};
    int fds[4];

    fds[0] = segment_write_names(names, 4, NULL, &e);
    fds[1] = segment_write_challenges(challenges, 2, NULL, &e);
    fds[2] = segment_write_gate(&g, NULL, &e);
    fds[3] = segment_write_routes(&r, NULL, &e);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_TRUE_FATAL(fds[i] >= 0);
        garble(fds[i]);
        close(fds[i]);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {{"entries limit", test_entries_limit},
                           {"refuses unsealed", test_refuses_unsealed},
                           {"garbled", test_garbled},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "segment_bytes", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
