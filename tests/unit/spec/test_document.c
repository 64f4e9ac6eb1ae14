/* YAML into trees: values, places, anchors, merge keys, what is refused and where. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "spec/document.h"
#include "spec/document_json.h"
#include "spec/names.h"
#include "spec/problem.h"

struct parsed {
    struct arena *arena;
    struct names names;
    struct problems problems;
    struct document_node root;
    struct error error;
    struct buf text; /* the tree as JSON, or the problems */
    int rc;
};

static void parse(struct parsed *p, struct str bytes, const struct document_limits *limits)
{
    struct document_options options = {.names = &p->names,
                                       .problems = &p->problems,
                                       .limits = limits ? *limits : document_limits_default()};

    memset(p, 0, sizeof(*p));
    p->text = BUF_INIT(SIZE_MAX / 2);
    p->arena = arena_new(NULL);
    options.strings = options.nodes = p->arena;
    if (!p->arena || names_init(&p->names, p->arena) || problems_init(&p->problems) ||
        problems_add_file(&p->problems, "f", false))
        BUG("a test ran out of memory");
    p->rc = document_parse(&options, bytes, &p->root, &p->error);
    if (!p->rc)
        document_json_print(&p->text, &p->root, &p->names);
    problems_sort(&p->problems);
    problems_print_text(&p->problems, &p->text);
}

static void finish(struct parsed *p)
{
    buf_free(&p->text);
    names_fini(&p->names);
    problems_fini(&p->problems);
    arena_free(p->arena);
}

static bool gives(struct str yaml, const struct document_limits *limits, const char *wanted)
{
    struct parsed p;
    bool is_right;

    parse(&p, yaml, limits);
    is_right = str_equal(buf_view(&p.text), str_from(wanted));
    if (!is_right)
        printf("\n--- for\n%.*s\n--- wanted\n%s\n--- got\n%.*s\n", (int)(yaml.len % 2000), yaml.ptr,
               wanted, STR_ARG(buf_view(&p.text)));
    finish(&p);
    return is_right;
}

static const struct {
    const char *yaml, *json;
} trees[] = {
    {"a: 1\n", "{\"a\":1}"},
    {"{}\n", "{}"},
    {"a: []\nb: {}\n", "{\"a\":[],\"b\":{}}"},
    {"a:\n- x\n- [y, {z: 1}]\n", "{\"a\":[\"x\",[\"y\",{\"z\":1}]]}"},
    {"a: |\n  one\n  two\nb: >-\n  one\n  two\n", "{\"a\":\"one\\ntwo\\n\",\"b\":\"one two\"}"},
    {"a: 'it''s'\nb: \"\\u00e9\\n\"\n", "{\"a\":\"it's\",\"b\":\"\xc3\xa9\\n\"}"},
    {"a: !!str 1\nb: !!int \"0x10\"\nc: !!bool y\nd: !!null x\ne: !!float 1\n",
     "{\"a\":\"1\",\"b\":16,\"c\":true,\"d\":null,\"e\":1}"},
    {"a: !mine x\n", "{\"a\":\"x\"}"},
    {"\xef\xbb\xbf"
     "a: 1\n",
     "{\"a\":1}"},
    /* Only the first document counts. */
    {"a: 1\n---\nb: 2\n", "{\"a\":1}"},
    {"--- {a: 1}\n...\n", "{\"a\":1}"},
    /* Anchors. */
    {"a: &x 1\nb: *x\n", "{\"a\":1,\"b\":1}"},
    {"a: &x [1, {b: 2}]\nb: [*x, *x]\n",
     "{\"a\":[1,{\"b\":2}],\"b\":[[1,{\"b\":2}],[1,{\"b\":2}]]}"},
    {"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}"},
    /* Merge keys: explicit keys win wherever they stand, the earlier map over the later. */
    {"x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}\nz: {<<: *x, b: 4}\n",
     "{\"x\":{\"a\":1,\"b\":2},\"y\":{\"b\":3,\"a\":1},\"z\":{\"b\":4,\"a\":1}}"},
    {"x: &x {a: 1}\ny: &y {a: 2, b: 3}\nz:\n  <<: [*x, *y, {c: 5, b: 9}]\n",
     "{\"x\":{\"a\":1},\"y\":{\"a\":2,\"b\":3},\"z\":{\"a\":1,\"b\":3,\"c\":5}}"},
    {"x: &x {a: 1}\ny: &y {<<: *x, b: 2}\nz: {<<: *y}\n",
     "{\"x\":{\"a\":1},\"y\":{\"b\":2,\"a\":1},\"z\":{\"b\":2,\"a\":1}}"},
    {"x: &x {a: 1}\nz:\n  <<: *x\n  <<: {b: 2}\n", "{\"x\":{\"a\":1},\"z\":{\"a\":1,\"b\":2}}"},
};

static void test_trees(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(trees); i++)
        CU_ASSERT(gives(str_from(trees[i].yaml), NULL, trees[i].json));
}

#define READ "failed parsing declarative configuration: "

static const struct {
    struct str yaml;
    const char *problems;
} refused[] = {
    {STR_INIT(""), "f:1:1: " READ "expected an object\n"},
    {STR_INIT("# nothing\n"), "f:1:1: " READ "expected an object\n"},
    {STR_INIT("just text\n"), "f:1:1: " READ "expected an object\n"},
    {STR_INIT("\n- a\n"), "f:2:1: " READ "expected an object\n"},
    {STR_INIT("a: [1\nb: 2\n"),
     "f:2:2: " READ "did not find expected ',' or ']', while parsing a flow sequence that "
     "began in line 1\n"},
    {STR_INIT("a:\n\tb: 1\n"),
     "f:2:1: " READ
     "found character that cannot start any token, while scanning for the next token\n"},
    {STR_INIT("a: 1\n---\nb: ]\n"),
     "f:3:4: " READ "did not find expected node content, while parsing a block node\n"},
    {STR_INIT("a: *nowhere\n"),
     "f:1:4: " READ "invalid reference: no anchor has this name; a text that begins with '*' "
     "stands in quotes\n"},
    {STR_INIT("a: &x [1, *x]\n"), "f:1:11: " READ "*x stands inside of what it names (line 1)\n"},
    {STR_INIT("a: &x\n  b: &y\n    c: *x\n"),
     "f:3:8: " READ "*x stands inside of what it names (line 1)\n"},
    {STR_INIT("a: !!int x\n"), "f:1:4: " READ "invalid 'tag:yaml.org,2002:int' value\n"},
    {STR_INIT("a: {<<: 1}\n"),
     "f:1:5: " READ "invalid '<<': only a map, or a list of maps, can be merged\n"},
    {STR_INIT("a: {<<: [1]}\n"),
     "f:1:5: " READ "invalid '<<': only a map, or a list of maps, can be merged\n"},
    {STR_INIT("? [a]\n: 1\n"), "f:1:3: " READ "a key must be a plain name\n"},
    /* Bytes: the place is the byte's own, though libyaml has none. */
    {STR_INIT("a: 1\nb: \"x\xff\"\n"), "f:2:6: " READ "bytes that are not UTF-8\n"},
    {STR_INIT("a: 1\nb: \xc0\x80\n"), "f:2:4: " READ "bytes that are not UTF-8\n"},
    {STR_INIT("a: 1\n\nb: x\0y\n"), "f:3:5: " READ "a NUL byte\n"},
    {STR_INIT("a: 1\nb: \"x\\0\"\n"), "f:2:4: " READ "a NUL byte in a text\n"},
    {STR_INIT("\"a\\0\": 1\n"), "f:1:1: " READ "a NUL byte in a text\n"},
    {STR_INIT("a: 1\nb: \x01\n"), "f:2:4: " READ "control characters are not allowed\n"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
        CU_ASSERT(gives(refused[i].yaml, NULL, refused[i].problems));
}

/* Both places are told; the tree goes on, so that the rest is checked too. */
static void test_duplicates(void)
{
    CU_ASSERT(gives(STR("a: 1\nb: 2\na: 3\n"), NULL,
                    "{\"a\":1,\"b\":2,\"a\":3}f:3:1: a: key given twice: first in line 1, "
                    "column 1\n"));
    CU_ASSERT(gives(STR("s:\n- x: 1\n- r:\n  - h: 1\n    h: 2\n    h: 3\n"), NULL,
                    "{\"s\":[{\"x\":1},{\"r\":[{\"h\":1,\"h\":2,\"h\":3}]}]}"
                    "f:5:5: s[2].r[1].h: key given twice: first in line 4, column 5\n"
                    "f:6:5: s[2].r[1].h: key given twice: first in line 4, column 5\n"));
    CU_ASSERT(gives(STR("a: {n: 1, m: {n: 2}}\nb: {n: 1}\n"), NULL,
                    "{\"a\":{\"n\":1,\"m\":{\"n\":2}},\"b\":{\"n\":1}}"));
}

static void test_places(void)
{
    struct parsed p;
    const struct document_node *list, *map;

    /* Columns are bytes: the two-byte letter counts twice. */
    parse(&p, STR("x: 1\nl:\n  - \xc3\xa9: {k: v, \xc3\xa9: \"w\"}\n    z: |\n      t\n"), NULL);
    CU_ASSERT_FATAL(p.rc == 0);
    list = document_get(&p.root, names_find(&p.names, STR("l")));
    CU_ASSERT_FATAL(list && list->count == 1);
    CU_ASSERT(list->line == 3 && list->column == 3);
    map = &list->as.items[0];
    CU_ASSERT(map->line == 3 && map->column == 5);
    CU_ASSERT(document_keys(map)[1].line == 4 && document_keys(map)[1].column == 5);
    CU_ASSERT(map->as.items[1].line == 4 && map->as.items[1].column == 8);
    map = &map->as.items[0];
    CU_ASSERT(map->line == 3 && map->column == 9);
    CU_ASSERT(map->as.items[0].line == 3 && map->as.items[0].column == 13);
    CU_ASSERT(document_keys(map)[1].column == 16 && map->as.items[1].column == 20);
    finish(&p);
}

static void repeat(struct buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_cstr(b, text);
}

static void test_limits(void)
{
    struct document_limits limits = document_limits_default();
    struct buf b = BUF_INIT(SIZE_MAX / 2);

    limits.nodes = 4;
    CU_ASSERT(gives(STR("a: [1, 2]\n"), &limits, "{\"a\":[1,2]}"));
    CU_ASSERT(gives(STR("a: [1, 2, 3]\n"), &limits, "f:1:11: " READ "more than 4 values\n"));
    limits = document_limits_default();
    limits.expanded = 5;
    CU_ASSERT(gives(STR("a: &x [1, 2]\nb: *x\n"), &limits, "{\"a\":[1,2],\"b\":[1,2]}"));
    CU_ASSERT(gives(STR("a: &x [1, 2]\nb: *x\nc: *x\n"), &limits,
                    "f:3:4: " READ "aliases repeat more than 5 values\n"));
    CU_ASSERT(gives(STR("a: &x {k: 1, l: 2, m: 3}\nb: {<<: *x}\n"), &limits,
                    "f:2:5: " READ "aliases repeat more than 5 values\n"));
    buf_cstr(&b, "a: ");
    repeat(&b, "[", DOCUMENT_DEPTH_MAX - 1);
    repeat(&b, "]", DOCUMENT_DEPTH_MAX - 1);
    limits = document_limits_default();
    limits.depth = DOCUMENT_DEPTH_MAX - 1;
    CU_ASSERT(gives(buf_view(&b), &limits, "f:1:66: " READ "nested deeper than 63 levels\n"));
    buf_clear(&b);
    /* An alias brings its own depth along. */
    limits.depth = 3;
    CU_ASSERT(gives(STR("a: &x [[1]]\nb: *x\n"), &limits, "{\"a\":[[1]],\"b\":[[1]]}"));
    CU_ASSERT(gives(STR("a: &x [[1]]\nb: [*x]\n"), &limits,
                    "f:2:5: " READ "nested deeper than 3 levels\n"));
    for (int i = 0; i <= DOCUMENT_ANCHORS_MAX; i++)
        buf_printf(&b, "a%d: &a%d 1\n", i, i);
    CU_ASSERT(gives(buf_view(&b), NULL, "f:10001:9: " READ "more than 10000 anchors\n"));
    buf_clear(&b);
    for (int i = 0; i <= DOCUMENT_DIRECTIVES_MAX; i++)
        buf_printf(&b, "%%TAG !t%d! tag:x\n", i);
    CU_ASSERT(gives(buf_view(&b), NULL, "f:1001:1: " READ "more than 1000 %TAG directives\n"));
    buf_free(&b);
}

/* What would take minutes or gigabytes ends at its limit. */
static void test_hostile(void)
{
    struct buf b = BUF_INIT(SIZE_MAX / 2);
    struct parsed p;

    repeat(&b, "[", 100 << 10);
    CU_ASSERT(gives(buf_view(&b), NULL, "f:1:1: " READ "expected an object\n"));
    buf_clear(&b);
    buf_cstr(&b, "a: ");
    repeat(&b, "[", 100 << 10);
    CU_ASSERT(gives(buf_view(&b), NULL, "f:1:67: " READ "nested deeper than 64 levels\n"));
    buf_clear(&b);
    buf_cstr(&b, "a: ");
    repeat(&b, "{a: ", 100 << 10);
    CU_ASSERT(gives(buf_view(&b), NULL, "f:1:256: " READ "nested deeper than 64 levels\n"));
    buf_clear(&b);
    buf_cstr(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 40; i++)
        buf_printf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1,
                   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    parse(&p, buf_view(&b), NULL);
    CU_ASSERT(p.rc == -1 && p.error.kind == ERROR_LIMIT);
    CU_ASSERT(p.error.line == 7); /* 8^6 of 10 is the first over a million */
    CU_ASSERT(arena_used(p.arena) < (size_t)1 << 20);
    finish(&p);
    buf_clear(&b);
    /* Junk to the end, one bad byte last: refused before anything is built. */
    repeat(&b, "- aaaaaaaaaaaa\n", 1 << 20);
    buf_cstr(&b, "\xff");
    parse(&p, buf_view(&b), NULL);
    CU_ASSERT(p.rc == -1 && p.error.line == (1 << 20) + 1);
    CU_ASSERT(arena_used(p.arena) < (size_t)1 << 20);
    finish(&p);
    buf_free(&b);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("document", NULL, NULL);
    CU_add_test(suite, "trees", test_trees);
    CU_add_test(suite, "refused", test_refused);
    CU_add_test(suite, "keys given twice", test_duplicates);
    CU_add_test(suite, "places", test_places);
    CU_add_test(suite, "limits", test_limits);
    CU_add_test(suite, "hostile", test_hostile);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
