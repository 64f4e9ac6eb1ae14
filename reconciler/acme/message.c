#include "reconciler/acme/message.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <string.h>

#include "reconciler/acme/problem.h"
#include "reconciler/acme/url.h"
#include "reconciler/base/base64.h"
#include "reconciler/base/json_out.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/jws.h"

#define CSR_BASE64_MAX ((size_t)32 << 10)

/* ---- in ---- */

#define ANSWER "the CA's answer: "

static int refuse(struct error *e, const char *what)
{
    return error_set(e, ERROR_PROTOCOL, ANSWER "%s", what);
}

/* One string from behind its quote, to behind its end. */
static int scan_string(struct str body, size_t at, size_t *end, struct error *e)
{
    const size_t start = at;

    for (; at < body.len && body.ptr[at] != '"'; at++) {
        /* cJSON would end the string at a NUL, and something else would be read than was sent. */
        if (str_starts(str_slice(body, at, body.len), STR("\\u0000")))
            return refuse(e, "a NUL in a string");
        if (at - start >= ACME_STRING_MAX)
            return error_set(e, ERROR_PROTOCOL, ANSWER "a string of more than %zu bytes",
                             ACME_STRING_MAX);
        if (body.ptr[at] == '\\')
            at++;
    }
    *end = at + 1;
    return at < body.len ? 0 : refuse(e, "a string without end");
}

/*
 * What cJSON 1.7 does not hold to: depth (its own limit is 1000), NUL, the length of a string. The
 * grammar itself is left to it.
 */
static int scan(struct str body, struct error *e)
{
    int depth = 0;

    if (memchr(body.ptr, 0, body.len))
        return refuse(e, "a NUL byte");
    for (size_t i = 0; i < body.len;) {
        char c = body.ptr[i++];

        if (c == '[' || c == '{') {
            if (++depth > ACME_JSON_DEPTH_MAX)
                return error_set(e, ERROR_PROTOCOL, ANSWER "nested too deep, more than %d",
                                 ACME_JSON_DEPTH_MAX);
        } else if (c == ']' || c == '}') {
            depth--;
        } else if (c == '"' && scan_string(body, i, &i, e)) {
            return -1;
        }
    }
    return 0;
}

int acme_message_parse(struct str body, struct acme_message *m, struct error *e)
{
    const char *end = NULL;
    cJSON *root;

    if (body.len > ACME_BODY_MAX)
        return error_set(e, ERROR_PROTOCOL, ANSWER "too long, more than %zu bytes", ACME_BODY_MAX);
    if (!str_trim(body).len)
        return refuse(e, "empty");
    if (scan(body, e))
        return -1;
    root = cJSON_ParseWithLengthOpts(body.ptr, body.len, &end, 0);
    if (!root)
        return refuse(e, "not JSON");
    if (!cJSON_IsObject(root) ||
        str_trim(str_slice(body, (size_t)(end - body.ptr), body.len)).len) {
        cJSON_Delete(root);
        return refuse(e, "not one JSON object");
    }
    m->root = root;
    return 0;
}

void acme_message_free(struct acme_message *m)
{
    cJSON_Delete(m->root);
    m->root = NULL;
}

static struct str text(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(item) ? str_from(item->valuestring) : STR_NONE;
}

static enum acme_status status_of(const cJSON *object)
{
    static const struct {
        const char *name;
        enum acme_status status;
    } names[] = {
        {"pending", ACME_STATUS_PENDING},       {"ready", ACME_STATUS_READY},
        {"processing", ACME_STATUS_PROCESSING}, {"valid", ACME_STATUS_VALID},
        {"invalid", ACME_STATUS_INVALID},       {"deactivated", ACME_STATUS_GONE},
        {"expired", ACME_STATUS_GONE},          {"revoked", ACME_STATUS_GONE},
    };
    struct str status = text(object, "status");

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (str_equal_cstr(status, names[i].name))
            return names[i].status;
    return ACME_STATUS_UNKNOWN;
}

/* Something is left to be done at it, or to be waited for. */
static bool is_open(enum acme_status status)
{
    return status == ACME_STATUS_PENDING || status == ACME_STATUS_UNKNOWN;
}

static void read_problem(const cJSON *object, struct acme_problem *out)
{
    const cJSON *sub =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "subproblems"), 0);

    *out = (struct acme_problem){
        .type = text(object, "type"),
        .title = text(object, "title"),
        .detail = text(object, "detail"),
        .sub_type = text(sub, "type"),
        .sub_detail = text(sub, "detail"),
        .sub_name = text(cJSON_GetObjectItemCaseSensitive(sub, "identifier"), "value"),
    };
}

void acme_message_problem(const struct acme_message *m, struct acme_problem *out)
{
    read_problem(m->root, out);
}

enum acme_status acme_message_status(const struct acme_message *m)
{
    return status_of(m->root);
}

int acme_message_directory(const struct acme_message *m, struct acme_directory_message *out,
                           struct error *e)
{
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(m->root, "meta");
    struct acme_directory_message found = {
        .new_nonce = text(m->root, "newNonce"),
        .new_account = text(m->root, "newAccount"),
        .new_order = text(m->root, "newOrder"),
        .terms_of_service = text(meta, "termsOfService"),
        .external_account_required =
            cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(meta, "externalAccountRequired")),
    };

    if (acme_url_check(found.new_nonce, "newNonce", e) ||
        acme_url_check(found.new_order, "newOrder", e) ||
        (found.new_account.ptr && acme_url_check(found.new_account, "newAccount", e)))
        return error_prefix(e, "not an ACME directory");
    *out = found;
    return 0;
}

/* What a pending order is for: too many of them, or one that nobody should ask, cannot be met. */
static int read_authorizations(const cJSON *list, struct acme_order_message *out, struct error *e)
{
    bool is_needed = is_open(out->status);
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        struct str url = cJSON_IsString(item) ? str_from(item->valuestring) : STR_NONE;

        if (out->authorization_count == ACME_AUTHORIZATIONS_MAX) {
            if (is_needed)
                return error_set(e, ERROR_PROTOCOL,
                                 ANSWER "an order with too many authorizations, more than %d",
                                 ACME_AUTHORIZATIONS_MAX);
            break;
        }
        if (acme_url_is_usable(url))
            out->authorizations[out->authorization_count++] = url;
        else if (is_needed)
            return acme_url_check(url, ANSWER "an authorization", e);
    }
    return 0;
}

/* A URL that only one state needs; STR_NONE where it is unfit, and that state is not reached. */
static int read_url(struct str url, const char *what, bool is_needed, struct str *out,
                    struct error *e)
{
    if (url.ptr && is_needed && acme_url_check(url, what, e))
        return -1;
    *out = acme_url_is_usable(url) ? url : STR_NONE;
    return 0;
}

int acme_message_order(const struct acme_message *m, struct acme_order_message *out,
                       struct error *e)
{
    struct acme_order_message found = {.status = status_of(m->root)};

    if (!text(m->root, "status").ptr)
        return refuse(e, "an order without status");
    if (read_authorizations(cJSON_GetObjectItemCaseSensitive(m->root, "authorizations"), &found,
                            e) ||
        read_url(text(m->root, "finalize"), ANSWER "\"finalize\"",
                 found.status == ACME_STATUS_READY, &found.finalize, e) ||
        read_url(text(m->root, "certificate"), ANSWER "\"certificate\"",
                 found.status == ACME_STATUS_VALID, &found.certificate, e))
        return -1;
    read_problem(cJSON_GetObjectItemCaseSensitive(m->root, "error"), &found.problem);
    *out = found;
    return 0;
}

/* Tokens become file names, log words and URL paths elsewhere: only what RFC 8555 §8.3 allows. */
static int check_token(struct str token, struct error *e)
{
    if (!token.len)
        return refuse(e, "a challenge without token");
    if (token.len > ACME_TOKEN_MAX)
        return error_set(e, ERROR_PROTOCOL,
                         ANSWER "a challenge whose token is longer than %d bytes", ACME_TOKEN_MAX);
    if (!base64_is(BASE64_URL, token))
        return refuse(e, "a challenge whose token has characters that RFC 8555 does not allow");
    return 0;
}

/* Only what there is still to do at the challenge needs its URL (to answer) and its token. */
static int read_http01(const cJSON *challenge, struct acme_authorization_message *out,
                       struct error *e)
{
    struct str url = text(challenge, "url");
    enum acme_status status = status_of(challenge);

    out->has_http01 = true;
    out->challenge_status = status;
    out->token = text(challenge, "token");
    if (!is_open(out->status) || status == ACME_STATUS_VALID || status == ACME_STATUS_INVALID) {
        out->challenge_url = acme_url_is_usable(url) ? url : STR_NONE;
        out->token = STR_NONE;
        return 0;
    }
    if (status != ACME_STATUS_PROCESSING && !url.ptr)
        return refuse(e, "a challenge without URL");
    return read_url(url, ANSWER "a challenge's URL", status != ACME_STATUS_PROCESSING,
                    &out->challenge_url, e)
               ? -1
               : check_token(out->token, e);
}

int acme_message_authorization(const struct acme_message *m, struct acme_authorization_message *out,
                               struct error *e)
{
    const cJSON *challenge, *list = cJSON_GetObjectItemCaseSensitive(m->root, "challenges");
    struct acme_authorization_message found = {.status = status_of(m->root)};
    size_t count = 0;

    if (!text(m->root, "status").ptr)
        return refuse(e, "an authorization without status");
    cJSON_ArrayForEach(challenge, list)
    {
        struct str type = text(challenge, "type");
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(challenge, "error");
        bool is_http01 = str_equal_cstr(type, "http-01");

        if (++count > ACME_CHALLENGES_MAX)
            break;
        if (!found.offered.ptr)
            found.offered = type;
        if (is_http01 && !found.has_http01 && read_http01(challenge, &found, e))
            return -1;
        if (cJSON_IsObject(error) && (is_http01 || !acme_problem_is_set(&found.problem)))
            read_problem(error, &found.problem);
    }
    *out = found;
    return 0;
}

/* ---- out ---- */

void acme_message_put_account(struct buf *out, const struct acme_account_request *request)
{
    struct json_out json = json_out_compact(out);
    struct buf contact = BUF_INIT(ACME_STRING_MAX);

    json_out_object(&json);
    if (request->only_existing)
        json_out_member_bool(&json, "onlyReturnExisting", true);
    if (request->terms_agreed)
        json_out_member_bool(&json, "termsOfServiceAgreed", true);
    if (request->email.len && !request->only_existing) {
        buf_cstr(&contact, "mailto:");
        buf_str(&contact, request->email);
        out->failed |= contact.failed;
        json_out_member_array(&json, "contact");
        json_out_str(&json, buf_view(&contact));
        json_out_end(&json);
    }
    if (request->binding.ptr) {
        json_out_key(&json, "externalAccountBinding");
        json_out_raw(&json, request->binding);
    }
    json_out_end(&json);
    buf_free(&contact);
}

void acme_message_put_order(struct buf *out, struct str name)
{
    struct json_out json = json_out_compact(out);
    unsigned char room[16];
    char text[INET6_ADDRSTRLEN];
    struct str ip;
    bool is_ip = certificate_parse_ip(name, &ip, room);

    /* RFC 8738 §3: in the form of RFC 5952, which is what inet_ntop writes. */
    if (is_ip)
        name = str_from(inet_ntop(ip.len == 16 ? AF_INET6 : AF_INET, room, text, sizeof(text)));
    json_out_object(&json);
    json_out_member_array(&json, "identifiers");
    json_out_object(&json);
    json_out_member_cstr(&json, "type", is_ip ? "ip" : "dns");
    json_out_member_str(&json, "value", name);
    json_out_end(&json);
    json_out_end(&json);
    json_out_end(&json);
}

void acme_message_put_finalize(struct buf *out, struct str csr_der)
{
    struct json_out json = json_out_compact(out);
    struct buf csr = BUF_INIT(CSR_BASE64_MAX);

    jws_base64url(&csr, csr_der);
    out->failed |= csr.failed;
    json_out_object(&json);
    json_out_member_str(&json, "csr", buf_view(&csr));
    json_out_end(&json);
    buf_free(&csr);
}

void acme_message_put_deactivation(struct buf *out)
{
    buf_cstr(out, "{\"status\":\"deactivated\"}");
}
