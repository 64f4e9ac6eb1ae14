/* The strict JSON reader, and what plain YAML scalars mean. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <math.h>
#include <string.h>

#include "spec/document_json.h"
#include "spec/json.h"
#include "spec/names.h"
#include "spec/problem.h"
#include "spec/scalar.h"

static bool gives(struct str json, unsigned depth, const char *wanted)
{
    struct arena *arena = arena_new(NULL);
    struct names names;
    struct problems problems;
    struct document_options options = {.names = &names,
                                       .strings = arena,
                                       .nodes = arena,
                                       .problems = &problems,
                                       .limits = document_limits_default()};
    struct document_node root;
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct error e;
    bool is_right;

    if (!arena || names_init(&names, arena) || problems_init(&problems) ||
        problems_add_file(&problems, "f", false))
        BUG("a test ran out of memory");
    if (depth)
        options.limits.depth = depth;
    if (!json_parse(&options, json, &root, &e))
        document_json_print(&text, &root, &names);
    problems_print_text(&problems, &text);
    is_right = str_equal(buf_view(&text), str_from(wanted));
    if (!is_right)
        printf("\n--- for\n%.*s\n--- wanted\n%s\n--- got\n%.*s\n", (int)(json.len % 2000), json.ptr,
               wanted, STR_ARG(buf_view(&text)));
    buf_free(&text);
    problems_fini(&problems);
    names_fini(&names);
    arena_free(arena);
    return is_right;
}

#define READ "failed parsing declarative configuration: "

static const struct {
    struct str json;
    const char *wanted;
} texts[] = {
    {STR_INIT("{}"), "{}"},
    {STR_INIT(" [ ] "), "[]"},
    {STR_INIT("[1,-1,0,-0,10]"), "[1,-1,0,0,10]"},
    {STR_INIT("[1.5,1e2,-1E-2,1.0]"), "[1.5,100,-0.01,1]"},
    {STR_INIT("[9223372036854775807,-9223372036854775807]"),
     "[9223372036854775807,-9223372036854775807]"},
    {STR_INIT("[true,false,null]"), "[true,false,null]"},
    {STR_INIT("{\"a\":{\"b\":[1,{\"c\":\"d\"}]},\"e\":\"\"}"),
     "{\"a\":{\"b\":[1,{\"c\":\"d\"}]},\"e\":\"\"}"},
    {STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\""),
     "\"\\\"\\\\/\\b\\f\\n\\r\\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {STR_INIT("\r\n\t {\"a\" : 1 , \"b\" : [ 2 ] }\n"), "{\"a\":1,\"b\":[2]}"},
    /* Refused: what looks like JSON. */
    {STR_INIT(""), "f:1:1: " READ "the file is empty\n"},
    {STR_INIT("{\"a\":1"), "f:1:7: " READ "expected ',' or '}'\n"},
    {STR_INIT("[1"), "f:1:3: " READ "expected ',' or ']'\n"},
    {STR_INIT("[1,]"), "f:1:4: " READ "not a JSON value\n"},
    {STR_INIT("[,1]"), "f:1:2: " READ "not a JSON value\n"},
    {STR_INIT("{\"a\":1,}"), "f:1:8: " READ "expected a member's name in quotes\n"},
    {STR_INIT("{a:1}"), "f:1:2: " READ "expected a member's name in quotes\n"},
    {STR_INIT("{'a':1}"), "f:1:2: " READ "expected a member's name in quotes\n"},
    {STR_INIT("{\"a\" 1}"), "f:1:6: " READ "expected ':'\n"},
    {STR_INIT("{\"a\":1}}"), "f:1:8: " READ "something follows the value\n"},
    {STR_INIT("{\"a\":1}\n{}"), "f:2:1: " READ "something follows the value\n"},
    {STR_INIT("[1]]"), "f:1:4: " READ "something follows the value\n"},
    {STR_INIT("[1}"), "f:1:3: " READ "expected ',' or ']'\n"},
    {STR_INIT("[01]"), "f:1:3: " READ "expected ',' or ']'\n"},
    {STR_INIT("[1.]"), "f:1:4: " READ "a number needs digits behind its point\n"},
    {STR_INIT("[.5]"), "f:1:2: " READ "not a JSON value\n"},
    {STR_INIT("[+1]"), "f:1:2: " READ "not a JSON value\n"},
    {STR_INIT("[1e]"), "f:1:4: " READ "a number needs digits in its exponent\n"},
    {STR_INIT("[-]"), "f:1:3: " READ "not a JSON value\n"},
    {STR_INIT("[0x10]"), "f:1:3: " READ "expected ',' or ']'\n"},
    {STR_INIT("[NaN]"), "f:1:2: " READ "not a JSON value\n"},
    {STR_INIT("[True]"), "f:1:2: " READ "not a JSON value\n"},
    {STR_INIT("[trues]"), "f:1:6: " READ "expected ',' or ']'\n"},
    {STR_INIT("[\"a]"), "f:1:5: " READ "a string without its end\n"},
    {STR_INIT("[\"a\nb\"]"), "f:1:4: " READ "a control character in a string\n"},
    {STR_INIT("[\"\\x41\"]"), "f:1:4: " READ "an escape that JSON does not have\n"},
    {STR_INIT("[\"\\u12\"]"), "f:1:7: " READ "\\u needs four hex digits\n"},
    {STR_INIT("[\"\\u0000\"]"), "f:1:9: " READ "\\u0000 is not allowed\n"},
    {STR_INIT("[\"\\ud800\"]"), "f:1:9: " READ "a surrogate without its pair\n"},
    {STR_INIT("[\"\\ud800\\u0041\"]"), "f:1:15: " READ "a surrogate without its pair\n"},
    {STR_INIT("[\"\\udc00\"]"), "f:1:9: " READ "a surrogate without its pair\n"},
    {STR_INIT("[1] // one"), "f:1:5: " READ "something follows the value\n"},
    {STR_INIT("[/*1*/]"), "f:1:2: " READ "not a JSON value\n"},
    {STR_INIT("\xef\xbb\xbf{}"), "f:1:1: " READ "not a JSON value\n"},
    {STR_INIT("{\n\"a\": \"\xff\"}"), "f:2:7: " READ "bytes that are not UTF-8\n"},
    {STR_INIT("[1\0]"), "f:1:3: " READ "a NUL byte\n"},
    {STR_INIT("{\"a\":1,\n \"a\":2}"),
     "{\"a\":1,\"a\":2}f:2:2: a: key given twice: first in line 1, column 2\n"},
};

static void test_texts(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        CU_ASSERT(gives(texts[i].json, 0, texts[i].wanted));
}

static void test_depth(void)
{
    struct buf b = BUF_INIT(SIZE_MAX / 2);

    CU_ASSERT(gives(STR("[[1]]"), 2, "[[1]]"));
    CU_ASSERT(gives(STR("[[[1]]]"), 2, "f:1:3: " READ "nested deeper than 2 levels\n"));
    for (int i = 0; i < 100 << 10; i++)
        buf_char(&b, '[');
    CU_ASSERT(gives(buf_view(&b), 0, "f:1:65: " READ "nested deeper than 64 levels\n"));
    buf_free(&b);
}

/* Large numbers are floats, as everywhere in Lua. */
static void test_large_numbers(void)
{
    CU_ASSERT(gives(STR("[9223372036854775808]"), 0, "[9.223372036854776e+18]"));
    CU_ASSERT(gives(STR("[1e999]"), 0, "[null]"));
}

/* --- scalars --- */

static const struct {
    const char *text;
    enum document_kind kind;
    double number; /* of a boolean too */
} scalars[] = {
    {"", DOCUMENT_NULL, 0},
    {"~", DOCUMENT_NULL, 0},
    {"null", DOCUMENT_NULL, 0},
    {"Null", DOCUMENT_NULL, 0},
    {"NULL", DOCUMENT_NULL, 0},
    {"nUll", DOCUMENT_STRING, 0},
    {"nil", DOCUMENT_STRING, 0},
    {"true", DOCUMENT_BOOLEAN, 1},
    {"True", DOCUMENT_BOOLEAN, 1},
    {"TRUE", DOCUMENT_BOOLEAN, 1},
    {"tRUE", DOCUMENT_STRING, 0},
    {"false", DOCUMENT_BOOLEAN, 0},
    {"yes", DOCUMENT_BOOLEAN, 1},
    {"Yes", DOCUMENT_BOOLEAN, 1},
    {"no", DOCUMENT_BOOLEAN, 0},
    {"NO", DOCUMENT_BOOLEAN, 0},
    {"on", DOCUMENT_BOOLEAN, 1},
    {"Off", DOCUMENT_BOOLEAN, 0},
    {"y", DOCUMENT_STRING, 0},
    {"n", DOCUMENT_STRING, 0},
    {"0", DOCUMENT_INTEGER, 0},
    {"-0", DOCUMENT_INTEGER, 0},
    {"12", DOCUMENT_INTEGER, 12},
    {"+12", DOCUMENT_INTEGER, 12},
    {"-12", DOCUMENT_INTEGER, -12},
    {"1_000", DOCUMENT_INTEGER, 1000},
    {"_1", DOCUMENT_INTEGER, 1},
    {"_", DOCUMENT_STRING, 0},
    {"010", DOCUMENT_INTEGER, 8},
    {"0_1_0", DOCUMENT_INTEGER, 8},
    {"08", DOCUMENT_INTEGER, 8},
    {"0x1F", DOCUMENT_INTEGER, 31},
    {"-0xff", DOCUMENT_INTEGER, -255},
    {"0x", DOCUMENT_STRING, 0},
    {"0xg", DOCUMENT_STRING, 0},
    {"0b11", DOCUMENT_INTEGER, 3},
    {"0b1_0", DOCUMENT_INTEGER, 2},
    {"0b2", DOCUMENT_STRING, 0},
    {"1:30", DOCUMENT_INTEGER, 90},
    {"22:22", DOCUMENT_INTEGER, 1342},
    {"-1:30", DOCUMENT_INTEGER, -90},
    {"190:20:30", DOCUMENT_INTEGER, 685230},
    {"1:30.5", DOCUMENT_FLOAT, 90.5},
    {"a:30", DOCUMENT_STRING, 0},
    {"1:", DOCUMENT_STRING, 0},
    {"1:x", DOCUMENT_STRING, 0},
    {"1.5", DOCUMENT_FLOAT, 1.5},
    {"-.5", DOCUMENT_FLOAT, -0.5},
    {"1.", DOCUMENT_FLOAT, 1},
    {"80.0", DOCUMENT_FLOAT, 80},
    {"1e3", DOCUMENT_FLOAT, 1000},
    {"1E-2", DOCUMENT_FLOAT, 0.01},
    {"1_0.5", DOCUMENT_FLOAT, 10.5},
    {"1.2.3", DOCUMENT_STRING, 0},
    {"127.0.0.1", DOCUMENT_STRING, 0},
    {"1e", DOCUMENT_STRING, 0},
    {"e", DOCUMENT_STRING, 0},
    {".", DOCUMENT_STRING, 0},
    {"-", DOCUMENT_STRING, 0},
    {"+", DOCUMENT_STRING, 0},
    {"1234-1234", DOCUMENT_STRING, 0},
    {".inf", DOCUMENT_FLOAT, INFINITY},
    {"-.INF", DOCUMENT_FLOAT, -INFINITY},
    {"inf", DOCUMENT_STRING, 0},
    {"nan", DOCUMENT_STRING, 0},
    {"9223372036854775807", DOCUMENT_INTEGER, 9223372036854775807.0},
    {"9223372036854775808", DOCUMENT_FLOAT, 9223372036854775808.0},
    {"0xffffffffffffffffff", DOCUMENT_FLOAT, 4722366482869645213695.0},
    {"3.0-beta", DOCUMENT_STRING, 0},
    {"2001-01-01", DOCUMENT_STRING, 0},
    {"example.com", DOCUMENT_STRING, 0},
};

static void test_scalars(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(scalars); i++) {
        struct document_node n = {.kind = DOCUMENT_STRING};
        bool found = scalar_resolve(str_from(scalars[i].text), &n);
        double number = n.kind == DOCUMENT_BOOLEAN   ? n.as.boolean
                        : n.kind == DOCUMENT_INTEGER ? (double)n.as.integer
                        : n.kind == DOCUMENT_FLOAT   ? n.as.number
                                                     : 0;
        bool is_right = n.kind == scalars[i].kind && number == scalars[i].number &&
                        found == (n.kind != DOCUMENT_STRING);

        if (!is_right)
            printf("\n%s: kind %d, %g\n", scalars[i].text, n.kind, number);
        CU_ASSERT(is_right);
    }
}

static const struct {
    const char *tag, *text;
    int rc;
    enum document_kind kind;
} tagged[] = {
    {"tag:yaml.org,2002:str", "1", 0, DOCUMENT_STRING},
    {"tag:yaml.org,2002:int", "0x10", 0, DOCUMENT_INTEGER},
    {"tag:yaml.org,2002:int", "1.5", -1, DOCUMENT_STRING},
    {"tag:yaml.org,2002:int", "", -1, DOCUMENT_STRING},
    {"tag:yaml.org,2002:float", "1.5", 0, DOCUMENT_FLOAT},
    {"tag:yaml.org,2002:float", "x", -1, DOCUMENT_STRING},
    {"tag:yaml.org,2002:bool", "n", 0, DOCUMENT_BOOLEAN},
    {"tag:yaml.org,2002:bool", "1", -1, DOCUMENT_STRING},
    {"tag:yaml.org,2002:null", "anything", 0, DOCUMENT_NULL},
    {"tag:yaml.org,2002:binary", "aGk=", 1, DOCUMENT_STRING},
    {"!", "1", 1, DOCUMENT_STRING},
    {"!mine", "1", 1, DOCUMENT_STRING},
};

static void test_tagged(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(tagged); i++) {
        struct document_node n = {.kind = DOCUMENT_STRING};

        CU_ASSERT(scalar_resolve_tagged(tagged[i].tag, str_from(tagged[i].text), &n) ==
                  tagged[i].rc);
        CU_ASSERT(tagged[i].rc || n.kind == tagged[i].kind);
    }
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("json", NULL, NULL);
    CU_add_test(suite, "texts", test_texts);
    CU_add_test(suite, "depth", test_depth);
    CU_add_test(suite, "large numbers", test_large_numbers);
    CU_add_test(suite, "YAML 1.1 scalars", test_scalars);
    CU_add_test(suite, "tagged scalars", test_tagged);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
