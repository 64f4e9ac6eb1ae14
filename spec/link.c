#include "link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/problem.h"
#include "spec/resolve.h"
#include "spec/spec.h"

#define PATH_MAX_BYTES 4096
#define VALUE_SHOWN_MAX 200

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
static void report_missing(struct lookup *l, const struct catalog_link *link,
                           const struct schema_field *f, bool has_errors)
{
    struct catalog *c = l->catalog;
    bool is_text = link->value->kind == DOCUMENT_STRING;
    bool is_nested = catalog_item(c, link->from)->parent.kind != CATALOG_NO_KIND;
    const char *list = entity_infos[f->refers_to].list;
    struct str shown = str_slice(link_text(c, link->value), 0, VALUE_SHOWN_MAX);
    struct buf path = BUF_INIT(PATH_MAX_BYTES), text = BUF_INIT(PATH_MAX_BYTES);
    struct problem p = {.severity = PROBLEM_ERROR, .place = document_place(link->value)};

    if (problems_are_full(c->problems)) {
        problems_count(c->problems, PROBLEM_ERROR, 1);
        return;
    }
    catalog_path(c, link->from, &path);
    buf_printf(&path, ".%s", f->name);
    p.path = buf_view(&path);
    p.field = str_from(f->name);
    p.entity = catalog_number(c, link->from) + 1;
    if (is_nested && (is_text || has_errors)) {
        p.kong = STR("value must be null");
        buf_printf(&text, "value must be null, or name one of '%s': there is no '%.*s'", list,
                   STR_ARG(shown));
    } else if (is_text && has_errors) {
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

static void follow(struct lookup *l, struct catalog_link *link, bool has_errors)
{
    struct catalog *c = l->catalog;
    const struct schema_field *f = &entity_infos[link->from.kind].record->fields[link->field];
    struct catalog_ref found, parent = catalog_item(c, link->from)->parent;
    struct buf path = BUF_INIT(PATH_MAX_BYTES);

    if (!lookup_find(l, (uint8_t)f->refers_to, link_text(c, link->value), &found)) {
        report_missing(l, link, f, has_errors);
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

static const char *id_of_plugin(const struct catalog *c, uint32_t ordinal)
{
    return resolve_id_of(c, (struct catalog_ref){ordinal, ENTITY_PLUGIN});
}

static void report_second_use(struct catalog *c, uint32_t second, uint32_t first)
{
    const struct plugin *plugins = c->structs[ENTITY_PLUGIN];
    struct buf line = BUF_INIT(PATH_MAX_BYTES);

    problems_print_line(c->problems, plugins[second].entity.place, plugins[first].entity.place,
                        &line);
    catalog_problem(c, (struct catalog_ref){second, ENTITY_PLUGIN}, PROBLEM_ERROR,
                    plugins[second].entity.place, "",
                    "plugin '%.*s' is declared twice for the same place: first in %.*s",
                    STR_ARG(str_slice(plugins[second].name.value, 0, VALUE_SHOWN_MAX)),
                    STR_ARG(buf_view(&line)));
    buf_free(&line);
}

static void check_plugins(struct lookup *l)
{
    struct catalog *c = l->catalog;
    const struct plugin *plugins = c->structs[ENTITY_PLUGIN];
    uint32_t count = c->filled[ENTITY_PLUGIN];
    struct lookup_table t;

    if (!lookup_open(&t, count)) {
        l->is_out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)hash_use(&plugins[i], l->seed) & t.mask;

        if (!plugins[i].name.value.ptr)
            continue;
        while (t.slots[at].entity && !is_same_use(&plugins[t.slots[at].entity - 1], &plugins[i]))
            at = (at + 1) & t.mask;
        if (!t.slots[at].entity) {
            t.slots[at].entity = i + 1;
            continue;
        }
        if (strcmp(id_of_plugin(c, t.slots[at].entity - 1), id_of_plugin(c, i)) != 0)
            report_second_use(c, i, t.slots[at].entity - 1);
    }
    free(t.slots);
}

/* --- what Kong does not look up at load: warnings --- */

static void check_ca_certificates(struct lookup *l)
{
    struct catalog *c = l->catalog;
    struct service *services = c->structs[ENTITY_SERVICE];
    struct catalog_ref found;
    char field[64];

    for (uint32_t i = 0; i < c->filled[ENTITY_SERVICE]; i++) {
        const struct texts *ids = &services[i].ca_certificates;

        for (size_t k = 0; k < ids->count; k++) {
            if (lookup_find(l, ENTITY_CA_CERTIFICATE, ids->items[k].value, &found))
                continue;
            services[i].missing_ca_certificate = ids->items[k].place;
            snprintf(field, sizeof(field), "ca_certificates[%zu]", k + 1);
            catalog_problem(c, (struct catalog_ref){i, ENTITY_SERVICE}, PROBLEM_WARNING,
                            ids->items[k].place, field, "no such entry in 'ca_certificates'");
        }
    }
}

static const struct key *find_account_key(const struct catalog *c, const struct acme *acme)
{
    const struct key *keys = c->structs[ENTITY_KEY];
    struct str wanted = acme->account_key_set.value;

    for (uint32_t i = 0; i < c->filled[ENTITY_KEY]; i++) {
        struct str set = keys[i].set ? keys[i].set->name : STR_NONE;

        if (str_equal(keys[i].kid, acme->account_key_id.value) && !set.ptr == !wanted.ptr &&
            str_equal(set, wanted))
            return &keys[i];
    }
    return NULL;
}

static void check_account_key(struct lookup *l)
{
    struct catalog *c = l->catalog;
    struct acme *acme = c->context->found_acme;

    if (!acme || !acme->account_key_id.value.ptr)
        return;
    acme->account_key = find_account_key(c, acme);
    if (acme->account_key)
        return;
    catalog_problem(c, c->acme, PROBLEM_WARNING, acme->account_key_id.place,
                    "config.account_key.key_id",
                    acme->account_key_set.value.ptr ? "no key with this kid in that key set"
                                                    : "no key with this kid outside of key sets");
}

static void check_acme(const struct lookup *l)
{
    const struct spec_outside *outside = &l->catalog->context->options->outside;
    const struct acme *acme = l->catalog->context->found_acme;
    struct place place;
    struct error e;

    if (acme && acme->enabled && outside->check_acme &&
        outside->check_acme(outside->context, acme, &place, &e))
        catalog_problem(l->catalog, l->catalog->acme, PROBLEM_WARNING, place, e.path, "%s",
                        e.message);
}

/* What cannot be used because a {vault://...} of it gives nothing; the rest of the file can. */
static void check_secrets(const struct lookup *l)
{
    struct catalog *c = l->catalog;
    const struct certificate *certificates = c->structs[ENTITY_CERTIFICATE];
    const struct key *keys = c->structs[ENTITY_KEY];
    const struct acme *acme = c->context->found_acme;

    if (!c->context->options->vault_references)
        return;
    for (uint32_t i = 0; i < c->filled[ENTITY_CERTIFICATE]; i++)
        if (certificates[i].unresolved.ptr)
            catalog_problem(c, (struct catalog_ref){i, ENTITY_CERTIFICATE}, PROBLEM_WARNING,
                            certificates[i].unresolved_place, "",
                            "%.*s gives no certificate and key, so this one is not served",
                            STR_ARG(str_slice(certificates[i].unresolved, 0, VALUE_SHOWN_MAX)));
    for (uint32_t i = 0; i < c->filled[ENTITY_KEY]; i++)
        if (keys[i].unresolved.ptr)
            catalog_problem(c, (struct catalog_ref){i, ENTITY_KEY}, PROBLEM_WARNING,
                            keys[i].unresolved_place, "",
                            "%.*s gives no key, so this one is unusable",
                            STR_ARG(str_slice(keys[i].unresolved, 0, VALUE_SHOWN_MAX)));
    if (acme && acme->unresolved.ptr)
        catalog_problem(c, c->acme, PROBLEM_WARNING, acme->unresolved_place, "config",
                        "%.*s cannot be resolved, so nothing can be issued",
                        STR_ARG(str_slice(acme->unresolved, 0, VALUE_SHOWN_MAX)));
}

void link_all(struct lookup *l, bool has_errors)
{
    for (size_t i = 0; i < l->catalog->link_count && !problems_are_enough(l->catalog->problems);
         i++)
        follow(l, &l->catalog->links[i], has_errors);
    check_plugins(l);
    check_ca_certificates(l);
    check_account_key(l);
    check_acme(l);
    check_secrets(l);
}
