#include "value_json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/json_out.h"
#include "reconciler/base/record.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/key.h"
#include "reconciler/pki/pem.h"

/* Of the members that are ours. */
#define JSON_FORMAT 1
#define JSON_INTEGER_MAX ((double)((int64_t)1 << 53))

/* ---- copying ---- */

static bool copy_text(struct arena *arena, struct str *text)
{
    if (text && text->ptr) {
        *text = arena_str(arena, *text);
        return text->ptr != NULL;
    }
    return true;
}

int value_copy(const struct value *v, struct arena *arena, struct value *copy)
{
    const struct record *r = record_of(v->type);
    struct value made = *v;
    bool done = copy_text(arena, &made.directory) && copy_text(arena, &made.subject.name);

    for (size_t i = 0; done && i < r->count; i++)
        done = copy_text(arena, record_text(r, i, &made.u));
    if (done)
        *copy = made;
    return done ? 0 : -1;
}

/* ---- to JSON ---- */

static void write_key(struct json_out *j, const struct field *f, struct str der)
{
    struct buf key = BUF_SECRET(VALUE_JSON_MAX);

    pem_append(&key, "PRIVATE KEY", der);
    json_out_member_str(j, f->name, buf_view(&key));
    j->out->failed = j->out->failed || key.failed;
    buf_free(&key);
}

static void write_field(struct json_out *j, const struct field *f, const void *at)
{
    switch (f->kind) {
    case FIELD_NUMBER:
        json_out_member_int(j, f->name, *(const int64_t *)at);
        break;
    case FIELD_COUNT:
        json_out_member_int(j, f->name, *(const unsigned *)at);
        break;
    case FIELD_FLAG:
        if (!f->is_late || *(const bool *)at)
            json_out_member_bool(j, f->name, *(const bool *)at);
        break;
    case FIELD_ENUM:
        json_out_member_cstr(j, f->name, f->words[*(const unsigned *)at]);
        break;
    case FIELD_ERROR:
        json_out_member_cstr(j, f->name, error_kind_name(*(const enum error_kind *)at));
        break;
    case FIELD_KEY:
        write_key(j, f, *(const struct str *)at);
        break;
    case FIELD_TEXT:
    case FIELD_URL:
        json_out_member_str(j, f->name, *(const struct str *)at);
        break;
    case FIELD_DIGEST:
        BUG("digests are packed only");
    }
}

/* Our own members: of a record that no Kong node reads all of it, else its part "reconcert". */
static void write_own(const struct value *v, struct json_out *j)
{
    const struct record *r = record_of(v->type);
    unsigned flags = record_flags(v);

    json_out_object(j);
    json_out_member_int(j, "format", JSON_FORMAT);
    json_out_member_str(j, "directory", v->directory);
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].use == FIELD_BOTH && record_has(&r->fields[i], flags))
            write_field(j, &r->fields[i], (const char *)&v->u + r->fields[i].offset);
    json_out_end(j);
}

static int write_credential(const struct value *v, struct json_out *j, struct error *e)
{
    const struct value_credential *c = &v->u.credential;
    struct buf certificate = BUF_INIT(VALUE_JSON_MAX);
    struct buf key = BUF_SECRET(VALUE_JSON_MAX);
    struct str rest = c->chain;
    struct str der;
    int rc = -1;

    pem_append(&certificate, "CERTIFICATE", c->leaf);
    while (chain_next(&rest, &der))
        pem_append(&certificate, "CERTIFICATE", der);
    if (key_print_packed(c->facts.key_type, c->key, c->leaf, &key, e))
        goto out;
    json_out_object(j);
    json_out_member_str(j, "key", buf_view(&key));
    json_out_member_str(j, "cert", buf_view(&certificate));
    json_out_key(j, "reconcert");
    write_own(v, j);
    json_out_end(j);
    rc = certificate.failed || key.failed ? error_memory(e) : 0;
out:
    buf_free(&certificate);
    buf_free(&key);
    return rc;
}

static void write_account(const struct value *v, struct json_out *j)
{
    json_out_object(j);
    json_out_member_str(j, "key", v->u.account.key);
    json_out_key(j, "reconcert");
    write_own(v, j);
    json_out_end(j);
}

int value_to_json(const struct value *v, struct buf *out, struct error *e)
{
    struct json_out j = json_out_compact(out);
    int rc = 0;

    switch (v->type) {
    case VALUE_ACCOUNT:
        write_account(v, &j);
        break;
    case VALUE_CREDENTIAL:
        rc = write_credential(v, &j, e);
        break;
    case VALUE_BACKOFF:
        json_out_int(&j, v->u.backoff.retry_at);
        break;
    case VALUE_RENEW_CONFIG:
        json_out_object(&j);
        json_out_member_str(&j, "host", v->subject.name);
        json_out_member_int(&j, "expire_at", v->u.renew_config.expire_at);
        json_out_end(&j);
        break;
    default:
        write_own(v, &j);
    }
    return rc ? -1 : out->failed ? error_memory(e) : 0;
}

/* ---- from JSON ---- */

/* Where a record is read from, and the first thing that was wrong. */
struct reading {
    struct arena *arena;
    struct value *v;
    struct error *e;
    bool failed;
};

static void refuse(struct reading *r, enum error_kind kind, const char *member, const char *why)
{
    if (!r->failed)
        error_set(r->e, kind, "%s: %s", member, why);
    r->failed = true;
}

static struct str keep(struct reading *r, struct str s)
{
    struct str copy = arena_str(r->arena, s);

    if (!copy.ptr)
        refuse(r, ERROR_MEMORY, "value", "out of memory");
    return copy;
}

/* A string member; absent gives "". */
static struct str text_of(struct reading *r, const cJSON *object, const char *member)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);

    if (!item || cJSON_IsNull(item))
        return STR("");
    if (!cJSON_IsString(item)) {
        refuse(r, ERROR_INVALID, member, "expected a string");
        return STR("");
    }
    return keep(r, str_from(item->valuestring));
}

/* An integer member; absent gives 0. Kong's JSON writers may add a fraction. */
static int64_t number_of(struct reading *r, const cJSON *object, const char *member)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);

    if (!item || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= -JSON_INTEGER_MAX) ||
        !(item->valuedouble <= JSON_INTEGER_MAX)) {
        refuse(r, ERROR_INVALID, member, "expected a number of seconds");
        return 0;
    }
    return (int64_t)item->valuedouble;
}

static bool flag_of(struct reading *r, const cJSON *object, const char *member)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);

    if (!item || cJSON_IsNull(item))
        return false;
    if (!cJSON_IsBool(item))
        refuse(r, ERROR_INVALID, member, "expected a boolean");
    return cJSON_IsTrue(item);
}

/*
 * Our own member, or NULL: Kong's record, or one of a newer build, of which Kong's part still
 * holds.
 */
static const cJSON *own_part(struct reading *r, const cJSON *object)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(object, "reconcert");

    if (!own)
        return NULL;
    if (!cJSON_IsObject(own)) {
        refuse(r, ERROR_INVALID, "reconcert", "expected an object");
        return NULL;
    }
    return number_of(r, own, "format") == JSON_FORMAT ? own : NULL;
}

/* The DER of the next block of the reader's kind, or STR_NONE. */
static struct str next_der(struct reading *r, struct pem_reader *reader)
{
    struct pem_block block;
    unsigned char *der;
    ptrdiff_t len;
    int found = pem_next(reader, &block, r->e);

    if (found == 1) {
        der = arena_alloc(r->arena, pem_size_max(&block));
        if (!der) {
            refuse(r, ERROR_MEMORY, "value", "out of memory");
            return STR_NONE;
        }
        len = pem_decode(&block, der, r->e);
        if (len >= 0)
            return (struct str){(const char *)der, (size_t)len};
        found = -1;
    }
    r->failed = r->failed || found < 0;
    return STR_NONE;
}

/* Leaf and chain from `cert`; the chain's certificates are put one behind the other. */
static void read_certificates(struct reading *r, struct str pem)
{
    struct value_credential *c = &r->v->u.credential;
    char *chain = arena_alloc(r->arena, pem.len);
    struct pem_reader reader = PEM_READER(PEM_CERTIFICATE, pem);
    struct str der;
    size_t len = 0;

    if (!chain) {
        refuse(r, ERROR_MEMORY, "cert", "out of memory");
        return;
    }
    c->leaf = next_der(r, &reader);
    if (!c->leaf.ptr)
        refuse(r, ERROR_INVALID, "cert", "no certificate in it");
    /* What is decoded is never longer than its text. */
    while (!r->failed && (der = next_der(r, &reader)).ptr) {
        memcpy(chain + len, der.ptr, der.len);
        len += der.len;
    }
    c->chain = (struct str){chain, len};
}

static void read_key(struct reading *r, struct str pem)
{
    struct value_credential *c = &r->v->u.credential;
    struct buf packed = BUF_SECRET(VALUE_KEY_MAX);

    if (key_pack_pem(pem, &c->facts.key_type, &packed, r->e))
        r->failed = true;
    else
        c->key = keep(r, buf_view(&packed));
    buf_free(&packed);
}

static void read_facts(struct reading *r)
{
    struct value_credential *c = &r->v->u.credential;
    struct certificate_view view;
    struct certificate_facts facts;
    int matches;

    if (certificate_parse(c->leaf, &view, r->e) || certificate_read_facts(c->leaf, &facts, r->e) ||
        (matches = key_matches(c->facts.key_type, c->key, c->leaf, r->e)) < 0) {
        r->failed = true;
        return;
    }
    if (!matches)
        refuse(r, ERROR_INVALID, "key", "not the key of the certificate");
    facts.key_type = c->facts.key_type;
    c->facts = facts;
    c->managed.issuer = view.issuer_cn.ptr ? view.issuer_cn : STR("");
}

static unsigned enum_of(struct reading *r, const cJSON *object, const struct field *f)
{
    struct str word = text_of(r, object, f->name);

    for (unsigned i = 1; i <= f->max; i++)
        if (str_equal_cstr(word, f->words[i]))
            return i;
    return 0;
}

static unsigned count_of(struct reading *r, const cJSON *object, const char *member)
{
    int64_t count = number_of(r, object, member);

    if (count < 0 || count > UINT32_MAX)
        refuse(r, ERROR_INVALID, member, "out of range");
    return (unsigned)count;
}

static struct str key_of(struct reading *r, const cJSON *object, const char *member)
{
    struct pem_reader reader = PEM_READER(PEM_PRIVATE_KEY, text_of(r, object, member));

    return next_der(r, &reader);
}

static void read_field(struct reading *r, const cJSON *object, const struct field *f, void *at)
{
    switch (f->kind) {
    case FIELD_NUMBER:
        *(int64_t *)at = number_of(r, object, f->name);
        break;
    case FIELD_COUNT:
        *(unsigned *)at = count_of(r, object, f->name);
        break;
    case FIELD_FLAG:
        *(bool *)at = flag_of(r, object, f->name);
        break;
    case FIELD_ENUM:
        *(unsigned *)at = enum_of(r, object, f);
        break;
    case FIELD_ERROR:
        *(enum error_kind *)at = error_kind_from(text_of(r, object, f->name).ptr);
        break;
    case FIELD_KEY:
        *(struct str *)at = key_of(r, object, f->name);
        break;
    case FIELD_TEXT:
    case FIELD_URL:
        *(struct str *)at = text_of(r, object, f->name);
        break;
    case FIELD_DIGEST:
        BUG("digests are packed only");
    }
}

/* Our own members; absent ones, or all of them where `object` is NULL, are zero or "". */
static void read_members(struct reading *r, const cJSON *object)
{
    const struct record *record = record_of(r->v->type);

    r->v->directory = text_of(r, object, "directory");
    for (size_t i = 0; i < record->count; i++)
        if (record->fields[i].use == FIELD_BOTH)
            read_field(r, object, &record->fields[i], (char *)&r->v->u + record->fields[i].offset);
}

static void read_credential(struct reading *r, const cJSON *object)
{
    struct str key = text_of(r, object, "key");
    struct str certificate = text_of(r, object, "cert");

    read_members(r, own_part(r, object));
    if (!r->failed)
        read_certificates(r, certificate);
    if (!r->failed)
        read_key(r, key);
    if (!r->failed)
        read_facts(r);
}

static void read_account(struct reading *r, const cJSON *object)
{
    r->v->u.account.key = text_of(r, object, "key");
    if (!r->v->u.account.key.len)
        refuse(r, ERROR_INVALID, "key", "missing");
    read_members(r, own_part(r, object));
}

static void read_own(struct reading *r, const cJSON *object)
{
    if (number_of(r, object, "format") != JSON_FORMAT)
        refuse(r, ERROR_INVALID, "format", "not one that this build knows");
    read_members(r, object);
}

static void read_root(struct reading *r, const cJSON *root)
{
    struct value *v = r->v;

    if (v->type != VALUE_BACKOFF && !cJSON_IsObject(root)) {
        refuse(r, ERROR_INVALID, "value", "expected an object");
        return;
    }
    switch (v->type) {
    case VALUE_ACCOUNT:
        read_account(r, root);
        break;
    case VALUE_CREDENTIAL:
        read_credential(r, root);
        break;
    case VALUE_BACKOFF:
        if (!cJSON_IsNumber(root) || !(root->valuedouble >= 0) ||
            !(root->valuedouble <= JSON_INTEGER_MAX))
            refuse(r, ERROR_INVALID, "value", "expected a number of seconds");
        else
            v->u.backoff.retry_at = (int64_t)root->valuedouble;
        break;
    case VALUE_RENEW_CONFIG:
        v->u.renew_config.expire_at = number_of(r, root, "expire_at");
        break;
    default:
        read_own(r, root);
    }
}

/* Behind the string that begins at json.ptr[at]. */
static size_t skip_string(struct str json, size_t at)
{
    for (at++; at < json.len && json.ptr[at] != '"'; at++)
        if (json.ptr[at] == '\\')
            at++;
    return at;
}

/* cJSON recurses: how deep it would go is looked at before. */
static bool is_shallow(struct str json)
{
    size_t depth = 0;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        if (c == '"')
            i = skip_string(json, i);
        else if ((c == '{' || c == '[') && ++depth > VALUE_JSON_DEPTH_MAX)
            return false;
        else if ((c == '}' || c == ']') && depth)
            depth--;
    }
    return true;
}

/* cJSON knows no secrets: its copies of the strings are wiped by hand. */
static void wipe(cJSON *item)
{
    for (; item; item = item->next) {
        if (item->valuestring)
            explicit_bzero(item->valuestring, strlen(item->valuestring));
        wipe(item->child);
    }
}

static cJSON *parse(struct str json, struct error *e)
{
    const char *end = NULL;
    cJSON *root;

    if (json.len > VALUE_JSON_MAX || !is_shallow(json)) {
        error_set(e, ERROR_LIMIT, "a stored value is too long or nested too deeply");
        return NULL;
    }
    root = cJSON_ParseWithLengthOpts(json.ptr, json.len, &end, 0);
    if (root && !str_trim(str_slice(json, (size_t)(end - json.ptr), json.len)).len)
        return root;
    wipe(root);
    cJSON_Delete(root);
    error_set(e, ERROR_SYNTAX, "a stored value is not JSON");
    return NULL;
}

int value_from_json(struct str key, struct str json, struct arena *arena, struct value *v,
                    struct error *e)
{
    struct value made;
    struct reading r = {arena, &made, e, false};
    struct str key_copy = arena_str(arena, key);
    int known = key_copy.ptr ? value_key_parse(key_copy, arena, &made) : -1;
    cJSON *root;

    if (known < 0)
        return error_memory(e);
    if (!known)
        return error_set(e, ERROR_INVALID, "not a key of ours");
    root = parse(json, e);
    if (!root)
        return -1;
    read_root(&r, root);
    wipe(root);
    cJSON_Delete(root);
    if (r.failed || value_check(&made, e))
        return -1;
    *v = made;
    return 0;
}
