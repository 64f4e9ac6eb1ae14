#include "stack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum size { SIZE_SMALL, SIZE_LARGE, SIZES };

/* When segments are merged for the sake of keys that nobody needs any more, in milliseconds. */
static const struct {
    int64_t wait; /* after the first such key */
    int64_t gap;  /* between two merges */
} stale_times[SIZES] = {
    [SIZE_SMALL] = {0, STACK_SMALL_GAP_MS},
    [SIZE_LARGE] = {STACK_LARGE_WAIT_MS, STACK_LARGE_GAP_MS},
};

struct stack {
    uint64_t next_id;
    bool is_merging;
    /* The oldest first, so that a new one goes to the end. */
    struct stack_segment names[STACK_NAMES_MAX];
    size_t count;
    struct stack_segment whole[SEGMENT_KINDS]; /* id 0 = none */
    int64_t due_ms[SIZES];                     /* steady; 0 = none is stale */
    int64_t merged_ms[SIZES];                  /* the last merge for stale ones; 0 = none */
};

struct stack *stack_new(uint64_t first_id)
{
    struct stack *s = calloc(1, sizeof(*s));

    if (s)
        s->next_id = first_id ? first_id : 1;
    return s;
}

static void drop(struct stack_segment *entry)
{
    if (!entry->id)
        return;
    segment_unref(entry->mapped);
    close(entry->fd);
    *entry = (struct stack_segment){0};
}

void stack_free(struct stack *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        drop(&s->names[i]);
    for (size_t i = 0; i < SEGMENT_KINDS; i++)
        drop(&s->whole[i]);
    free(s);
}

/* Maps `fd` into *entry; closes it on failure. */
static int map(struct stack *s, int fd, uint64_t size, struct stack_segment *entry, struct error *e)
{
    struct segment *mapped = segment_map(fd, NULL, e);

    if (!mapped) {
        close(fd);
        return -1;
    }
    *entry = (struct stack_segment){.id = s->next_id++, .fd = fd, .size = size, .mapped = mapped};
    return 0;
}

/* ---- what a newer one hides ---- */

/* Looks for the names of one in the other; has either a credential that `newer` makes useless? */
static bool hides(const struct segment *newer, const struct segment *older)
{
    bool walks_newer = segment_count(newer) < segment_count(older);
    const struct segment *walked = walks_newer ? newer : older;
    const struct segment *searched = walks_newer ? older : newer;
    size_t count = segment_count(walked);

    for (size_t i = 0; i < count; i++) {
        struct segment_name name, other;
        if (segment_name_at(walked, i, &name) == 0 &&
            segment_find_name(searched, name.name, &other) == 1 &&
            (walks_newer ? other.count : name.count))
            return true;
    }
    return false;
}

/* After place `at` was filled: what it hides of those below, and what those above hide of it. */
static void find_stale(struct stack *s, size_t at)
{
    struct stack_segment *all = s->names;

    for (size_t i = 0; i < at; i++)
        all[i].is_stale = all[i].is_stale || hides(all[at].mapped, all[i].mapped);
    for (size_t i = at + 1; i < s->count; i++)
        all[at].is_stale = all[at].is_stale || hides(all[i].mapped, all[at].mapped);
}

static enum size size_of(const struct stack_segment *entry)
{
    return segment_count(entry->mapped) <= STACK_SMALL_NAMES ? SIZE_SMALL : SIZE_LARGE;
}

static bool is_stale(const struct stack *s, enum size size)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->names[i].is_stale && size_of(&s->names[i]) == size)
            return true;
    return false;
}

const struct stack_segment *stack_push(struct stack *s, int fd, uint64_t size, struct error *e)
{
    struct stack_segment entry;
    struct stack_segment *place;
    enum segment_kind kind;

    if (map(s, fd, size, &entry, e))
        return NULL;
    kind = segment_kind_of(entry.mapped);
    if (!segment_is_stacked(kind)) {
        place = &s->whole[kind];
        drop(place);
        *place = entry;
        return place;
    }
    if (s->count == STACK_NAMES_MAX) {
        drop(&entry);
        error_set(e, ERROR_LIMIT, "more than %d segments at once", STACK_NAMES_MAX);
        return NULL;
    }
    place = &s->names[s->count++];
    *place = entry;
    find_stale(s, s->count - 1);
    return place;
}

size_t stack_count(const struct stack *s)
{
    size_t count = s->count;

    for (size_t i = 0; i < SEGMENT_KINDS; i++)
        count += s->whole[i].id != 0;
    return count;
}

const struct stack_segment *stack_at(const struct stack *s, size_t i)
{
    for (size_t kind = 0; kind < SEGMENT_KINDS; kind++)
        if (s->whole[kind].id && i-- == 0)
            return &s->whole[kind];
    return i < s->count ? &s->names[s->count - 1 - i] : NULL;
}

/* ---- merging ---- */

/* What segments weigh: bytes, and names, of which a tombstone is one as well. */
struct weight {
    uint64_t bytes;
    size_t names;
};

static struct weight weigh(const struct stack_segment *entry)
{
    return (struct weight){entry->size, segment_count(entry->mapped)};
}

/*
 * Half of the next one: so each is more than twice all that are newer, and a million names are a
 * dozen segments.
 */
static bool is_worth(const struct weight *newer, const struct weight *next)
{
    return newer->bytes * 2 >= next->bytes || newer->names * 2 >= next->names;
}

/* How many of the newest to merge; less than two: none. */
static size_t choose(const struct stack *s)
{
    struct weight newer = {0, 0};
    size_t best = 0;

    for (size_t n = 1; n <= s->count; n++) {
        struct weight next = weigh(&s->names[s->count - n]);
        if (n > 1 && is_worth(&newer, &next))
            best = n;
        newer.bytes += next.bytes;
        newer.names += next.names;
    }
    if (s->count > STACK_COMFORTABLE && best < s->count / 2)
        best = s->count / 2;
    return best;
}

/* Sets the dates of those that are stale since we looked last, and tells who is due. */
static void look_at_stale(struct stack *s, int64_t now_ms, bool due[SIZES])
{
    for (size_t i = 0; i < SIZES; i++) {
        int64_t first = now_ms + stale_times[i].wait;
        int64_t next = s->merged_ms[i] ? s->merged_ms[i] + stale_times[i].gap : 0;

        if (!is_stale(s, (enum size)i))
            s->due_ms[i] = 0;
        else if (!s->due_ms[i])
            s->due_ms[i] = first > next ? first : next;
        due[i] = s->due_ms[i] && s->due_ms[i] <= now_ms;
    }
}

/* All down to the lowest stale one that is due; above it there is what hides its names. */
static size_t choose_stale(const struct stack *s, const bool due[SIZES])
{
    for (size_t n = s->count; n > 0; n--) {
        const struct stack_segment *entry = &s->names[s->count - n];
        if (entry->is_stale && due[size_of(entry)])
            return n;
    }
    return 0;
}

int64_t stack_merge_wait(const struct stack *s, int64_t now_ms)
{
    int64_t least = INT64_MAX;

    for (size_t i = 0; !s->is_merging && i < SIZES; i++) {
        int64_t wait = s->due_ms[i] > now_ms ? s->due_ms[i] - now_ms : 0;

        if (s->due_ms[i] && wait < least)
            least = wait;
    }
    return least;
}

bool stack_merge_begin(struct stack *s, int64_t now_ms, struct stack_merge *m)
{
    size_t worth, stale, count;
    bool due[SIZES];

    if (s->is_merging)
        return false;
    look_at_stale(s, now_ms, due);
    worth = choose(s);
    stale = choose_stale(s, due);
    count = worth > stale ? worth : stale;
    if (count < 2)
        return false;
    for (size_t i = 0; i < SIZES; i++)
        if (due[i]) {
            s->merged_ms[i] = now_ms;
            s->due_ms[i] = 0;
        }
    memset(m, 0, sizeof(*m));
    m->fd = -1;
    m->count = count;
    m->is_bottom = count == s->count;
    for (size_t i = 0; i < count; i++)
        m->segments[i] = segment_ref(s->names[s->count - 1 - i].mapped);
    m->oldest_id = s->names[s->count - count].id;
    s->is_merging = true;
    return true;
}

void stack_merge_run(struct stack_merge *m)
{
    m->fd = segment_merge(m->segments, m->count, m->is_bottom, &m->size, &m->error);
}

/* Takes the merged ones out; *place is where the oldest stood. */
static void take_out(struct stack *s, const struct stack_merge *m, size_t *place)
{
    size_t at = 0;

    while (s->names[at].id != m->oldest_id)
        at++;
    for (size_t i = 0; i < m->count; i++)
        drop(&s->names[at + i]);
    s->count -= m->count;
    memmove(&s->names[at], &s->names[at + m->count], (s->count - at) * sizeof(s->names[0]));
    *place = at;
}

int stack_merge_end(struct stack *s, struct stack_merge *m, const struct stack_segment **entry,
                    struct error *e)
{
    struct stack_segment merged;
    size_t place;

    *entry = NULL;
    s->is_merging = false;
    for (size_t i = 0; i < m->count; i++)
        segment_unref(m->segments[i]);
    if (m->fd < 0) {
        *e = m->error;
        return -1;
    }
    if (map(s, m->fd, m->size, &merged, e))
        return -1;
    take_out(s, m, &place);
    if (m->is_bottom && segment_count(merged.mapped) == 0) {
        drop(&merged);
        return 0;
    }
    memmove(&s->names[place + 1], &s->names[place], (s->count - place) * sizeof(s->names[0]));
    s->names[place] = merged;
    s->count++;
    find_stale(s, place);
    *entry = &s->names[place];
    return 0;
}
