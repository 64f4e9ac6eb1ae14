#include "reconciler/issue/authority.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/value.h"
#include "reconciler/io/httpc.h"
#include "reconciler/io/job.h"
#include "reconciler/pki/key.h"
#include "reconciler/store/store.h"

struct authority {
    struct authority_options options; /* its ca is ours */
    struct buf key;                   /* PEM or JWK text */
    char *account_url;                /* NULL = not known */
    int64_t created_at;
    bool key_is_new;
    bool is_busy; /* a job or the journal holds us */
    bool is_abandoned;
    bool failed;
    struct error error;
    bool is_troubled;
    struct error trouble; /* the last error, until it can be used again */
    struct acme_client *session;
};

/* ---- life ---- */

static void destroy(struct authority *a)
{
    acme_client_free(a->session);
    buf_free(&a->key);
    free(a->account_url);
    ca_fini(&a->options.ca);
    free(a);
}

void authority_free(struct authority *a)
{
    if (!a)
        return;
    if (a->is_busy)
        a->is_abandoned = true; /* whoever holds it gives it up */
    else
        destroy(a);
}

int authority_adapt(struct authority *a, const struct ca *ca, struct error *e)
{
    struct ca copy;

    if (!ca_is_same_account(&a->options.ca, ca))
        return 0;
    if (ca_copy(ca, &copy))
        return error_memory(e);
    ca_fini(&a->options.ca);
    a->options.ca = copy;
    return 1;
}

const struct ca *authority_ca(const struct authority *a)
{
    return &a->options.ca;
}

static void fail(struct authority *a, const struct error *e)
{
    a->failed = true;
    a->error = *e;
}

/* ---- the account key ---- */

static void open_session(struct authority *a)
{
    struct error e;
    EVP_PKEY *key = key_parse_text(buf_view(&a->key), &e);
    const struct acme_client_options options = {
        .ca = &a->options.ca,
        .account_url = str_from(a->account_url),
        .account_key = key,
        .key_is_new = a->key_is_new,
        .terms_agreed = true, /* where it matters, plan has blocked what the file did not accept */
    };

    if (key)
        a->session = acme_client_new(&options, &e);
    EVP_PKEY_free(key);
    if (!a->session)
        fail(a, &e);
}

static struct value account_value(const struct authority *a)
{
    const struct ca *ca = &a->options.ca;
    struct value v = value_at(ca, VALUE_ACCOUNT, (struct subject){0});

    v.u.account = (struct value_account){.api_uri = ca->api_uri,
                                         .email = ca->email,
                                         .key = buf_view(&a->key),
                                         .url = a->account_url ? str_from(a->account_url) : STR(""),
                                         .created_at = a->created_at};
    return v;
}

/* True when the authority was given up meanwhile, and is gone now. */
static bool was_abandoned(struct authority *a)
{
    a->is_busy = false;
    if (a->is_abandoned)
        destroy(a);
    else
        return false;
    return true;
}

static void on_key_saved(void *context, const struct error *e)
{
    struct authority *a = context;

    if (was_abandoned(a))
        return;
    if (e)
        fail(a, e);
    else
        open_session(a);
    a->options.changed(a->options.context);
}

static void save_key(struct authority *a)
{
    const struct value v = account_value(a);
    struct error e;

    a->is_busy = true;
    if (a->options.journal.put(a->options.journal.context, &v, 1, on_key_saved, a, &e)) {
        a->is_busy = false;
        fail(a, &e);
    }
}

static void make_key(void *context)
{
    struct authority *a = context;
    EVP_PKEY *key = key_generate(KEY_P256, &a->error);

    a->failed = !key || key_print(key, &a->key, &a->error);
    EVP_PKEY_free(key);
}

static void on_key_made(void *context)
{
    struct authority *a = context;

    if (was_abandoned(a))
        return;
    if (a->failed)
        fail(a, &a->error);
    else
        save_key(a);
    if (a->failed)
        a->options.changed(a->options.context);
}

/*
 * The stored account, unless the file names another key; else the file's key; else one of our own.
 */
static int begin(struct authority *a, struct error *e)
{
    const struct authority_options *o = &a->options;
    const struct ca *ca = &o->ca;
    const struct store_account *stored = store_find_account(o->store, ca);

    if (stored && (!ca->account_key.ptr || str_equal(stored->account.key, ca->account_key))) {
        a->created_at = stored->account.created_at;
        a->account_url = stored->account.url.len ? str_dup(stored->account.url) : NULL;
        if (buf_str(&a->key, stored->account.key) || (stored->account.url.len && !a->account_url))
            return error_memory(e);
        open_session(a);
        return 0;
    }
    a->created_at = clock_now();
    if (ca->account_key.ptr) {
        if (buf_str(&a->key, ca->account_key))
            return error_memory(e);
        save_key(a);
        return 0;
    }
    a->key_is_new = true;
    a->is_busy = true;
    if (job_submit(o->jobs, make_key, on_key_made, a) == 0)
        return 0;
    a->is_busy = false;
    return error_memory(e);
}

struct authority *authority_new(const struct authority_options *options, struct error *e)
{
    struct authority *a = calloc(1, sizeof(*a));

    if (!a)
        return error_no_memory(e);
    a->key = BUF_SECRET(VALUE_KEY_MAX);
    a->options = *options;
    if (ca_copy(&options->ca, &a->options.ca)) {
        error_memory(e);
    } else if (begin(a, e) == 0) {
        return a;
    }
    authority_free(a);
    return NULL;
}

/* ---- the session ---- */

static void on_url_saved(void *context, const struct error *e)
{
    struct authority *a = context;

    if (was_abandoned(a))
        return;
    if (e)
        fail(a, e);
    else
        acme_client_saved(a->session);
    a->options.changed(a->options.context);
}

static void save_url(struct authority *a)
{
    struct value v;
    struct error e;

    free(a->account_url);
    a->account_url = str_dup(acme_client_account_url(a->session));
    v = account_value(a);
    a->is_busy = true;
    if (!a->account_url ||
        a->options.journal.put(a->options.journal.context, &v, 1, on_url_saved, a, &e)) {
        a->is_busy = false;
        error_memory(&e);
        fail(a, &e);
        return;
    }
    happening_tell(acme_client_account_is_new(a->session) ? HAPPENING_ACCOUNT_CREATED
                                                          : HAPPENING_ACCOUNT_FOUND,
                   FIELDS(field_cstr("account", a->account_url),
                          field_str("directory", a->options.ca.directory)));
}

static void send_request(struct authority *a, const struct acme_step *step, int64_t now_ms)
{
    struct error e;

    if (httpc_send(a->options.httpc, &step->request,
                   a->options.cookie_base + (uint64_t)step->exchange, &e))
        acme_client_no_reply(a->session, step->exchange, &e, now_ms);
}

void authority_run(struct authority *a, int64_t now_ms, int64_t *wake_ms)
{
    struct acme_step step;

    while (a->session && !a->is_busy && !a->failed) {
        switch (acme_client_next(a->session, now_ms, &step)) {
        case ACME_SEND:
            send_request(a, &step, now_ms);
            break;
        case ACME_SAVE:
            save_url(a);
            break;
        case ACME_WAIT:
            if (step.at_ms < *wake_ms)
                *wake_ms = step.at_ms;
            return;
        default:
            return;
        }
    }
}

void authority_reply(struct authority *a, const struct httpc_done *done, int64_t now_ms)
{
    enum acme_exchange exchange = (enum acme_exchange)(done->cookie - a->options.cookie_base);

    if (!a->session)
        return;
    if (done->ok)
        acme_client_reply(a->session, exchange, &done->reply, now_ms);
    else
        acme_client_no_reply(a->session, exchange, &done->error, now_ms);
}

struct acme_client *authority_session(struct authority *a)
{
    return a->session;
}

const struct error *authority_error(const struct authority *a)
{
    if (a->is_busy)
        return NULL; /* a job may be writing it */
    if (a->failed)
        return &a->error;
    return a->session ? acme_client_error(a->session) : NULL;
}

const struct error *authority_trouble(struct authority *a)
{
    const struct error *e = authority_error(a);

    if (e)
        a->trouble = *e;
    if (e || (a->session && acme_client_is_ready(a->session)))
        a->is_troubled = e != NULL;
    return a->is_troubled ? &a->trouble : NULL;
}

void authority_retry(struct authority *a, int64_t now)
{
    const struct error *e = authority_error(a);
    struct error why;

    if (!e || a->is_busy || e->retry_at > now)
        return;
    if (!a->failed) {
        acme_client_retry(a->session);
        return;
    }
    a->failed = false;
    if (a->session)
        return; /* saving its URL failed: the session asks for that again */
    buf_clear(&a->key);
    if (begin(a, &why))
        fail(a, &why);
}
