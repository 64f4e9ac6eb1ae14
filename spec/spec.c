#include "spec.h"

#include <stdlib.h>
#include <string.h>

#include "spec/deck.h"
#include "spec/detail.h"
#include "spec/dialect.h"
#include "spec/document.h"
#include "spec/entities/entity.h"
#include "spec/json.h"
#include "spec/lint.h"
#include "spec/resolve.h"

/* One load, from bytes to model. */
struct loading {
    const struct spec_source *sources;
    size_t count;
    const struct spec_options *options;
    struct arena *arena;
    struct problems *problems;
    struct error *error;
    struct spec_detail *detail;
};

struct spec_detail *spec_detail_new(void)
{
    struct spec_detail *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->scratch = arena_new(&(struct arena_options){.secret = true});
    if (!d->scratch) {
        free(d);
        return NULL;
    }
    return d;
}

void spec_detail_free(struct spec_detail *d)
{
    if (!d)
        return;
    catalog_fini(&d->catalog);
    resolve_ids_free(d->catalog.ids);
    names_fini(&d->names);
    vec_free(&d->outside);
    arena_free(d->scratch);
    free(d);
}

static void refuse_source(struct loading *l, size_t i, uint32_t line, uint32_t column,
                          const char *message)
{
    problems_add(l->problems, PROBLEM_ERROR, (struct place){(uint32_t)i, line, column}, STR(""),
                 "%s", message);
}

/* Kong looks at the last letters, not at a dot before them. */
static enum spec_syntax syntax_of(const struct spec_source *s)
{
    struct str name = str_from(s->name);

    if (s->syntax != SPEC_BY_NAME)
        return s->syntax;
    /* Standard input has no name to go by. */
    if (!name.len || str_equal(name, STR("-")))
        return SPEC_EITHER;
    /* What somebody names is meant, whatever it is called. */
    return str_ends(name, STR("json")) ? SPEC_JSON : SPEC_YAML;
}

static bool begins_like_json(struct str bytes)
{
    struct str head = str_trim(str_slice(bytes, 0, 4096));

    return head.len && head.ptr[0] == '{';
}

/* A nameless text that begins like JSON and is none may still be YAML. */
static int parse_either(struct loading *l, const struct document_options *options, struct str bytes,
                        struct document_node *root)
{
    struct problems attempt;
    struct document_options quiet = *options;
    int rc;

    if (problems_init(&attempt))
        return error_memory(l->error);
    quiet.problems = &attempt;
    rc = json_parse(&quiet, bytes, root, l->error);
    if (!rc && attempt.error_count)
        rc = json_parse(options, bytes, root, l->error);
    else if (rc && l->error->kind == ERROR_SYNTAX)
        rc = document_parse(options, bytes, root, l->error);
    problems_fini(&attempt);
    return rc;
}

static int parse_source(struct loading *l, size_t i, struct str bytes, const struct origin *origin,
                        struct document_node *root)
{
    struct spec_detail *d = l->detail;
    struct document_options options = {.file = (uint16_t)i,
                                       .names = &d->names,
                                       .strings = l->arena,
                                       .nodes = d->scratch,
                                       .problems = l->problems,
                                       .origin = origin,
                                       .outside = &d->outside,
                                       .limits = document_limits_default()};
    enum spec_syntax syntax = syntax_of(&l->sources[i]);
    int rc;

    if (syntax == SPEC_JSON)
        rc = json_parse(&options, bytes, root, l->error);
    else if (syntax == SPEC_EITHER && begins_like_json(bytes))
        rc = parse_either(l, &options, bytes, root);
    else
        rc = document_parse(&options, bytes, root, l->error);
    if (!rc && root->kind != DOCUMENT_MAP) {
        refuse_source(l, i, root->line, root->column,
                      "failed parsing declarative configuration: expected an object");
        return -1;
    }
    return rc;
}

static int expand_source(struct loading *l, size_t i, struct str *bytes, struct origin *origin)
{
    size_t max = l->options->max_bytes ? l->options->max_bytes : SPEC_DEFAULT_MAX_BYTES;
    struct error e;

    *bytes = l->sources[i].bytes;
    if (!l->options->deck_env ||
        !deck_expand(&l->detail->references, *bytes, l->arena, max, bytes, origin, &e))
        return 0;
    if (e.kind == ERROR_MEMORY)
        return error_memory(l->error);
    refuse_source(l, i, e.line, e.column, e.message);
    return -1;
}

static int read_source(struct loading *l, size_t i, struct document_node *root)
{
    struct origin origin = {0};
    struct str bytes;
    int rc = expand_source(l, i, &bytes, &origin);

    if (!rc)
        rc = parse_source(l, i, bytes, &origin, root);
    vec_free(&origin);
    return rc;
}

static bool is_old_version(const struct names *names, const struct document_node *root)
{
    const struct document_node *version =
        document_get(root, names_find(names, STR("_format_version")));

    return version && version->kind == DOCUMENT_STRING &&
           (str_equal(document_text(version), STR("1.1")) ||
            str_equal(document_text(version), STR("2.1")));
}

/* All sources are read, so that all their problems are known; what parsed goes on. */
static int parse_sources(struct loading *l)
{
    struct catalog *c = &l->detail->catalog;

    c->sources = arena_array(l->detail->scratch, l->count, sizeof(*c->sources));
    if (!c->sources)
        return error_memory(l->error);
    for (size_t i = 0; i < l->count; i++) {
        struct catalog_source *source = &c->sources[c->source_count];

        if (read_source(l, i, &source->root)) {
            if (l->error->kind == ERROR_MEMORY)
                return -1;
            continue;
        }
        source->migrates_paths = is_old_version(&l->detail->names, &source->root);
        c->source_count++;
    }
    return 0;
}

static int check_sizes(struct loading *l)
{
    size_t max = l->options->max_bytes ? l->options->max_bytes : SPEC_DEFAULT_MAX_BYTES, sum = 0;

    if (l->count > UINT16_MAX)
        return error_set(l->error, ERROR_LIMIT, "more than %d files", UINT16_MAX);
    for (size_t i = 0; i < l->count; i++) {
        sum += l->sources[i].bytes.len;
        if (l->sources[i].bytes.len > max || sum > max) {
            problems_add(l->problems, PROBLEM_ERROR, (struct place){(uint32_t)i, 0, 0}, STR(""),
                         "larger than acme_max_document: %zu bytes of at most %zu", sum, max);
            return error_set(l->error, ERROR_LIMIT, "the configuration is larger than %zu bytes",
                             max);
        }
    }
    return 0;
}

static struct str text_under(const struct names *names, const struct document_node *map,
                             const char *name)
{
    const struct document_node *n =
        map ? document_get(map, names_find(names, str_from(name))) : NULL;

    return n && n->kind == DOCUMENT_STRING ? document_text(n) : STR_NONE;
}

/* References name vaults of the file, so these are looked at before anything else. */
static int find_vaults(struct loading *l)
{
    const struct catalog *c = &l->detail->catalog;
    const struct names *names = &l->detail->names;
    struct reference_table *t = &l->detail->references;
    uint32_t list_name = names_find(names, STR("vaults"));
    uint32_t config_name = names_find(names, STR("config"));

    for (size_t i = 0; i < c->source_count; i++) {
        const struct document_node *list = document_get(&c->sources[i].root, list_name);
        struct reference_vault *grown;

        if (!list || list->kind != DOCUMENT_SEQUENCE)
            continue;
        grown = arena_array(l->detail->scratch, t->vault_count + list->count, sizeof(*grown));
        if (!grown)
            return error_memory(l->error);
        if (t->vault_count)
            memcpy(grown, t->vaults, t->vault_count * sizeof(*grown));
        t->vaults = grown;
        for (uint32_t k = 0; k < list->count; k++) {
            const struct document_node *vault = &list->as.items[k];

            if (!str_equal(text_under(names, vault, "name"), STR("env")))
                continue;
            t->vaults[t->vault_count++] = (struct reference_vault){
                text_under(names, vault, "prefix"),
                text_under(names, document_get(vault, config_name), "prefix")};
        }
    }
    return 0;
}

static int make_model(struct loading *l, struct model **model)
{
    const struct catalog *c = &l->detail->catalog;
    struct model *m = arena_alloc(l->arena, sizeof(*m));
    const char **files = arena_array(l->arena, l->count, sizeof(*files));

    if (!m || !files)
        return error_memory(l->error);
    for (size_t i = 0; i < l->count; i++) {
        files[i] = arena_str(l->arena, str_from(l->problems->files[i].name)).ptr;
        if (!files[i])
            return error_memory(l->error);
    }
    m->files = files;
    m->file_count = l->count;
    m->services = c->structs[ENTITY_SERVICE];
    m->service_count = c->filled[ENTITY_SERVICE];
    m->routes = c->structs[ENTITY_ROUTE];
    m->route_count = c->filled[ENTITY_ROUTE];
    m->certificates = c->structs[ENTITY_CERTIFICATE];
    m->certificate_count = c->filled[ENTITY_CERTIFICATE];
    m->snis = c->structs[ENTITY_SNI];
    m->sni_count = c->filled[ENTITY_SNI];
    m->keys = c->structs[ENTITY_KEY];
    m->key_count = c->filled[ENTITY_KEY];
    m->key_sets = c->structs[ENTITY_KEY_SET];
    m->key_set_count = c->filled[ENTITY_KEY_SET];
    m->upstreams = c->structs[ENTITY_UPSTREAM];
    m->upstream_count = c->filled[ENTITY_UPSTREAM];
    m->targets = c->structs[ENTITY_TARGET];
    m->target_count = c->filled[ENTITY_TARGET];
    m->consumers = c->structs[ENTITY_CONSUMER];
    m->consumer_count = c->filled[ENTITY_CONSUMER];
    m->plugins = c->structs[ENTITY_PLUGIN];
    m->plugin_count = c->filled[ENTITY_PLUGIN];
    m->ca_certificates = c->structs[ENTITY_CA_CERTIFICATE];
    m->ca_certificate_count = c->filled[ENTITY_CA_CERTIFICATE];
    m->acme = c->context->found_acme;
    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++)
        m->entity_count += c->filled[kind];
    *model = m;
    return 0;
}

static int prepare(struct loading *l)
{
    struct spec_detail *d = l->detail;
    const struct spec_outside *outside = &l->options->outside;

    for (size_t i = 0; i < l->count; i++)
        if (problems_add_file(l->problems, l->sources[i].name, l->sources[i].hides_text))
            return error_memory(l->error);
    d->references = (struct reference_table){.arena = l->arena,
                                             .is_on = l->options->vault_references,
                                             .context = outside->context,
                                             .given = &d->outside,
                                             .environment = outside->environment,
                                             .env_prefix = l->options->vault_env_prefix};
    d->catalog.ids = resolve_ids_new();
    if (names_init(&d->names, l->arena) || !d->catalog.ids)
        return error_memory(l->error);
    if (schema_prepare(&d->index, &d->names, entity_records, ENTITY_RECORD_COUNT, l->arena,
                       d->scratch, l->error))
        return -1;
    d->options = *l->options;
    d->context = (struct schema_context){.arena = l->arena,
                                         .scratch = d->scratch,
                                         .index = &d->index,
                                         .options = &d->options,
                                         .problems = l->problems,
                                         .references = &d->references};
    d->catalog.context = &d->context;
    d->catalog.problems = l->problems;
    return 0;
}

static int run(struct loading *l, struct model **model)
{
    struct catalog *c = &l->detail->catalog;

    if (prepare(l) || check_sizes(l) || parse_sources(l))
        return -1;
    if (dialect_translate(&l->detail->context, c->sources, c->source_count, l->problems, l->error))
        return -1;
    if (find_vaults(l))
        return -1;
    if (catalog_build(c, l->error) || resolve_all(c, l->problems->error_count > 0, l->error))
        return -1;
    if (l->options->lint && !l->problems->error_count && lint_all(c, l->error))
        return -1;
    if (l->problems->error_count)
        return error_set(l->error, ERROR_INVALID, "the configuration is not valid");
    return make_model(l, model);
}

static struct arena_limit memory_limit(const struct spec_source *sources, size_t count)
{
    struct arena_limit limit = {.max = SPEC_MEMORY_BESIDE};

    for (size_t i = 0; i < count; i++)
        limit.max += (SPEC_MEMORY_PER_BYTE - SPEC_MEMORY_TEXTS) * sources[i].bytes.len;
    return limit;
}

/* Memory is there, but what these documents may take of it is used up. */
static void refuse_memory(struct loading *l)
{
    size_t bytes = 0;

    for (size_t i = 0; i < l->count; i++)
        bytes += l->sources[i].bytes.len;
    error_set(l->error, ERROR_LIMIT,
              "reading takes more memory than %zu bytes for each of its %zu bytes and %zu MiB: too "
              "many values in too little text",
              SPEC_MEMORY_PER_BYTE, bytes, SPEC_MEMORY_BESIDE >> 20);
    refuse_source(l, 0, 0, 0, l->error->message);
}

int spec_load_detail(const struct spec_source *sources, size_t count,
                     const struct spec_options *options, struct arena *arena, struct model **model,
                     struct problems *problems, struct spec_detail *detail, struct error *e)
{
    struct loading l = {sources, count, options, arena, problems, e, detail};
    struct arena_limit limit = memory_limit(sources, count);
    int rc;

    e->kind = ERROR_NONE;
    arena_share(arena, &limit);
    arena_share(detail->scratch, &limit);
    rc = run(&l, model);
    arena_share(arena, NULL);
    arena_share(detail->scratch, NULL);
    if (rc && e->kind == ERROR_MEMORY && limit.was_reached)
        refuse_memory(&l);
    problems_mask(problems, &detail->outside);
    problems_sort(problems);
    return rc;
}

int spec_load(const struct spec_source *sources, size_t count, const struct spec_options *options,
              struct arena *arena, struct model **model, struct problems *problems, struct error *e)
{
    struct spec_detail *detail = spec_detail_new();
    int rc;

    if (!detail)
        return error_memory(e);
    rc = spec_load_detail(sources, count, options, arena, model, problems, detail, e);
    spec_detail_free(detail);
    return rc;
}
