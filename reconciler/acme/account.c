#include "reconciler/acme/account.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/acme/directory.h"
#include "reconciler/acme/message.h"
#include "reconciler/acme/problem.h"
#include "reconciler/acme/step.h"
#include "reconciler/acme/url.h"
#include "reconciler/pki/jws.h"

static int refuse(struct error *e, const char *what, const char *detail)
{
    error_set(e, ERROR_ACCOUNT, "%s%s", what, detail);
    e->permanent = true;
    return -1;
}

/* What a new account takes that an existing one does not. */
static int check_conditions(const struct acme_account *a, const struct acme_directory *d,
                            struct error *e)
{
    if (d->external_account_required && (!a->eab_kid || !a->eab_hmac_key))
        return refuse(e,
                      "the CA requires external account binding: ", "set eab_kid and eab_hmac_key");
    if (d->terms_of_service && !a->terms_agreed)
        return refuse(e, "the CA's terms of service have to be agreed to: ", d->terms_of_service);
    return 0;
}

int acme_account_payload(const struct acme_account *a, const struct acme_directory *d,
                         struct buf *out, struct error *e)
{
    struct acme_account_request request = {.email = str_from(a->email),
                                           .terms_agreed = a->terms_agreed,
                                           .only_existing = a->state == ACME_ACCOUNT_FIND};
    struct buf binding = BUF_INIT(ACME_STRING_MAX);
    int result = -1;

    if (!d->new_account)
        return error_set(e, ERROR_PROTOCOL, "the CA's directory has no newAccount");
    if (!request.only_existing) {
        if (check_conditions(a, d, e))
            return -1;
        if (a->eab_kid && a->eab_hmac_key) {
            if (jws_bind_account(a->key, str_from(a->eab_kid), str_from(a->eab_hmac_key),
                                 str_from(d->new_account), &binding, e))
                goto out;
            request.binding = buf_view(&binding);
        }
    }
    acme_message_put_account(out, &request);
    result = out->failed ? error_memory(e) : 0;
out:
    buf_free(&binding);
    return result;
}

/* 200 for an account that is there, 201 for a new one. */
static int take_account(struct acme_account *a, const struct acme_directory *d,
                        const struct http_reply *reply, struct error *e)
{
    struct acme_message m = {0};
    enum acme_status status = ACME_STATUS_UNKNOWN;
    struct error ignored;
    char *url;

    /* The body adds little: some CAs leave it out. */
    if (acme_message_parse(reply->body, &m, &ignored) == 0)
        status = acme_message_status(&m);
    acme_message_free(&m);
    if (status == ACME_STATUS_GONE || status == ACME_STATUS_INVALID)
        return refuse(e, "the account is deactivated or revoked", "");
    url = acme_url_resolve(reply->location, str_from(d->new_account), "Location", e);
    if (!url)
        return error_prefix(e, "the CA names no usable URL of the account");
    free(a->url);
    a->url = url;
    a->is_new = reply->status == 201;
    a->number++;
    a->state = ACME_ACCOUNT_SAVE;
    return 0;
}

int acme_account_reply(struct acme_account *a, const struct acme_directory *d,
                       const struct http_reply *reply, int64_t now_ms, struct error *e)
{
    if (reply->status == 200 || reply->status == 201)
        return take_account(a, d, reply, e);
    if (a->state == ACME_ACCOUNT_FIND &&
        acme_problem_peek(reply) == ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST) {
        a->state = ACME_ACCOUNT_CREATE;
        return 0;
    }
    acme_problem_of_reply(reply, now_ms, e);
    /* https://letsencrypt.org/docs/rate-limits/: nothing that this account has done. */
    if (e->kind == ERROR_RATE_LIMIT)
        error_suffix(e, "; new accounts are counted by address: at Let's Encrypt 10 in 3 hours, "
                        "and 500 of one IPv6 /48");
    return error_prefix(e, a->state == ACME_ACCOUNT_FIND ? "looking for the account"
                                                         : "registering the account");
}

void acme_account_fini(struct acme_account *a)
{
    EVP_PKEY_free(a->key);
    free(a->url);
    free(a->email);
    free(a->eab_kid);
    if (a->eab_hmac_key)
        explicit_bzero(a->eab_hmac_key, strlen(a->eab_hmac_key));
    free(a->eab_hmac_key);
    *a = (struct acme_account){0};
}
