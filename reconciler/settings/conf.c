#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "reconciler/base/vec.h"
#include "reconciler/base/whole.h"

int conf_read(const char *path, struct arena *a, struct str *text, struct error *e)
{
    char *bytes = arena_alloc(a, CONF_BYTES_MAX + 1);
    int fd = bytes ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    ssize_t len;
    int rc = -1;

    if (!bytes) {
        error_memory(e);
        goto out;
    }
    if (fd < 0) {
        error_errno(e, ERROR_USAGE, errno, "cannot open the settings");
        goto out;
    }
    len = whole_read(fd, bytes, CONF_BYTES_MAX + 1);
    if (len < 0) {
        error_errno(e, ERROR_USAGE, errno, "cannot read the settings");
        goto out;
    }
    if ((size_t)len > CONF_BYTES_MAX) {
        error_set(e, ERROR_LIMIT, "more than %zu bytes of settings", CONF_BYTES_MAX);
        goto out;
    }
    *text = (struct str){bytes, (size_t)len};
    rc = 0;
out:
    if (rc)
        snprintf(e->file, sizeof(e->file), "%s", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Without the comment behind it, and \# become #. The bytes are only copied where that is needed.
 */
static int strip_comment(struct str *value, struct arena *a)
{
    size_t end = 0, escapes = 0, at = 0;
    char *copy;

    while (end < value->len && (value->ptr[end] != '#' || (end && value->ptr[end - 1] == '\\'))) {
        escapes += value->ptr[end] == '#';
        end++;
    }
    *value = str_trim(str_slice(*value, 0, end));
    if (!escapes)
        return 0;
    copy = arena_alloc(a, value->len + 1);
    if (!copy)
        return -1;
    for (size_t i = 0; i < value->len; i++)
        if (value->ptr[i] != '\\' || i + 1 == value->len || value->ptr[i + 1] != '#')
            copy[at++] = value->ptr[i];
    *value = (struct str){copy, at};
    return 0;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = str_lower(s.ptr[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.len > 0;
}

static int take_line(struct str line, uint32_t number, struct arena *a, struct conf *conf,
                     struct error *e)
{
    struct conf_item item = {.line = number};

    item.name = str_trim(str_cut(line, '=', &item.value));
    if (!item.value.ptr || !is_name(item.name))
        return error_set(e, ERROR_USAGE, "not a line of the form `name = value`");
    if (conf->len == CONF_ITEMS_MAX)
        return error_set(e, ERROR_LIMIT, "more than %d settings", CONF_ITEMS_MAX);
    if (strip_comment(&item.value, a) || vec_push(conf, item))
        return error_memory(e);
    return 0;
}

/* Where conf_parse is: a line that a backslash keeps open, and where it began. */
struct cursor {
    struct str line; /* STR_NONE between lines */
    uint32_t number, first;
};

/* One line of the file, trimmed; takes the whole when no backslash keeps it open. */
static int take_part(struct cursor *at, struct str part, struct arena *a, struct conf *conf,
                     struct error *e)
{
    bool goes_on = str_ends(part, STR("\\"));
    struct str line = str_slice(part, 0, part.len - goes_on);

    if (!at->line.ptr)
        at->first = at->number;
    else
        line = arena_printf(a, "%.*s%.*s", STR_ARG(at->line), STR_ARG(line));
    if (!line.ptr)
        return error_memory(e);
    at->line = goes_on ? line : STR_NONE;
    return goes_on ? 0 : take_line(line, at->first, a, conf, e);
}

int conf_parse(struct str text, struct arena *a, struct conf *conf, struct error *e)
{
    struct cursor at = {.line = STR_NONE};
    struct str rest = text;
    int rc = 0;

    if (str_find(text, '\0', 0) < text.len)
        return error_set(e, ERROR_USAGE, "a NUL byte");
    while (rc == 0 && rest.ptr) {
        struct str part = str_trim(str_cut(rest, '\n', &rest));
        at.number++;
        if (part.len && part.ptr[0] != '#' && part.ptr[0] != ';')
            rc = take_part(&at, part, a, conf, e);
    }
    if (rc == 0 && at.line.ptr)
        rc = take_line(at.line, at.first, a, conf, e);
    if (rc) {
        e->line = at.first;
        conf_free(conf);
    }
    return rc;
}

void conf_free(struct conf *conf)
{
    vec_free(conf);
}
