#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "binding.h"
#include "reconciler/base/map.h"
#include "reconciler/base/vec.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"

/* What a name has: of managed ones one a key family, and a declared pair. */
enum slot { SLOT_MANAGED, SLOT_PRIMARY = FAMILY_COUNT, SLOT_ALTERNATE, SLOT_COUNT };

/* One name. It is freed when nothing is left of it and no segment that is still to come tells so.
 */
struct entry {
    struct credential *slots[SLOT_COUNT];
    uint32_t generation; /* of the declared set that named it last */
    bool is_changed;     /* in the list of changes */
    bool is_published;   /* the segments taken so far have a credential for it */
    bool is_on_demand;
    size_t len;
    char name[];
};

struct entries {
    struct entry **items;
    size_t len;
    size_t cap;
};

struct index {
    struct map entries;
    struct entries changed;
    struct entries declared;
    uint32_t generation;
    /* While changes are out, other threads may read what credentials in effect point to. */
    size_t out;
    struct {
        struct segment **items;
        size_t len;
        size_t cap;
    } rebinds;
    struct {
        struct credential **items;
        size_t len;
        size_t cap;
    } unbinds;
};

static struct str key_of(const void *item)
{
    const struct entry *entry = item;

    return (struct str){entry->name, entry->len};
}

struct index *index_new(void)
{
    struct index *x = calloc(1, sizeof(*x));

    if (x)
        x->entries = MAP_INIT(key_of, (uint64_t)(uintptr_t)x);
    return x;
}

void index_free(struct index *x)
{
    struct entry *entry;
    size_t cursor = 0;

    if (!x)
        return;
    while ((entry = map_next(&x->entries, &cursor))) {
        for (size_t i = 0; i < SLOT_COUNT; i++)
            credential_unref(entry->slots[i]);
        free(entry);
    }
    map_free(&x->entries);
    vec_free(&x->changed);
    vec_free(&x->declared);
    for (size_t i = 0; i < x->rebinds.len; i++)
        segment_unref(x->rebinds.items[i]);
    vec_free(&x->rebinds);
    for (size_t i = 0; i < x->unbinds.len; i++)
        credential_unref(x->unbinds.items[i]);
    vec_free(&x->unbinds);
    free(x);
}

/* ---- entries ---- */

static struct entry *find(const struct index *x, struct str name)
{
    return map_find(&x->entries, name);
}

static struct entry *find_or_make(struct index *x, struct str name)
{
    struct entry *entry = find(x, name);

    if (entry)
        return entry;
    entry = calloc(1, sizeof(*entry) + name.len);
    if (!entry)
        return NULL;
    entry->len = name.len;
    if (name.len)
        memcpy(entry->name, name.ptr, name.len);
    if (map_put(&x->entries, entry)) {
        free(entry);
        return NULL;
    }
    return entry;
}

static bool is_managed(const struct entry *entry)
{
    bool any = false;

    for (size_t i = SLOT_MANAGED; i < SLOT_PRIMARY; i++)
        any |= entry->slots[i] != NULL;
    return any;
}

static void drop_if_idle(struct index *x, struct entry *entry)
{
    if (is_managed(entry) || entry->slots[SLOT_PRIMARY] || entry->is_changed || entry->is_published)
        return;
    map_take(&x->entries, key_of(entry));
    free(entry);
}

static enum key_family family_of(const struct credential *c)
{
    return subject_family(c->facts.key_type);
}

/* A further managed one stands beside a first of another family, not of its own. */
static size_t effective_of(const struct entry *entry, struct credential *effective[2])
{
    size_t from = is_managed(entry) ? SLOT_MANAGED : SLOT_PRIMARY, count = 0;

    for (size_t i = from; i < (from == SLOT_MANAGED ? SLOT_PRIMARY : SLOT_COUNT); i++) {
        struct credential *c = entry->slots[i];

        if (c && count < 2 &&
            !(count && from == SLOT_MANAGED && family_of(c) == family_of(effective[0])))
            effective[count++] = c;
    }
    return count;
}

/* Room for `count` more changes, so that noting them cannot fail. */
static int reserve_changes(struct index *x, size_t count)
{
    while (x->changed.cap - x->changed.len < count)
        if (vec_grow((void **)&x->changed.items, &x->changed.cap, sizeof(*x->changed.items)))
            return -1;
    return 0;
}

static void note_change(struct index *x, struct entry *entry)
{
    if (entry->is_changed)
        return;
    entry->is_changed = true;
    x->changed.items[x->changed.len++] = entry;
}

/* What is served no longer must not hold the mapping that it is served from. */
static void unbind(struct index *x, struct credential *c)
{
    if (x->out && vec_push(&x->unbinds, c) == 0)
        credential_ref(c);
    else if (!x->out)
        (void)!binding_to_memory(c);
}

static bool is_among(const struct credential *c, struct credential *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == c)
            return true;
    return false;
}

/* Gives an entry another credential or two from `slot` on (references taken), and notes whether
 * what is served changed. */
static void set_content(struct index *x, struct entry *entry, enum slot slot, size_t count,
                        struct credential *const *to)
{
    struct credential *old[2], *before[2], *after[2];
    size_t was = effective_of(entry, before), is;

    for (size_t i = 0; i < count; i++) {
        old[i] = entry->slots[slot + i];
        entry->slots[slot + i] = to[i] ? credential_ref(to[i]) : NULL;
    }
    is = effective_of(entry, after);
    if (was != is || (was && memcmp(before, after, was * sizeof(before[0])) != 0))
        note_change(x, entry);
    for (size_t i = 0; i < was; i++)
        if (!is_among(before[i], after, is))
            unbind(x, before[i]);
    for (size_t i = 0; i < count; i++)
        credential_unref(old[i]);
}

/* ---- the two sources ---- */

int index_set_managed(struct index *x, struct subject subject, struct credential *credential,
                      struct error *e)
{
    enum slot slot = SLOT_MANAGED + (enum slot)subject.family;
    struct entry *entry = credential ? find_or_make(x, subject.name) : find(x, subject.name);

    if (!entry)
        return credential ? error_memory(e) : 0;
    if (reserve_changes(x, 1)) {
        drop_if_idle(x, entry);
        return error_memory(e);
    }
    set_content(x, entry, slot, 1, &credential);
    drop_if_idle(x, entry);
    return 0;
}

int index_set_on_demand(struct index *x, struct str name, bool is_on_demand, struct error *e)
{
    struct entry *entry = find(x, name);

    if (!entry || entry->is_on_demand == is_on_demand)
        return 0;
    if (reserve_changes(x, 1))
        return error_memory(e);
    entry->is_on_demand = is_on_demand;
    note_change(x, entry);
    return 0;
}

/* The entries of the new set, those missing made. */
static int gather(struct index *x, const struct index_declared *names, size_t count,
                  struct entries *fresh)
{
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = find_or_make(x, names[i].name);
        if (!entry)
            return -1;
        if (vec_push(fresh, entry)) {
            drop_if_idle(x, entry);
            return -1;
        }
    }
    return reserve_changes(x, count + x->declared.len);
}

int index_replace_declared(struct index *x, const struct index_declared *names, size_t count,
                           struct error *e)
{
    struct entries fresh = {0};

    if (gather(x, names, count, &fresh)) {
        for (size_t i = 0; i < fresh.len; i++)
            drop_if_idle(x, fresh.items[i]);
        vec_free(&fresh);
        return error_memory(e);
    }
    x->generation++;
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = fresh.items[i];
        entry->generation = x->generation;
        if (entry->slots[SLOT_PRIMARY] != names[i].primary ||
            entry->slots[SLOT_ALTERNATE] != names[i].alternate)
            set_content(x, entry, SLOT_PRIMARY, 2,
                        (struct credential *[]){names[i].primary, names[i].alternate});
    }
    for (size_t i = 0; i < x->declared.len; i++) {
        struct entry *entry = x->declared.items[i];
        if (entry->generation == x->generation)
            continue;
        set_content(x, entry, SLOT_PRIMARY, 2, (struct credential *[]){NULL, NULL});
        drop_if_idle(x, entry);
    }
    vec_free(&x->declared);
    x->declared = fresh;
    return 0;
}

/* ---- looking ---- */

bool index_overrides(const struct index *x, struct str name)
{
    const struct entry *entry = find(x, name);

    return entry && is_managed(entry) && entry->slots[SLOT_PRIMARY];
}

/* ---- changes on their way into a segment ---- */

static struct index_changes *changes_new(struct index *x, size_t count, size_t text)
{
    struct index_changes *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->index = x;
    c->names = calloc(count, sizeof(*c->names));
    c->held = calloc(count, 2 * sizeof(*c->held));
    c->texts = malloc(text + 1);
    x->out++;
    if (c->names && c->held && c->texts)
        return c;
    index_changes_free(c);
    return NULL;
}

static void add_change(struct index_changes *c, const struct entry *entry, size_t *text)
{
    struct segment_name *to = &c->names[c->count++];
    struct credential *effective[2];

    memcpy(c->texts + *text, entry->name, entry->len);
    to->name = (struct str){c->texts + *text, entry->len};
    *text += entry->len;
    to->count = (uint8_t)effective_of(entry, effective);
    to->on_demand = entry->is_on_demand;
    for (size_t i = 0; i < to->count; i++) {
        to->credentials[i] =
            (struct segment_credential){effective[i]->facts.key_type, effective[i]->leaf,
                                        effective[i]->key, chain_bytes(effective[i]->chain)};
        c->held[c->held_count++] = credential_ref(effective[i]);
    }
}

/* Takes the first `count` out of the list of changes. */
static void settle_changes(struct index *x, size_t count)
{
    struct credential *effective[2];

    for (size_t i = 0; i < count; i++) {
        struct entry *entry = x->changed.items[i];
        entry->is_changed = false;
        entry->is_published = effective_of(entry, effective) > 0;
        drop_if_idle(x, entry);
    }
    x->changed.len -= count;
    if (!x->changed.len) {
        vec_free(&x->changed);
        return;
    }
    memmove(x->changed.items, x->changed.items + count, x->changed.len * sizeof(*x->changed.items));
}

int index_take_changes(struct index *x, size_t max, struct index_changes **changes, struct error *e)
{
    size_t count = max && max < x->changed.len ? max : x->changed.len;
    struct credential *effective[2];
    struct index_changes *c;
    size_t text = 0;

    *changes = NULL;
    if (!count)
        return 0;
    for (size_t i = 0; i < count; i++)
        text += x->changed.items[i]->len;
    c = changes_new(x, count, text);
    if (!c)
        return error_memory(e);
    text = 0;
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = x->changed.items[i];
        /* What came and went between two segments needs no tombstone. */
        if (entry->is_published || effective_of(entry, effective))
            add_change(c, entry, &text);
    }
    settle_changes(x, count);
    if (c->count) {
        *changes = c;
        return 0;
    }
    index_changes_free(c);
    return 0;
}

int index_give_back(struct index *x, const struct index_changes *changes)
{
    if (reserve_changes(x, changes->count))
        return -1;
    for (size_t i = 0; i < changes->count; i++) {
        struct entry *entry = find_or_make(x, changes->names[i].name);
        if (!entry)
            return -1;
        /* Whether segments know it is uncertain now: a tombstone too many does no harm. */
        entry->is_published = true;
        note_change(x, entry);
    }
    return 0;
}

/* ---- binding ---- */

static void bind_name(struct index *x, const struct segment_name *name, struct segment *segment)
{
    const struct entry *entry = find(x, name->name);
    struct credential *effective[2];
    size_t count = entry ? effective_of(entry, effective) : 0;

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < name->count; k++)
            if (str_equal(effective[i]->leaf, name->credentials[k].leaf) &&
                str_equal(effective[i]->key, name->credentials[k].key))
                binding_to_segment(effective[i], name->credentials[k].leaf,
                                   name->credentials[k].key, segment);
}

static void bind_all(struct index *x, struct segment *segment)
{
    size_t count = segment_count(segment);

    for (size_t i = 0; i < count; i++) {
        struct segment_name name;
        if (segment_name_at(segment, i, &name) >= 0)
            bind_name(x, &name, segment);
    }
}

void index_rebind(struct index *x, struct segment *segment)
{
    if (segment_kind_of(segment) != SEGMENT_NAMES)
        return;
    if (!x->out)
        bind_all(x, segment);
    /* Without memory to put it off the bytes are held twice until the next merge: no harm. */
    else if (vec_push(&x->rebinds, segment) == 0)
        segment_ref(segment);
}

/* Nobody else reads the credentials any more: what was put off is done. */
static void catch_up(struct index *x)
{
    for (size_t i = 0; i < x->unbinds.len; i++) {
        (void)!binding_to_memory(x->unbinds.items[i]);
        credential_unref(x->unbinds.items[i]);
    }
    x->unbinds.len = 0;
    for (size_t i = 0; i < x->rebinds.len; i++) {
        bind_all(x, x->rebinds.items[i]);
        segment_unref(x->rebinds.items[i]);
    }
    x->rebinds.len = 0;
}

void index_changes_free(struct index_changes *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->held_count; i++)
        credential_unref(c->held[i]);
    free(c->held);
    free(c->names);
    free(c->texts);
    if (--c->index->out == 0)
        catch_up(c->index);
    free(c);
}
