#include "resolve.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "spec/problem.h"

#define UUID_BYTES 16
#define KEY_MAX 4096
#define VALUE_SHOWN_MAX 200

struct resolve_ids {
    EVP_MD_CTX *context;
    EVP_MD *sha1, *sha256;
    unsigned char spaces[ENTITY_KIND_COUNT][UUID_BYTES];
};

/* fd02801f-0957-4a15-a55a-c8d9606f30b5, Kong's root of all names. */
static const unsigned char root_space[UUID_BYTES] = {
    0xfd, 0x02, 0x80, 0x1f, 0x09, 0x57, 0x4a, 0x15, 0xa5, 0x5a, 0xc8, 0xd9, 0x60, 0x6f, 0x30, 0xb5};

/* --- ids --- */

/* RFC 9562 section 5.5: SHA-1 over namespace and name, cut to 16 bytes. */
static void make_uuid(struct resolve_ids *ids, const unsigned char *space, struct str name,
                      unsigned char out[UUID_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    if (EVP_DigestInit_ex2(ids->context, ids->sha1, NULL) != 1 ||
        EVP_DigestUpdate(ids->context, space, UUID_BYTES) != 1 ||
        EVP_DigestUpdate(ids->context, name.ptr, name.len) != 1 ||
        EVP_DigestFinal_ex(ids->context, digest, NULL) != 1)
        BUG("SHA-1 stopped working");
    memcpy(out, digest, UUID_BYTES);
    out[6] = (unsigned char)((out[6] & 0x0f) | 0x50);
    out[8] = (unsigned char)((out[8] & 0x3f) | 0x80);
}

static void print_uuid(const unsigned char uuid[UUID_BYTES], char id[37])
{
    static const char digits[] = "0123456789abcdef";
    char *p = id;

    for (int i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[uuid[i] >> 4];
        *p++ = digits[uuid[i] & 15];
    }
    *p = '\0';
}

struct resolve_ids *resolve_ids_new(void)
{
    struct resolve_ids *ids = calloc(1, sizeof(*ids));

    if (!ids)
        return NULL;
    ids->context = EVP_MD_CTX_new();
    ids->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    ids->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!ids->context || !ids->sha1 || !ids->sha256) {
        resolve_ids_free(ids);
        return NULL;
    }
    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++)
        make_uuid(ids, root_space, str_from(entity_infos[kind].list), ids->spaces[kind]);
    return ids;
}

void resolve_ids_free(struct resolve_ids *ids)
{
    if (!ids)
        return;
    EVP_MD_CTX_free(ids->context);
    EVP_MD_free(ids->sha1);
    EVP_MD_free(ids->sha256);
    free(ids);
}

void resolve_id(struct resolve_ids *ids, enum entity_kind kind, struct str name, char id[37])
{
    unsigned char uuid[UUID_BYTES];

    make_uuid(ids, ids->spaces[kind], name, uuid);
    print_uuid(uuid, id);
}

/* Kong's cache key: "plugins:*:key-auth::my-service:". False: it has none, the id is random. */
static bool print_cache_key(const struct catalog *c, const struct schema_view *v,
                            struct catalog_ref ref, struct buf *key)
{
    const struct entity_info *info = &entity_infos[ref.kind];
    struct catalog_ref parent = catalog_item(c, ref)->parent;
    unsigned own =
        parent.kind == CATALOG_NO_KIND ? ENTITY_NO_FIELD : c->fields[ref.kind][parent.kind];

    buf_printf(key, "%s:*", info->list);
    for (unsigned k = 0; k < info->key_field_count; k++) {
        unsigned i = info->key_fields[k];
        const struct document_node *n = v->slots[i];
        const struct schema_field *f = &v->record->fields[i];

        if (f->flags & SCHEMA_DRAWN)
            return false;
        if (n && n->kind == DOCUMENT_STRING) {
            buf_printf(key, ":%.*s", STR_ARG(document_text(n)));
        } else if (!n) {
            if (i != own && f->flags & SCHEMA_REQUIRED)
                return false;
            buf_printf(key, ":%s", i == own ? catalog_entity(c, parent)->id : "");
        } else if (n->kind == DOCUMENT_MAP) {
            /* Kong leaves the field out here and sees duplicates that are none. */
            const struct document_node *id =
                document_get(n, names_find(c->context->index->names, STR("id")));

            if (id && id->kind == DOCUMENT_STRING)
                buf_printf(key, ":%.*s", STR_ARG(document_text(id)));
        }
    }
    return !key->failed;
}

/* The first certificate of a PEM text without white space, so that its layout does not count. */
static void print_leaf(struct str pem, struct buf *out)
{
    static const char end[] = "-----END CERTIFICATE-----";
    const char *stop = memmem(pem.ptr, pem.len, end, sizeof(end) - 1);
    size_t len = stop ? (size_t)(stop - pem.ptr) : pem.len;

    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", pem.ptr[i]))
            buf_char(out, pem.ptr[i]);
}

static void set_content_id(struct catalog *c, struct str pem, struct catalog_ref ref)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    struct buf leaf = BUF_INIT(pem.len + 1);
    unsigned len = 0;

    c->needs_ids[ref.kind] = true;
    print_leaf(pem, &leaf);
    if (EVP_Digest(leaf.data ? leaf.data : "", leaf.len, digest, &len, c->ids->sha256, NULL) != 1)
        BUG("SHA-256 stopped working");
    for (unsigned i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    resolve_id(c->ids, ref.kind, (struct str){hex, 2 * (size_t)len}, catalog_entity(c, ref)->id);
    buf_free(&leaf);
}

/* From where it stands: the same for the same file, and no other entity's. */
static void set_place_id(struct catalog *c, struct catalog_ref ref)
{
    struct buf key = BUF_INIT(KEY_MAX);

    buf_printf(&key, "%u:", catalog_entity(c, ref)->place.file);
    catalog_path(c, ref, &key);
    resolve_id(c->ids, ref.kind, buf_view(&key), catalog_entity(c, ref)->id);
    catalog_entity(c, ref)->id_is_random = true;
    buf_free(&key);
}

static void set_random_id(struct catalog *c, const struct schema_view *v, struct catalog_ref ref)
{
    const struct document_node *n = v->slots[0];
    bool has_pem = ref.kind == ENTITY_CERTIFICATE || ref.kind == ENTITY_CA_CERTIFICATE;

    if (has_pem && n && n->kind == DOCUMENT_STRING)
        set_content_id(c, document_text(n), ref);
    else
        set_place_id(c, ref);
    catalog_entity(c, ref)->id_is_random = true;
}

static bool take_given_id(struct catalog *c, const struct schema_view *v, struct catalog_ref ref)
{
    unsigned i = v->record->count + COMMON_ID;
    const struct document_node *n = v->slots[i];
    struct entity *entity = catalog_entity(c, ref);

    if (!n || n->kind != DOCUMENT_STRING || n->count != 36 || v->failed >> i & 1)
        return false;
    for (int k = 0; k < 36; k++)
        entity->id[k] = str_lower(n->as.text[k]);
    catalog_item(c, ref)->given_id = document_text(n);
    c->needs_ids[ref.kind] = true;
    return true;
}

void resolve_set_id(struct catalog *c, const struct schema_view *v, struct catalog_ref ref)
{
    const struct entity_info *info = &entity_infos[ref.kind];
    struct buf key = BUF_INIT(KEY_MAX);

    if (take_given_id(c, v, ref))
        return;
    if (info->key_field_count) {
        c->needs_ids[ref.kind] = true;
        if (print_cache_key(c, v, ref, &key))
            resolve_id(c->ids, ref.kind, buf_view(&key), catalog_entity(c, ref)->id);
        else
            set_random_id(c, v, ref);
        buf_free(&key);
        return;
    }
    if (info->endpoint != ENTITY_NO_FIELD && v->slots[info->endpoint] &&
        v->slots[info->endpoint]->kind == DOCUMENT_STRING)
        resolve_id(c->ids, ref.kind, document_text(v->slots[info->endpoint]),
                   catalog_entity(c, ref)->id);
    else
        set_random_id(c, v, ref);
}

/* --- tables: open addressing over the ordinals of one kind --- */

struct slot {
    uint32_t hash;   /* looked at before the text: most slots on the way are others' */
    uint32_t entity; /* ordinal + 1; 0: free */
};

struct table {
    struct slot *slots;
    uint32_t mask;
};

struct resolver {
    struct catalog *catalog;
    struct table names[ENTITY_KIND_COUNT];
    struct table ids[ENTITY_KIND_COUNT];
    uint64_t seed;
    bool has_errors;
    bool is_out_of_memory;
};

static bool open_table(struct table *t, size_t count)
{
    size_t slots = 16;

    while (slots < count * 2)
        slots *= 2;
    t->slots = calloc(slots, sizeof(*t->slots));
    t->mask = (uint32_t)(slots - 1);
    return t->slots != NULL;
}

static struct str name_of(const struct catalog *c, uint8_t kind, uint32_t ordinal)
{
    return c->items[kind][ordinal].name;
}

static struct str id_of(const struct catalog *c, uint8_t kind, uint32_t ordinal)
{
    return (struct str){catalog_entity(c, (struct catalog_ref){ordinal, kind})->id, 36};
}

/* The slot that holds the text, or the free one where it belongs. */
static struct slot *find_slot(const struct resolver *r, const struct table *t, uint8_t kind,
                              struct str text,
                              struct str (*text_of)(const struct catalog *, uint8_t, uint32_t))
{
    uint64_t hash = str_hash(text, r->seed);
    uint32_t at = (uint32_t)hash & t->mask, tag = (uint32_t)(hash >> 32);

    while (t->slots[at].entity &&
           (t->slots[at].hash != tag ||
            !str_equal(text_of(r->catalog, kind, t->slots[at].entity - 1), text)))
        at = (at + 1) & t->mask;
    if (!t->slots[at].entity)
        t->slots[at].hash = tag;
    return &t->slots[at];
}

/* --- uniqueness --- */

static void report_repeat(struct resolver *r, struct catalog_ref ref, const char *field,
                          struct str value)
{
    const char *list = entity_infos[ref.kind].list;
    struct str shown = str_slice(value, 0, VALUE_SHOWN_MAX);

    struct buf path = BUF_INIT(KEY_MAX), text = BUF_INIT(KEY_MAX);
    struct catalog *c = r->catalog;

    catalog_path(c, ref, &path);
    buf_printf(&text, "uniqueness violation: '%s' entity with %s set to '%.*s' already declared",
               list, field, STR_ARG(shown));
    problems_put(c->problems, &(struct problem){.severity = PROBLEM_ERROR,
                                                .place = catalog_entity(c, ref)->place,
                                                .path = buf_view(&path),
                                                .message = buf_view(&text),
                                                .field = STR(""),
                                                .entity = catalog_number(c, ref) + 1,
                                                .has_ids = true});
    buf_free(&path);
    buf_free(&text);
}

static bool enter_name(struct resolver *r, struct catalog_ref ref)
{
    struct catalog *c = r->catalog;
    const struct entity_info *info = &entity_infos[ref.kind];
    struct str name = name_of(c, ref.kind, ref.ordinal);
    struct slot *slot;

    if (!name.ptr)
        return true;
    slot = find_slot(r, &r->names[ref.kind], ref.kind, name, name_of);
    if (!slot->entity) {
        slot->entity = ref.ordinal + 1;
        return true;
    }
    report_repeat(r, ref, info->record->fields[info->endpoint].name, name);
    return false;
}

static void enter_id(struct resolver *r, struct catalog_ref ref, bool is_reported)
{
    struct catalog *c = r->catalog;
    struct entity *entity = catalog_entity(c, ref);
    struct slot *slot;

    if (entity_infos[ref.kind].has_no_id || !entity->id[0])
        return;
    slot = find_slot(r, &r->ids[ref.kind], ref.kind, str_from(entity->id), id_of);
    if (slot->entity && entity->id_is_random) {
        /* The same certificate twice: the second one's place tells them apart. */
        set_place_id(c, ref);
        slot = find_slot(r, &r->ids[ref.kind], ref.kind, str_from(entity->id), id_of);
    }
    if (!slot->entity)
        slot->entity = ref.ordinal + 1;
    else if (!is_reported)
        report_repeat(r, ref, "primary key", str_from(entity->id));
}

/* Ids that come from unique names, or from places, do not clash: most files need no table of them
 * until a reference asks. */
static void enter_kind(struct resolver *r, uint8_t kind)
{
    uint32_t count = r->catalog->filled[kind];
    bool has_ids = r->catalog->needs_ids[kind];

    if (!count)
        return;
    if (!open_table(&r->names[kind], count) || (has_ids && !open_table(&r->ids[kind], count))) {
        r->is_out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct catalog_ref ref = {i, kind};
        bool is_new = enter_name(r, ref);

        if (has_ids)
            enter_id(r, ref, !is_new);
    }
}

static bool has_id_table(struct resolver *r, uint8_t kind)
{
    uint32_t count = r->catalog->filled[kind];

    if (r->ids[kind].slots)
        return true;
    if (!count || !open_table(&r->ids[kind], count)) {
        r->is_out_of_memory |= count != 0;
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        enter_id(r, (struct catalog_ref){i, kind}, true);
    return true;
}

/* A field that is unique but does not name the entity. */
static void check_unique_field(struct resolver *r, uint8_t kind, const struct schema_field *f)
{
    struct catalog *c = r->catalog;
    uint32_t name = names_find(c->context->index->names, str_from(f->name));
    size_t count = c->filled[kind], slots = 16;
    struct str *table;

    while (slots < count * 2)
        slots *= 2;
    table = calloc(slots, sizeof(*table));
    if (!table) {
        r->is_out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct document_node *n = document_get(c->items[kind][i].node, name);
        struct catalog_ref ref = {i, kind};
        size_t at;

        if (!n || n->kind != DOCUMENT_STRING || !n->count)
            continue;
        at = str_hash(document_text(n), r->seed) & (slots - 1);
        while (table[at].ptr && !str_equal(table[at], document_text(n)))
            at = (at + 1) & (slots - 1);
        if (table[at].ptr)
            report_repeat(r, ref, f->name, document_text(n));
        else
            table[at] = document_text(n);
    }
    free(table);
}

static void check_unique_fields(struct resolver *r, uint8_t kind)
{
    const struct entity_info *info = &entity_infos[kind];

    if (!r->catalog->filled[kind])
        return;
    for (unsigned i = 0; i < info->record->count; i++) {
        const struct schema_field *f = &info->record->fields[i];

        if (f->flags & SCHEMA_UNIQUE && f->type == SCHEMA_STRING &&
            !(i == info->endpoint && info->endpoint_is_unique))
            check_unique_field(r, kind, f);
    }
}

/* --- references --- */

static bool find_target(struct resolver *r, uint8_t kind, struct str text,
                        struct catalog_ref *found)
{
    char id[37];
    uint32_t slot = 0;

    if (!r->names[kind].slots)
        return false;
    slot = find_slot(r, &r->names[kind], kind, text, name_of)->entity;
    if (!slot && text.len == 36 && has_id_table(r, kind)) {
        for (int i = 0; i < 36; i++)
            id[i] = str_lower(text.ptr[i]);
        slot = find_slot(r, &r->ids[kind], kind, (struct str){id, 36}, id_of)->entity;
    }
    *found = (struct catalog_ref){slot - 1, kind};
    return slot != 0;
}

static struct str link_text(const struct catalog *c, const struct document_node *value)
{
    if (value->kind == DOCUMENT_STRING)
        return document_text(value);
    return document_text(document_get(value, names_find(c->context->index->names, STR("id"))));
}

/*
 * Kong has three texts for a reference that finds nothing. We say what is wrong, and keep its words
 * for those who look for them.
 */
static void report_missing(struct resolver *r, const struct catalog_link *link,
                           const struct schema_field *f)
{
    struct catalog *c = r->catalog;
    bool is_text = link->value->kind == DOCUMENT_STRING;
    bool is_nested = catalog_item(c, link->from)->parent.kind != CATALOG_NO_KIND;
    const char *list = entity_infos[f->refers_to].list;
    struct str shown = str_slice(link_text(c, link->value), 0, VALUE_SHOWN_MAX);
    struct buf path = BUF_INIT(KEY_MAX), text = BUF_INIT(KEY_MAX);
    struct problem p = {.severity = PROBLEM_ERROR, .place = document_place(link->value)};

    catalog_path(c, link->from, &path);
    buf_printf(&path, ".%s", f->name);
    p.path = buf_view(&path);
    p.field = str_from(f->name);
    p.entity = catalog_number(c, link->from) + 1;
    if (is_text && is_nested) {
        p.kong = STR("value must be null");
        buf_printf(&text, "value must be null, or name one of '%s': there is no '%.*s'", list,
                   STR_ARG(shown));
    } else if (is_text && r->has_errors) {
        p.kong = STR("missing primary key");
        p.field = arena_printf(c->context->scratch, "%s.id", f->name);
        buf_printf(&text, "missing primary key: no such entry in '%s': '%.*s'", list,
                   STR_ARG(shown));
    } else {
        buf_printf(&text,
                   is_text ? "invalid reference '%s: %.*s' (no such entry in '%s')"
                           : "invalid reference '%s: {\"id\":\"%.*s\"}' (no such entry in '%s')",
                   f->name, STR_ARG(shown), list);
    }
    p.message = buf_view(&text);
    problems_put(c->problems, &p);
    buf_free(&path);
    buf_free(&text);
}

static void follow(struct resolver *r, struct catalog_link *link)
{
    struct catalog *c = r->catalog;
    const struct schema_field *f = &entity_infos[link->from.kind].record->fields[link->field];
    struct catalog_ref found, parent = catalog_item(c, link->from)->parent;
    struct buf path = BUF_INIT(KEY_MAX);

    if (!find_target(r, (uint8_t)f->refers_to, link_text(c, link->value), &found)) {
        report_missing(r, link, f);
        return;
    }
    link->to = found;
    if (!link->is_parent) {
        if (f->store == STORE_POINTER)
            *(const void **)(void *)((char *)catalog_entity(c, link->from) + f->offset) =
                catalog_entity(c, found);
        return;
    }
    if (found.ordinal == parent.ordinal)
        return;
    catalog_path(c, parent, &path);
    catalog_problem(c, link->from, PROBLEM_WARNING, document_place(link->value), f->name,
                    "has no effect: it is written inside of %.*s, and belongs to that",
                    STR_ARG(buf_view(&path)));
    buf_free(&path);
}

/* --- plugins: one for the same place, however that place is written --- */

static bool is_same_use(const struct plugin *a, const struct plugin *b)
{
    return a->route == b->route && a->service == b->service && a->consumer == b->consumer &&
           str_equal(a->name.value, b->name.value);
}

static uint64_t hash_use(const struct plugin *p, uint64_t seed)
{
    uint64_t h = str_hash(p->name.value, seed);

    h = (h ^ (uintptr_t)p->route) * 0x9e3779b97f4a7c15u;
    h = (h ^ (uintptr_t)p->service) * 0x9e3779b97f4a7c15u;
    return ((h ^ (uintptr_t)p->consumer) * 0x9e3779b97f4a7c15u) >> 20;
}

static void check_plugins(struct resolver *r)
{
    struct catalog *c = r->catalog;
    const struct plugin *plugins = c->structs[ENTITY_PLUGIN];
    uint32_t count = c->filled[ENTITY_PLUGIN];
    struct table t;

    if (!open_table(&t, count)) {
        r->is_out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)hash_use(&plugins[i], r->seed) & t.mask;
        const struct plugin *first;

        if (!plugins[i].name.value.ptr)
            continue;
        while (t.slots[at].entity && !is_same_use(&plugins[t.slots[at].entity - 1], &plugins[i]))
            at = (at + 1) & t.mask;
        if (!t.slots[at].entity) {
            t.slots[at].entity = i + 1;
            continue;
        }
        first = &plugins[t.slots[at].entity - 1];
        if (strcmp(first->entity.id, plugins[i].entity.id) != 0)
            catalog_problem(c, (struct catalog_ref){i, ENTITY_PLUGIN}, PROBLEM_ERROR,
                            plugins[i].entity.place, "",
                            "plugin '%.*s' is declared twice for the same place: first in line %u",
                            STR_ARG(str_slice(plugins[i].name.value, 0, VALUE_SHOWN_MAX)),
                            first->entity.place.line);
    }
    free(t.slots);
}

/* --- what Kong does not look up at load: warnings --- */

static void check_ca_certificates(struct resolver *r)
{
    struct catalog *c = r->catalog;
    const struct service *services = c->structs[ENTITY_SERVICE];
    struct catalog_ref found;
    char field[64];

    for (uint32_t i = 0; i < c->filled[ENTITY_SERVICE]; i++) {
        const struct texts *ids = &services[i].ca_certificates;

        for (size_t k = 0; k < ids->count; k++) {
            if (find_target(r, ENTITY_CA_CERTIFICATE, ids->items[k].value, &found))
                continue;
            snprintf(field, sizeof(field), "ca_certificates[%zu]", k + 1);
            catalog_problem(c, (struct catalog_ref){i, ENTITY_SERVICE}, PROBLEM_WARNING,
                            ids->items[k].place, field, "no such entry in 'ca_certificates'");
        }
    }
}

static void check_account_key(struct resolver *r)
{
    struct catalog *c = r->catalog;
    struct acme *acme = c->context->found_acme;
    const struct key *keys = c->structs[ENTITY_KEY];

    if (!acme || !acme->account_key_id.value.ptr)
        return;
    for (uint32_t i = 0; i < c->filled[ENTITY_KEY] && !acme->account_key; i++) {
        struct str set = keys[i].set ? keys[i].set->name : STR_NONE;

        if (str_equal(keys[i].kid, acme->account_key_id.value) &&
            !set.ptr == !acme->account_key_set.value.ptr &&
            str_equal(set, acme->account_key_set.value))
            acme->account_key = &keys[i];
    }
    for (uint32_t i = 0; i < c->filled[ENTITY_PLUGIN] && !acme->account_key; i++)
        if (strcmp(acme->entity.id, id_of(c, ENTITY_PLUGIN, i).ptr) == 0) {
            catalog_problem(c, (struct catalog_ref){i, ENTITY_PLUGIN}, PROBLEM_WARNING,
                            acme->account_key_id.place, "config.account_key",
                            acme->account_key_set.value.ptr
                                ? "no key with this kid in that key set"
                                : "no key with this kid outside of key sets");
            return;
        }
}

int resolve_all(struct catalog *c, bool has_errors, struct error *e)
{
    struct resolver r = {.catalog = c,
                         .seed = (uint64_t)(uintptr_t)c * 0x9e3779b97f4a7c15u,
                         .has_errors = has_errors};

    for (uint8_t kind = 0; kind < ENTITY_KIND_COUNT && !r.is_out_of_memory; kind++)
        enter_kind(&r, kind);
    for (uint8_t kind = 0; kind < ENTITY_KIND_COUNT && !r.is_out_of_memory; kind++)
        check_unique_fields(&r, kind);
    if (!r.is_out_of_memory) {
        for (size_t i = 0; i < c->link_count; i++)
            follow(&r, &c->links[i]);
        check_plugins(&r);
        check_ca_certificates(&r);
        check_account_key(&r);
    }
    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++) {
        free(r.names[kind].slots);
        free(r.ids[kind].slots);
    }
    return r.is_out_of_memory ? error_memory(e) : 0;
}
