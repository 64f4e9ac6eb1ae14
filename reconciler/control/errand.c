#include "reconciler/control/errand.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct deed {
    struct str name;
    enum plan_action action;
    bool overrides;
};

struct errand {
    struct deed *items; /* sorted by name */
    size_t count;
    struct buf text;
};

bool errand_is_deed(const struct action *a)
{
    return a->action == PLAN_ISSUE || a->action == PLAN_RENEW || a->action == PLAN_ADOPT ||
           a->action == PLAN_RETIRE;
}

size_t errand_print(const struct plan *plan, struct buf *out)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->count; i++) {
        const struct action *a = &plan->items[i];

        if (!errand_is_deed(a))
            continue;
        buf_printf(out, "%s%s ", plan_action_name(a->action), a->overrides ? "+" : "");
        buf_str(out, a->subject.name);
        buf_char(out, '\n');
        count++;
    }
    return count;
}

/* By pread: the offset belongs to all who have this descriptor. */
static int read_all(int fd, struct buf *text, struct error *e)
{
    struct stat st;

    if (fstat(fd, &st))
        return error_errno(e, ERROR_IO, errno, "the list of what to do");
    while (text->len < (size_t)st.st_size) {
        size_t rest = (size_t)st.st_size - text->len;
        char *room = buf_reserve(text, rest);
        ssize_t n = room ? pread(fd, room, rest, (off_t)text->len) : -1;

        if (!room)
            return error_set(e, ERROR_LIMIT, "the list of what to do is too long");
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(e, ERROR_IO, "the list of what to do cannot be read");
        buf_commit(text, (size_t)n);
    }
    return 0;
}

static int parse_line(struct str line, struct deed *deed)
{
    struct str word = str_cut(line, ' ', &deed->name);
    struct action as = {0};

    deed->overrides = str_ends(word, STR("+"));
    if (deed->overrides)
        word.len--;
    as.action = deed->action = plan_action_from(word);
    return deed->name.len && errand_is_deed(&as) ? 0 : -1;
}

static int parse(struct errand *t, struct error *e)
{
    struct str rest = buf_view(&t->text);
    size_t lines = 0;

    for (size_t i = 0; i < rest.len; i++)
        lines += rest.ptr[i] == '\n';
    t->items = calloc(lines + 1, sizeof(*t->items));
    if (!t->items)
        return error_memory(e);
    while (rest.len) {
        struct deed *deed = &t->items[t->count];

        if (parse_line(str_cut(rest, '\n', &rest), deed) || t->count == lines ||
            (t->count && str_compare(deed[-1].name, deed->name) >= 0))
            return error_set(e, ERROR_SYNTAX, "the list of what to do is not understood");
        t->count++;
    }
    return 0;
}

struct errand *errand_read(int fd, struct error *e)
{
    struct errand *t = calloc(1, sizeof(*t));

    if (!t) {
        error_memory(e);
        return NULL;
    }
    t->text = BUF_INIT(ERRAND_BYTES_MAX);
    if (read_all(fd, &t->text, e) || parse(t, e)) {
        errand_free(t);
        return NULL;
    }
    return t;
}

void errand_free(struct errand *t)
{
    if (!t)
        return;
    free(t->items);
    buf_free(&t->text);
    free(t);
}

static int compare_name(const void *key, const void *item)
{
    return str_compare(*(const struct str *)key, ((const struct deed *)item)->name);
}

bool errand_allows(const struct errand *t, const struct action *a)
{
    const struct deed *deed;

    if (!errand_is_deed(a))
        return true;
    deed = bsearch(&a->subject.name, t->items, t->count, sizeof(*t->items), compare_name);
    return deed && deed->action == a->action && (!a->overrides || deed->overrides);
}
