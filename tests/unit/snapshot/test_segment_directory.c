/* Directories of sections: what is not known is passed over, what is wrong is refused. */
#include <CUnit/Basic.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/snapshot/segment.h"
#include "reconciler/snapshot/segment_format.h"

#define BYTES_MAX (8 * SEGMENT_PAGE)
#define STRANGE 1000 /* a section of a later build */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* A segment apart: what stands in front, and the bytes of its sections. */
struct parts {
    struct segment_header header;
    struct segment_section places[SEGMENT_SECTIONS_MAX + 1];
    char bytes[BYTES_MAX]; /* as they lie */
};

static void read_parts(struct parts *p, int fd)
{
    char *end = p->bytes + sizeof(p->header);

    memset(p, 0, sizeof(*p));
    CU_ASSERT_TRUE_FATAL(fd >= 0 && pread(fd, p->bytes, sizeof(p->bytes), 0) > 0);
    close(fd);
    memcpy(&p->header, p->bytes, sizeof(p->header));
    memcpy(p->places, end, p->header.section_count * sizeof(p->places[0]));
}

static struct parts names_of_one(void)
{
    const struct segment_name name = {
        STR("a.example"), {{KEY_P256, STR("leaf"), STR("key"), STR("chain")}}, 1, true};
    struct parts p;
    struct error e;

    read_parts(&p, segment_write_names(&name, 1, NULL, &e));
    CU_ASSERT_EQUAL_FATAL(p.header.section_count, 3);
    return p;
}

static struct parts challenges_of_none(void)
{
    struct parts p;
    struct error e;

    read_parts(&p, segment_write_challenges(NULL, 0, NULL, &e));
    CU_ASSERT_EQUAL_FATAL(p.header.section_count, 2);
    return p;
}

/* The parts as they stand, in a file of their header's size. */
static struct segment *map(const struct parts *p, struct error *e)
{
    struct parts whole = *p;
    char *end = whole.bytes + sizeof(p->header);
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct segment *s;

    memcpy(whole.bytes, &p->header, sizeof(p->header));
    memcpy(end, p->places, p->header.section_count % SEGMENT_SECTIONS_MAX * sizeof(p->places[0]));
    if (fd < 0 || write(fd, whole.bytes, p->header.size) != (ssize_t)p->header.size ||
        fcntl(fd, F_ADD_SEALS, SEALS))
        abort();
    s = segment_map(fd, NULL, e);
    close(fd);
    return s;
}

/* Moves all sections `by` bytes back, which makes room for a longer directory. */
static void move_sections(struct parts *p, uint64_t by)
{
    uint64_t first = p->places[0].at;

    memmove(p->bytes + first + by, p->bytes + first, p->header.size - first);
    for (uint32_t i = 0; i < p->header.section_count; i++)
        p->places[i].at += by;
    p->header.size += by;
    CU_ASSERT_TRUE_FATAL(p->header.size < BYTES_MAX);
}

/* A section behind all others, in pages of its own. */
static void add_strange(struct parts *p, uint32_t flags, size_t size)
{
    move_sections(p, SEGMENT_PAGE);
    p->header.size = (p->header.size + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
    p->places[p->header.section_count++] =
        (struct segment_section){STRANGE, flags, p->header.size, size};
    p->header.size += (size + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
}

/* ---- what is passed over ---- */

/* Does the kernel leave the mapping with this byte out of core dumps? */
static bool is_kept_from_dumps(const void *at)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    bool is_inside = false, is_kept = false;
    uintptr_t from, to;
    char line[512];

    CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
            is_inside = (uintptr_t)at >= from && (uintptr_t)at < to;
        else if (is_inside && strncmp(line, "VmFlags:", 8) == 0)
            is_kept = strstr(line, " dd") != NULL;
    }
    fclose(maps);
    return is_kept;
}

static void test_strange_sections(void)
{
    struct parts p = names_of_one();
    struct segment_name found;
    struct segment *s;
    struct error e = {0};

    add_strange(&p, SECTION_IS_SECRET, 100);
    add_strange(&p, 0, 5000);
    s = map(&p, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("a.example"), &found), 1);
    CU_ASSERT_TRUE(str_equal(found.credentials[0].leaf, STR("leaf")));
    CU_ASSERT_TRUE(str_equal(found.credentials[0].key, STR("key")));
    CU_ASSERT_TRUE(str_equal(found.credentials[0].chain, STR("chain")));
    /* Secrets are secrets, whoever knows what they are for. */
    CU_ASSERT_TRUE(is_kept_from_dumps(found.credentials[0].key.ptr));
    CU_ASSERT_TRUE(is_kept_from_dumps(found.credentials[0].key.ptr + SEGMENT_PAGE));
    CU_ASSERT_FALSE(is_kept_from_dumps(found.credentials[0].key.ptr + 2 * SEGMENT_PAGE));
    CU_ASSERT_FALSE(is_kept_from_dumps(found.credentials[0].leaf.ptr));
    segment_unref(s);
}

/* A section of another kind is none that this one knows. */
static void test_foreign_section(void)
{
    struct parts p = challenges_of_none();
    struct segment_name found;
    struct segment *s;
    struct error e = {0};

    add_strange(&p, 0, 64);
    p.places[2].name = SECTION_NAMES;
    s = map(&p, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_count(s), 0);
    CU_ASSERT_EQUAL(segment_find_name(s, STR(""), &found), 0);
    segment_unref(s);
}

/* Kinds that nobody writes yet: known by their table's row, with whatever sections. */
static void test_kinds_to_come(void)
{
    static const enum segment_kind kinds[] = {SEGMENT_UPSTREAMS, SEGMENT_PLUGINS,
                                              SEGMENT_CONSUMERS};

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct parts p = challenges_of_none();
        struct segment *s;
        struct error e = {0};
        add_strange(&p, kinds[i] == SEGMENT_UPSTREAMS ? 0 : SECTION_IS_SECRET, 64);
        p.header.kind = kinds[i];
        s = map(&p, &e);
        CU_ASSERT_PTR_NOT_NULL_FATAL(s);
        CU_ASSERT_EQUAL(segment_kind_of(s), kinds[i]);
        CU_ASSERT_FALSE(segment_is_stacked(segment_kind_of(s)));
        segment_unref(s);
    }
}

static void test_optional_section(void)
{
    struct parts p = challenges_of_none();
    struct segment *s;
    struct error e = {0};
    struct str found;

    CU_ASSERT_EQUAL(p.places[1].name, SECTION_TLS_ALPN_01);
    p.header.section_count = 1;
    s = map(&p, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_find_challenge(s, CHALLENGE_TLS_ALPN_01, STR("a"), &found), 0);
    segment_unref(s);
}

/* ---- what is refused ---- */

static void refuses(const struct parts *p, const char *sentence)
{
    struct error e = {0};
    struct segment *s = map(p, &e);

    CU_ASSERT_PTR_NULL(s);
    CU_ASSERT_EQUAL(e.kind, ERROR_SYNTAX);
    if (strcmp(e.message, sentence) != 0)
        fprintf(stderr, "\"%s\" instead of \"%s\"\n", e.message, sentence);
    CU_ASSERT_STRING_EQUAL(e.message, sentence);
    segment_unref(s);
}

static void test_foreign_header(void)
{
    struct parts good = names_of_one(), p = good;

    p.header.byte_order = __builtin_bswap32(p.header.byte_order);
    p.header.format = __builtin_bswap32(p.header.format);
    refuses(&p, "segment: of another byte order");
    p = good;
    p.header.byte_order = 0;
    refuses(&p, "segment: of no byte order");
    p.header.format = 1; /* which had a size there */
    refuses(&p, "segment: format 1, not 2");
    p = good;
    p.header.format = SEGMENT_FORMAT + 1;
    refuses(&p, "segment: format 3, not 2");
    p = good;
    p.header.kind = 0;
    refuses(&p, "segment: unknown kind 0");
    p.header.kind = SEGMENT_KINDS;
    refuses(&p, "segment: unknown kind 8");
    p = good;
    p.header.magic[0] = 'r';
    refuses(&p, "segment: not a segment");
    p = good;
    p.header.section_count = SEGMENT_SECTIONS_MAX + 1;
    refuses(&p, "segment: 65 sections");
    p.header.section_count = SEGMENT_SECTIONS_MAX; /* as many as may be, but not these */
    refuses(&p, "segment: section 1 overlaps another");
    p = good;
    p.header.size = sizeof(p.header) + 2 * sizeof(p.places[0]);
    refuses(&p, "segment: 3 sections");
}

/* What one field of one of the sections NAMES, BYTES, KEYS is changed to. */
enum field { FIELD_NAME, FIELD_FLAGS, FIELD_AT, FIELD_SIZE };

static const struct {
    const char *sentence;
    size_t place;
    enum field field;
    uint64_t value;
} bad_sections[] = {
    {"segment: section 1 comes twice", 1, FIELD_NAME, SECTION_NAMES},
    {"segment: section 1 is missing", 0, FIELD_NAME, STRANGE},
    {"segment: section 2 is missing", 1, FIELD_NAME, STRANGE},
    {"segment: section 3 is missing", 2, FIELD_NAME, STRANGE},
    {"segment: section 3 shows its secrets", 2, FIELD_FLAGS, 0},
    {"segment: section 3 shows its secrets", 2, FIELD_FLAGS, 2},
    {"segment: section 2 is not aligned", 1, FIELD_FLAGS, SECTION_IS_SECRET},
    {"segment: section 1 is no table", 0, FIELD_SIZE, sizeof(struct segment_table) - 1},
    {"segment: section 1 is no table", 0, FIELD_SIZE, sizeof(struct segment_table)},
    {"segment: section 1 leaves it", 0, FIELD_SIZE, UINT64_MAX},
    {"segment: section 1 leaves it", 0, FIELD_SIZE, BYTES_MAX},
    {"segment: section 1 leaves it", 0, FIELD_AT, UINT64_MAX - 63},
    {"segment: section 3 leaves it", 2, FIELD_SIZE, SEGMENT_PAGE + 1},
    {"segment: section 1 is not aligned", 0, FIELD_AT, SEGMENT_ALIGN * 2 + SEGMENT_UNIT},
    {"segment: section 3 is not aligned", 2, FIELD_AT, SEGMENT_PAGE - SEGMENT_ALIGN},
    {"segment: section 1 overlaps another", 0, FIELD_AT, 0},
    {"segment: section 1 overlaps another", 0, FIELD_AT, SEGMENT_ALIGN},
    {"segment: section 2 overlaps another", 1, FIELD_AT, SEGMENT_ALIGN * 2},
    {"segment: section 3 overlaps another", 2, FIELD_AT, 0},
    {"segment: section 3 overlaps another", 1, FIELD_SIZE, SEGMENT_PAGE},
};

static void test_bad_sections(void)
{
    const struct parts good = names_of_one();

    for (size_t i = 0; i < ARRAY_LENGTH(bad_sections); i++) {
        struct parts p = good;
        struct segment_section *place = &p.places[bad_sections[i].place];
        switch (bad_sections[i].field) {
        case FIELD_NAME:
            place->name = (uint32_t)bad_sections[i].value;
            break;
        case FIELD_FLAGS:
            place->flags = (uint32_t)bad_sections[i].value;
            break;
        case FIELD_AT:
            place->at = bad_sections[i].value;
            break;
        case FIELD_SIZE:
            place->size = bad_sections[i].value;
            break;
        }
        refuses(&p, bad_sections[i].sentence);
    }
}

/* Nothing else lies in the pages of secrets, and only some kinds have any. */
static void test_bad_secrets(void)
{
    struct parts good = names_of_one(), p = good, other = challenges_of_none();

    add_strange(&p, 0, 64);
    p.places[3].at -= SEGMENT_ALIGN;
    refuses(&p, "segment: section 1000 overlaps another");
    p = good;
    add_strange(&p, SECTION_IS_SECRET, 64);
    p.header.size -= SEGMENT_ALIGN; /* its page is cut short */
    refuses(&p, "segment: section 1000 leaves it");
    p = good;
    p.places[1] = (struct segment_section){SECTION_BYTES, SECTION_IS_SECRET, SEGMENT_PAGE, 0};
    refuses(&p, "segment: section 2 has no secrets");
    add_strange(&other, SECTION_IS_SECRET, 64);
    refuses(&other, "segment: section 1000 has secrets");
}

int main(void)
{
    CU_TestInfo tests[] = {{"strange sections", test_strange_sections},
                           {"foreign section", test_foreign_section},
                           {"kinds to come", test_kinds_to_come},
                           {"optional section", test_optional_section},
                           {"foreign header", test_foreign_header},
                           {"bad sections", test_bad_sections},
                           {"bad secrets", test_bad_secrets},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "segment_directory", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
