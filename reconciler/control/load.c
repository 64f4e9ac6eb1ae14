#include "reconciler/control/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/acme/ca.h"
#include "reconciler/core/plan.h"
#include "reconciler/pki/check.h"
#include "spec/spec.h"

int load_sources(const struct settings *s, struct source_set **set, struct error *e)
{
    const struct source_options options = {
        .paths = s->declarative_config,
        .path_count = s->declarative_config_count,
        .text = s->declarative_config_string,
        .max_bytes = s->acme_max_document,
    };

    return source_read(&options, set, e);
}

/* What the functions that spec calls back look at and fill in. */
struct reading_context {
    const struct load_options *options;
    struct loaded *loaded;
};

/* getenv over the environment that was handed to us. */
static struct str find_variable(void *context, struct str name)
{
    char *const *environment = ((const struct reading_context *)context)->options->environment;

    for (; environment && *environment; environment++) {
        struct str value;
        struct str key = str_cut(str_from(*environment), '=', &value);
        if (value.ptr && str_equal(key, name))
            return value;
    }
    return STR_NONE;
}

static int check_ca_certificate(void *context, struct str cert, struct error *e)
{
    return pki_check_ca_certificate(cert, ((const struct reading_context *)context)->options->now,
                                    e);
}

/* What is refused whatever a CA would say: nobody is asked then. */
static enum desired_block find_block(const struct acme *acme, const struct ca *ca)
{
    static const enum desired_block blocks[ACME_CA_FAULT_COUNT] = {
        [ACME_CA_EMAIL] = DESIRED_BAD_EMAIL,
        [ACME_CA_URL] = DESIRED_BAD_URL,
        [ACME_CA_KEY] = DESIRED_BAD_ACCOUNT_KEY,
        [ACME_CA_BINDING] = DESIRED_BAD_BINDING,
    };

    return acme->storage == ACME_STORAGE_SHM ? blocks[acme_ca_check(ca)] : DESIRED_STORAGE;
}

/* The fields of what spec itself does not warn of. */
static const char *const block_fields[DESIRED_BLOCK_COUNT] = {
    [DESIRED_BAD_EMAIL] = "config.account_email",
    [DESIRED_BAD_URL] = "config.api_uri",
    [DESIRED_BAD_ACCOUNT_KEY] = "config.account_key",
    [DESIRED_BAD_BINDING] = "config.eab_hmac_key",
};

static int check_acme(void *context, const struct acme *acme, struct place *place, struct error *e)
{
    const struct reading_context *c = context;
    const struct ca ca =
        desired_ca(acme, str_from(c->options->settings->acme_server), c->loaded->arena);
    enum desired_block block;

    c->loaded->block = find_block(acme, &ca);
    block = desired_common_block(acme, &ca, c->loaded->block);
    if (!block_fields[block])
        return 0;
    *place = desired_block_place(acme, block);
    error_set(e, ERROR_INVALID, "%s", plan_reason_sentence(plan_block_reason(block)));
    snprintf(e->path, sizeof(e->path), "%s", block_fields[block]);
    return -1;
}

/* Without files it is declarative_config_string, whose name says nothing. */
static struct spec_source *list_sources(const struct source_set *set,
                                        const struct load_options *options, struct arena *arena)
{
    enum spec_syntax syntax =
        options->settings->declarative_config_count ? SPEC_BY_NAME : SPEC_EITHER;
    struct spec_source *sources = arena_array(arena, set->count, sizeof(*sources));

    for (size_t i = 0; sources && i < set->count; i++)
        sources[i] = (struct spec_source){
            .name = set->files[i].name,
            .bytes = {set->files[i].data, set->files[i].len},
            .syntax = syntax,
            .hides_text = options->hides_foreign && set->files[i].is_foreign,
        };
    return sources;
}

static struct str *list_plugins(const struct settings *s, struct arena *arena)
{
    struct str *names = arena_array(arena, s->plugin_count + 1, sizeof(*names));

    for (size_t i = 0; names && i < s->plugin_count; i++)
        names[i] = str_from(s->plugins[i]);
    return names;
}

static int copy_files(struct loaded *l, const struct source_set *set)
{
    memcpy(l->sha256, set->sha256, sizeof(l->sha256));
    l->files = arena_array(l->arena, set->count, sizeof(*l->files));
    for (size_t i = 0; l->files && i < set->count; i++) {
        struct render_file *f = &l->files[i];

        f->name = arena_str(l->arena, str_from(set->files[i].name)).ptr;
        f->sha256 = arena_str(l->arena, str_from(set->files[i].sha256)).ptr;
        if (!f->name || !f->sha256)
            return -1;
    }
    l->file_count = set->count;
    return l->files ? 0 : -1;
}

/* -1 on memory only: a refused file leaves the model NULL. */
static int parse(struct loaded *l, const struct source_set *set, const struct load_options *options,
                 struct error *e)
{
    struct spec_source *sources = list_sources(set, options, l->arena);
    struct str *plugins = list_plugins(options->settings, l->arena);
    struct reading_context context = {options, l};
    const struct spec_options with = {
        .max_bytes = options->settings->acme_max_document,
        .deck_env = options->settings->acme_deck_env,
        .deck_format = options->settings->acme_deck_format,
        .ignore_unsupported = options->settings->acme_ignore_unsupported,
        .vault_references = true,
        .vault_env_prefix = str_from(options->settings->vault_env_prefix),
        .lint = options->lint,
        .plugins = plugins,
        .plugin_count = options->settings->plugin_count,
        .outside = {.context = &context,
                    .environment = find_variable,
                    .check_certificate = pki_check_certificate,
                    .check_key = pki_check_key,
                    .certificate_algorithm = pki_certificate_algorithm,
                    .check_ca_certificate = check_ca_certificate,
                    .check_acme = check_acme},
    };

    if (!sources || !plugins)
        return error_memory(e);
    if (options->keep_detail && !(l->detail = spec_detail_new()))
        return error_memory(e);
    if (l->detail ? spec_load_detail(sources, set->count, &with, l->arena, &l->model, &l->problems,
                                     l->detail, e)
                  : spec_load(sources, set->count, &with, l->arena, &l->model, &l->problems, e)) {
        l->model = NULL;
        return e->kind == ERROR_MEMORY && !l->problems.error_count ? -1 : 0;
    }
    return 0;
}

int load_parse(const struct source_set *set, const struct load_options *options,
               struct loaded **loaded, struct error *e)
{
    struct loaded *l = calloc(1, sizeof(*l));

    e->kind = ERROR_NONE;
    if (!l || problems_init(&l->problems) ||
        !(l->arena = arena_new(&(struct arena_options){.secret = true})) || copy_files(l, set)) {
        load_free(l);
        return error_memory(e);
    }
    if (parse(l, set, options, e)) {
        load_free(l);
        return -1;
    }
    *loaded = l;
    return 0;
}

int load_files(const struct load_options *options, struct loaded **loaded, struct error *e)
{
    struct source_set *set;
    int rc;

    if (load_sources(options->settings, &set, e))
        return -1;
    rc = load_parse(set, options, loaded, e);
    source_free(set);
    return rc;
}

void load_free(struct loaded *l)
{
    if (!l)
        return;
    spec_detail_free(l->detail);
    arena_free(l->arena);
    problems_fini(&l->problems);
    free(l);
}

const char *load_unsupported_storage(const struct model *model)
{
    static const char *const names[] = {
        [ACME_STORAGE_KONG] = "kong",
        [ACME_STORAGE_REDIS] = "redis",
        [ACME_STORAGE_CONSUL] = "consul",
        [ACME_STORAGE_VAULT] = "vault",
    };

    if (!model->acme || !model->acme->enabled || model->acme->storage == ACME_STORAGE_SHM)
        return NULL;
    return names[model->acme->storage];
}
