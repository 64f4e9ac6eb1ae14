#include "binding.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/pki/credential.h"
#include "reconciler/snapshot/segment.h"

struct block {
    size_t size;
    char bytes[];
};

static void release_block(void *home)
{
    struct block *b = home;

    explicit_bzero(b->bytes, b->size);
    free(b);
}

static void release_segment(void *home)
{
    segment_unref(home);
}

void binding_to_segment(struct credential *c, struct str leaf, struct str key,
                        struct segment *segment)
{
    credential_rebind(c, leaf, key, segment_ref(segment), release_segment);
}

int binding_to_memory(struct credential *c)
{
    struct str leaf = c->leaf, key = c->key;
    struct block *b;

    if (c->home_release != release_segment)
        return 0;
    b = malloc(sizeof(*b) + leaf.len + key.len);
    if (!b)
        return -1;
    b->size = leaf.len + key.len;
    memcpy(b->bytes, leaf.ptr, leaf.len);
    memcpy(b->bytes + leaf.len, key.ptr, key.len);
    leaf.ptr = b->bytes;
    key.ptr = b->bytes + leaf.len;
    credential_rebind(c, leaf, key, b, release_block);
    return 0;
}
