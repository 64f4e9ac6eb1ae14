#include "reconciler/publish/stack.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES 600
#define FIRST_ID 1000

#define LARGE (STACK_SMALL_NAMES + 1)
#define NEVER 0 /* the instant at which no stale one is due */

/* Writes a segment in which each name's credential carries a version number. */
static int write_names(const unsigned *numbers, const unsigned *versions, size_t count,
                       uint64_t *size)
{
    static char names[LARGE][16], leaves[LARGE][400];
    static struct segment_name list[LARGE];
    struct error e;
    int fd;

    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "n%u", numbers[i]);
        memset(leaves[i], 'x', sizeof(leaves[i]));
        memcpy(leaves[i], &versions[i], sizeof(versions[i]));
        list[i] = (struct segment_name){.name = str_from(names[i]), .count = versions[i] != 0};
        list[i].credentials[0] = (struct segment_credential){
            KEY_P256, {leaves[i], sizeof(leaves[i])}, {leaves[i], 32}, STR("")};
    }
    fd = segment_write_names(list, count, size, &e);
    CU_ASSERT(fd >= 0);
    return fd;
}

static const struct stack_segment *push(struct stack *s, const unsigned *numbers,
                                        const unsigned *versions, size_t count)
{
    struct error e;
    uint64_t size;
    int fd = write_names(numbers, versions, count, &size);

    return stack_push(s, fd, size, &e);
}

static int push_tokens(struct stack *s, const char *answer)
{
    struct segment_challenge token = {CHALLENGE_HTTP_01, STR("token"), str_from(answer)};
    struct error e;
    uint64_t size;
    int fd = segment_write_challenges(&token, 1, &size, &e);

    return fd >= 0 && stack_push(s, fd, size, &e) ? 0 : -1;
}

/* The version that a worker would find; 0 = none. */
static unsigned look_up(const struct stack *s, unsigned number)
{
    const struct stack_segment *entry;
    struct segment_name found;
    unsigned version = 0;
    char name[16];

    snprintf(name, sizeof(name), "n%u", number);
    for (size_t i = 0; (entry = stack_at(s, i)); i++) {
        if (segment_kind_of(entry->mapped) != SEGMENT_NAMES ||
            segment_find_name(entry->mapped, str_from(name), &found) != 1)
            continue;
        if (found.count)
            memcpy(&version, found.credentials[0].leaf.ptr, sizeof(version));
        return version;
    }
    return 0;
}

static uint64_t bytes_of(const struct stack *s)
{
    const struct stack_segment *entry;
    uint64_t bytes = 0;

    for (size_t i = 0; (entry = stack_at(s, i)); i++)
        bytes += entry->size;
    return bytes;
}

static void test_order(void)
{
    struct stack *s = stack_new(FIRST_ID);
    const struct stack_segment *entry;
    unsigned one = 1;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(push(s, &one, &one, 1) != NULL);
    CU_ASSERT(push_tokens(s, "token.a") == 0);
    entry = push(s, &one, &one, 1);
    CU_ASSERT(entry && entry->id == FIRST_ID + 2);
    CU_ASSERT(fcntl(entry->fd, F_GETFD) & FD_CLOEXEC);
    CU_ASSERT(push_tokens(s, "token.b") == 0);
    /* The tokens before were replaced whole. */
    CU_ASSERT(stack_count(s) == 3);
    CU_ASSERT(stack_at(s, 0)->id == FIRST_ID + 3);
    CU_ASSERT(stack_at(s, 1)->id == FIRST_ID + 2);
    CU_ASSERT(stack_at(s, 2)->id == FIRST_ID);
    CU_ASSERT(stack_at(s, 3) == NULL);
    stack_free(s);
    stack_free(NULL);
}

static int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 512; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_broken_segment(void)
{
    struct stack *s = stack_new(FIRST_ID);
    int before = open_descriptors();
    struct error e;

    CU_ASSERT(stack_push(s, open("/dev/null", O_RDONLY | O_CLOEXEC), 4096, &e) == NULL);
    CU_ASSERT(stack_count(s) == 0);
    CU_ASSERT(open_descriptors() == before);
    stack_free(s);
}

/* One merge from begin to end; false: none was worth it. */
static bool merge(struct stack *s, const struct stack_segment **entry)
{
    struct stack_merge m;
    struct error e;

    if (!stack_merge_begin(s, NEVER, &m))
        return false;
    stack_merge_run(&m);
    CU_ASSERT(stack_merge_end(s, &m, entry, &e) == 0);
    return true;
}

/* A replaced credential goes at once, however little its segment is worth a merge else. */
static void test_stale(void)
{
    struct stack *s = stack_new(FIRST_ID);
    unsigned numbers[NAMES], versions[NAMES], one = 7, other = NAMES, version = 2;
    const struct stack_segment *entry;
    struct stack_merge m;
    struct error e;

    for (unsigned i = 0; i < NAMES; i++) {
        numbers[i] = i;
        versions[i] = 1;
    }
    CU_ASSERT_PTR_NOT_NULL(push(s, numbers, versions, NAMES));
    CU_ASSERT_PTR_NOT_NULL(push(s, &other, &version, 1));
    CU_ASSERT_FALSE(stack_merge_begin(s, 1, &m));
    CU_ASSERT_EQUAL(stack_merge_wait(s, 1), INT64_MAX);
    CU_ASSERT_PTR_NOT_NULL(push(s, &one, &version, 1));
    while (merge(s, &entry))
        continue;
    CU_ASSERT_TRUE_FATAL(stack_merge_begin(s, 1, &m));
    /* What comes meanwhile makes the result stale again. */
    version = 0;
    CU_ASSERT_PTR_NOT_NULL(push(s, &one, &version, 1));
    CU_ASSERT_EQUAL(stack_merge_wait(s, 1), INT64_MAX);
    stack_merge_run(&m);
    CU_ASSERT_EQUAL(stack_merge_end(s, &m, &entry, &e), 0);
    CU_ASSERT_FALSE(stack_merge_begin(s, STACK_SMALL_GAP_MS, &m));
    CU_ASSERT_EQUAL(stack_merge_wait(s, STACK_SMALL_GAP_MS), 1);
    CU_ASSERT_TRUE_FATAL(stack_merge_begin(s, STACK_SMALL_GAP_MS + 1, &m));
    stack_merge_run(&m);
    CU_ASSERT_EQUAL(stack_merge_end(s, &m, &entry, &e), 0);
    CU_ASSERT_EQUAL(stack_merge_wait(s, STACK_SMALL_GAP_MS + 1), INT64_MAX);
    CU_ASSERT_EQUAL(stack_count(s), 1);
    CU_ASSERT_EQUAL(look_up(s, one), 0);
    CU_ASSERT_EQUAL(look_up(s, 8), 1);
    stack_free(s);
}

/* A change at `now` has the large one merged after `wait`, and not a millisecond sooner. */
static void check_large(struct stack *s, int64_t now, int64_t wait)
{
    static unsigned number = 7, version = 2;
    const struct stack_segment *entry;
    struct stack_merge m;
    struct error e;

    version++;
    CU_ASSERT_PTR_NOT_NULL(push(s, &number, &version, 1));
    CU_ASSERT_FALSE(stack_merge_begin(s, now, &m));
    CU_ASSERT_EQUAL(stack_merge_wait(s, now), wait);
    CU_ASSERT_FALSE(stack_merge_begin(s, now + wait - 1, &m));
    CU_ASSERT_TRUE_FATAL(stack_merge_begin(s, now + wait, &m));
    stack_merge_run(&m);
    CU_ASSERT_EQUAL(stack_merge_end(s, &m, &entry, &e), 0);
    CU_ASSERT_EQUAL(stack_count(s), 1);
    CU_ASSERT_EQUAL(look_up(s, number), version);
}

/* One name more than a small one has: within an hour, and at most once an hour. */
static void test_stale_large(void)
{
    static unsigned numbers[LARGE], versions[LARGE];
    struct stack *s = stack_new(FIRST_ID);
    int64_t merged = 1 + STACK_LARGE_WAIT_MS;

    for (unsigned i = 0; i < LARGE; i++) {
        numbers[i] = i;
        versions[i] = 1;
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(push(s, numbers, versions, LARGE));
    check_large(s, 1, STACK_LARGE_WAIT_MS);
    check_large(s, merged, STACK_LARGE_GAP_MS);
    merged += STACK_LARGE_GAP_MS;
    check_large(s, merged + STACK_LARGE_GAP_MS, STACK_LARGE_WAIT_MS);
    stack_free(s);
}

/* Random changes; merges finish late, while new segments come on top. */
static void test_random(void)
{
    struct stack *s = stack_new(FIRST_ID);
    unsigned versions[NAMES] = {0};
    unsigned version = 1;
    uint64_t seed = 9;
    size_t most = 0;
    struct stack_merge pending;
    bool is_pending = false;
    const struct stack_segment *entry;
    struct error e;
    int before = open_descriptors();

    for (unsigned step = 0; step < 1500; step++) {
        unsigned numbers[NAMES], news[NAMES];
        size_t count = 0;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        for (unsigned i = 0; i < NAMES; i++) {
            /* Mostly one name at a time, now and then half of them. */
            bool hit = seed >> 59 == 0 ? (seed >> (i % 31)) & 1 : i == (seed >> 33) % NAMES;
            if (!hit)
                continue;
            numbers[count] = i;
            news[count] = versions[i] = (seed >> 45) % 4 ? ++version : 0;
            count++;
        }
        CU_ASSERT_FATAL(count == 0 || push(s, numbers, news, count) != NULL);
        if (!is_pending) {
            is_pending = stack_merge_begin(s, NEVER, &pending);
            CU_ASSERT(!stack_merge_begin(s, NEVER, &(struct stack_merge){0}) || !is_pending);
        } else if ((seed >> 50) % 3 == 0) {
            stack_merge_run(&pending);
            CU_ASSERT(stack_merge_end(s, &pending, &entry, &e) == 0);
            is_pending = false;
        }
        most = stack_count(s) > most ? stack_count(s) : most;
        for (unsigned i = step % 7; i < NAMES; i += 7)
            if (look_up(s, i) != versions[i]) {
                CU_FAIL_FATAL("another version is served");
            }
    }
    CU_ASSERT(most < STACK_COMFORTABLE);
    if (is_pending) {
        stack_merge_run(&pending);
        CU_ASSERT(stack_merge_end(s, &pending, &entry, &e) == 0);
    }
    while (merge(s, &entry))
        ;
    for (unsigned i = 0; i < NAMES; i++)
        CU_ASSERT(look_up(s, i) == versions[i]);
    stack_free(s);
    CU_ASSERT(open_descriptors() == before);
}

/*
 * One change after the other on top of many: the sizes stay apart, the bytes within twice what
 * lives.
 */
static void test_geometry(void)
{
    struct stack *s = stack_new(FIRST_ID);
    unsigned numbers[NAMES], versions[NAMES];
    const struct stack_segment *entry;
    uint64_t live, merged = 0;

    for (unsigned i = 0; i < NAMES; i++)
        numbers[i] = i, versions[i] = 1;
    CU_ASSERT(push(s, numbers, versions, NAMES) != NULL);
    live = bytes_of(s);
    for (unsigned i = 0; i < 3 * NAMES; i++) {
        numbers[0] = i % NAMES;
        versions[0] = i + 2;
        CU_ASSERT(push(s, numbers, versions, 1) != NULL);
        while (merge(s, &entry))
            merged += entry->size;
        CU_ASSERT(stack_count(s) <= 8);
        CU_ASSERT(bytes_of(s) <= 2 * live);
    }
    /* What all that merging wrote, against what changed: a handful of times. */
    CU_ASSERT(merged < 30 * (3 * live));
    stack_free(s);
}

/* Tombstones weigh little, but they make others dead. */
static void test_all_gone(void)
{
    struct stack *s = stack_new(FIRST_ID);
    unsigned numbers[NAMES], versions[NAMES];
    const struct stack_segment *entry = NULL;

    for (unsigned i = 0; i < NAMES; i++)
        numbers[i] = i, versions[i] = 1;
    CU_ASSERT(push(s, numbers, versions, NAMES) != NULL);
    memset(versions, 0, sizeof(versions));
    CU_ASSERT(push(s, numbers, versions, NAMES / 3) != NULL);
    CU_ASSERT(!merge(s, &entry));
    CU_ASSERT(push(s, numbers + NAMES / 3, versions, NAMES - NAMES / 3) != NULL);
    CU_ASSERT(merge(s, &entry));
    CU_ASSERT(entry == NULL && stack_count(s) == 0);
    stack_free(s);
}

/* Merging that never finishes: it stops at the bound, says so, and loses nothing. */
static void test_full(void)
{
    struct stack *s = stack_new(FIRST_ID);
    const struct stack_segment *entry;
    struct stack_merge m;
    struct error e;
    uint64_t size;
    unsigned number, version;
    int fd;

    CU_ASSERT(push_tokens(s, "token.a") == 0);
    for (number = 0; number < STACK_NAMES_MAX; number++) {
        version = number + 1;
        CU_ASSERT(push(s, &number, &version, 1) != NULL);
        if (number == 1)
            CU_ASSERT(stack_merge_begin(s, NEVER, &m));
    }
    CU_ASSERT(stack_count(s) <= CHANNEL_SEGMENTS_MAX);
    fd = write_names(&number, &version, 1, &size);
    CU_ASSERT(stack_push(s, fd, size, &e) == NULL && e.kind == ERROR_LIMIT);
    /* The merge fails: all is as before. */
    error_memory(&m.error);
    CU_ASSERT(stack_merge_end(s, &m, &entry, &e) == -1 && e.kind == ERROR_MEMORY);
    CU_ASSERT(stack_count(s) == STACK_NAMES_MAX + 1);
    CU_ASSERT(merge(s, &entry));
    CU_ASSERT(entry != NULL && stack_count(s) == 2);
    for (number = 0; number < STACK_NAMES_MAX; number++)
        CU_ASSERT(look_up(s, number) == number + 1);
    CU_ASSERT(!merge(s, &entry));
    stack_free(s);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("publish/stack", NULL, NULL);
    CU_add_test(suite, "manifest", test_order);
    CU_add_test(suite, "broken segment", test_broken_segment);
    CU_add_test(suite, "stale", test_stale);
    CU_add_test(suite, "stale, large", test_stale_large);
    CU_add_test(suite, "random", test_random);
    CU_add_test(suite, "geometry", test_geometry);
    CU_add_test(suite, "all gone", test_all_gone);
    CU_add_test(suite, "full", test_full);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
