/* ${{ env "DECK_X" }}, as decK replaces it; and the places of what stands behind it. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>

#include "spec/deck.h"
#include "tests/support/spec_text.h"

static const struct {
    const char *name, *value;
} variables[] = {
    {"DECK_HOST", "deck.example"},
    {"DECK_PORT", "8080"},
    {"DECK_FLAG", "T"},
    {"DECK_LINES", "one\ntwo"},
    {"DECK_PLUS", "+007"},
    {"DECK_FLOAT", "1.50e1"},
    {"DECK_EMPTY", ""},
    {"DECK_NAME", "w\n  port: 1"},
    {"DECK_MUCH", "99999999999999999999"},
};

static struct str environment(void *context, struct str name)
{
    (void)context;
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++)
        if (str_equal_cstr(name, variables[i].name))
            return str_from(variables[i].value);
    return STR_NONE;
}

static const struct {
    const char *text, *expanded, *problem;
} decks[] = {
    {"a: 1\n", "a: 1\n", NULL},
    {"h: ${{ env \"DECK_HOST\" }}:${{env `DECK_PORT`}}\n", "h: deck.example:8080\n", NULL},
    {"a: ${{ env \"DECK_PORT\" | toInt }} ${{ env \"DECK_FLAG\" | toBool }}\n", "a: 8080 true\n",
     NULL},
    {"a: |\n  ${{ env \"DECK_LINES\" | indent 2 }}\n", "a: |\n  one\n  two\n", NULL},
    {"a: ${{\tenv \"DECK_LINES\" | indent 0}}", "a: one\ntwo", NULL},
    {"a: ${{ env \"DECK_PLUS\" | toInt }},${{ env \"DECK_FLOAT\" | toFloat }}", "a: 7,15", NULL},
    {"a: '${{ env \"DECK_EMPTY\" }}'", "a: ''", NULL},
    {"# ${{ not closed\na: 1\n  # ${{ nor this", "# ${{ not closed\na: 1\n  # ${{ nor this", NULL},
    {"  # ${{ env \"DECK_NONE\" }}\na: 1 # ${{ env \"DECK_PORT\" }}\n",
     "  # ${{ env \"DECK_NONE\" }}\na: 1 # 8080\n", NULL},
    {"a: ${{ env \"DECK_NONE\" }}\n", NULL,
     "environment variable 'DECK_NONE' present in state file but not set"},
    {"a: ${{ env \"HOME\" }}\n", NULL,
     "environment variables in the state file must be prefixed with 'DECK_', found: 'HOME'"},
    {"a: ${{ env DECK_HOST }}\n", NULL,
     "the name of a variable must stand in quotes, not DECK_HOST"},
    {"a: ${{ file \"x\" }}\n", NULL, "only ${{ env \"DECK_X\" }} is known, not 'file \"x\"'"},
    {"a: ${{ env \"DECK_HOST\" | toInt }}\n", NULL, "toInt: the variable's value is no integer"},
    {"a: ${{ env \"DECK_MUCH\" | toInt }}\n", NULL, "toInt: the variable's value is no integer"},
    {"a: ${{ env \"DECK_FLOAT\" | toInt }}\n", NULL, "toInt: the variable's value is no integer"},
    {"a: ${{ env \"DECK_HOST\" | toFloat }}\n", NULL, "toFloat: the variable's value is no number"},
    {"a: ${{ env \"DECK_EMPTY\" | toFloat }}\n", NULL,
     "toFloat: the variable's value is no number"},
    {"a: ${{ env \"DECK_HOST\" | toBool }}\n", NULL, "toBool: the variable's value is no boolean"},
    {"a: ${{ env \"DECK_HOST\" | upper }}\n", NULL, "unknown function 'upper' in ${{ }}"},
    {"a: ${{ env \"DECK_HOST\" | indent 1000 }}\n", NULL,
     "indent needs a number of blanks, not '1000'"},
    {"a: ${{ env \"DECK_HOST\" | indent }}\n", NULL, "unknown function 'indent' in ${{ }}"},
    {"a: ${{ environ \"DECK_HOST\" }}\n", NULL,
     "only ${{ env \"DECK_X\" }} is known, not 'environ \"DECK_HOST\"'"},
    {"b: 1\na: ${{ env \"DECK_HOST\"\n", NULL, "${{ without its }}"},
};

static void test_deck(void)
{
    struct reference_table t = {.environment = environment};

    for (size_t i = 0; i < ARRAY_LENGTH(decks); i++) {
        struct arena *arena = arena_new(NULL);
        struct origin origin = {0};
        struct str out = STR_NONE;
        struct error e;
        int rc;

        CU_ASSERT_FATAL(arena != NULL);
        rc = deck_expand(&t, str_from(decks[i].text), arena, 4096, &out, &origin, &e);
        CU_ASSERT(rc == (decks[i].problem ? -1 : 0));
        if (decks[i].problem)
            CU_ASSERT_STRING_EQUAL(e.message, decks[i].problem);
        if (decks[i].expanded)
            CU_ASSERT(str_equal_cstr(out, decks[i].expanded));
        vec_free(&origin);
        arena_free(arena);
    }
}

static void test_deck_limits(void)
{
    struct reference_table t = {.environment = environment};
    struct arena *arena = arena_new(NULL);
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct origin origin = {0};
    struct str out;
    struct error e;

    CU_ASSERT_FATAL(arena != NULL);
    for (int i = 0; i <= DECK_EXPRESSIONS_MAX; i++)
        buf_cstr(&text, "${{env \"DECK_PORT\"}}");
    CU_ASSERT(deck_expand(&t, buf_view(&text), arena, 1 << 20, &out, &origin, &e) == -1);
    CU_ASSERT(e.line == 1 && e.column == 1 + 20 * DECK_EXPRESSIONS_MAX);
    vec_free(&origin);
    CU_ASSERT(deck_expand(&t, STR("a: ${{ env \"DECK_HOST\" }}"), arena, 8, &out, &origin, &e) ==
              -1);
    CU_ASSERT(e.kind == ERROR_LIMIT);
    vec_free(&origin);
    buf_free(&text);
    arena_free(arena);
}

/* Behind a switch; textual, before YAML, as decK does it. */
static void test_deck_in_files(void)
{
    struct spec_options options = {.deck_env = true, .outside = {.environment = environment}};

    CU_ASSERT(
        spec_text_says_with("services: [{host: '${{ env \"DECK_HOST\" }}'}]\n", "", &options));
    CU_ASSERT(spec_text_says_with("services: [{host: '${{ env \"DECK_NO\" }}'}]\n",
                                  "2:20: environment variable 'DECK_NO' present in state file but "
                                  "not set\n",
                                  &options));
    CU_ASSERT(spec_text_says("services: [{host: '${{ env \"DECK_HOST\" }}'}]\n",
                             "2:19: services[1].host: invalid value: ${{ env \"DECK_HOST\" }}\n"));
}

/* What is wrong is where the file has it, whatever became of the lines before. */
static void test_places(void)
{
    struct spec_options options = {.deck_env = true, .outside = {.environment = environment}};

    /* Behind a replacement in its line, and inside of one. */
    CU_ASSERT(spec_text_says_with("services: [{host: ${{ env \"DECK_HOST\" }}, port: x}]\n",
                                  "2:49: services[1].port: expected an integer\n", &options));
    CU_ASSERT(spec_text_says_with("services: [{host: a, port: ${{ env \"DECK_HOST\" }}}]\n",
                                  "2:28: services[1].port: expected an integer\n", &options));
    /* Below one that made one line two, and one of two lines that became one. */
    CU_ASSERT(spec_text_says_with("services:\n- host: ${{ env \"DECK_NAME\" }}\n  x: 1\n",
                                  "4:3: services[1].x: unknown field\n", &options));
    CU_ASSERT(spec_text_says_with("services:\n- host: ${{ env\n\"DECK_HOST\" }}\n  x: 1\n",
                                  "5:3: services[1].x: unknown field\n", &options));
    CU_ASSERT(spec_text_says_with("services:\n- host: ${{ env \"DECK_NAME\" }} :\n",
                                  "3:32: failed parsing declarative configuration: mapping values "
                                  "are not allowed in this context\n",
                                  &options));
    CU_ASSERT(
        spec_text_says_with("\"services\": [{\"host\": \"${{ env \"DECK_HOST\" }}\",\"x\": 1}]",
                            "2:48: services[1].x: unknown field\n", &options));
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("deck", NULL, NULL);
    CU_add_test(suite, "decK's variables", test_deck);
    CU_add_test(suite, "limits", test_deck_limits);
    CU_add_test(suite, "in files", test_deck_in_files);
    CU_add_test(suite, "places", test_places);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
