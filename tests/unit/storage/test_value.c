#include "reconciler/storage/value_json.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/storage/packed.h"
#include "tests/support/golden.h"
#include "tests/support/value_sample.h"

#define TEXT_MAX ((size_t)4 << 20)
#define STAGING "https://acme-staging-v02.api.letsencrypt.org/directory"

/* ---- keys ---- */

static const struct {
    enum value_type type;
    bool apart;
    const char *name, *api_uri, *directory, *key;
    enum key_family family;
} keys[] = {
    {VALUE_CREDENTIAL, false, "a.example", NULL, "", "kong_acme:cert_key:a.example", FAMILY_FIRST},
    {VALUE_BACKOFF, false, "a.example", NULL, "", "kong_acme:fail_backoff:a.example", FAMILY_FIRST},
    {VALUE_RENEW_CONFIG, false, "a.example", NULL, "", "kong_acme:renew_config:a.example",
     FAMILY_FIRST},
    {VALUE_ORDER, false, "a.example", NULL, "", "reconcert:order:a.example", FAMILY_FIRST},
    {VALUE_FAILURE, false, "a.example", NULL, "", "reconcert:failure:a.example", FAMILY_FIRST},
    {VALUE_DEMAND, false, "a.example", NULL, "", "reconcert:demand:a.example", FAMILY_FIRST},
    {VALUE_CREDENTIAL, false, "2001:db8::1", NULL, "", "kong_acme:cert_key:2001:db8::1",
     FAMILY_FIRST},
    {VALUE_ACCOUNT, false, "me@example.com", "https://acme-v02.api.letsencrypt.org", "",
     "kong_acme:account:https://acme-v02.api.letsencrypt.org:bWVAZXhhbXBsZS5jb20=", FAMILY_FIRST},
    {VALUE_ACCOUNT, false, "you@ab.de", "https://ca.test:14000/dir", "",
     "kong_acme:account:https://ca.test:14000/dir:eW91QGFiLmRl", FAMILY_FIRST},
    {VALUE_ACCOUNT, false, "", "https://ca.test/", "",
     "kong_acme:account:https://ca.test/:", FAMILY_FIRST},
    {VALUE_CREDENTIAL, true, "a.example", NULL, STAGING,
     "reconcert:67f2750652314251:kong_acme:cert_key:a.example", FAMILY_FIRST},
    {VALUE_ORDER, true, "a.example", NULL, STAGING,
     "reconcert:67f2750652314251:reconcert:order:a.example", FAMILY_FIRST},
    {VALUE_CREDENTIAL, false, "a.example", NULL, "", "reconcert:cert_key:@rsa:a.example",
     FAMILY_RSA},
    {VALUE_ORDER, false, "a.example", NULL, "", "reconcert:order:@ecdsa:a.example", FAMILY_ECDSA},
    {VALUE_SENT, true, "a.example", NULL, STAGING,
     "reconcert:67f2750652314251:reconcert:sent:@rsa:a.example", FAMILY_RSA},
};

static void test_keys(void)
{
    struct arena *arena = arena_new(NULL);
    struct error e;

    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        struct buf out = BUF_INIT(TEXT_MAX);
        struct value v = {.type = keys[i].type, .apart = keys[i].apart};
        struct value back;
        v.directory = str_from(keys[i].directory);
        if (v.type == VALUE_ACCOUNT)
            v.u.account = (struct value_account){.api_uri = str_from(keys[i].api_uri),
                                                 .email = str_from(keys[i].name)};
        else
            v.subject = (struct subject){str_from(keys[i].name), keys[i].family};
        CU_ASSERT(value_key(&v, &out, &e) == 0);
        if (!str_equal_cstr(buf_view(&out), keys[i].key)) {
            fprintf(stderr, "%s instead of %s\n", out.data, keys[i].key);
            CU_FAIL("another key");
        }
        CU_ASSERT(value_key_parse(str_from(keys[i].key), arena, &back) == 1);
        CU_ASSERT(back.type == v.type && back.apart == v.apart);
        CU_ASSERT(subject_compare(&back.subject, &v.subject) == 0);
        if (v.type == VALUE_ACCOUNT)
            CU_ASSERT(str_equal(back.u.account.api_uri, v.u.account.api_uri) &&
                      str_equal(back.u.account.email, v.u.account.email));
        buf_free(&out);
    }
    arena_free(arena);
}

static void test_foreign_keys(void)
{
    static const char *const foreign[] = {
        "",
        "kong_acme:cert_key:",
        "kong_acme:renew_last_run",
        "kong_acme:update_lock:a.example",
        "token#http-01",
        "cert_key:a.example",
        "kong_acme:account:nothing",
        "kong_acme:order:a.example",
        "reconcert:cert_key:a.example",
        "kong_acme:cert_key:@rsa:a.example",
        "reconcert:order:@dsa:a.example",
        "reconcert:order:@rsa:",
        "kong_acme:account:https://ca.test/:bWV",
        "kong_acme:account:https://ca.test/:bW=V",
        "kong_acme:account:https://ca.test/:bWV*",
        "kong_acme:account:https://ca.test/:bWX=",
        "kong_acme:account:https://ca.test/:====",
        "reconcert:order:",
        "reconcert:67F2750652314ABC:kong_acme:cert_key:a.example",
        "reconcert:67f2750652314251kong_acme:cert_key:a.example",
        "reconcert:67f2750652314251:",
    };
    struct arena *arena = arena_new(NULL);
    char name[VALUE_NAME_MAX + 64] = "kong_acme:cert_key:";
    struct value v;

    for (size_t i = 0; i < ARRAY_LENGTH(foreign); i++)
        if (value_key_parse(str_from(foreign[i]), arena, &v)) {
            fprintf(stderr, "%s\n", foreign[i]);
            CU_FAIL("taken for a key of ours");
        }
    memset(name + strlen(name), 'x', VALUE_NAME_MAX);
    CU_ASSERT(value_key_parse(str_from(name), arena, &v) == 1);
    name[strlen(name)] = 'x';
    CU_ASSERT(value_key_parse(str_from(name), arena, &v) == 0);
    arena_free(arena);
}

/* ---- packed ---- */

static void make_sample(struct value_sample *s, int type, unsigned seed)
{
    value_sample_make(s, (enum value_type)type, 1, seed, 200);
    if (type == VALUE_CREDENTIAL && s->v.u.credential.chain.len)
        memset(s->v.u.credential.chain_id, 7, PACKED_CHAIN_ID);
}

static void test_packed(void)
{
    static struct value_sample s;
    struct buf before = BUF_INIT(TEXT_MAX), after = BUF_INIT(TEXT_MAX);

    for (int type = VALUE_ACCOUNT; type < VALUE_TYPE_COUNT; type++)
        for (unsigned seed = 0; seed < 8; seed++) {
            struct buf packed = BUF_SECRET(TEXT_MAX);
            struct value v = {0};
            unsigned char id[PACKED_CHAIN_ID];
            bool chained;
            make_sample(&s, type, seed);
            chained = type == VALUE_CREDENTIAL && s.v.u.credential.chain.len;
            CU_ASSERT(packed_write(&s.v, &packed) == 0);
            v.type = s.v.type;
            v.subject.name = s.v.subject.name;
            v.apart = s.v.apart;
            if (type == VALUE_ACCOUNT)
                v.u.account = (struct value_account){.api_uri = s.v.u.account.api_uri,
                                                     .email = s.v.u.account.email};
            CU_ASSERT(packed_read(buf_view(&packed), &v) == 0);
            CU_ASSERT(packed_chain_id(buf_view(&packed), id) == chained);
            CU_ASSERT(!chained || id[31] == 7);
            if (type == VALUE_CREDENTIAL)
                v.u.credential.chain = s.v.u.credential.chain;
            buf_clear(&before);
            buf_clear(&after);
            value_sample_print(&s.v, &before);
            value_sample_print(&v, &after);
            CU_ASSERT(str_equal(buf_view(&before), buf_view(&after)));
            /* Cut anywhere it is refused; what a newer version appends is passed over. */
            for (size_t cut = 0; cut < packed.len; cut++)
                CU_ASSERT(packed_read((struct str){packed.data, cut}, &v) == -1);
            buf_cstr(&packed, "more");
            CU_ASSERT(packed_read(buf_view(&packed), &v) == 0);
            v.type = type == VALUE_ORDER ? VALUE_FAILURE : VALUE_ORDER;
            CU_ASSERT(packed_read(buf_view(&packed), &v) == -1);
            buf_free(&packed);
        }
    buf_free(&before);
    buf_free(&after);
}

/* No byte that is changed makes it read outside, or take what it must not. */
static void test_packed_hostile(void)
{
    static struct value_sample s;

    for (int type = VALUE_ACCOUNT; type < VALUE_TYPE_COUNT; type++) {
        struct buf packed = BUF_SECRET(TEXT_MAX);
        make_sample(&s, type, 1);
        CU_ASSERT(packed_write(&s.v, &packed) == 0);
        for (size_t at = 0; at < packed.len; at++)
            for (int mask = 1; mask < 256; mask <<= 1) {
                struct value v = {.type = s.v.type};
                struct error e;
                packed.data[at] = (char)(packed.data[at] ^ mask);
                v.subject.name = STR("n");
                if (packed_read(buf_view(&packed), &v) == 0 && type == VALUE_CREDENTIAL)
                    CU_ASSERT(v.u.credential.leaf.len <= VALUE_LEAF_MAX);
                (void)!value_check(&v, &e);
                packed.data[at] = (char)(packed.data[at] ^ mask);
            }
        buf_free(&packed);
    }
}

/* ---- JSON ---- */

static void read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "r");
    char part[4096];
    size_t len;

    *out = BUF_INIT(TEXT_MAX);
    while (file && (len = fread(part, 1, sizeof(part), file)) > 0)
        buf_append(out, part, len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
}

/* Reads what Kong wrote, says what it is, writes it as we do, reads that again. */
static void expect_kong(const char *key, const char *name)
{
    struct arena *arena = arena_new(NULL);
    struct buf kong, said = BUF_INIT(TEXT_MAX), again = BUF_INIT(TEXT_MAX);
    struct buf ours = BUF_SECRET(TEXT_MAX);
    struct value v, back;
    struct error e;
    char path[128];

    snprintf(path, sizeof(path), "tests/golden/storage/kong-%s.json", name);
    read_file(path, &kong);
    e.message[0] = '\0';
    CU_ASSERT_EQUAL_FATAL(value_from_json(str_from(key), buf_view(&kong), arena, &v, &e), 0);
    value_sample_print(&v, &said);
    buf_char(&said, '\n');
    snprintf(path, sizeof(path), "tests/golden/storage/%s.txt", name);
    CU_ASSERT(golden_matches(path, buf_view(&said)));
    v.directory = STR("https://ca.test/directory");
    CU_ASSERT(value_to_json(&v, &ours, &e) == 0);
    snprintf(path, sizeof(path), "tests/golden/storage/%s.json", name);
    CU_ASSERT(golden_matches(path, buf_view(&ours)));
    CU_ASSERT(value_from_json(str_from(key), buf_view(&ours), arena, &back, &e) == 0);
    buf_clear(&said);
    value_sample_print(&v, &said);
    value_sample_print(&back, &again);
    CU_ASSERT(str_equal(buf_view(&said), buf_view(&again)));
    buf_free(&kong);
    buf_free(&said);
    buf_free(&again);
    buf_free(&ours);
    arena_free(arena);
}

static void test_kong_values(void)
{
    expect_kong("kong_acme:cert_key:a.example", "cert_key");
    expect_kong("kong_acme:account:https://ca.test:bWVAZXhhbXBsZS5jb20=", "account");
}

static void test_own_values(void)
{
    static const struct {
        enum value_type type;
        const char *path;
    } rows[] = {
        {VALUE_ORDER, "tests/golden/storage/order.json"},
        {VALUE_FAILURE, "tests/golden/storage/failure.json"},
        {VALUE_DEMAND, "tests/golden/storage/demand.json"},
        {VALUE_BACKOFF, "tests/golden/storage/fail_backoff.txt"},
        {VALUE_RENEW_CONFIG, "tests/golden/storage/renew_config.json"},
    };
    static struct value_sample s;
    struct error e;

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena = arena_new(NULL);
        struct buf key = BUF_INIT(TEXT_MAX), json = BUF_SECRET(TEXT_MAX);
        struct buf before = BUF_INIT(TEXT_MAX), after = BUF_INIT(TEXT_MAX);
        struct value back;
        value_sample_make(&s, rows[i].type, 1, 7, 0);
        CU_ASSERT(value_key(&s.v, &key, &e) == 0);
        CU_ASSERT(value_to_json(&s.v, &json, &e) == 0);
        CU_ASSERT(golden_matches(rows[i].path, buf_view(&json)));
        CU_ASSERT(value_from_json(buf_view(&key), buf_view(&json), arena, &back, &e) == 0);
        /* Kong's own two tell nothing of the directory. */
        if (rows[i].type == VALUE_BACKOFF || rows[i].type == VALUE_RENEW_CONFIG)
            s.v.directory = STR("");
        value_sample_print(&s.v, &before);
        value_sample_print(&back, &after);
        CU_ASSERT(str_equal(buf_view(&before), buf_view(&after)));
        buf_free(&key);
        buf_free(&json);
        buf_free(&before);
        buf_free(&after);
        arena_free(arena);
    }
}

#define HOST_KEY "kong_acme:cert_key:a.example"
#define FAILURE_KEY "reconcert:failure:a.example"
#define BACKOFF_KEY "kong_acme:fail_backoff:a.example"

static void test_refused_json(void)
{
    static const struct {
        const char *key, *json;
        enum error_kind kind;
    } rows[] = {
        {"somebody:else", "{}", ERROR_INVALID},
        {HOST_KEY, "", ERROR_SYNTAX},
        {HOST_KEY, "{", ERROR_SYNTAX},
        {HOST_KEY, "{} {}", ERROR_SYNTAX},
        {HOST_KEY, "[]", ERROR_INVALID},
        {HOST_KEY, "null", ERROR_INVALID},
        {HOST_KEY, "{}", ERROR_INVALID},
        {HOST_KEY, "{\"key\":1,\"cert\":2}", ERROR_INVALID},
        {HOST_KEY, "{\"key\":\"\",\"cert\":\"\",\"reconcert\":[]}", ERROR_INVALID},
        {HOST_KEY, "{\"key\":\"k\",\"cert\":\"-----BEGIN CERTIFICATE-----\\nMAA=\"}", ERROR_SYNTAX},
        {HOST_KEY, "[[[[[[[[[]]]]]]]]]", ERROR_LIMIT},
        {FAILURE_KEY, "{}", ERROR_INVALID},
        {FAILURE_KEY, "{\"format\":2}", ERROR_INVALID},
        {FAILURE_KEY, "{\"format\":1,\"count\":-1}", ERROR_INVALID},
        {FAILURE_KEY, "{\"format\":1,\"count\":1e300}", ERROR_INVALID},
        {FAILURE_KEY, "{\"format\":1,\"permanent\":\"yes\"}", ERROR_INVALID},
        {FAILURE_KEY, "{\"format\":1,\"directory\":\"a\\nb\"}", ERROR_INVALID},
        {"reconcert:order:a.example", "{\"format\":1,\"state\":\"created\",\"key\":\"\"}",
         ERROR_INVALID},
        {BACKOFF_KEY, "\"soon\"", ERROR_INVALID},
        {BACKOFF_KEY, "-1", ERROR_INVALID},
        {BACKOFF_KEY, "1e99", ERROR_INVALID},
        {BACKOFF_KEY, "placeholder", ERROR_SYNTAX},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena = arena_new(NULL);
        struct value v;
        struct error e = {0};
        int rc = value_from_json(str_from(rows[i].key), str_from(rows[i].json), arena, &v, &e);
        if (rc != -1 || e.kind != rows[i].kind) {
            fprintf(stderr, "%s: %s\n", rows[i].json, rc ? e.message : "taken");
            CU_FAIL("not refused as it should");
        }
        arena_free(arena);
    }
}

/* As the encoders of other people write them. */
static void test_tolerated_json(void)
{
    struct arena *arena = arena_new(NULL);
    struct value v;
    struct error e;

    CU_ASSERT(value_from_json(STR(BACKOFF_KEY), STR("1700000000.25"), arena, &v, &e) == 0);
    CU_ASSERT(v.u.backoff.retry_at == 1700000000);
    CU_ASSERT(value_from_json(STR("kong_acme:renew_config:A.example"),
                              STR(" {\"expire_at\":1.7e+09,\"host\":\"A.example\"}\n"), arena, &v,
                              &e) == 0);
    CU_ASSERT(v.u.renew_config.expire_at == 1700000000 &&
              str_equal_cstr(v.subject.name, "A.example"));
    /* Brackets in a string are not depth. */
    CU_ASSERT(value_from_json(STR(FAILURE_KEY),
                              STR("{\"format\":1,\"text\":\"[[[[[[[[[[[[\\\"{{{{\"}"), arena, &v,
                              &e) == 0);
    arena_free(arena);
}

static void test_json_limits(void)
{
    struct arena *arena = arena_new(NULL);
    struct buf json = BUF_INIT(TEXT_MAX);
    struct value v;
    struct error e;

    buf_cstr(&json, "{\"format\":1,\"text\":\"");
    while (json.len < VALUE_JSON_MAX)
        buf_char(&json, 'x');
    buf_cstr(&json, "\"}");
    CU_ASSERT(value_from_json(STR(FAILURE_KEY), buf_view(&json), arena, &v, &e) == -1);
    CU_ASSERT(e.kind == ERROR_LIMIT);
    buf_clear(&json);
    buf_cstr(&json, "{\"format\":1,\"text\":\"");
    for (int i = 0; i < VALUE_TEXT_MAX + 1; i++)
        buf_char(&json, 'x');
    buf_cstr(&json, "\"}");
    CU_ASSERT(value_from_json(STR(FAILURE_KEY), buf_view(&json), arena, &v, &e) == -1);
    CU_ASSERT(e.kind == ERROR_LIMIT);
    buf_free(&json);
    arena_free(arena);
}

/* The key of another certificate must not get in. */
static void test_key_mismatch(void)
{
    struct arena *arena = arena_new(NULL);
    struct buf kong, account, mixed = BUF_INIT(TEXT_MAX);
    struct str all, key;
    struct value v;
    struct error e;
    size_t at;

    read_file("tests/golden/storage/kong-cert_key.json", &kong);
    read_file("tests/golden/storage/kong-account.json", &account);
    all = buf_view(&kong);
    at = (size_t)(strstr(kong.data, "\"key\"") - kong.data);
    key = str_slice(buf_view(&account), 1, account.len);
    buf_str(&mixed, str_slice(all, 0, at));
    buf_str(&mixed, key);
    CU_ASSERT(value_from_json(STR(HOST_KEY), buf_view(&mixed), arena, &v, &e) == -1);
    CU_ASSERT(e.kind == ERROR_INVALID || e.kind == ERROR_CRYPTO);
    buf_free(&kong);
    buf_free(&account);
    buf_free(&mixed);
    arena_free(arena);
}

static void test_copy(void)
{
    static struct value_sample s;
    struct buf before = BUF_INIT(TEXT_MAX), after = BUF_INIT(TEXT_MAX);

    for (int type = VALUE_ACCOUNT; type < VALUE_TYPE_COUNT; type++) {
        struct arena *arena = arena_new(NULL);
        struct value copy;
        value_sample_make(&s, (enum value_type)type, 2, 5, 100);
        buf_clear(&before);
        buf_clear(&after);
        value_sample_print(&s.v, &before);
        CU_ASSERT(value_copy(&s.v, arena, &copy) == 0);
        memset(&s, 0, sizeof(s));
        value_sample_print(&copy, &after);
        CU_ASSERT(str_equal(buf_view(&before), buf_view(&after)));
        arena_fail_after(arena, 1);
        value_sample_make(&s, (enum value_type)type, 2, 5, 100);
        CU_ASSERT(value_copy(&s.v, arena, &copy) == -1);
        arena_free(arena);
    }
    buf_free(&before);
    buf_free(&after);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("storage/value", NULL, NULL);
    CU_add_test(suite, "keys", test_keys);
    CU_add_test(suite, "foreign keys", test_foreign_keys);
    CU_add_test(suite, "packed", test_packed);
    CU_add_test(suite, "packed, hostile", test_packed_hostile);
    CU_add_test(suite, "Kong's values", test_kong_values);
    CU_add_test(suite, "our own values", test_own_values);
    CU_add_test(suite, "refused JSON", test_refused_json);
    CU_add_test(suite, "tolerated JSON", test_tolerated_json);
    CU_add_test(suite, "JSON limits", test_json_limits);
    CU_add_test(suite, "key of another certificate", test_key_mismatch);
    CU_add_test(suite, "copy", test_copy);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
