#include "reconciler/acme/authorization.h"

#include <stdlib.h>

#include "reconciler/acme/problem.h"

#define OFFERED_MAX 64 /* bytes of a challenge type that are shown */

int acme_authorization_init(struct acme_authorization *a, struct str url)
{
    *a = (struct acme_authorization){.url = str_dup(url)};
    return a->url ? 0 : -1;
}

void acme_authorization_fini(struct acme_authorization *a)
{
    free(a->url);
    free(a->token);
    free(a->challenge_url);
    *a = (struct acme_authorization){0};
}

static enum acme_verdict refuse_offer(const struct acme_authorization_message *m, struct error *e)
{
    error_set(e, ERROR_CA_REFUSED, "the CA does not offer http-01 for this name%s%.*s",
              m->offered.len ? ", but " : "", STR_ARG(str_slice(m->offered, 0, OFFERED_MAX)));
    e->permanent = true;
    return ACME_VERDICT_FAILED;
}

static enum acme_verdict keep_challenge(struct acme_authorization *a,
                                        const struct acme_authorization_message *m, struct error *e)
{
    bool is_answered =
        m->challenge_status != ACME_STATUS_PENDING && m->challenge_status != ACME_STATUS_UNKNOWN;

    if (str_keep(&a->token, m->token) || str_keep(&a->challenge_url, m->challenge_url)) {
        error_memory(e);
        return ACME_VERDICT_FAILED;
    }
    /*
     * One that is being looked at was answered in an earlier life; it only has to stay answerable.
     * Where that went wrong so far, the CA is told once more.
     */
    a->needs_challenge = !is_answered || (a->has_reason && !a->is_told && a->challenge_url);
    a->is_told |= is_answered;
    if (a->has_reason)
        acme_problem_of_object(&m->problem, ERROR_CHALLENGE, e);
    else
        e->kind = ERROR_NONE;
    return ACME_VERDICT_TO_PROVE;
}

static enum acme_verdict judge(struct acme_authorization *a,
                               const struct acme_authorization_message *m, struct error *e)
{
    a->status = m->status;
    a->has_reason = false;
    if (m->status == ACME_STATUS_VALID)
        return ACME_VERDICT_PROVEN;
    if (m->status == ACME_STATUS_GONE) {
        error_set(e, ERROR_CHALLENGE, "the authorization is expired, deactivated or revoked");
        return ACME_VERDICT_FAILED;
    }
    a->has_reason = acme_problem_is_set(&m->problem);
    if (m->status == ACME_STATUS_INVALID || m->challenge_status == ACME_STATUS_INVALID) {
        acme_problem_of_object(&m->problem, ERROR_CHALLENGE, e);
        return ACME_VERDICT_FAILED;
    }
    return m->has_http01 ? keep_challenge(a, m, e) : refuse_offer(m, e);
}

enum acme_verdict acme_authorization_read(struct acme_authorization *a,
                                          const struct http_reply *reply, struct error *e)
{
    struct acme_message m = {0};
    struct acme_authorization_message found;
    enum acme_verdict verdict = ACME_VERDICT_GARBLED;

    if (acme_message_parse(reply->body, &m, e) == 0 &&
        acme_message_authorization(&m, &found, e) == 0)
        verdict = judge(a, &found, e);
    acme_message_free(&m);
    return verdict;
}
