#include "tests/support/fake_ca.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/jws.h"
#include "tests/support/fake_jws.h"
#include "tests/support/test_issuer.h"

#define FAKE_ORDERS_MAX 64
#define FAKE_AUTHORIZATIONS_MAX 20
#define FAKE_NONCES_MAX 4096
#define FAKE_ANSWERS_MAX 16
#define FAKE_BODY_MAX ((size_t)1 << 21)
#define BASE "https://ca.test"

struct fake_order {
    char *name;
    const char *status;
    unsigned polls;
    unsigned told[FAKE_AUTHORIZATIONS_MAX];
    bool is_deactivated[FAKE_AUTHORIZATIONS_MAX];
    unsigned authorizations;
    struct buf chains[3];
};

struct fake_ca {
    struct fake_ca_options options;
    const struct fake_answer *script;
    unsigned seen[FAKE_ANSWERS_MAX];
    size_t script_count;
    uint64_t random;
    char *nonces[FAKE_NONCES_MAX];
    unsigned nonce_count, nonce_number, rejections, nonce_requests;
    unsigned account; /* number of it; 0 = none */
    unsigned accounts_made;
    struct fake_order orders[FAKE_ORDERS_MAX];
    unsigned order_count, orders_forgotten;
    struct test_issuer *roots[3], *issuers[3];
    struct buf log, body;
    char *published; /* key authorization */
    char nonce[32], location[128], links[2][128];
};

static void need(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "fake_ca: a client should not do this: %s\n", what);
    abort();
}

/* ---- making ---- */

struct fake_ca *fake_ca_new(const struct fake_ca_options *options)
{
    static const char *const roots[] = {"Root", "Alternate 1", "Alternate 2"};
    struct fake_ca *ca = calloc(1, sizeof(*ca));

    need(ca != NULL, "memory");
    ca->options = *options;
    ca->random = options->seed + 1;
    ca->account = options->knows_account ? ++ca->accounts_made : 0;
    ca->log = BUF_INIT(FAKE_BODY_MAX);
    ca->body = BUF_INIT(FAKE_BODY_MAX);
    for (size_t i = 0; i < ARRAY_LENGTH(roots); i++) {
        ca->roots[i] = test_issuer_new(roots[i], NULL);
        ca->issuers[i] = test_issuer_new_row("Intermediate", ca->roots[i],
                                             options->intermediates ? options->intermediates : 1);
    }
    return ca;
}

static void drop_orders(struct fake_ca *ca)
{
    for (unsigned i = 0; i < ca->order_count; i++) {
        free(ca->orders[i].name);
        for (int k = 0; k < 3; k++)
            buf_free(&ca->orders[i].chains[k]);
        ca->orders[i] = (struct fake_order){0};
    }
    ca->order_count = 0;
}

void fake_ca_free(struct fake_ca *ca)
{
    if (!ca)
        return;
    drop_orders(ca);
    for (unsigned i = 0; i < ca->nonce_count; i++)
        free(ca->nonces[i]);
    for (int i = 0; i < 3; i++)
        test_issuer_free_row(ca->issuers[i]);
    buf_free(&ca->log);
    buf_free(&ca->body);
    free(ca->published);
    free(ca);
}

struct fake_ca_options *fake_ca_options(struct fake_ca *ca)
{
    return &ca->options;
}

void fake_ca_script(struct fake_ca *ca, const struct fake_answer *answers, size_t count)
{
    need(count <= FAKE_ANSWERS_MAX, "too long a script");
    ca->script = answers;
    ca->script_count = count;
    memset(ca->seen, 0, sizeof(ca->seen));
}

void fake_ca_forget(struct fake_ca *ca)
{
    ca->account = 0;
    ca->orders_forgotten += ca->order_count;
    drop_orders(ca);
}

void fake_ca_publish(struct fake_ca *ca, struct str token, struct str answer)
{
    need(str_starts(answer, token), "a key authorization begins with its token");
    need(answer.ptr[answer.len - 1] != '\n', "a key authorization has no newline");
    free(ca->published);
    ca->published = str_dup(answer);
}

const char *fake_ca_log(struct fake_ca *ca)
{
    return buf_view(&ca->log).ptr;
}

void fake_ca_log_clear(struct fake_ca *ca)
{
    buf_clear(&ca->log);
}

unsigned fake_ca_orders(const struct fake_ca *ca)
{
    return ca->orders_forgotten + ca->order_count;
}

unsigned fake_ca_rejections(const struct fake_ca *ca)
{
    return ca->rejections;
}

unsigned fake_ca_nonce_requests(const struct fake_ca *ca)
{
    return ca->nonce_requests;
}

/* ---- nonces ---- */

static unsigned draw(struct fake_ca *ca)
{
    ca->random = ca->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(ca->random >> 33) % 100;
}

static void give_nonce(struct fake_ca *ca, struct http_reply *reply)
{
    snprintf(ca->nonce, sizeof(ca->nonce), "nonce-%u", ++ca->nonce_number);
    need(ca->nonce_count < FAKE_NONCES_MAX, "too many nonces");
    ca->nonces[ca->nonce_count++] = str_dup(str_from(ca->nonce));
    reply->replay_nonce = str_from(ca->nonce);
}

static bool use_nonce(struct fake_ca *ca, const char *nonce)
{
    for (unsigned i = 0; i < ca->nonce_count; i++) {
        if (strcmp(ca->nonces[i], nonce) != 0)
            continue;
        free(ca->nonces[i]);
        ca->nonces[i] = ca->nonces[--ca->nonce_count];
        return true;
    }
    return false;
}

/* ---- accounts ---- */

static bool is_account(const struct fake_ca *ca, const char *kid)
{
    char url[64];

    snprintf(url, sizeof(url), BASE "/account/%u", ca->account);
    return ca->account && strcmp(kid, url) == 0;
}

/* ---- replies ---- */

static void put_problem(struct fake_ca *ca, struct http_reply *reply, int status, const char *type,
                        const char *detail)
{
    buf_clear(&ca->body);
    buf_printf(&ca->body,
               "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"%s\",\"status\":%d}", type,
               detail, status);
    reply->status = status;
    reply->content_type = STR("application/problem+json");
}

static void put_order(struct fake_ca *ca, struct http_reply *reply, unsigned number)
{
    const struct fake_order *o = &ca->orders[number];

    buf_clear(&ca->body);
    buf_printf(&ca->body, "{\"status\":\"%s\",\"finalize\":\"" BASE "/finalize/%u\"", o->status,
               number);
    if (!ca->options.no_authorizations) {
        buf_cstr(&ca->body, ",\"authorizations\":[");
        for (unsigned i = 0; i < o->authorizations; i++)
            buf_printf(&ca->body, "%s\"" BASE "/authz/%u-%u\"", i ? "," : "", number, i);
        buf_cstr(&ca->body, "]");
    }
    if (strcmp(o->status, "valid") == 0)
        buf_printf(&ca->body, ",\"certificate\":\"" BASE "/cert/%u-0\"", number);
    buf_cstr(&ca->body, "}");
    reply->status = 200;
    reply->content_type = STR("application/json");
    reply->retry_after = str_from(ca->options.retry_after);
}

static const char *status_of(const struct fake_ca *ca, const struct fake_order *o, unsigned i)
{
    if (o->is_deactivated[i] || ca->options.authorizations_valid)
        return o->is_deactivated[i] ? "deactivated" : "valid";
    if (!o->told[i] || o->told[i] < ca->options.answers_needed)
        return "pending";
    if (ca->options.challenge_fails || !ca->published)
        return "invalid";
    return o->polls < ca->options.polls_pending ? "pending" : "valid";
}

static void put_authorization(struct fake_ca *ca, struct http_reply *reply, unsigned number,
                              unsigned i)
{
    const struct fake_order *o = &ca->orders[number];
    const char *status = status_of(ca, o, i);
    bool failed = strcmp(status, "invalid") == 0;
    bool stumbles = o->told[i] && o->told[i] < ca->options.answers_needed;

    buf_clear(&ca->body);
    buf_printf(&ca->body,
               "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},"
               "\"challenges\":[{\"type\":\"dns-01\",\"url\":\"" BASE
               "/no\",\"status\":\"pending\","
               "\"token\":\"other\"},{\"type\":\"http-01\",\"url\":\"" BASE "/chall/%u-%u\","
               "\"status\":\"%s\",\"token\":\"token_%u-%u\"%s}]}",
               status, o->name, number, i,
               strcmp(status, "pending") == 0 && o->told[i] ? "processing" : status, number, i,
               failed     ? ",\"error\":{\"type\":\"urn:ietf:params:acme:error:unauthorized\","
                            "\"detail\":\"Invalid response from http://x: 404\"}"
               : stumbles ? ",\"error\":{\"type\":\"urn:ietf:params:acme:error:connection\","
                            "\"detail\":\"nobody there\"}"
                          : "");
    reply->status = 200;
    reply->content_type = STR("application/json");
    reply->retry_after = str_from(ca->options.retry_after);
}

/* ---- endpoints ---- */

static void on_directory(struct fake_ca *ca, struct http_reply *reply)
{
    buf_clear(&ca->body);
    buf_printf(&ca->body,
               "{\"newNonce\":\"" BASE "/nonce\",\"newAccount\":\"" BASE "/account\","
               "\"newOrder\":\"" BASE "/order\",\"unknown\":{\"a\":[1,2]},"
               "\"meta\":{\"externalAccountRequired\":%s%s}}",
               ca->options.eab_required ? "true" : "false",
               ca->options.has_terms ? ",\"termsOfService\":\"https://ca.test/terms\"" : "");
    reply->status = 200;
    reply->content_type = STR("application/json");
}

static void on_account(struct fake_ca *ca, const cJSON *payload, struct http_reply *reply)
{
    bool only = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(payload, "onlyReturnExisting"));

    reply->status = 200;
    if (!ca->account) {
        if (only) {
            put_problem(ca, reply, 400, "accountDoesNotExist", "no account");
            return;
        }
        if (ca->options.has_terms)
            need(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(payload, "termsOfServiceAgreed")),
                 "terms");
        if (ca->options.eab_required &&
            !cJSON_GetObjectItemCaseSensitive(payload, "externalAccountBinding")) {
            put_problem(ca, reply, 403, "externalAccountRequired", "bind");
            return;
        }
        ca->account = ++ca->accounts_made;
        reply->status = 201;
    }
    snprintf(ca->location, sizeof(ca->location), BASE "/account/%u", ca->account);
    reply->location = str_from(ca->location);
    reply->content_type = STR("application/json");
    buf_clear(&ca->body);
    buf_cstr(&ca->body, "{\"status\":\"valid\"}");
}

static void issue(struct fake_ca *ca, unsigned number, EVP_PKEY *key)
{
    struct fake_order *o = &ca->orders[number];
    EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    char names[300];
    struct test_leaf leaf = {
        .key = ca->options.wrong_key ? other : key,
        .names = names,
        .not_before = ca->options.not_before ? ca->options.not_before : 1800000000 - 3600,
        .not_after = ca->options.not_before ? ca->options.not_before + 3600 + 90 * 86400
                                            : 1800000000 + 90 * 86400,
        .extensions = {{ca->options.odd[0], ca->options.odd[1]}}};
    bool is_ip = strspn(o->name, "0123456789.") == strlen(o->name) || strchr(o->name, ':');

    snprintf(names, sizeof(names), "%s:%s", is_ip ? "IP" : "DNS",
             ca->options.wrong_name ? "wrong.test" : o->name);
    for (int i = 0; i < 3; i++) {
        o->chains[i] = BUF_INIT(FAKE_BODY_MAX);
        test_issuer_sign_pem(ca->issuers[i], &leaf, &o->chains[i]);
    }
    EVP_PKEY_free(other);
    o->status = "valid";
}

static void on_order(struct fake_ca *ca, const cJSON *payload, struct http_reply *reply)
{
    const cJSON *identifier =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(payload, "identifiers"), 0);
    unsigned number = ca->order_count;
    struct fake_order *o = &ca->orders[number];

    need(number < FAKE_ORDERS_MAX && fake_jws_member(identifier, "value"), "an order");
    ca->order_count++;
    o->name = strdup(fake_jws_member(identifier, "value"));
    o->authorizations = ca->options.authorizations ? ca->options.authorizations : 1;
    o->status = ca->options.pending_at_once                                     ? "pending"
                : ca->options.authorizations_valid || ca->options.ready_at_once ? "ready"
                                                                                : "pending";
    if (ca->options.valid_at_once)
        issue(ca, number, ca->options.account_key);
    put_order(ca, reply, number);
    reply->status = 201;
    snprintf(ca->location, sizeof(ca->location), BASE "/orders/%u", number);
    reply->location = str_from(ca->location);
}

/* Every look at an order lets time pass. */
static void on_order_poll(struct fake_ca *ca, unsigned number, struct http_reply *reply)
{
    struct fake_order *o = &ca->orders[number];
    bool all = true, failed = false;

    for (unsigned i = 0; i < o->authorizations; i++) {
        const char *status = status_of(ca, o, i);
        all &= strcmp(status, "valid") == 0;
        failed |= strcmp(status, "invalid") == 0;
    }
    if (strcmp(o->status, "pending") == 0 && failed && !ca->options.hides_failure)
        o->status = "invalid";
    else if (strcmp(o->status, "pending") == 0 && all)
        o->status = "ready";
    else if (strcmp(o->status, "processing") == 0 && o->polls >= ca->options.polls_processing)
        o->status = "valid";
    o->polls++;
    put_order(ca, reply, number);
}

static void on_finalize(struct fake_ca *ca, unsigned number, const cJSON *payload,
                        struct http_reply *reply)
{
    struct fake_order *o = &ca->orders[number];
    struct buf der = BUF_INIT(FAKE_BODY_MAX);
    const unsigned char *p;
    X509_REQ *request;

    if (strcmp(o->status, "ready") != 0) {
        put_problem(ca, reply, 403, "orderNotReady", "not ready");
        return;
    }
    need(fake_jws_member(payload, "csr") &&
             jws_base64url_decode(str_from(fake_jws_member(payload, "csr")), &der) == 0,
         "a CSR");
    p = (const unsigned char *)der.data;
    request = d2i_X509_REQ(NULL, &p, (long)der.len);
    need(request && X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) == 1, "a good CSR");
    issue(ca, number, X509_REQ_get0_pubkey(request));
    o->polls = 0;
    o->status = "processing";
    if (!ca->options.polls_processing)
        o->status = "valid";
    put_order(ca, reply, number);
    X509_REQ_free(request);
    buf_free(&der);
}

static void on_certificate(struct fake_ca *ca, unsigned number, unsigned which,
                           struct http_reply *reply)
{
    buf_clear(&ca->body);
    buf_str(&ca->body, buf_view(&ca->orders[number].chains[which]));
    reply->status = 200;
    reply->content_type = STR("application/pem-certificate-chain");
    if (!ca->options.has_alternates || which)
        return;
    snprintf(ca->links[0], sizeof(ca->links[0]),
             "<https://ca.test/dir>;rel=\"index\", <" BASE "/cert/%u-1>;rel=\"alternate\"", number);
    snprintf(ca->links[1], sizeof(ca->links[1]), "<" BASE "/cert/%u-2>; title=x ;REL=alternate",
             number);
    reply->links[0] = str_from(ca->links[0]);
    reply->links[1] = str_from(ca->links[1]);
    reply->link_count = 2;
}

/* /name/A-B */
static bool match(const char *path, const char *name, unsigned *a, unsigned *b)
{
    size_t len = strlen(name);
    char *end;

    if (strncmp(path, name, len) != 0)
        return false;
    *a = (unsigned)strtoul(path + len, &end, 10);
    *b = *end == '-' ? (unsigned)strtoul(end + 1, &end, 10) : 0;
    return end != path + len && *end == '\0';
}

static void on_authorization(struct fake_ca *ca, unsigned number, unsigned i, const cJSON *payload,
                             struct http_reply *reply)
{
    if (payload && strcmp(fake_jws_member(payload, "status"), "deactivated") == 0)
        ca->orders[number].is_deactivated[i] = true;
    put_authorization(ca, reply, number, i);
}

static void on_challenge(struct fake_ca *ca, unsigned number, unsigned i, struct http_reply *reply)
{
    ca->orders[number].told[i]++;
    buf_clear(&ca->body);
    buf_cstr(&ca->body, "{\"type\":\"http-01\",\"status\":\"processing\"}");
    reply->status = 200;
}

/* What belongs to an order; false if nothing does. */
static bool route_order(struct fake_ca *ca, const char *path, const cJSON *payload,
                        struct http_reply *reply)
{
    unsigned a = 0, b = 0;

    if (match(path, "/orders/", &a, &b) && a < ca->order_count)
        on_order_poll(ca, a, reply);
    else if (match(path, "/authz/", &a, &b) && a < ca->order_count)
        on_authorization(ca, a, b, payload, reply);
    else if (match(path, "/chall/", &a, &b) && a < ca->order_count)
        on_challenge(ca, a, b, reply);
    else if (match(path, "/finalize/", &a, &b) && a < ca->order_count)
        on_finalize(ca, a, payload, reply);
    else if (match(path, "/cert/", &a, &b) && a < ca->order_count)
        on_certificate(ca, a, b, reply);
    else
        return false;
    return true;
}

static void route(struct fake_ca *ca, const char *path, const cJSON *payload,
                  struct http_reply *reply)
{
    if (strcmp(path, "/account") == 0)
        on_account(ca, payload, reply);
    else if (strcmp(path, "/order") == 0)
        on_order(ca, payload, reply);
    else if (!route_order(ca, path, payload, reply))
        put_problem(ca, reply, 404, "malformed", "not found");
}

/* The JWS; false if it was refused for its nonce, or its account. */
static bool admit(struct fake_ca *ca, const char *path, const cJSON *jws, const cJSON *header,
                  const struct http_request *request, struct http_reply *reply)
{
    const char *kid = fake_jws_member(header, "kid"), *nonce = fake_jws_member(header, "nonce");
    bool fresh;

    need(str_equal(request->content_type, STR("application/jose+json")), "content type");
    need(header && nonce && fake_jws_member(header, "url"), "a protected header");
    need(str_equal_cstr(request->url, fake_jws_member(header, "url")), "another url in the header");
    need(!kid == (strcmp(path, "/account") == 0), "jwk for newAccount, kid for all else");
    need(!strstr(request->body.ptr, "\\/"), "escaped slashes");
    need(fake_jws_is_signed(jws, ca->options.account_key), "a bad signature");
    fresh = use_nonce(ca, nonce);
    if (!fresh || draw(ca) < ca->options.reject_percent) {
        ca->rejections++;
        put_problem(ca, reply, 400, "badNonce", "stale");
        return false;
    }
    buf_printf(&ca->log, "POST %s\n", path);
    if (kid && !is_account(ca, kid)) {
        put_problem(ca, reply, 400, "accountDoesNotExist", "who?");
        return false;
    }
    return true;
}

static void on_post(struct fake_ca *ca, const char *path, const struct http_request *request,
                    struct http_reply *reply)
{
    cJSON *jws = cJSON_ParseWithLength(request->body.ptr, request->body.len), *header, *payload;

    need(jws && fake_jws_member(jws, "protected") && fake_jws_member(jws, "payload"),
         "a flattened JWS");
    header = fake_jws_part(fake_jws_member(jws, "protected"));
    payload = fake_jws_part(fake_jws_member(jws, "payload"));
    if (admit(ca, path, jws, header, request, reply))
        route(ca, path, payload, reply);
    if (!(ca->options.bare_rejection && reply->status == 400))
        give_nonce(ca, reply);
    cJSON_Delete(jws);
    cJSON_Delete(header);
    cJSON_Delete(payload);
}

static void handle(struct fake_ca *ca, const char *path, const struct http_request *request,
                   struct http_reply *reply)
{
    if (request->method == HTTP_POST) {
        on_post(ca, path, request, reply);
        return;
    }
    buf_printf(&ca->log, "%s %s\n", http_method_name(request->method), path);
    if (strcmp(path, "/dir") == 0) {
        need(request->method == HTTP_GET, "GET of the directory");
        on_directory(ca, reply);
        return;
    }
    need(strcmp(path, "/nonce") == 0 && request->method == HTTP_HEAD, "GET instead of POST-as-GET");
    ca->nonce_requests++;
    reply->status = 200;
    give_nonce(ca, reply);
}

static const struct fake_answer *scripted(struct fake_ca *ca, const char *path)
{
    for (size_t i = 0; i < ca->script_count; i++) {
        const struct fake_answer *a = &ca->script[i];

        if (strcmp(path, a->path) != 0)
            continue;
        if (++ca->seen[i] == a->nth || !a->nth)
            return a;
    }
    return NULL;
}

bool fake_ca_handle(struct fake_ca *ca, const struct http_request *request,
                    struct http_reply *reply, struct error *e)
{
    char *path = str_dup(str_slice(request->url, strlen(BASE), request->url.len));
    const struct fake_answer *a;
    bool answered = true;

    need(str_starts(request->url, STR(BASE)), "another host");
    *reply = (struct http_reply){0};
    buf_clear(&ca->body);
    a = scripted(ca, path);
    if (!a || a->after)
        handle(ca, path, request, reply);
    else
        buf_printf(&ca->log, "%s %s\n", http_method_name(request->method), path);
    reply->body = buf_view(&ca->body);
    if (a && !a->status) {
        error_set(e, a->no_reply, "scripted");
        answered = false;
    } else if (a) {
        if (!a->no_nonce && !reply->replay_nonce.ptr)
            give_nonce(ca, reply);
        if (a->no_nonce)
            reply->replay_nonce = STR_NONE;
        reply->status = a->status;
        reply->body = a->body_len ? (struct str){a->body, a->body_len} : str_from(a->body);
        reply->content_type = str_from(a->content_type);
        reply->retry_after = str_from(a->retry_after);
        if (a->location)
            reply->location = str_from(a->location);
    }
    free(path);
    return answered;
}
