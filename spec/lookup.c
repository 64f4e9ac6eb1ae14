#include "lookup.h"

#include <stdlib.h>

#include "spec/resolve.h"

#define ID_LENGTH 36

bool lookup_open(struct lookup_table *t, size_t count)
{
    size_t slots = 16;

    while (slots < count * 2)
        slots *= 2;
    t->slots = calloc(slots, sizeof(*t->slots));
    t->mask = (uint32_t)(slots - 1);
    return t->slots != NULL;
}

void lookup_fini(struct lookup *l)
{
    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++) {
        free(l->names[kind].slots);
        free(l->ids[kind].slots);
    }
}

static struct str name_of(const struct catalog *c, uint8_t kind, uint32_t ordinal)
{
    return c->items[kind][ordinal].name;
}

static struct str id_of(const struct catalog *c, uint8_t kind, uint32_t ordinal)
{
    return str_from(resolve_id_of(c, (struct catalog_ref){ordinal, kind}));
}

static struct lookup_slot *
find_slot(const struct lookup *l, const struct lookup_table *t, uint8_t kind, struct str text,
          struct str (*text_of)(const struct catalog *, uint8_t, uint32_t))
{
    uint64_t hash = str_hash(text, l->seed);
    uint32_t at = (uint32_t)hash & t->mask, tag = (uint32_t)(hash >> 32);

    while (t->slots[at].entity &&
           (t->slots[at].hash != tag ||
            !str_equal(text_of(l->catalog, kind, t->slots[at].entity - 1), text)))
        at = (at + 1) & t->mask;
    if (!t->slots[at].entity)
        t->slots[at].hash = tag;
    return &t->slots[at];
}

struct lookup_slot *lookup_name(const struct lookup *l, uint8_t kind, struct str name)
{
    return find_slot(l, &l->names[kind], kind, name, name_of);
}

struct lookup_slot *lookup_id(const struct lookup *l, uint8_t kind, struct str id)
{
    return find_slot(l, &l->ids[kind], kind, id, id_of);
}

static bool has_ids(struct lookup *l, uint8_t kind)
{
    uint32_t count = l->catalog->filled[kind];

    if (l->ids[kind].slots)
        return true;
    if (!lookup_open(&l->ids[kind], count)) {
        l->is_out_of_memory = true;
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct lookup_slot *slot = lookup_id(l, kind, id_of(l->catalog, kind, i));

        if (!slot->entity)
            slot->entity = i + 1;
    }
    return true;
}

bool lookup_find(struct lookup *l, uint8_t kind, struct str text, struct catalog_ref *found)
{
    char id[ID_LENGTH];
    uint32_t entity;

    if (!l->names[kind].slots)
        return false;
    entity = lookup_name(l, kind, text)->entity;
    if (!entity && text.len == ID_LENGTH && has_ids(l, kind)) {
        for (int i = 0; i < ID_LENGTH; i++)
            id[i] = str_lower(text.ptr[i]);
        entity = lookup_id(l, kind, (struct str){id, ID_LENGTH})->entity;
    }
    *found = (struct catalog_ref){entity - 1, kind};
    return entity != 0;
}
