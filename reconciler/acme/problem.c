#include "reconciler/acme/problem.h"

#include "reconciler/acme/message.h"
#include "reconciler/base/buf.h"

/* How much of the CA's words is kept. */
#define PROBLEM_DETAIL_MAX 320
#define PROBLEM_PART_MAX 100
#define PROBLEM_NAME_MAX 64
#define PROBLEM_TEXT_MAX ((size_t)4 << 10)

static const struct str prefix = STR_INIT("urn:ietf:params:acme:error:");
/* Pebble up to 2.4 and old Boulder. */
static const struct str old_prefix = STR_INIT("urn:acme:error:");

struct row {
    const char *name;
    enum acme_problem_type type;
    enum error_kind kind;
    bool permanent; /* the same request cannot succeed before somebody changes something */
    const char *meaning;
};

static const struct row rows[] = {
    {"accountDoesNotExist", ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST, ERROR_ACCOUNT, false,
     "the CA does not know the account"},
    {"agreementRequired", ACME_PROBLEM_OTHER, ERROR_ACCOUNT, true,
     "the CA's terms of service are not agreed to"},
    {"alreadyReplaced", ACME_PROBLEM_OTHER, ERROR_INVALID, true,
     "the certificate has been replaced already"},
    {"alreadyRevoked", ACME_PROBLEM_OTHER, ERROR_INVALID, true,
     "the certificate has been revoked already"},
    {"autoRenewalCanceled", ACME_PROBLEM_OTHER, ERROR_CA_REFUSED, true,
     "the order's automatic renewal was cancelled"},
    {"badCSR", ACME_PROBLEM_OTHER, ERROR_CA_REFUSED, true,
     "the CA does not take the certificate request"},
    {"badNonce", ACME_PROBLEM_BAD_NONCE, ERROR_CA_BROKEN, false, "the CA refuses our nonces"},
    {"badPublicKey", ACME_PROBLEM_OTHER, ERROR_CA_REFUSED, true, "the CA does not take the key"},
    {"badRevocationReason", ACME_PROBLEM_OTHER, ERROR_INVALID, true,
     "the CA does not take the revocation reason"},
    {"badSignatureAlgorithm", ACME_PROBLEM_OTHER, ERROR_ACCOUNT, true,
     "the CA does not take the account key's algorithm"},
    {"caa", ACME_PROBLEM_OTHER, ERROR_CA_REFUSED, true, "a CAA record forbids this CA"},
    {"connection", ACME_PROBLEM_OTHER, ERROR_CHALLENGE, false,
     "the CA could not connect to the name"},
    {"dns", ACME_PROBLEM_OTHER, ERROR_CHALLENGE, false, "the CA could not resolve the name"},
    {"externalAccountRequired", ACME_PROBLEM_OTHER, ERROR_ACCOUNT, true,
     "the CA requires an external account"},
    {"incorrectResponse", ACME_PROBLEM_OTHER, ERROR_CHALLENGE, false,
     "the CA got another answer to its challenge"},
    {"invalidContact", ACME_PROBLEM_OTHER, ERROR_ACCOUNT, true,
     "the CA does not take the contact address"},
    {"invalidProfile", ACME_PROBLEM_OTHER, ERROR_CA_REFUSED, true,
     "the CA does not know the profile"},
    {"malformed", ACME_PROBLEM_OTHER, ERROR_PROTOCOL, false, "the CA does not take the request"},
    {"orderNotReady", ACME_PROBLEM_ORDER_NOT_READY, ERROR_PROTOCOL, false,
     "the order is not ready to be finalized"},
    {"rateLimited", ACME_PROBLEM_OTHER, ERROR_RATE_LIMIT, false, "the CA's rate limit"},
    {"rejectedIdentifier", ACME_PROBLEM_OTHER, ERROR_CA_REFUSED, true,
     "the CA does not issue for this name"},
    {"serverInternal", ACME_PROBLEM_OTHER, ERROR_CA_BROKEN, false, "the CA has an internal error"},
    {"tls", ACME_PROBLEM_OTHER, ERROR_CHALLENGE, false,
     "the CA could not validate because of a TLS error"},
    {"unauthorized", ACME_PROBLEM_OTHER, ERROR_ACCOUNT, false, "the CA says unauthorized"},
    {"unsupportedContact", ACME_PROBLEM_OTHER, ERROR_ACCOUNT, true,
     "the CA does not take the contact address"},
    {"unsupportedIdentifier", ACME_PROBLEM_OTHER, ERROR_CA_REFUSED, true,
     "the CA does not issue for names of this kind"},
    {"userActionRequired", ACME_PROBLEM_OTHER, ERROR_ACCOUNT, true,
     "the CA asks for an action of the account's owner"},
};

static const struct row *find(struct str type)
{
    struct str name = STR_NONE;

    if (str_starts(type, prefix))
        name = str_slice(type, prefix.len, type.len);
    else if (str_starts(type, old_prefix))
        name = str_slice(type, old_prefix.len, type.len);
    for (size_t i = 0; name.len && i < ARRAY_LENGTH(rows); i++)
        if (str_equal_cstr(name, rows[i].name))
            return &rows[i];
    return NULL;
}

bool acme_problem_is_set(const struct acme_problem *p)
{
    return p->type.len || p->title.len || p->detail.len || p->sub_type.len || p->sub_detail.len;
}

/* The row that says most: a compound problem means what its first part means (RFC 8555 §6.7.1). */
static const struct row *find_row(const struct acme_problem *problem)
{
    const struct row *sub = find(problem->sub_type);

    return str_ends(problem->type, STR(":compound")) && sub ? sub : find(problem->type);
}

static void put_words(struct buf *out, const char *separator, struct str words, size_t max)
{
    if (!words.len)
        return;
    buf_cstr(out, separator);
    buf_str(out, str_slice(words, 0, max));
    if (words.len > max)
        buf_cstr(out, "...");
}

/* meaning: detail; name of the first part: its detail (type) */
static void describe(const struct acme_problem *problem, const char *meaning, struct error *e)
{
    struct buf words = BUF_INIT(PROBLEM_TEXT_MAX);
    struct str type = problem->type;

    put_words(&words, ": ", problem->detail.len ? problem->detail : problem->title,
              PROBLEM_DETAIL_MAX);
    put_words(&words, "; ", problem->sub_name, PROBLEM_NAME_MAX);
    put_words(&words, problem->sub_name.len ? ": " : "; ", problem->sub_detail, PROBLEM_PART_MAX);
    if (str_starts(type, prefix))
        type = str_slice(type, prefix.len, type.len);
    if (type.len && !str_equal_cstr(type, "about:blank")) {
        put_words(&words, " (", type, PROBLEM_NAME_MAX);
        buf_char(&words, ')');
    }
    error_set(e, e->kind, "%s%.*s", meaning, STR_ARG(buf_view(&words)));
    buf_free(&words);
}

/* An answer without a problem type that we know. */
static const char *by_status(int status, enum error_kind *kind)
{
    if (status == 429) {
        *kind = ERROR_RATE_LIMIT;
        return "the CA's rate limit";
    }
    if (status >= 500 || status == 408) {
        *kind = ERROR_CA_BROKEN;
        return "the CA is not available";
    }
    *kind = status >= 400 ? ERROR_CA_REFUSED : ERROR_PROTOCOL;
    return status >= 400 ? "the CA refuses the request" : "an unexpected answer of the CA";
}

static void fill(const struct acme_problem *problem, const struct row *row, const char *meaning,
                 enum error_kind kind, struct error *e)
{
    e->kind = kind;
    describe(problem, meaning, e);
    e->permanent = row && row->permanent && row->kind == kind;
}

/* What an answer tells, as views into *m; free that. */
static struct acme_problem read_problem(const struct http_reply *reply, struct acme_message *m)
{
    struct acme_problem problem = {0};
    struct error ignored;

    *m = (struct acme_message){0};
    if (acme_message_parse(reply->body, m, &ignored) == 0)
        acme_message_problem(m, &problem);
    return problem;
}

int acme_problem_of_reply(const struct http_reply *reply, int64_t now_ms, struct error *e)
{
    struct acme_message m;
    const struct acme_problem problem = read_problem(reply, &m);
    const struct row *row = find_row(&problem);
    enum error_kind kind;
    const char *meaning = by_status(reply->status, &kind);

    if (row && kind != ERROR_RATE_LIMIT) {
        kind = row->kind;
        meaning = row->meaning;
    }
    fill(&problem, row, meaning, kind, e);
    if (!problem.type.ptr)
        error_suffix(e, " (HTTP %d)", reply->status);
    /* Rounded up: a part of a second too early would be too early. */
    e->retry_at = http_retry_after(reply->retry_after, (now_ms + 999) / 1000);
    acme_message_free(&m);
    return -1;
}

int acme_problem_of_object(const struct acme_problem *problem, enum error_kind otherwise,
                           struct error *e)
{
    const struct row *row = find_row(problem);
    /* RFC 8555 §8.3 failures say "unauthorized" for wrong contents: that is not about our account.
     */
    bool tells = row && row->kind != ERROR_ACCOUNT && row->kind != ERROR_PROTOCOL;

    fill(problem, tells ? row : NULL, tells ? row->meaning : "the CA could not validate the name",
         tells ? row->kind : otherwise, e);
    return -1;
}

enum acme_problem_type acme_problem_peek(const struct http_reply *reply)
{
    struct acme_message m;
    struct acme_problem problem;
    const struct row *row;

    if (reply->status < 400)
        return ACME_PROBLEM_NONE;
    problem = read_problem(reply, &m);
    row = find(problem.type);
    acme_message_free(&m);
    return row ? row->type : ACME_PROBLEM_NONE;
}

static bool tells_of(const struct acme_problem *problem, struct str word)
{
    const struct str texts[] = {problem->detail, problem->title, problem->sub_name,
                                problem->sub_detail};

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        for (size_t at = 0; at + word.len <= texts[i].len; at++)
            if (str_equal_nocase(str_slice(texts[i], at, at + word.len), word))
                return true;
    return false;
}

/* The shortest domain that is none of a whole country: two labels. */
static struct str domain_of(struct str name)
{
    size_t dots = 0;

    for (size_t at = name.len; at > 0; at--)
        if (name.ptr[at - 1] == '.' && ++dots == 2)
            return str_slice(name, at, name.len);
    return name;
}

enum acme_limit_scope acme_problem_limit_scope(const struct http_reply *reply, struct str name)
{
    struct acme_message m;
    const struct acme_problem problem = read_problem(reply, &m);
    enum acme_limit_scope scope = ACME_LIMIT_UNCLEAR;

    if (tells_of(&problem, domain_of(name)) || tells_of(&problem, STR("exact set")))
        scope = ACME_LIMIT_OF_NAME;
    else if (tells_of(&problem, STR("account")))
        scope = ACME_LIMIT_OF_ACCOUNT;
    acme_message_free(&m);
    return scope;
}
