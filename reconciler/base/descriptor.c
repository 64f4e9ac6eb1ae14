#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"
#include "vec.h"

/* The first three are stdin, stdout and stderr: never handed over by name. */
#define DESCRIPTOR_NUMBER_MIN 3

static const struct {
    const char *text;
    bool is_single, is_indexed;
} names[DESCRIPTOR_NAME_COUNT] = {
    [DESCRIPTOR_LIFELINE] = {"lifeline", .is_single = true},
    [DESCRIPTOR_SETTINGS] = {"settings", .is_single = true},
    [DESCRIPTOR_SUPERVISOR] = {"supervisor", .is_single = true},
    [DESCRIPTOR_WATCH] = {"watch", .is_single = true},
    [DESCRIPTOR_CHANNEL] = {"channel", .is_single = true, .is_indexed = true},
    [DESCRIPTOR_COUNTERS] = {"counters", .is_single = true, .is_indexed = true},
    [DESCRIPTOR_LISTEN] = {"listen", .is_indexed = true},
    [DESCRIPTOR_STATUS] = {"status", .is_indexed = true},
    [DESCRIPTOR_STATE] = {"state", .is_single = true},
    [DESCRIPTOR_LIFELINE_HELD] = {"lifeline_held", .is_single = true},
    [DESCRIPTOR_SUPERVISOR_FAR] = {"supervisor_far", .is_single = true},
    [DESCRIPTOR_CHANNEL_FAR] = {"channel_far", .is_indexed = true},
    [DESCRIPTOR_WATCH_FAR] = {"watch_far", .is_single = true},
    [DESCRIPTOR_TICKETS] = {"tickets", .is_single = true},
};

int descriptor_add(struct descriptor_list *list, enum descriptor_name name, int index, int fd)
{
    const struct descriptor item = {.name = name, .index = index, .fd = fd};

    if (list->len >= DESCRIPTOR_COUNT_MAX)
        return -1;
    return vec_push(list, item);
}

int descriptor_get(const struct descriptor_list *list, enum descriptor_name name, int index)
{
    for (size_t i = 0; i < list->len; i++)
        if (list->items[i].name == name && list->items[i].index == index)
            return list->items[i].fd;
    return -1;
}

size_t descriptor_count(const struct descriptor_list *list, enum descriptor_name name)
{
    size_t count = 0;

    for (size_t i = 0; i < list->len; i++)
        if (list->items[i].name == name && list->items[i].index != DESCRIPTOR_ONLY)
            count++;
    return count;
}

void descriptor_print(const struct descriptor_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->len; i++) {
        const struct descriptor *d = &list->items[i];
        buf_printf(out, "%s%s", i ? "," : "", names[d->name].text);
        if (d->index != DESCRIPTOR_ONLY)
            buf_printf(out, ".%d", d->index);
        buf_printf(out, "=%d", d->fd);
    }
}

static int name_from(struct str text, struct descriptor *d)
{
    struct str number, word = str_cut(text, '.', &number);
    uint64_t index = 0;

    d->index = DESCRIPTOR_ONLY;
    if (number.ptr) {
        if (!str_to_u64(number, &index) || index >= DESCRIPTOR_COUNT_MAX)
            return -1;
        d->index = (int)index;
    }
    for (int n = 0; n < DESCRIPTOR_NAME_COUNT; n++)
        if (str_equal_cstr(word, names[n].text)) {
            d->name = (enum descriptor_name)n;
            return (number.ptr ? names[n].is_indexed : names[n].is_single) ? 0 : -1;
        }
    return -1;
}

static int refuse(struct error *e, struct str item, const char *why)
{
    return error_set(e, ERROR_USAGE, "descriptor \"%.*s\" %s", STR_ARG(str_slice(item, 0, 64)),
                     why);
}

static int parse_item(struct descriptor_list *list, struct str item, struct error *e)
{
    struct str number, name = str_cut(item, '=', &number);
    struct descriptor d;
    uint64_t fd = 0;
    int flags;

    if (name_from(name, &d))
        return refuse(e, item, "has no name that is known");
    if (!str_to_u64(number, &fd) || fd < DESCRIPTOR_NUMBER_MIN || fd > DESCRIPTOR_NUMBER_MAX)
        return refuse(e, item, "has no number that can be one");
    /* Indices come in order, so one check finds both a gap and a repetition. */
    if (d.index == DESCRIPTOR_ONLY ? descriptor_get(list, d.name, d.index) >= 0
                                   : (size_t)d.index != descriptor_count(list, d.name))
        return refuse(e, item, "is repeated or out of order");
    flags = fcntl((int)fd, F_GETFD);
    if (flags < 0 || fcntl((int)fd, F_SETFD, flags | FD_CLOEXEC) < 0)
        return refuse(e, item, "is not open");
    return descriptor_add(list, d.name, d.index, (int)fd) ? error_memory(e) : 0;
}

int descriptor_parse(struct descriptor_list *list, const char *text, struct error *e)
{
    struct str rest = str_from(text);

    if (str_starts(rest, str_from(DESCRIPTOR_ARGUMENT)))
        rest = str_slice(rest, strlen(DESCRIPTOR_ARGUMENT), rest.len);
    while (rest.ptr) {
        struct str item = str_cut(rest, ',', &rest);
        if (parse_item(list, item, e)) {
            descriptor_list_free(list);
            return -1;
        }
    }
    return 0;
}

void descriptor_list_free(struct descriptor_list *list)
{
    vec_free(list);
}
