#include "phrase.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct phrase {
    size_t holders;
    size_t len;
    char text[];
};

static struct str key_of(const void *item)
{
    const struct phrase *p = item;

    return (struct str){p->text, p->len};
}

void phrase_pool_init(struct phrase_pool *p)
{
    p->phrases = MAP_INIT(key_of, (uint64_t)(uintptr_t)p);
}

void phrase_pool_fini(struct phrase_pool *p)
{
    map_free(&p->phrases);
}

struct str phrase_hold(struct phrase_pool *p, struct str text)
{
    struct phrase *found;

    if (!text.len)
        return STR("");
    found = map_find(&p->phrases, text);
    if (!found) {
        found = malloc(sizeof(*found) + text.len);
        if (!found)
            return STR_NONE;
        found->holders = 0;
        found->len = text.len;
        memcpy(found->text, text.ptr, text.len);
        if (map_put(&p->phrases, found)) {
            free(found);
            return STR_NONE;
        }
    }
    found->holders++;
    return key_of(found);
}

void phrase_drop(struct phrase_pool *p, struct str phrase)
{
    struct phrase *found = phrase.len ? map_find(&p->phrases, phrase) : NULL;

    if (found && --found->holders == 0) {
        map_take(&p->phrases, phrase);
        free(found);
    }
}
