#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/acme/message.h"
#include "reconciler/acme/poll.h"
#include "reconciler/acme/problem.h"
#include "reconciler/acme/url.h"
#include "reconciler/base/attr.h"
#include "tests/support/golden.h"

#define GOLDEN "tests/golden/acme/"

static int parse(struct str body, struct acme_message *m)
{
    struct error e;
    int result = acme_message_parse(body, m, &e);

    if (result)
        CU_ASSERT_EQUAL(e.kind, ERROR_PROTOCOL);
    return result;
}

static void bodies(void)
{
    static const struct {
        struct str body;
        bool good;
    } rows[] = {
        {STR_INIT("{}"), true},
        {STR_INIT(" {\"a\":1}\r\n"), true},
        {STR_INIT("{\"a\":\"\\\\u0000\"}"), true}, /* a backslash, and five characters */
        {STR_INIT("{\"a\":\"\xff\"}"), true},      /* escaped where it is printed */
        {STR_INIT(""), false},
        {STR_INIT(" \n"), false},
        {STR_INIT("[]"), false},
        {STR_INIT("7"), false},
        {STR_INIT("\"x\""), false},
        {STR_INIT("null"), false},
        {STR_INIT("{"), false},
        {STR_INIT("{\"a\"}"), false},
        {STR_INIT("{\"a\":1,}"), false},
        {STR_INIT("{} {}"), false},
        {STR_INIT("{}x"), false},
        {STR_INIT("{\"a\":\"x"), false},
        {STR_INIT("{\"a\":\"x\\\""), false},
        {STR_INIT("{\"a\":\"x\\u0000y\"}"), false},
        {STR_INIT("{\"a\":\"x\0y\"}"), false},
        {STR_INIT("{}\0"), false},
        {STR_INIT("<html>"), false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct acme_message m = {0};

        if ((parse(rows[i].body, &m) == 0) != rows[i].good) {
            printf("\n%.*s\n", STR_ARG(rows[i].body));
            CU_FAIL("body");
        }
        acme_message_free(&m);
        acme_message_free(&m);
    }
}

/* {"a":[[...]]} with so many brackets in all. */
static struct buf nested(int depth)
{
    struct buf text = BUF_INIT(1 << 20);

    buf_cstr(&text, "{\"a\":");
    for (int i = 1; i < depth; i++)
        buf_char(&text, '[');
    buf_cstr(&text, "1");
    for (int i = 1; i < depth; i++)
        buf_char(&text, ']');
    buf_char(&text, '}');
    return text;
}

static void limits(void)
{
    struct buf text;
    struct acme_message m = {0};
    char *big = malloc(ACME_BODY_MAX + 1);

    text = nested(ACME_JSON_DEPTH_MAX);
    CU_ASSERT_EQUAL(parse(buf_view(&text), &m), 0);
    acme_message_free(&m);
    buf_free(&text);
    text = nested(ACME_JSON_DEPTH_MAX + 1);
    CU_ASSERT_EQUAL(parse(buf_view(&text), &m), -1);
    buf_free(&text);

    memset(big, ' ', ACME_BODY_MAX + 1);
    memcpy(big, "{}", 2);
    CU_ASSERT_EQUAL(parse((struct str){big, ACME_BODY_MAX}, &m), 0);
    acme_message_free(&m);
    CU_ASSERT_EQUAL(parse((struct str){big, ACME_BODY_MAX + 1}, &m), -1);

    memset(big, 'x', ACME_BODY_MAX);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + 6 + ACME_STRING_MAX, "\"}", 2);
    CU_ASSERT_EQUAL(parse((struct str){big, 6 + ACME_STRING_MAX + 2}, &m), 0);
    acme_message_free(&m);
    big[6 + ACME_STRING_MAX] = 'x';
    memcpy(big + 7 + ACME_STRING_MAX, "\"}", 2);
    CU_ASSERT_EQUAL(parse((struct str){big, 7 + ACME_STRING_MAX + 2}, &m), -1);
    free(big);
}

static void statuses(void)
{
    static const struct {
        const char *body;
        enum acme_status status;
    } rows[] = {
        {"{\"status\":\"pending\"}", ACME_STATUS_PENDING},
        {"{\"status\":\"ready\"}", ACME_STATUS_READY},
        {"{\"status\":\"processing\"}", ACME_STATUS_PROCESSING},
        {"{\"status\":\"valid\"}", ACME_STATUS_VALID},
        {"{\"status\":\"invalid\"}", ACME_STATUS_INVALID},
        {"{\"status\":\"deactivated\"}", ACME_STATUS_GONE},
        {"{\"status\":\"expired\"}", ACME_STATUS_GONE},
        {"{\"status\":\"revoked\"}", ACME_STATUS_GONE},
        {"{\"status\":\"Valid\"}", ACME_STATUS_UNKNOWN},
        {"{\"Status\":\"valid\"}", ACME_STATUS_UNKNOWN}, /* names have their case */
        {"{\"status\":7}", ACME_STATUS_UNKNOWN},
        {"{}", ACME_STATUS_UNKNOWN},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct acme_message m = {0};

        CU_ASSERT_EQUAL_FATAL(parse(str_from(rows[i].body), &m), 0);
        CU_ASSERT_EQUAL(acme_message_status(&m), rows[i].status);
        acme_message_free(&m);
    }
}

static void tokens(void)
{
    static const struct {
        const char *token;
        bool good;
    } rows[] = {{"a", true},     {"A-Z_a-z09", true}, {"", false},        {"a.b", false},
                {"a/b", false},  {"..", false},       {"a b", false},     {"a=", false},
                {"a%41", false}, {"a\\nb", false},    {"\\u00e4", false}, {"a;rm", false}};
    char body[2 * ACME_TOKEN_MAX + 200], token[ACME_TOKEN_MAX + 2];

    for (size_t i = 0; i < ARRAY_LENGTH(rows) + 2; i++) {
        struct acme_message m = {0};
        struct acme_authorization_message a;
        struct error e;
        bool good = i < ARRAY_LENGTH(rows) ? rows[i].good : i == ARRAY_LENGTH(rows);

        if (i < ARRAY_LENGTH(rows)) {
            snprintf(token, sizeof(token), "%s", rows[i].token);
        } else { /* the longest, and one more */
            size_t len = ACME_TOKEN_MAX + (i - ARRAY_LENGTH(rows));
            memset(token, 'a', len);
            token[len] = '\0';
        }
        snprintf(body, sizeof(body),
                 "{\"status\":\"pending\",\"challenges\":[{\"type\":\"http-01\",\"url\":"
                 "\"https://ca.test/1\",\"token\":\"%s\"}]}",
                 token);
        CU_ASSERT_EQUAL_FATAL(parse(str_from(body), &m), 0);
        CU_ASSERT_EQUAL(acme_message_authorization(&m, &a, &e), good ? 0 : -1);
        if (good)
            CU_ASSERT_TRUE(str_equal_cstr(a.token, token));
        acme_message_free(&m);
    }
}

static void many_challenges(void)
{
    struct buf text = BUF_INIT(1 << 20);
    struct acme_message m = {0};
    struct acme_authorization_message a;
    struct error e;

    for (int others = ACME_CHALLENGES_MAX - 1; others <= ACME_CHALLENGES_MAX; others++) {
        buf_clear(&text);
        buf_cstr(&text, "{\"status\":\"pending\",\"challenges\":[");
        for (int i = 0; i < others; i++)
            buf_cstr(&text, "{\"type\":\"x\"},");
        buf_cstr(&text, "{\"type\":\"http-01\",\"url\":\"https://ca.test/1\",\"token\":\"t\"}]}");
        CU_ASSERT_EQUAL_FATAL(parse(buf_view(&text), &m), 0);
        CU_ASSERT_EQUAL(acme_message_authorization(&m, &a, &e), 0);
        CU_ASSERT_EQUAL(a.has_http01, others < ACME_CHALLENGES_MAX);
        acme_message_free(&m);
    }
    buf_free(&text);
}

static void urls(void)
{
    static const struct {
        const char *url;
        bool usable;
    } rows[] = {
        {"https://ca.test", true},
        {"https://ca.test/", true},
        {"HTTPS://ca.test:14000/a?b=c#d", true},
        {"https://[2001:db8::1]:1/x", true},
        {"https://192.0.2.1/x", true},
        {"http://ca.test/", false},
        {"https:/ca.test/", false},
        {"https://", false},
        {"https:///x", false},
        {"https://:443/", false},
        {"https://user@ca.test/", false},
        {"https://user:pass@ca.test/", false},
        {"https://ca.test/@x", true},
        {"file:///etc/passwd", false},
        {"ftp://ca.test/", false},
        {"//ca.test/", false},
        {"/x", false},
        {"", false},
        {"https://ca.test/a b", false},
        {"https://ca.test/\n", false},
        {"https://ca.test/\xc3\xa4", false},
        {"https://ca.test/\"", false},
        {"https://ca.test/\\", false},
        {"javascript:alert(1)", false},
    };
    char url[ACME_URL_MAX + 2];

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (acme_url_is_usable(str_from(rows[i].url)) != rows[i].usable) {
            printf("\n%s\n", rows[i].url);
            CU_FAIL("url");
        }
    }
    memset(url, 'a', sizeof(url));
    memcpy(url, "https://ca.test/", 16);
    CU_ASSERT_TRUE(acme_url_is_usable((struct str){url, ACME_URL_MAX}));
    CU_ASSERT_FALSE(acme_url_is_usable((struct str){url, ACME_URL_MAX + 1}));
    CU_ASSERT_FALSE(acme_url_is_usable(STR_NONE));
}

static void locations(void)
{
    static const struct {
        const char *reference, *base, *url; /* NULL: none */
    } rows[] = {
        {"https://ca.test/1", "https://x.test/o", "https://ca.test/1"},
        {"/1", "https://x.test:8/o?q", "https://x.test:8/1"},
        {"/1", "https://x.test", "https://x.test/1"},
        {"//other.test/1", "https://x.test/o", "https://other.test/1"},
        {"1", "https://x.test/o", "https://x.test/1"},
        {"1", "https://x.test", "https://x.test/1"},
        {"1?q", "https://x.test/a/b/c?d/e", "https://x.test/a/b/1?q"},
        {"../1/./2", "https://x.test/a/b/c", "https://x.test/a/1/2"},
        {"../../../../1", "https://x.test/a/b", "https://x.test/1"},
        {"..", "https://x.test/a/b/c", "https://x.test/a/"},
        {"/a/../..b/.c/...#f", "https://x.test/o", "https://x.test/..b/.c/..."},
        {"?q=/../", "https://x.test/o?p", "https://x.test/o?q=/../"},
        {"//user@other.test/1", "https://x.test/o", NULL},
        {"#only", "https://x.test/o", NULL},
        {"file:1", "https://x.test/o", NULL},
        {"", "https://x.test/o", NULL},
        {"http://ca.test/1", "https://x.test/o", NULL},
        {"/a b", "https://x.test/o", NULL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct error e;
        char *url =
            acme_url_resolve(str_from(rows[i].reference), str_from(rows[i].base), "Location", &e);

        CU_ASSERT_EQUAL(url == NULL, rows[i].url == NULL);
        if (url && rows[i].url)
            CU_ASSERT_STRING_EQUAL(url, rows[i].url);
        if (!url)
            CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "Location is "));
        free(url);
    }
}

/* ---- out ---- */

static void put_all(struct buf *out)
{
    const struct acme_account_request accounts[] = {
        {.email = STR("a@example.com"), .terms_agreed = true},
        {.email = STR("a@example.com"), .terms_agreed = true, .only_existing = true},
        {.terms_agreed = true},
        {.email = STR("quote\"d@example.com"), .binding = STR("{\"protected\":\"x\"}")},
    };
    const char *const names[] = {"www.example.com", "192.0.2.1", "2001:DB8:0:0::1"};

    for (size_t i = 0; i < ARRAY_LENGTH(accounts); i++) {
        acme_message_put_account(out, &accounts[i]);
        buf_char(out, '\n');
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        acme_message_put_order(out, str_from(names[i]));
        buf_char(out, '\n');
    }
    acme_message_put_finalize(out, STR("\x30\x03\xfb\xff\xbf"));
    buf_char(out, '\n');
    acme_message_put_deactivation(out);
    buf_char(out, '\n');
}

static void payloads(void)
{
    struct buf out = BUF_INIT(1 << 16), tight = BUF_INIT(10);

    put_all(&out);
    CU_ASSERT_FALSE(out.failed);
    CU_ASSERT_TRUE(golden_matches(GOLDEN "payloads.txt", buf_view(&out)));
    acme_message_put_order(&tight, STR("www.example.com"));
    CU_ASSERT_TRUE(tight.failed);
    buf_free(&out);
    buf_free(&tight);
}

/* ---- problems ---- */

static void problems(void)
{
    static const struct {
        const char *type;
        enum error_kind of_reply, of_challenge;
        bool permanent; /* of the reply */
    } rows[] = {
        {"accountDoesNotExist", ERROR_ACCOUNT, ERROR_CHALLENGE, false},
        {"agreementRequired", ERROR_ACCOUNT, ERROR_CHALLENGE, true},
        {"badCSR", ERROR_CA_REFUSED, ERROR_CA_REFUSED, true},
        {"badNonce", ERROR_CA_BROKEN, ERROR_CA_BROKEN, false},
        {"badPublicKey", ERROR_CA_REFUSED, ERROR_CA_REFUSED, true},
        {"badSignatureAlgorithm", ERROR_ACCOUNT, ERROR_CHALLENGE, true},
        {"caa", ERROR_CA_REFUSED, ERROR_CA_REFUSED, true},
        {"connection", ERROR_CHALLENGE, ERROR_CHALLENGE, false},
        {"dns", ERROR_CHALLENGE, ERROR_CHALLENGE, false},
        {"externalAccountRequired", ERROR_ACCOUNT, ERROR_CHALLENGE, true},
        {"incorrectResponse", ERROR_CHALLENGE, ERROR_CHALLENGE, false},
        {"invalidContact", ERROR_ACCOUNT, ERROR_CHALLENGE, true},
        {"invalidProfile", ERROR_CA_REFUSED, ERROR_CA_REFUSED, true},
        {"malformed", ERROR_PROTOCOL, ERROR_CHALLENGE, false},
        {"orderNotReady", ERROR_PROTOCOL, ERROR_CHALLENGE, false},
        {"rateLimited", ERROR_RATE_LIMIT, ERROR_RATE_LIMIT, false},
        {"rejectedIdentifier", ERROR_CA_REFUSED, ERROR_CA_REFUSED, true},
        {"serverInternal", ERROR_CA_BROKEN, ERROR_CA_BROKEN, false},
        {"tls", ERROR_CHALLENGE, ERROR_CHALLENGE, false},
        {"unauthorized", ERROR_ACCOUNT, ERROR_CHALLENGE, false},
        {"unsupportedContact", ERROR_ACCOUNT, ERROR_CHALLENGE, true},
        {"unsupportedIdentifier", ERROR_CA_REFUSED, ERROR_CA_REFUSED, true},
        {"userActionRequired", ERROR_ACCOUNT, ERROR_CHALLENGE, true},
        {"somethingNew", ERROR_CA_REFUSED, ERROR_CHALLENGE, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        static const char *const prefixes[] = {"urn:ietf:params:acme:error:", "urn:acme:error:"};

        for (size_t k = 0; k < ARRAY_LENGTH(prefixes); k++) {
            char body[300], type[100];
            struct http_reply reply = {.status = 400};
            struct acme_problem problem = {.detail = STR("details")};
            struct error e;

            snprintf(type, sizeof(type), "%s%s", prefixes[k], rows[i].type);
            snprintf(body, sizeof(body), "{\"type\":\"%s\",\"detail\":\"details\"}", type);
            reply.body = str_from(body);
            CU_ASSERT_EQUAL(acme_problem_of_reply(&reply, 0, &e), -1);
            CU_ASSERT_EQUAL(e.kind, rows[i].of_reply);
            CU_ASSERT_EQUAL(e.permanent, rows[i].permanent);
            CU_ASSERT_PTR_NOT_NULL(strstr(e.message, ": details ("));
            CU_ASSERT_PTR_NOT_NULL(strstr(e.message, rows[i].type));
            /* A 429 is a 429, whatever its body says. */
            reply.status = 429;
            acme_problem_of_reply(&reply, 0, &e);
            CU_ASSERT_EQUAL(e.kind, ERROR_RATE_LIMIT);
            CU_ASSERT_FALSE(e.permanent);
            problem.type = str_from(type);
            CU_ASSERT_EQUAL(acme_problem_of_object(&problem, ERROR_CHALLENGE, &e), -1);
            CU_ASSERT_EQUAL(e.kind, rows[i].of_challenge);
        }
    }
}

static void statuses_without_problem(void)
{
    static const struct {
        int status;
        enum error_kind kind;
    } rows[] = {{429, ERROR_RATE_LIMIT}, {500, ERROR_CA_BROKEN},  {502, ERROR_CA_BROKEN},
                {503, ERROR_CA_BROKEN},  {408, ERROR_CA_BROKEN},  {400, ERROR_CA_REFUSED},
                {403, ERROR_CA_REFUSED}, {404, ERROR_CA_REFUSED}, {302, ERROR_PROTOCOL},
                {204, ERROR_PROTOCOL}};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct http_reply reply = {.status = rows[i].status, .body = STR("<html>")};
        struct error e;
        char text[20];

        acme_problem_of_reply(&reply, 0, &e);
        CU_ASSERT_EQUAL(e.kind, rows[i].kind);
        CU_ASSERT_FALSE(e.permanent);
        snprintf(text, sizeof(text), "(HTTP %d)", rows[i].status);
        CU_ASSERT_PTR_NOT_NULL(strstr(e.message, text));
        CU_ASSERT_EQUAL(acme_problem_peek(&reply), ACME_PROBLEM_NONE);
    }
}

static void long_words(void)
{
    char body[2000];
    struct http_reply reply = {.status = 400};
    struct error e;
    int len = snprintf(body, sizeof(body),
                       "{\"type\":\"urn:ietf:params:acme:error:malformed\","
                       "\"detail\":\"");

    memset(body + len, 'x', 1000);
    memcpy(body + len + 1000, "\"}", 3);
    reply.body = str_from(body);
    acme_problem_of_reply(&reply, 0, &e);
    CU_ASSERT_TRUE(strlen(e.message) < sizeof(e.message) - 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "xxx... (malformed)"));
}

/* ---- pace ---- */

static void schedule(void)
{
    static const int64_t pauses[] = {20, 100, 250, 500, 1000, 2000, 4000, 8000, 8000, 8000};
    struct acme_poll p;
    int64_t now = 1000;

    acme_poll_begin(&p, now);
    CU_ASSERT_EQUAL(p.next_ms, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(pauses); i++) {
        CU_ASSERT_TRUE(acme_poll_again(&p, STR_NONE, now));
        CU_ASSERT_EQUAL(p.next_ms, now + pauses[i]);
        now = p.next_ms;
    }
    while (acme_poll_again(&p, STR_NONE, now))
        now = p.next_ms;
    CU_ASSERT_TRUE(now - 1000 <= ACME_POLL_DEADLINE_MS);
    CU_ASSERT_TRUE(now - 1000 > ACME_POLL_DEADLINE_MS - 8000);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("acme message", NULL, NULL);
    CU_add_test(suite, "bodies", bodies);
    CU_add_test(suite, "limits", limits);
    CU_add_test(suite, "statuses", statuses);
    CU_add_test(suite, "tokens", tokens);
    CU_add_test(suite, "many challenges", many_challenges);
    CU_add_test(suite, "urls", urls);
    CU_add_test(suite, "locations", locations);
    CU_add_test(suite, "payloads", payloads);
    CU_add_test(suite, "problems", problems);
    CU_add_test(suite, "statuses without problem", statuses_without_problem);
    CU_add_test(suite, "long words", long_words);
    CU_add_test(suite, "schedule", schedule);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
