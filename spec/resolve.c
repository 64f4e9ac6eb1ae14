#include "resolve.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "spec/link.h"
#include "spec/lookup.h"
#include "spec/mask.h"
#include "spec/problem.h"

#define UUID_BYTES 16
#define ID_SIZE 37
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
    for (int i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *id++ = '-';
        str_hex(uuid + i, 1, id);
        id += 2;
    }
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

/* How a cache key is printed. */
struct key_style {
    bool spells_tables; /* {id: ...} as its id; Kong leaves it out */
    bool is_random;     /* out: Kong does not know the parent's id yet, and draws this one too */
};

static void print_table_id(const struct catalog *c, const struct document_node *n, struct buf *key)
{
    const struct document_node *id =
        document_get(n, names_find(c->context->index->names, STR("id")));

    if (id && id->kind == DOCUMENT_STRING)
        buf_printf(key, ":%.*s", STR_ARG(document_text(id)));
}

/* One field of a cache key. False: without it there is no key. */
static bool print_key_field(const struct catalog *c, const struct schema_view *v, unsigned i,
                            struct catalog_ref parent, struct key_style *style, struct buf *key)
{
    const struct document_node *n = v->slots[i];
    const struct schema_field *f = &v->record->fields[i];
    bool is_own = parent.kind != CATALOG_NO_KIND;

    if (f->flags & SCHEMA_DRAWN || (!n && !is_own && f->flags & SCHEMA_REQUIRED))
        return false;
    if (!n && is_own) {
        buf_printf(key, ":%s", resolve_id_of(c, parent));
        style->is_random |= catalog_item(c, parent)->id_is_random;
    } else if (!n) {
        buf_char(key, ':');
    } else if (n->kind == DOCUMENT_STRING) {
        buf_printf(key, ":%.*s", STR_ARG(document_text(n)));
    } else if (style->spells_tables) {
        print_table_id(c, n, key);
    }
    return true;
}

/* Kong's cache key: "plugins:*:key-auth::my-service:". False: it has none, the id is random. */
static bool print_cache_key(const struct catalog *c, const struct schema_view *v,
                            struct catalog_ref ref, struct key_style *style, struct buf *key)
{
    static const struct catalog_ref none = {0, CATALOG_NO_KIND};
    const struct entity_info *info = &entity_infos[ref.kind];
    struct catalog_ref parent = catalog_item(c, ref)->parent;
    unsigned own =
        parent.kind == CATALOG_NO_KIND ? ENTITY_NO_FIELD : c->fields[ref.kind][parent.kind];

    buf_printf(key, "%s:*", info->list);
    for (unsigned k = 0; k < info->key_field_count; k++) {
        unsigned i = info->key_fields[k];

        if (!print_key_field(c, v, i, i == own ? parent : none, style, key))
            return false;
    }
    return !key->failed;
}

/* The key of an entity that was filled before, {id: ...} spelt out. */
static bool print_full_key(const struct catalog *c, struct catalog_ref ref, struct buf *key)
{
    const struct entity_info *info = &entity_infos[ref.kind];
    const struct document_node *node = catalog_item(c, ref)->node;
    struct key_style style = {.spells_tables = true};
    struct schema_view v = {.record = info->record, .node = node};

    for (unsigned k = 0; k < info->key_field_count; k++) {
        const char *name = info->record->fields[info->key_fields[k]].name;

        v.slots[info->key_fields[k]] =
            document_get(node, names_find(c->context->index->names, str_from(name)));
    }
    return info->key_field_count && print_cache_key(c, &v, ref, &style, key);
}

/* The first certificate of a PEM text without its line ends and indents: layout does not count. */
static void print_leaf(struct str pem, struct buf *out)
{
    static const char end[] = "-----END CERTIFICATE-----";
    const char *stop = memmem(pem.ptr, pem.len, end, sizeof(end) - 1);
    struct str rest = {pem.ptr, stop ? (size_t)(stop - pem.ptr) : pem.len};

    while (rest.ptr)
        buf_str(out, str_trim(str_cut(rest, '\n', &rest)));
}

/* Keeps an id of 36 characters and a NUL. */
static void keep_id(const struct catalog *c, struct catalog_ref ref, const char id[ID_SIZE])
{
    struct str kept = arena_str(c->context->scratch, (struct str){id, ID_SIZE - 1});

    c->context->is_out_of_memory |= !kept.ptr;
    catalog_item(c, ref)->id = kept.ptr;
}

static void make_id(const struct catalog *c, struct catalog_ref ref, struct str name)
{
    char id[ID_SIZE];

    resolve_id(c->ids, ref.kind, name, id);
    keep_id(c, ref, id);
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
    str_hex(digest, len, hex);
    make_id(c, ref, (struct str){hex, 2 * (size_t)len});
    buf_free(&leaf);
}

/* From where it stands: the same for the same file, and no other entity's. */
static void make_place_id(const struct catalog *c, struct catalog_ref ref)
{
    struct buf key = BUF_INIT(KEY_MAX);

    buf_printf(&key, "%u:", catalog_entity(c, ref)->place.file);
    catalog_path(c, ref, &key);
    make_id(c, ref, buf_view(&key));
    buf_free(&key);
}

/* The name that makes the entity's id, if one does. */
static const struct document_node *naming_node(const struct catalog *c, struct catalog_ref ref)
{
    const struct entity_info *info = &entity_infos[ref.kind];
    const struct document_node *n;

    if (info->endpoint == ENTITY_NO_FIELD)
        return NULL;
    n = document_get(
        catalog_item(c, ref)->node,
        names_find(c->context->index->names, str_from(info->record->fields[info->endpoint].name)));
    return n && n->kind == DOCUMENT_STRING ? n : NULL;
}

const char *resolve_id_of(const struct catalog *c, struct catalog_ref ref)
{
    const struct catalog_item *item = catalog_item(c, ref);
    const struct document_node *name = item->id ? NULL : naming_node(c, ref);

    if (!item->id && item->id_is_random)
        make_place_id(c, ref);
    else if (name)
        make_id(c, ref, document_text(name));
    return item->id ? item->id : "";
}

static void set_random_id(struct catalog *c, const struct schema_view *v, struct catalog_ref ref)
{
    const struct document_node *n = v->slots[0];
    bool has_pem = ref.kind == ENTITY_CERTIFICATE || ref.kind == ENTITY_CA_CERTIFICATE;

    if (has_pem && n && n->kind == DOCUMENT_STRING)
        set_content_id(c, document_text(n), ref);
    catalog_item(c, ref)->id_is_random = true;
}

static bool take_given_id(struct catalog *c, const struct schema_view *v, struct catalog_ref ref)
{
    unsigned i = v->record->count + COMMON_ID;
    const struct document_node *n = v->slots[i];
    char id[ID_SIZE];

    if (!n || n->kind != DOCUMENT_STRING || n->count != ID_SIZE - 1 || v->failed >> i & 1)
        return false;
    for (int k = 0; k < ID_SIZE - 1; k++)
        id[k] = str_lower(n->as.text[k]);
    keep_id(c, ref, id);
    catalog_item(c, ref)->given_id = document_text(n);
    c->needs_ids[ref.kind] = true;
    return true;
}

void resolve_set_id(struct catalog *c, const struct schema_view *v, struct catalog_ref ref)
{
    const struct entity_info *info = &entity_infos[ref.kind];
    struct buf key = BUF_INIT(KEY_MAX);
    struct key_style style = {.spells_tables = false};

    if (take_given_id(c, v, ref))
        return;
    if (info->key_field_count) {
        c->needs_ids[ref.kind] = true;
        if (print_cache_key(c, v, ref, &style, &key)) {
            make_id(c, ref, buf_view(&key));
            catalog_item(c, ref)->id_is_random = style.is_random;
        } else {
            set_random_id(c, v, ref);
        }
        buf_free(&key);
        return;
    }
    if (info->endpoint == ENTITY_NO_FIELD || !v->slots[info->endpoint] ||
        v->slots[info->endpoint]->kind != DOCUMENT_STRING)
        set_random_id(c, v, ref);
}

/* --- uniqueness --- */

/* Kong's words have the value in them; of a secret ours have stars. */
static void report_repeat(struct lookup *l, struct catalog_ref ref, const char *field,
                          struct str value, bool is_secret)
{
    const char *list = entity_infos[ref.kind].list;
    struct str shown = str_slice(value, 0, VALUE_SHOWN_MAX);
    struct buf path = BUF_INIT(KEY_MAX), kong = BUF_SECRET(KEY_MAX), text = BUF_SECRET(KEY_MAX);
    static const char format[] =
        "uniqueness violation: '%s' entity with %s set to '%.*s' already declared";
    struct catalog *c = l->catalog;

    if (problems_are_full(c->problems)) {
        problems_count(c->problems, PROBLEM_ERROR, 1);
        return;
    }
    catalog_path(c, ref, &path);
    buf_printf(&kong, format, list, field, STR_ARG(shown));
    buf_printf(&text, format, list, field, STR_ARG(is_secret ? STR(MASK) : shown));
    problems_put(c->problems, &(struct problem){.severity = PROBLEM_ERROR,
                                                .place = catalog_entity(c, ref)->place,
                                                .path = buf_view(&path),
                                                .message = buf_view(&text),
                                                .kong = is_secret ? buf_view(&kong) : STR_NONE,
                                                .is_masked = is_secret,
                                                .field = STR(""),
                                                .entity = catalog_number(c, ref) + 1,
                                                .has_ids = true});
    buf_free(&path);
    buf_free(&kong);
    buf_free(&text);
}

static bool enter_name(struct lookup *l, struct catalog_ref ref)
{
    struct catalog *c = l->catalog;
    const struct entity_info *info = &entity_infos[ref.kind];
    struct str name = catalog_item(c, ref)->name;
    struct lookup_slot *slot;

    if (!name.ptr)
        return true;
    slot = lookup_name(l, ref.kind, name);
    if (!slot->entity) {
        slot->entity = ref.ordinal + 1;
        return true;
    }
    report_repeat(l, ref, info->record->fields[info->endpoint].name, name,
                  info->record->fields[info->endpoint].flags & SCHEMA_SECRET);
    return false;
}

/*
 * Kong's ids clash where two entities differ in a {id: ...} alone, and it refuses the second one.
 * That one gets an id from the whole key. False: it is the same key, a true repeat.
 */
static bool tell_apart(struct catalog *c, struct catalog_ref ref, struct catalog_ref other)
{
    struct buf key = BUF_INIT(KEY_MAX), other_key = BUF_INIT(KEY_MAX);
    bool differs = !catalog_item(c, ref)->given_id.ptr && !catalog_item(c, other)->given_id.ptr &&
                   print_full_key(c, ref, &key) && print_full_key(c, other, &other_key) &&
                   !str_equal(buf_view(&key), buf_view(&other_key));

    if (differs)
        make_id(c, ref, buf_view(&key));
    buf_free(&key);
    buf_free(&other_key);
    return differs;
}

static void enter_id(struct lookup *l, struct catalog_ref ref, bool is_reported)
{
    struct catalog *c = l->catalog;
    struct str id = str_from(resolve_id_of(c, ref));
    struct lookup_slot *slot;

    if (entity_infos[ref.kind].has_no_id || !id.len)
        return;
    slot = lookup_id(l, ref.kind, id);
    if (slot->entity && catalog_item(c, ref)->id_is_random) {
        /* The same certificate twice: the second one's place tells them apart. */
        make_place_id(c, ref);
        id = str_from(resolve_id_of(c, ref));
        slot = lookup_id(l, ref.kind, id);
    } else if (slot->entity &&
               tell_apart(c, ref, (struct catalog_ref){slot->entity - 1, ref.kind})) {
        id = str_from(resolve_id_of(c, ref));
        slot = lookup_id(l, ref.kind, id);
    }
    if (!slot->entity)
        slot->entity = ref.ordinal + 1;
    else if (!is_reported)
        report_repeat(l, ref, "primary key", id, false);
}

/* Ids that come from unique names, or from places, do not clash: most files need no table of them
 * until a reference asks. */
static void enter_kind(struct lookup *l, uint8_t kind)
{
    uint32_t count = l->catalog->filled[kind];
    bool has_ids = l->catalog->needs_ids[kind];

    if (!count)
        return;
    if (!lookup_open(&l->names[kind], count) || (has_ids && !lookup_open(&l->ids[kind], count))) {
        l->is_out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < count && !problems_are_enough(l->catalog->problems); i++) {
        struct catalog_ref ref = {i, kind};
        bool is_new = enter_name(l, ref);

        if (has_ids)
            enter_id(l, ref, !is_new);
    }
}

/* A field that is unique but does not name the entity. */
static void check_unique_field(struct lookup *l, uint8_t kind, const struct schema_field *f)
{
    struct catalog *c = l->catalog;
    uint32_t name = names_find(c->context->index->names, str_from(f->name));
    size_t count = c->filled[kind], slots = 16;
    struct str *table;

    while (slots < count * 2)
        slots *= 2;
    table = calloc(slots, sizeof(*table));
    if (!table) {
        l->is_out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < count && !problems_are_enough(c->problems); i++) {
        const struct document_node *n = document_get(c->items[kind][i].node, name);
        struct catalog_ref ref = {i, kind};
        size_t at;

        if (!n || n->kind != DOCUMENT_STRING || !n->count)
            continue;
        at = str_hash(document_text(n), l->seed) & (slots - 1);
        while (table[at].ptr && !str_equal(table[at], document_text(n)))
            at = (at + 1) & (slots - 1);
        if (table[at].ptr)
            report_repeat(l, ref, f->name, document_text(n), f->flags & SCHEMA_SECRET);
        else
            table[at] = document_text(n);
    }
    free(table);
}

static void check_unique_fields(struct lookup *l, uint8_t kind)
{
    const struct entity_info *info = &entity_infos[kind];

    if (!l->catalog->filled[kind])
        return;
    for (unsigned i = 0; i < info->record->count; i++) {
        const struct schema_field *f = &info->record->fields[i];

        if (f->flags & SCHEMA_UNIQUE && f->type == SCHEMA_STRING &&
            !(i == info->endpoint && info->endpoint_is_unique))
            check_unique_field(l, kind, f);
    }
}

int resolve_all(struct catalog *c, bool has_errors, struct error *e)
{
    struct lookup l = {.catalog = c, .seed = (uint64_t)(uintptr_t)c * 0x9e3779b97f4a7c15u};

    for (uint8_t kind = 0; kind < ENTITY_KIND_COUNT && !l.is_out_of_memory; kind++)
        enter_kind(&l, kind);
    for (uint8_t kind = 0; kind < ENTITY_KIND_COUNT && !l.is_out_of_memory; kind++)
        check_unique_fields(&l, kind);
    if (!l.is_out_of_memory)
        link_all(&l, has_errors);
    lookup_fini(&l);
    return l.is_out_of_memory || c->context->is_out_of_memory ? error_memory(e) : 0;
}
