#include "value_json.h"

#include "reconciler/base/record.h"
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

static int check_field(const struct value *v, const struct field *f, const struct str *text,
                       struct error *e)
{
    unsigned number =
        f->kind == FIELD_ENUM ? *(const unsigned *)((const char *)&v->u + f->offset) : 1;

    if (number < 1 || (f->kind == FIELD_ENUM && number > f->max))
        return error_set(e, ERROR_INVALID, "%s: %u is none", f->name, number);
    return text ? check_text(*text, f->max, f->kind == FIELD_URL, f->name, e) : 0;
}

static int check_fields(const struct value *v, struct error *e)
{
    const struct record *r = record_of(v->type);

    if (v->type == VALUE_CREDENTIAL && (!v->u.credential.leaf.len || !v->u.credential.key.len))
        return error_set(e, ERROR_INVALID, "a credential without certificate or key");
    if (v->type == VALUE_ORDER && !v->u.order.key.len)
        return error_set(e, ERROR_INVALID, "an order without key");
    if (v->type == VALUE_SENT && sent_count(v->u.sent.times) < 0)
        return error_set(e, ERROR_INVALID, "orders sent at no times, or at too many");
    for (size_t i = 0; i < r->count; i++)
        if (check_field(v, &r->fields[i], record_text(r, i, (void *)&v->u), e))
            return -1;
    return 0;
}

static int check_key(const struct value *v, struct error *e)
{
    if (v->type == VALUE_ACCOUNT)
        return check_text(v->u.account.email, VALUE_EMAIL_MAX, true, "e-mail address", e) ||
                       check_url(v->u.account.api_uri, "api_uri", e)
                   ? -1
                   : 0;
    if (!v->subject.name.len)
        return error_set(e, ERROR_INVALID, "a record without a name");
    return check_text(v->subject.name, VALUE_NAME_MAX, true, "name", e);
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
