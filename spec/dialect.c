#include "dialect.h"

#include <string.h>

#include "spec/newer.h"
#include "spec/spec.h"

#define PATH_MAX_BYTES 4096
#define NOTHING UINT32_MAX

struct dialect {
    const struct schema_context *context;
    struct names *names;
    struct arena *arena;
    struct catalog_source *sources;
    size_t source_count;
    struct problems *problems;
    const struct document_node *defaults[ENTITY_KIND_COUNT]; /* decK's, each a map or NULL */
    struct document_node tags;                               /* decK's, for every entity */
    uint8_t *kinds;                                          /* name -> kind + 1 of its lists */
    uint32_t kind_count;
    struct buf path; /* of what is at hand */
};

static const struct document_node *value_of(const struct dialect *d,
                                            const struct document_node *map, const char *name)
{
    if (!map || map->kind != DOCUMENT_MAP)
        return NULL;
    return document_get(map, names_find(d->names, str_from(name)));
}

/* --- changes: always to a copy, for aliases share their nodes --- */

/* The map without its item `out` (or NOTHING), and with `added` under `key` (or NULL). */
static int remake(struct dialect *d, struct document_node *map, uint32_t out,
                  const struct document_key *key, const struct document_node *added)
{
    const struct document_key *old = document_keys(map);
    uint32_t count = map->count - (out != NOTHING) + (key != NULL), kept = 0;
    struct document_node *items =
        arena_array(d->arena, count + (size_t)1, sizeof(*items) + sizeof(*old));
    struct document_key *keys = (struct document_key *)(items + count);

    if (!items)
        return -1;
    for (uint32_t i = 0; i < map->count; i++)
        if (i != out) {
            items[kept] = map->as.items[i];
            keys[kept++] = old[i];
        }
    if (key) {
        items[kept] = *added;
        keys[kept] = *key;
    }
    map->as.items = items;
    map->count = count;
    return 0;
}

/* Sets what stands under the key, or adds it. */
static int put(struct dialect *d, struct document_node *map, struct document_key key,
               struct document_node value)
{
    const struct document_node *old = document_get(map, key.name);
    size_t at = old ? (size_t)(old - map->as.items) : 0;

    if (!old)
        return remake(d, map, NOTHING, &key, &value);
    if (remake(d, map, NOTHING, NULL, NULL))
        return -1;
    ((struct document_node *)(uintptr_t)map->as.items)[at] = value; /* our own copy */
    return 0;
}

static int put_named(struct dialect *d, struct document_node *map, const char *name,
                     struct document_node value)
{
    struct document_key key = {names_put(d->names, str_from(name)), value.line, value.column};

    return key.name == NAMES_NONE ? -1 : put(d, map, key, value);
}

/* What `from` has and the map does not, in the maps within it too where `is_deep`. */
static int fill_in(struct dialect *d, struct document_node *map, const struct document_node *from,
                   bool is_deep)
{
    const struct document_key *keys = document_keys(from);

    for (uint32_t i = 0; i < from->count; i++) {
        const struct document_node *old = document_get(map, keys[i].name);
        struct document_node value = from->as.items[i];

        if (old && is_deep && old->kind == DOCUMENT_MAP && value.kind == DOCUMENT_MAP) {
            value = *old;
            if (fill_in(d, &value, &from->as.items[i], true))
                return -1;
        } else if (old && !(is_deep && old->kind == DOCUMENT_NULL)) {
            continue;
        }
        if (put(d, map, keys[i], value))
            return -1;
    }
    return 0;
}

static bool has_text(const struct document_node *list, struct str text)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (document_is_string(&list->as.items[i]) &&
            str_equal(document_text(&list->as.items[i]), text))
            return true;
    return false;
}

/* The texts of `more` that the list does not have yet, behind its own items. */
static int append_texts(struct dialect *d, struct document_node *list,
                        const struct document_node *more)
{
    struct document_node *items =
        arena_array(d->arena, (size_t)list->count + more->count, sizeof(*items));
    uint32_t count = list->count;

    if (!items)
        return -1;
    if (count)
        memcpy(items, list->as.items, count * sizeof(*items));
    for (uint32_t i = 0; i < more->count; i++)
        if (!document_is_string(&more->as.items[i]) ||
            !has_text(list, document_text(&more->as.items[i])))
            items[count++] = more->as.items[i];
    list->as.items = items;
    list->count = count;
    return 0;
}

/* --- decK's form --- */

/* _info of all files counts for all of them, as decK merges them first. */
static int gather(struct dialect *d, const struct document_node *root)
{
    const struct document_node *info = value_of(d, root, "_info");
    const struct document_node *tags = value_of(d, info, "select_tags");
    const struct document_node *defaults = value_of(d, info, "defaults");

    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++) {
        const struct document_node *of = value_of(d, defaults, entity_infos[kind].singular);

        if (of && of->kind == DOCUMENT_MAP)
            d->defaults[kind] = of;
    }
    return tags && tags->kind == DOCUMENT_SEQUENCE && tags->count ? append_texts(d, &d->tags, tags)
                                                                  : 0;
}

/* {name: x} where Kong expects x: by the field that names entities of that kind. */
static int read_references(struct dialect *d, struct document_node *n,
                           const struct schema_record *record)
{
    for (unsigned i = 0; i < record->count; i++) {
        const struct schema_field *f = &record->fields[i];
        const struct document_node *value =
            f->type == SCHEMA_FOREIGN ? value_of(d, n, f->name) : NULL;
        const struct entity_info *info = value ? &entity_infos[f->refers_to] : NULL;
        const struct document_node *name =
            info && info->endpoint != ENTITY_NO_FIELD
                ? value_of(d, value, info->record->fields[info->endpoint].name)
                : NULL;

        if (name && document_is_string(name) && value->count == 1 &&
            put_named(d, n, f->name, *name))
            return -1;
    }
    return 0;
}

static const struct document_node *find_config(const struct dialect *d, struct str name)
{
    const struct document_node *found = NULL;

    for (size_t i = 0; i < d->source_count && !found; i++) {
        const struct document_node *all = value_of(d, &d->sources[i].root, "_plugin_configs");

        if (all && all->kind == DOCUMENT_MAP)
            found = document_get(all, names_find(d->names, name));
    }
    return found;
}

static int leave_out(struct dialect *d, struct document_node *map, const char *name)
{
    const struct document_node *value = value_of(d, map, name);

    return value ? remake(d, map, (uint32_t)(value - map->as.items), NULL, NULL) : 0;
}

/* `_config: x` takes what _plugin_configs has under x, behind the plugin's own. */
static int read_config(struct dialect *d, struct document_node *n)
{
    const struct document_node *own = value_of(d, n, "config"), *from;
    const struct document_node *name = value_of(d, n, "_config");
    struct document_node config;

    if (!name || !document_is_string(name))
        return 0;
    from = find_config(d, document_text(name));
    if (!from || from->kind != DOCUMENT_MAP) {
        problems_add(d->problems, PROBLEM_ERROR, document_place(name), buf_view(&d->path),
                     "no such entry in '_plugin_configs': '%.*s'", STR_ARG(document_text(name)));
        return leave_out(d, n, "_config");
    }
    config = *from;
    if (own && own->kind == DOCUMENT_MAP) {
        config = *own;
        if (fill_in(d, &config, from, false))
            return -1;
    }
    return put_named(d, n, "config", config) || leave_out(d, n, "_config") ? -1 : 0;
}

static int add_tags(struct dialect *d, struct document_node *n)
{
    const struct document_node *own = value_of(d, n, "tags");
    struct document_node tags = d->tags;

    if (own && own->kind != DOCUMENT_NULL) {
        if (!document_is_list(own))
            return 0; /* refused later */
        tags = *own;
        tags.kind = DOCUMENT_SEQUENCE;
        if (append_texts(d, &tags, &d->tags))
            return -1;
    }
    return put_named(d, n, "tags", tags);
}

static int read_deck_entity(struct dialect *d, struct document_node *n, uint8_t kind)
{
    const struct schema_record *record = entity_infos[kind].record;

    if (read_references(d, n, record) || (kind == ENTITY_PLUGIN && read_config(d, n)))
        return -1;
    if (d->defaults[kind] && fill_in(d, n, d->defaults[kind], true))
        return -1;
    return d->tags.count && !record->has_no_tags ? add_tags(d, n) : 0;
}

/* What decK keeps for itself says nothing more now. */
static int read_deck_document(struct dialect *d, struct document_node *root)
{
    static const char version[] = "3.0";
    struct document_node node = {
        .as.text = version, .kind = DOCUMENT_STRING, .count = 3, .file = root->file};

    for (uint32_t i = root->count; i-- > 0;)
        if (newer_is_deck("document", names_text(d->names, document_keys(root)[i].name)) &&
            remake(d, root, i, NULL, NULL))
            return -1;
    return value_of(d, root, "_format_version") ? 0 : put_named(d, root, "_format_version", node);
}

/* --- what Kong 3.9 does not know --- */

static void warn(struct dialect *d, struct place place, struct str field, const char *what,
                 const char *who)
{
    size_t before = d->path.len;

    buf_printf(&d->path, "%s%.*s", before ? "." : "", STR_ARG(field));
    problems_add(d->problems, PROBLEM_WARNING, place, buf_view(&d->path),
                 "%sleft out: known to %s, not to 3.9", what, who);
    d->path.len = before;
}

/* Fields, and values in whose place the default stands. */
static int drop_newer(struct dialect *d, struct document_node *n, const char *record)
{
    for (uint32_t i = n->count; i-- > 0;) {
        struct document_key key = document_keys(n)[i];
        const struct document_node *value = &n->as.items[i];
        struct str name = names_text(d->names, key.name);
        const char *field = newer_field(record, name), *who = field;

        if (!who && document_is_string(value))
            who = newer_value(record, name, document_text(value));
        if (!who)
            continue;
        warn(d, field ? (struct place){n->file, key.line, key.column} : document_place(value), name,
             field ? "" : "value ", who);
        if (remake(d, n, i, NULL, NULL))
            return -1;
    }
    return 0;
}

static bool is_added(const struct dialect *d, struct str plugin)
{
    const struct spec_options *o = d->context->options;

    for (size_t i = 0; i < o->plugin_count; i++)
        if (str_equal(plugin, o->plugins[i]))
            return true;
    return false;
}

/* A plugin that Kong 3.9 has not, or that is for a group alone: without it, it would be for all. */
static bool is_unsupported(struct dialect *d, const struct document_node *n)
{
    static const char group[] = "consumer_group";
    const struct document_node *name = value_of(d, n, "name"), *of = value_of(d, n, group);
    const char *who = name && document_is_string(name) && !is_added(d, document_text(name))
                          ? newer_value("plugins", STR("name"), document_text(name))
                          : NULL;

    if (who)
        warn(d, document_place(name), STR("name"), "the plugin is ", who);
    else if (of && of->kind != DOCUMENT_NULL)
        warn(d, document_place(of), STR(group), "the plugin is ",
             newer_field("plugins", STR(group)));
    else
        return false;
    return true;
}

/* --- the walk --- */

static int read_list(struct dialect *d, struct document_node *list, uint8_t kind);

static int read_lists(struct dialect *d, struct document_node *map, uint8_t parent)
{
    size_t before = d->path.len;

    for (uint32_t i = 0; i < map->count; i++) {
        struct document_key key = document_keys(map)[i];
        uint8_t kind = key.name < d->kind_count ? d->kinds[key.name] : 0;
        struct document_node list = map->as.items[i];
        int rc;

        if (!kind-- || list.kind != DOCUMENT_SEQUENCE ||
            (parent != CATALOG_NO_KIND && entity_foreign_field(kind, parent) == ENTITY_NO_FIELD))
            continue;
        buf_printf(&d->path, "%s%s", before ? "." : "", entity_infos[kind].list);
        rc = read_list(d, &list, kind);
        d->path.len = before;
        if (!rc && list.as.items != map->as.items[i].as.items)
            rc = put(d, map, key, list);
        if (rc)
            return -1;
    }
    return 0;
}

static int read_entity(struct dialect *d, struct document_node *n, uint8_t kind, bool *is_out)
{
    const struct spec_options *o = d->context->options;

    if (n->kind != DOCUMENT_MAP)
        return 0;
    *is_out = o->ignore_unsupported && kind == ENTITY_PLUGIN && is_unsupported(d, n);
    if (*is_out)
        return 0;
    if (o->ignore_unsupported && drop_newer(d, n, entity_infos[kind].list))
        return -1;
    if (o->deck_format && read_deck_entity(d, n, kind))
        return -1;
    return read_lists(d, n, kind);
}

/* A list of our own that begins with `count` items of the other one. */
static struct document_node *copy_list(struct dialect *d, const struct document_node *list,
                                       uint32_t count)
{
    struct document_node *items = arena_array(d->arena, list->count, sizeof(*items));

    if (items && count)
        memcpy(items, list->as.items, count * sizeof(*items));
    return items;
}

static int read_list(struct dialect *d, struct document_node *list, uint8_t kind)
{
    struct document_node *items = NULL;
    size_t before = d->path.len;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < list->count; i++) {
        struct document_node n = list->as.items[i];
        bool is_out = false;

        buf_printf(&d->path, "[%u]", i + 1);
        if (read_entity(d, &n, kind, &is_out))
            return -1;
        d->path.len = before;
        if (!items && (is_out || n.as.items != list->as.items[i].as.items) &&
            !(items = copy_list(d, list, i)))
            return -1;
        if (items && !is_out)
            items[kept] = n;
        kept += !is_out;
    }
    if (items)
        list->as.items = items;
    list->count = kept;
    return 0;
}

static int prepare_kinds(struct dialect *d)
{
    d->kind_count = d->names->count;
    d->kinds = arena_alloc(d->arena, d->kind_count);
    if (!d->kinds)
        return -1;
    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++) {
        uint32_t name = names_find(d->names, str_from(entity_infos[kind].list));

        if (name != NAMES_NONE)
            d->kinds[name] = (uint8_t)(kind + 1);
    }
    return 0;
}

static int translate(struct dialect *d)
{
    const struct spec_options *o = d->context->options;

    if (prepare_kinds(d))
        return -1;
    for (size_t i = 0; i < d->source_count && o->deck_format; i++)
        if (gather(d, &d->sources[i].root))
            return -1;
    for (size_t i = 0; i < d->source_count; i++) {
        if (o->ignore_unsupported && drop_newer(d, &d->sources[i].root, "document"))
            return -1;
        if (read_lists(d, &d->sources[i].root, CATALOG_NO_KIND))
            return -1;
    }
    for (size_t i = 0; i < d->source_count && o->deck_format; i++)
        if (read_deck_document(d, &d->sources[i].root))
            return -1;
    return 0;
}

int dialect_translate(const struct schema_context *s, struct catalog_source *sources, size_t count,
                      struct problems *problems, struct error *e)
{
    struct dialect d = {.context = s,
                        .names = s->index->names,
                        .arena = s->scratch,
                        .sources = sources,
                        .source_count = count,
                        .problems = problems,
                        .tags = {.kind = DOCUMENT_SEQUENCE},
                        .path = BUF_INIT(PATH_MAX_BYTES)};
    int rc = 0;

    if ((s->options->ignore_unsupported || s->options->deck_format) && translate(&d))
        rc = error_memory(e);
    buf_free(&d.path);
    return rc;
}
