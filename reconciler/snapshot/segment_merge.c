#include "segment.h"

#include <stdlib.h>

#include "reconciler/base/vec.h"
#include "segment_format.h"

/* A name that stays: the i-th of a segment. */
struct kept {
    uint32_t segment;
    uint32_t i;
};

struct kept_list vec(struct kept);

struct merge {
    struct segment *const *newest_first;
    struct kept_list kept;
};

static int name_of_merge(void *context, size_t i, struct segment_name *name, struct error *e)
{
    const struct merge *m = context;
    const struct kept *k = &m->kept.items[i];

    if (segment_name_at(m->newest_first[k->segment], k->i, name))
        return error_set(e, ERROR_SYNTAX, "segment: a record is broken");
    return 0;
}

/* Does a newer segment than the s-th know this name? -1: it is broken. */
static int is_hidden(const struct merge *m, size_t s, struct str name)
{
    struct segment_name other;

    for (size_t newer = 0; newer < s; newer++) {
        int found = segment_find_name(m->newest_first[newer], name, &other);
        if (found)
            return found;
    }
    return 0;
}

static int gather(struct merge *m, size_t s, bool is_bottom, struct error *e)
{
    const struct segment *segment = m->newest_first[s];

    if (segment_kind_of(segment) != SEGMENT_NAMES)
        return error_set(e, ERROR_INVALID, "segment: only names are merged");
    for (size_t i = 0; i < segment_count(segment); i++) {
        struct segment_name name;
        int hidden;
        if (segment_name_at(segment, i, &name))
            return error_set(e, ERROR_SYNTAX, "segment: a record is broken");
        if (name.count == 0 && is_bottom)
            continue;
        hidden = is_hidden(m, s, name.name);
        if (hidden < 0)
            return error_set(e, ERROR_SYNTAX, "segment: a record is broken");
        if (!hidden &&
            vec_push(&m->kept, ((struct kept){.segment = (uint32_t)s, .i = (uint32_t)i})))
            return error_memory(e);
    }
    return 0;
}

int segment_merge(struct segment *const *newest_first, size_t count, bool is_bottom, uint64_t *size,
                  struct error *e)
{
    struct merge m = {.newest_first = newest_first};
    struct segment_source source = {.context = &m, .at = name_of_merge};
    int fd = -1;

    for (size_t s = 0; s < count; s++)
        if (gather(&m, s, is_bottom, e))
            goto out;
    source.count = m.kept.len;
    fd = segment_write_from(&source, size, e);
out:
    vec_free(&m.kept);
    return fd;
}
