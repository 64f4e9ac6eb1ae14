/* {vault://...}: found, not found, never printed. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "spec/reference.h"
#include "tests/support/spec_text.h"

static const struct {
    const char *name, *value;
} variables[] = {
    {"MY_CERT", "cert text"},
    {"MY_KEY", "key text"},
    {"A_B", "plain"},
    {"PRE_A_B", "prefixed"},
    {"A_B_PREVIOUS", "older"},
    {"WITH_SLASH/X", "slashed"},
    {"JSON", "{\"user\":\"u\",\"n\":5,\"deep\":{\"x\":\"y\"},\"a b\":\"blank\"}"},
    {"EMPTY", ""},
    {"MAIL", "ops@vault.example"},
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
    const char *reference, *value; /* NULL: nothing */
} references[] = {
    {"{vault://env/a-b}", "plain"},
    {"{vault://env/A_B}", "plain"},
    {"{vault://env/a%2Db}", "plain"},
    {"{vault://env/a-b#2}", "older"},
    {"{vault://env/a-b#1}", "plain"},
    {"{vault://env/a-b?prefix=pre-}", "prefixed"},
    {"{vault://env/a-b?x=y&prefix=PRE_#1}", "prefixed"},
    {"{vault://mine/a-b}", "prefixed"},
    {"{vault://bare/a-b}", "plain"},
    {"{vault://mine/a-b?prefix=}", "plain"},
    {"{vault://env/json/user}", "u"},
    {"{vault://env/json/n}", NULL},
    {"{vault://env/json/deep}", NULL},
    {"{vault://env/json/none}", NULL},
    {"{vault://env/a-b/user}", NULL}, /* no JSON */
    {"{vault://env/nothing}", NULL},
    {"{vault://env/empty}", NULL},
    {"{vault://env/}", NULL},
    {"{vault://env}", NULL},
    {"{vault:///a-b}", NULL},
    {"{vault://env/a-b/}", "plain"}, /* a slash at the end names no member */
    {"{vault://env/json/a%20b}", "blank"},
    {"{vault://env/a-b?prefix=pre%5F}", "prefixed"},
    {"{vault://env/a-b#02}", "older"},
    {"{vault://env/a-b#}", NULL},
    {"{vault://env/a-b#x}", NULL},
    {"{vault://hcv/a-b}", NULL},
    {"{vault://other/a-b}", NULL},
};

static void test_references(void)
{
    struct reference_vault vaults[] = {{STR("mine"), STR("PRE_")}, {STR("bare"), STR_NONE}};
    struct reference_table t = {.arena = arena_new(NULL),
                                .is_on = true,
                                .environment = environment,
                                .vaults = vaults,
                                .vault_count = 2};

    CU_ASSERT_FATAL(t.arena != NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(references); i++) {
        struct str value = reference_resolve(&t, str_from(references[i].reference));
        bool is_right =
            references[i].value ? str_equal_cstr(value, references[i].value) : !value.ptr;

        if (!is_right)
            printf("\n%s: %.*s\n", references[i].reference, STR_ARG(value));
        CU_ASSERT(is_right);
    }
    t.env_prefix = STR("Pre-");
    CU_ASSERT(str_equal(reference_resolve(&t, STR("{vault://env/a-b}")), STR("prefixed")));
    CU_ASSERT(str_equal(reference_resolve(&t, STR("{vault://env/a-b?prefix=}")), STR("plain")));
    CU_ASSERT(str_equal(reference_resolve(&t, STR("{vault://bare/a-b}")), STR("plain")));
    t.is_on = false;
    CU_ASSERT(!reference_resolve(&t, STR("{vault://env/a-b}")).ptr);
    t.is_on = true;
    t.environment = NULL;
    CU_ASSERT(!reference_resolve(&t, STR("{vault://env/a-b}")).ptr);
    arena_free(t.arena);
}

static const char vaulted[] = "_format_version: '3.0'\n"
                              "vaults: [{name: env, prefix: own-vault, config: {prefix: MY_}}]\n"
                              "certificates:\n"
                              "- {cert: '{vault://env/my-cert}', key: '{vault://own-vault/key}'}\n"
                              "- {cert: '{vault://env/my-cert}', key: '{vault://env/nothing}'}\n"
                              "keys: [{kid: '1', jwk: '{vault://env/nothing}'}]\n"
                              "services: [{name: x, host: h, tags: ['{vault:']}]\n"
                              "plugins:\n"
                              "- {name: acme, config: {account_email: '{vault://env/mail}'}}\n";

/* Resolved into the model; what cannot be is said, and the rest is served. */
static void test_model(void)
{
    struct spec_options options = {
        .vault_references = true, .lint = true, .outside = {.environment = environment}};
    struct spec_text t;
    const struct certificate *c;

    spec_text_open(&t, vaulted, &options);
    CU_ASSERT_FATAL(t.model != NULL);
    c = t.model->certificates;
    CU_ASSERT(str_equal(c[0].cert.value, STR("cert text")));
    CU_ASSERT(str_equal(c[0].key.value, STR("key text")) && !c[0].unresolved.ptr);
    CU_ASSERT(str_equal(c[1].cert.value, STR("cert text")) && !c[1].key.value.ptr);
    CU_ASSERT(str_equal(c[1].unresolved, STR("{vault://env/nothing}")));
    CU_ASSERT(str_equal(t.model->keys[0].unresolved, STR("{vault://env/nothing}")));
    CU_ASSERT(str_equal(t.model->acme->account_email.value, STR("ops@vault.example")));
    CU_ASSERT(!t.model->acme->unresolved.ptr);
    CU_ASSERT_STRING_EQUAL(
        t.printed.data,
        "kong.yaml:5:40: warning: certificates[2]: {vault://env/nothing} gives no certificate and "
        "key, so this one is not served\n"
        "kong.yaml:6:24: warning: keys[1]: {vault://env/nothing} gives no key, so this one is "
        "unusable\n"
        "kong.yaml:9:4: warning: plugins[1].config.tos_accepted: the terms of Let's Encrypt are "
        "not accepted, so no account will be made: see https://letsencrypt.org/repository/\n");
    spec_text_close(&t);
    /* Switched off, every reference is unresolved. */
    options.vault_references = false;
    options.lint = false;
    spec_text_open(&t, vaulted, &options);
    CU_ASSERT_FATAL(t.model != NULL);
    CU_ASSERT(t.model->certificates[0].unresolved.ptr && t.model->acme->unresolved.ptr);
    spec_text_close(&t);
}

static int refuse_all(void *context, struct str cert, struct str key, struct validity *valid,
                      const char **field, struct error *e)
{
    (void)valid;
    (void)context;
    (void)cert;
    (void)key;
    *field = "cert";
    return error_set(e, ERROR_INVALID, "invalid certificate: no");
}

/* A reference that gives something else is as good as unresolved: a condition, not an error. */
static void test_useless_value(void)
{
    struct spec_options options = {
        .vault_references = true,
        .outside = {.environment = environment, .check_certificate = refuse_all}};
    struct spec_text t;

    spec_text_open(&t,
                   "_format_version: '3.0'\ncertificates: [{cert: '{vault://env/my-cert}', key: "
                   "'{vault://env/my-key}'}]\n",
                   &options);
    CU_ASSERT_FATAL(t.model != NULL);
    CU_ASSERT(t.model->certificates[0].unresolved.ptr != NULL);
    spec_text_close(&t);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("reference", NULL, NULL);
    CU_add_test(suite, "references", test_references);
    CU_add_test(suite, "in the model", test_model);
    CU_add_test(suite, "a value that is no use", test_useless_value);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
