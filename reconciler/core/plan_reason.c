#include "reconciler/core/plan.h"

#include "reconciler/base/hostname.h"
#include "reconciler/core/budget.h"
#include "reconciler/core/public_ca.h"
#include "reconciler/core/span.h"

#define SENTENCE_MAX ((size_t)64 << 10)

static const char *const ids[REASON_COUNT] = {
    [REASON_MISSING] = "missing",
    [REASON_EXPIRED] = "expired",
    [REASON_REVOKED] = "revoked",
    [REASON_RENEWAL_DUE] = "renewal_due",
    [REASON_OTHER_DIRECTORY] = "other_directory",
    [REASON_OTHER_KEY_TYPE] = "other_key_type",
    [REASON_FOUND_VALID] = "found_valid",
    [REASON_NOT_DUE] = "not_due",
    [REASON_NEXT_IN_HAND] = "next_in_hand",
    [REASON_NEXT_BEGINS] = "next_begins",
    [REASON_NOT_YET_VALID] = "not_yet_valid",
    [REASON_BACKOFF] = "backoff",
    [REASON_NEEDLESS] = "needless",
    [REASON_CLOCK] = "clock",
    [REASON_BREAKER] = "breaker",
    [REASON_RATE_LIMITED] = "rate_limited",
    [REASON_ACCOUNT_LIMITED] = "account_limited",
    [REASON_ORDER_OPEN] = "order_open",
    [REASON_STORAGE] = "storage",
    [REASON_BUDGET] = "budget",
    [REASON_APPROVAL] = "approval",
    [REASON_STANDS_IN] = "stands_in",
    [REASON_NOT_PUBLIC] = "not_public",
    [REASON_NO_ACCOUNT_KEY] = "no_account_key",
    [REASON_NO_CA_CERTIFICATE] = "no_ca_certificate",
    [REASON_UNRESOLVED] = "unresolved_reference",
    [REASON_TOS] = "terms_not_accepted",
    [REASON_STORAGE_UNSUPPORTED] = "storage_unsupported",
    [REASON_BAD_EMAIL] = "account_email_unusable",
    [REASON_BAD_URL] = "api_uri_unusable",
    [REASON_BAD_ACCOUNT_KEY] = "account_key_unusable",
    [REASON_BAD_BINDING] = "eab_hmac_key_unusable",
    [REASON_REFUSED_BY_CA] = "refused_by_ca",
    [REASON_NOT_DECLARED] = "not_declared",
    [REASON_LEFT_ALONE] = "left_alone",
};

/* Sentences that need no fact. NULL: a function below makes it. */
static const char *const sentences[REASON_COUNT] = {
    [REASON_MISSING] = "there is no certificate yet",
    [REASON_ORDER_OPEN] = "an order is under way",
    [REASON_STORAGE] =
        "the storage cannot be written, and nothing is ordered that could not be kept",
    [REASON_NEXT_BEGINS] = "the next certificate, which was issued ahead, has begun",
    [REASON_CLOCK] = "the system clock is earlier than the day on which this program was built: "
                     "nothing is decided by it",
    [REASON_APPROVAL] =
        "nobody has approved it yet: save the plan with diff --out, and apply it or "
        "put it where run --approve looks",
    [REASON_STANDS_IN] = "it is served until there is one with the key that the file asks for",
    [REASON_NO_ACCOUNT_KEY] =
        "config.account_key names a key that the file does not hold: declare it "
        "under keys, or take account_key out",
    [REASON_NO_CA_CERTIFICATE] = "a service that it leads to trusts a CA certificate that the file "
                                 "does not hold: declare it "
                                 "under ca_certificates, or take its id out",
    [REASON_UNRESOLVED] = "a {vault://...} reference that issuing needs cannot be resolved",
    [REASON_TOS] = "Let's Encrypt's terms of service must be accepted before an account is "
                   "registered: set config.tos_accepted to true "
                   "(https://letsencrypt.org/repository/)",
    [REASON_STORAGE_UNSUPPORTED] =
        "the storage that the file names cannot be used by this build, which takes shm: set "
        "config.storage to shm",
    [REASON_BAD_EMAIL] = "a CA cannot be told this account_email: write an address alone, without "
                         "blanks, line ends and mailto:",
    [REASON_BAD_URL] = "no CA can be asked at this api_uri: write the https:// URL of its "
                       "directory, without blanks",
    [REASON_BAD_ACCOUNT_KEY] =
        "the key that account_key names cannot sign for an account: take a private one, P-256, "
        "P-384 or RSA of 2048 to 8192 bits",
    [REASON_BAD_BINDING] = "eab_hmac_key is not base64url: write it as the CA has handed it out",
};

const char *plan_reason_id(enum plan_reason reason)
{
    return reason < REASON_COUNT ? ids[reason] : "unknown";
}

const char *plan_reason_sentence(enum plan_reason reason)
{
    return reason < REASON_COUNT ? sentences[reason] : NULL;
}

static void print_clamp(const struct action *a, struct buf *out)
{
    if (a->clamp == POLICY_CLAMPED_LOW)
        buf_cstr(out, " (renew_threshold_days is raised to a twentieth of its lifetime)");
    else if (a->clamp == POLICY_CLAMPED_HIGH)
        buf_cstr(out, " (renew_threshold_days is cut to half of its lifetime)");
}

/* What went wrong last, in the words that came with it. */
static void print_failure(const struct observed_name *o, struct buf *out)
{
    if (!o->failure.text.len)
        return;
    buf_cstr(out, ": ");
    buf_str(out, o->failure.text);
}

/* Reasons about the certificate that is there. */
static void print_certificate(const struct action *a, struct buf *out)
{
    const struct observed_name *o = a->observed;

    switch (a->reason) {
    case REASON_EXPIRED:
        span_print_time(out, "the certificate expired at ", o->facts.not_after);
        return;
    case REASON_REVOKED:
        buf_cstr(out, "the certificate was revoked");
        return;
    case REASON_FOUND_VALID:
        span_print_time(out, "a certificate in the storage is valid until ", o->facts.not_after);
        return;
    case REASON_NOT_YET_VALID:
        span_print_time(out, "the certificate that is there is not valid before ",
                        o->facts.not_before);
        return;
    case REASON_NEXT_IN_HAND:
        span_print_time(out, "the next certificate has been issued, and is not valid before ",
                        o->next_at);
        return;
    case REASON_RENEWAL_DUE:
        span_print_time(out, "renewal is due since ", a->renew_at);
        span_print_time(out, ", the certificate ends at ", o->facts.not_after);
        print_clamp(a, out);
        return;
    default:
        span_print_time(out, "valid until ", o->facts.not_after);
        span_print_time(out, ", renewal at ", a->renew_at);
        if (a->reason == REASON_OTHER_KEY_TYPE)
            buf_printf(out, ", with the key type that the file asks for instead of %s",
                       key_type_name(o->facts.key_type));
        print_clamp(a, out);
    }
}

/* Reasons about the last try. */
static void print_try(const struct action *a, struct buf *out)
{
    const struct observed_name *o = a->observed;

    if (a->reason == REASON_REFUSED_BY_CA) {
        buf_cstr(out, "the CA refuses for good");
    } else if (a->reason == REASON_RATE_LIMITED) {
        span_print_time(out, "the CA does not want another try before ",
                        a->asked_at ? a->asked_at : a->at);
    } else if (a->reason == REASON_NEEDLESS) {
        buf_cstr(out, "what the CA issues is due for renewal at once");
        if (o->failure.count > 1)
            buf_printf(out, ", %u times in a row", o->failure.count);
    } else {
        span_print_time(out, o->failure.count == 1 ? "the try at " : "the last try at ",
                        o->failure.failed_at);
        buf_cstr(out, " failed");
        if (o->failure.count > 1)
            buf_printf(out, ", %u in a row", o->failure.count);
    }
    print_failure(o, out);
    if (a->asked_at)
        buf_cstr(out, ", which is too long to wait");
    if (a->reason != REASON_RATE_LIMITED || a->asked_at)
        span_print_time(out, "; next try at ", a->at);
    if (a->reason == REASON_REFUSED_BY_CA)
        buf_cstr(out, ", or when the file changes");
}

/* The limit that lets it through last. */
static void print_limit(const struct action *a, struct buf *out)
{
    const struct budget_draw *last = NULL;

    span_print_time(out, "it does not fit the CA's limits before ", a->at);
    for (size_t i = 0; a->budget && i < a->budget->count; i++)
        if (!last || a->budget->draws[i].fits_at > last->fits_at)
            last = &a->budget->draws[i];
    if (!last)
        return;
    buf_printf(out, ": %s", budget_scope_name(last->scope));
    if (last->scope != BUDGET_ORDERS) {
        buf_char(out, ' ');
        buf_str(out, last->of);
    }
    buf_printf(out, ", %u in ", last->count);
    span_print(out, last->seconds, SPAN_EXACT);
}

/* What an order of another CA than the last one's is to replace, and what is served until then. */
static void print_replaced(const struct action *a, int64_t now, struct buf *out)
{
    const struct observed_name *o = a->observed;

    buf_cstr(out, a->reason == REASON_OTHER_DIRECTORY
                      ? "it replaces the certificate of another CA, "
                      : "; it replaces the certificate of another CA, ");
    buf_str(out, o->directory);
    if (o->managed.revoked)
        buf_cstr(out, ", which was revoked");
    else if (o->facts.not_after < now)
        span_print_time(out, ", which expired at ", o->facts.not_after);
    else if (o->managed.active)
        buf_cstr(out, ", which is served until then");
}

static void print_reason(const struct action *a, int64_t now, struct buf *out)
{
    const char *fault;

    if (sentences[a->reason]) {
        buf_cstr(out, sentences[a->reason]);
        return;
    }
    switch (a->reason) {
    case REASON_OTHER_DIRECTORY:
        return;
    case REASON_BREAKER:
        span_print_time(
            out,
            "more was ordered within an hour than names and failures explain: nothing is "
            "ordered before ",
            a->at);
        return;
    case REASON_ACCOUNT_LIMITED:
        span_print_time(out, "the CA does not want another order of this account before ",
                        a->asked_at ? a->asked_at : a->at);
        if (a->asked_at)
            span_print_time(out, ", which is too long to wait; next try at ", a->at);
        return;
    case REASON_BACKOFF:
    case REASON_NEEDLESS:
    case REASON_RATE_LIMITED:
    case REASON_REFUSED_BY_CA:
        print_try(a, out);
        return;
    case REASON_BUDGET:
        print_limit(a, out);
        return;
    case REASON_NOT_PUBLIC:
        if (hostname_is_ipv4(a->subject.name)) {
            buf_cstr(out, "it is an IP address, and this CA is not known to certify those; "
                          "acme_server can name a CA that does");
            return;
        }
        fault = public_ca_refuses(a->subject.name);
        buf_printf(out,
                   "no public CA certifies this name: %s; acme_server can name a CA of your own",
                   fault ? fault : "it is not public");
        return;
    case REASON_NOT_DECLARED:
    case REASON_LEFT_ALONE:
        buf_cstr(out, a->reason == REASON_LEFT_ALONE
                          ? "its declared SNI carries the tag " DESIRED_TAG_OFF
                            ", so that one is served"
                          : "the file no longer asks for it");
        if (a->observed->facts.not_after > now)
            span_print_time(out, "; the stored certificate stays, valid until ",
                            a->observed->facts.not_after);
        return;
    default:
        print_certificate(a, out);
    }
}

void plan_reason_print(const struct action *a, int64_t now, struct buf *out)
{
    print_reason(a, now, out);
    if (a->replaces)
        print_replaced(a, now, out);
}

struct str plan_reason_text(const struct action *a, int64_t now, struct arena *arena)
{
    struct buf text = BUF_INIT(SENTENCE_MAX);
    struct str copy = STR_NONE;

    plan_reason_print(a, now, &text);
    if (!text.failed)
        copy = arena_str(arena, buf_view(&text));
    buf_free(&text);
    return copy;
}
