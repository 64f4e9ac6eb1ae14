/* What stars stand for: secrets of the file, by their fields and by their looks, and what decK's
 * variables gave, in entities and in sentences. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/json_out.h"
#include "spec/flatten.h"
#include "spec/kong_error.h"
#include "tests/support/spec_text.h"

#define VERSION "_format_version: '3.0'\n"
#define SECRET "Zq7Xw.Vu9Kp" /* must not be told, in any case */
#define BASIC VERSION "consumers:\n- username: bob\n  basicauth_credentials:\n  - username: b\n    "
#define ACME VERSION "plugins:\n- name: acme\n  config: {account_email: a@b.test, "
#define OTHER VERSION "plugins:\n- name: other\n  foo: 1\n  config: "
#define TAGS VERSION "services:\n- host: a.test\n  port: x\n  tags: "

static const char *const quiet[] = {
    /* Fields that are secret, of a wrong kind, twice, in the wrong place, or nearly named. */
    BASIC "password: " SECRET "\n    x: 1\n",
    BASIC "password: [" SECRET "]\n",
    BASIC "password: {a: " SECRET "}\n",
    BASIC "pasword: " SECRET "\n",
    BASIC "password: *" SECRET "\n",
    BASIC "password: !!int " SECRET "\n",
    BASIC "password: a\n  keyauth_credentials: [{key: " SECRET "}, {key: " SECRET "}]\n",
    BASIC "password: a\n  key: " SECRET "\n",
    BASIC "password: a\n  keyauth_credentials: [{kye: " SECRET "}]\n",
    VERSION "keys:\n- name: k\n  kid: a\n  jwkk: '{\"d\": \"" SECRET "\"}'\n",
    VERSION "keys:\n- name: k\n  kid: a\n  pem: {privat_key: " SECRET "}\n",
    ACME "eab_hmac_kye: " SECRET "}\n",
    ACME "storage_config: {redis: {pasword: " SECRET "}, vault: {tokn: " SECRET "}}}\n",
    /* What has no table goes by its looks. */
    OTHER "{aws_key: " SECRET ", aws_secret: " SECRET ", a: {headers: {x-api-key: " SECRET "}}}\n",
    OTHER "{add: {headers: ['Authorization: Bearer " SECRET "']}}\n",
    OTHER "{url: 'https://user:" SECRET "@a.test/'}\n",
    OTHER "{x: '-----BEGIN EC PRIVATE KEY-----\n\n" SECRET "'}\n",
    /* Values of variables, as they are, in other letters, and in pieces that YAML made of them. */
    VERSION
    "services:\n- host: ${{ env \"DECK_WORD\" }}\n  port: x\n  name: /${{ env \"DECK_WORD\" }}\n",
    VERSION "services:\n- name: a\n  host: a.test\n  protocol: ${{ env \"DECK_WORD\" }}\n",
    VERSION "services:\n- name: a\n  host: a.test\n  ${{ env \"DECK_WORD\" }}: 1\n",
    OTHER "{a: {'${{ env \"DECK_WORD\" }}': 1}}\n",
    VERSION "routes:\n- hosts: [a.test]\n  service: ${{ env \"DECK_WORD\" }}\n",
    TAGS "['x ${{ env \"DECK_WORD\" }} y']\n",
    TAGS "${{ env \"DECK_MAP\" }}\n",
    TAGS "[\"${{ env \"DECK_ESCAPED\" }}\"]\n",
    TAGS "\n  - a ${{ env \"DECK_LINES\" | indent 4 }}\n",
    VERSION "services:\n- host: a.test\n  port: ${{ env \"DECK_MAP\" }}\n",
};

static const char *const told[] = {
    VERSION "services:\n- host: " SECRET "\n  port: x\n",
    OTHER "{keys: " SECRET ", url: 'https://a.test/x@" SECRET "', public_key: 'a:" SECRET "'}\n",
    OTHER "{key_names: [authorization, " SECRET "], minute: 5}\n",
    BASIC "password: '{vault://env/" SECRET "}'\n    x: 1\n",
};

static struct str environment(void *context, struct str name)
{
    static const struct {
        const char *name, *value;
    } variables[] = {
        {"DECK_WORD", SECRET},
        {"DECK_MAP", "{a: " SECRET ", b: 73918462051}"},
        {"DECK_ESCAPED", "a\\n" SECRET "\\tmore " SECRET},
        {"DECK_LINES", "aaaaaaaaaaaaaaaaaaaaaaaa\n" SECRET "\nb"},
    };

    (void)context;
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++)
        if (str_equal_cstr(name, variables[i].name))
            return str_from(variables[i].value);
    return STR_NONE;
}

/* Everything that check prints of it. */
static void print(const char *yaml, struct buf *out)
{
    const struct spec_options options = {.deck_env = true, .outside = {.environment = environment}};
    struct json_out errors = json_out_compact(out), entities = json_out_compact(out);
    struct spec_text t;
    struct error e;

    spec_text_open(&t, yaml, &options);
    buf_str(out, buf_view(&t.printed));
    kong_error_print_masked(t.detail, &t.problems, &errors);
    if (t.model)
        CU_ASSERT(flatten_print_masked(t.detail, &entities, &e) == 0);
    spec_text_close(&t);
    buf_char(out, '\0');
}

static bool is_told(const char *yaml)
{
    struct buf out = BUF_INIT((size_t)1 << 20);
    bool is_in;

    print(yaml, &out);
    is_in = strcasestr(out.data, SECRET) || strstr(out.data, "73918462051");
    if (is_in)
        printf("\n%s\n%s", yaml, out.data);
    buf_free(&out);
    return is_in;
}

static void test_quiet(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(quiet); i++)
        CU_ASSERT(!is_told(quiet[i]));
}

/* Stars hide what helps, so only what may be a secret has them. */
static void test_told(void)
{
    struct buf out = BUF_INIT((size_t)1 << 20);

    for (size_t i = 0; i < ARRAY_LENGTH(told); i++) {
        buf_clear(&out);
        print(told[i], &out);
        CU_ASSERT(strstr(out.data, SECRET) != NULL);
    }
    buf_free(&out);
}

int main(void)
{
    CU_pSuite suite;
    unsigned failed = 1;

    if (CU_initialize_registry())
        return 2;
    suite = CU_add_suite("mask", NULL, NULL);
    if (suite && CU_add_test(suite, "quiet", test_quiet) && CU_add_test(suite, "told", test_told)) {
        CU_basic_run_tests();
        failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    }
    CU_cleanup_registry();
    return failed != 0;
}
