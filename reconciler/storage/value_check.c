#include "value.h"

#include "reconciler/base/sent.h"

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= 0x20 || s.ptr[i] == 0x7f)
            return false;
    return true;
}

static int check_text(struct str s, size_t max, bool printable, const char *what, struct error *e)
{
    if (s.len > max)
        return error_set(e, ERROR_LIMIT, "%s of %zu bytes: more than %zu cannot be stored", what,
                         s.len, max);
    if (printable && !is_printable(s))
        return error_set(e, ERROR_INVALID, "%s with a blank or control character", what);
    return 0;
}

static int check_url(struct str url, const char *what, struct error *e)
{
    return check_text(url, VALUE_URL_MAX, true, what, e);
}

static int check_credential(const struct value_credential *c, struct error *e)
{
    if (!c->leaf.len || !c->key.len)
        return error_set(e, ERROR_INVALID, "a credential without certificate or key");
    if (c->key_type <= KEY_NONE || c->key_type > KEY_OTHER)
        return error_set(e, ERROR_INVALID, "a credential of an unknown type of key");
    if (check_text(c->leaf, VALUE_LEAF_MAX, false, "certificate", e) ||
        check_text(c->chain, VALUE_CHAIN_MAX, false, "certificate chain", e) ||
        check_text(c->key, VALUE_KEY_MAX, false, "private key", e) ||
        check_text(c->issuer, VALUE_TEXT_MAX, false, "issuer", e))
        return -1;
    return check_url(c->order_url, "order URL", e);
}

static int check_order(const struct value_order *o, struct error *e)
{
    if (!o->key.len || o->state < VALUE_ORDER_KEY_MADE || o->state > VALUE_ORDER_FINALIZED)
        return error_set(e, ERROR_INVALID, "an order without key or state");
    if (check_text(o->key, VALUE_KEY_MAX, false, "private key", e) ||
        check_text(o->chain, VALUE_PEM_MAX, false, "certificate", e) ||
        check_url(o->url, "order URL", e))
        return -1;
    return check_url(o->account_url, "account URL", e);
}

static int check_fields(const struct value *v, struct error *e)
{
    switch (v->type) {
    case VALUE_ACCOUNT:
        if (check_text(v->u.account.key, VALUE_KEY_MAX, false, "account key", e))
            return -1;
        return check_url(v->u.account.url, "account URL", e);
    case VALUE_CREDENTIAL:
        return check_credential(&v->u.credential, e);
    case VALUE_ORDER:
        return check_order(&v->u.order, e);
    case VALUE_FAILURE:
        return check_text(v->u.failure.text, VALUE_TEXT_MAX, false, "failure text", e);
    case VALUE_SENT:
        return sent_count(v->u.sent.times) < 0
                   ? error_set(e, ERROR_INVALID, "orders sent at no times, or at too many")
                   : 0;
    default:
        return 0;
    }
}

static int check_key(const struct value *v, struct error *e)
{
    if (v->type == VALUE_ACCOUNT)
        return check_text(v->name, VALUE_EMAIL_MAX, true, "e-mail address", e) ||
                       check_url(v->u.account.api_uri, "api_uri", e)
                   ? -1
                   : 0;
    if (!v->name.len)
        return error_set(e, ERROR_INVALID, "a record without a name");
    return check_text(v->name, VALUE_NAME_MAX, true, "name", e);
}

int value_check(const struct value *v, struct error *e)
{
    if (v->type <= VALUE_NONE || v->type >= VALUE_TYPE_COUNT)
        BUG("a value without a type");
    if (check_key(v, e) || check_url(v->directory, "directory URL", e))
        return -1;
    if (v->apart && !v->directory.len)
        return error_set(e, ERROR_INVALID, "state kept apart for no directory");
    return v->gone ? 0 : check_fields(v, e);
}
