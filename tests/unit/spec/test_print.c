/* What is printed: flattened entities, problems as text and JSON, Kong's form of errors. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/describe.h"
#include "spec/flatten.h"
#include "spec/kong_error.h"
#include "tests/support/golden.h"
#include "tests/support/spec_text.h"

#define FOLDER "tests/golden/spec/"

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    if (!f || !text || fread(text, 1, (1 << 20) - 1, f) == 0)
        BUG("a golden file is missing: run from the repository's root");
    fclose(f);
    return text;
}

static void open_golden(struct spec_text *t, const char *name)
{
    char path[256];
    char *text;

    snprintf(path, sizeof(path), FOLDER "%s.yaml", name);
    text = read_text(path);
    spec_text_open(t, text, NULL);
    free(text);
}

static void test_flatten(void)
{
    struct buf text = BUF_INIT((size_t)1 << 24);
    struct json_out out = json_out_pretty(&text);
    struct spec_text t;
    struct error e;

    open_golden(&t, "whole");
    CU_ASSERT_STRING_EQUAL(t.printed.data ? t.printed.data : "", "");
    CU_ASSERT_FATAL(t.model != NULL);
    CU_ASSERT(flatten_print(t.detail, &out, &e) == 0);
    buf_char(&text, '\n');
    CU_ASSERT(golden_matches(FOLDER "whole.flat.json", buf_view(&text)));
    spec_text_close(&t);
    buf_free(&text);
}

/* In three forms: for people, for programs, for who knows Kong's answers. */
static void check_broken(const char *name)
{
    struct buf text = BUF_INIT((size_t)1 << 24);
    struct json_out out;
    struct spec_text t;
    char path[256];

    open_golden(&t, name);
    CU_ASSERT(t.model == NULL);
    snprintf(path, sizeof(path), FOLDER "%s.txt", name);
    CU_ASSERT(golden_matches(path, buf_view(&t.printed)));
    out = json_out_pretty(&text);
    json_out_object(&out);
    json_out_key(&out, "problems");
    problems_print_json(&t.problems, &out);
    json_out_key(&out, "fields");
    kong_error_print_fields(&t.problems, &out);
    json_out_key(&out, "flattened_errors");
    kong_error_print_flattened(t.detail, &t.problems, &out);
    json_out_end(&out);
    buf_char(&text, '\n');
    snprintf(path, sizeof(path), FOLDER "%s.json", name);
    CU_ASSERT(golden_matches(path, buf_view(&text)));
    spec_text_close(&t);
    buf_free(&text);
}

static void test_broken(void)
{
    check_broken("broken");
    check_broken("repeated");
}

/* The document itself: Kong has one field for it, with the place in its text. */
static void test_unreadable(void)
{
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct json_out out = json_out_compact(&text);
    struct spec_text t;

    spec_text_open(&t, "a: 1\nb: ]\n", NULL);
    kong_error_print_fields(&t.problems, &out);
    CU_ASSERT_STRING_EQUAL(text.data,
                           "{\"error\":\"failed parsing declarative configuration: 2:4: did not "
                           "find expected node content, while parsing a block node\"}");
    spec_text_close(&t);
    buf_free(&text);
}

/* What comes after PROBLEMS_MAX is counted; control characters of the file do not reach a terminal.
 */
static void test_problems(void)
{
    struct buf yaml = BUF_INIT((size_t)1 << 24);
    struct spec_text t;

    buf_cstr(&yaml, "_format_version: '3.0'\nservices:\n");
    for (int i = 0; i < PROBLEMS_MAX + 5; i++)
        buf_cstr(&yaml, "- {}\n");
    spec_text_open(&t, yaml.data, NULL);
    CU_ASSERT(t.problems.count == PROBLEMS_MAX && t.problems.truncated == 5);
    CU_ASSERT(t.problems.error_count == PROBLEMS_MAX + 5);
    CU_ASSERT(str_ends(buf_view(&t.printed), STR("\nand 5 more\n")));
    spec_text_close(&t);
    buf_free(&yaml);
    CU_ASSERT(spec_text_says("\"\\e[31m\\u202e\": 1\n",
                             "2:1: \\x1b[31m\\xe2\\x80\\xae: unknown field\n"));
    CU_ASSERT(spec_text_says("services: [{host: \"a\\nb \\\"c\\\" \\\\\"}]\n",
                             "2:19: services[1].host: invalid value: a\\x0ab \"c\" \\\n"));
}

/* Nobody reads so many: the rest of the file is left alone. */
static void test_too_many_problems(void)
{
    static const char *const heads[] = {"services:\n", ""}, *const items[] = {"- {}\n", "x: 1\n"};
    struct buf yaml = BUF_INIT((size_t)1 << 24);
    struct spec_text t;

    for (size_t i = 0; i < ARRAY_LENGTH(heads); i++) {
        buf_clear(&yaml);
        buf_printf(&yaml, "_format_version: '3.0'\n%s", heads[i]);
        for (int k = 0; k < PROBLEMS_COUNTED_MAX + 500; k++)
            buf_cstr(&yaml, items[i]);
        spec_text_open(&t, yaml.data, NULL);
        CU_ASSERT(!t.model && t.problems.count == PROBLEMS_MAX);
        CU_ASSERT(t.problems.error_count >= PROBLEMS_COUNTED_MAX &&
                  t.problems.error_count < PROBLEMS_COUNTED_MAX + 10);
        CU_ASSERT_PTR_NOT_NULL(strstr(t.printed.data, "\nand at least 99"));
        spec_text_close(&t);
    }
    buf_free(&yaml);
}

static void test_order(void)
{
    struct problems p;
    struct buf text = BUF_INIT(4096);

    CU_ASSERT_FATAL(problems_init(&p) == 0);
    CU_ASSERT_FATAL(problems_add_file(&p, "a", false) == 0 && problems_add_file(&p, "b", false) == 0);
    problems_add(&p, PROBLEM_ERROR, (struct place){1, 1, 1}, STR("x"), "late");
    problems_add(&p, PROBLEM_WARNING, (struct place){0, 2, 1}, STR("x"), "second %d", 2);
    problems_add(&p, PROBLEM_ERROR, (struct place){0, 1, 9}, STR("b"), "m");
    problems_add(&p, PROBLEM_ERROR, (struct place){0, 1, 9}, STR("a"), "n");
    problems_add(&p, PROBLEM_ERROR, (struct place){0, 1, 9}, STR("a"), "m");
    problems_add(&p, PROBLEM_ERROR, (struct place){0, 1, 9}, STR("a"), "m");
    problems_add(&p, PROBLEM_ERROR, (struct place){0, 0, 0}, STR(""), "no place");
    problems_sort(&p);
    problems_print_text(&p, &text);
    CU_ASSERT_STRING_EQUAL(text.data, "a: no place\na:1:9: a: m\na:1:9: a: n\na:1:9: b: m\n"
                                      "a:2:1: warning: x: second 2\nb:1:1: x: late\n");
    CU_ASSERT(p.error_count == 5 && p.warning_count == 1);
    buf_free(&text);
    problems_fini(&p);
}

/* The format itself, from the tables. */
static void test_description(void)
{
    struct buf text = BUF_INIT((size_t)1 << 24);
    struct json_out out = json_out_pretty(&text);

    describe_json_schema(&out);
    buf_char(&text, '\n');
    CU_ASSERT(golden_matches("examples/kong.schema.json", buf_view(&text)));
    buf_clear(&text);
    describe_markdown(&text);
    CU_ASSERT(golden_matches(FOLDER "reference.md", buf_view(&text)));
    buf_free(&text);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("print", NULL, NULL);
    CU_add_test(suite, "flattened entities", test_flatten);
    CU_add_test(suite, "a broken file", test_broken);
    CU_add_test(suite, "an unreadable file", test_unreadable);
    CU_add_test(suite, "many problems, strange bytes", test_problems);
    CU_add_test(suite, "too many problems", test_too_many_problems);
    CU_add_test(suite, "order", test_order);
    CU_add_test(suite, "the format itself", test_description);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
