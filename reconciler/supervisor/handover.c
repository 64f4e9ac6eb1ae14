#include "handover.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/channel.h"

#define HEAD "reconcert handover"

static int add_slots(const struct crew *c, struct descriptor_list *fds)
{
    for (size_t i = 0; i < c->slot_count; i++) {
        const struct crew_slot *s = &c->slots[i];
        if (descriptor_add(fds, DESCRIPTOR_CHANNEL, (int)i, s->channel[CREW_NEAR]) ||
            descriptor_add(fds, DESCRIPTOR_CHANNEL_FAR, (int)i, s->channel[CREW_FAR]) ||
            descriptor_add(fds, DESCRIPTOR_COUNTERS, (int)i, s->counters))
            return -1;
    }
    for (size_t i = 0; i < c->listeners.slot_count * c->listeners.address_count; i++)
        if (descriptor_add(fds, DESCRIPTOR_LISTEN, (int)i, c->listeners.fds[i]))
            return -1;
    for (size_t i = 0; i < c->listeners.status_count; i++)
        if (descriptor_add(fds, DESCRIPTOR_STATUS, (int)i, c->listeners.status[i]))
            return -1;
    return 0;
}

static int add_all(const struct crew *c, struct descriptor_list *fds)
{
    const struct {
        enum descriptor_name name;
        int fd;
    } single[] = {
        {DESCRIPTOR_SETTINGS, c->settings_fd},
        {DESCRIPTOR_LIFELINE, c->lifeline[CREW_FAR]},
        {DESCRIPTOR_LIFELINE_HELD, c->lifeline[CREW_NEAR]},
        {DESCRIPTOR_SUPERVISOR, c->supervisor[CREW_NEAR]},
        {DESCRIPTOR_SUPERVISOR_FAR, c->supervisor[CREW_FAR]},
        {DESCRIPTOR_WATCH, c->watch[CREW_NEAR]},
        {DESCRIPTOR_WATCH_FAR, c->watch[CREW_FAR]},
        {DESCRIPTOR_TICKETS, c->tickets},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(single); i++)
        if (descriptor_add(fds, single[i].name, DESCRIPTOR_ONLY, single[i].fd))
            return -1;
    return add_slots(c, fds);
}

static void print(const struct crew *c, const struct descriptor_list *fds, struct buf *out)
{
    buf_printf(out, HEAD " %d\n", HANDOVER_FORMAT);
    buf_cstr(out, "descriptors ");
    descriptor_print(fds, out);
    buf_printf(out, "\ncontrol %d\n", (int)c->control.pid);
    buf_printf(out, "watcher %d\n", (int)c->watcher.pid);
    for (size_t i = 0; i < c->slot_count; i++)
        buf_printf(out, "worker %d\n", (int)c->slots[i].worker.pid);
}

int handover_write(const struct crew *c, struct descriptor_list *fds, struct error *e)
{
    struct buf text = BUF_INIT(HANDOVER_BYTES_MAX);
    int fd = memfd_create("handover", MFD_CLOEXEC);

    if (fd < 0) {
        error_errno(e, ERROR_IO, errno, "memfd");
        goto out;
    }
    if (add_all(c, fds)) {
        error_memory(e);
        goto out;
    }
    print(c, fds, &text);
    if (text.failed || descriptor_add(fds, DESCRIPTOR_STATE, DESCRIPTOR_ONLY, fd)) {
        error_memory(e);
        goto out;
    }
    if (write(fd, text.data, text.len) != (ssize_t)text.len) {
        error_errno(e, ERROR_IO, errno, "memfd");
        goto out;
    }
    buf_free(&text);
    return fd;
out:
    if (fd >= 0)
        close(fd);
    descriptor_list_free(fds);
    buf_free(&text);
    return -1;
}

static int read_all(int fd, struct buf *text, struct error *e)
{
    struct stat st;
    ssize_t got;

    if (fstat(fd, &st) || st.st_size <= 0 || (size_t)st.st_size >= HANDOVER_BYTES_MAX ||
        !buf_reserve(text, (size_t)st.st_size))
        return error_set(e, ERROR_IO, "handover: cannot be read");
    got = pread(fd, text->data, (size_t)st.st_size, 0);
    if (got != st.st_size)
        return error_set(e, ERROR_IO, "handover: cut short");
    buf_commit(text, (size_t)got);
    return 0;
}

/* The rest of the next line, which must begin with `word` and a blank; STR_NONE where it does not.
 */
static struct str take_line(struct str *rest, const char *word)
{
    struct str value, line = str_cut(*rest, '\n', rest);

    return str_equal_cstr(str_cut(line, ' ', &value), word) ? value : STR_NONE;
}

static int take_pid(struct str *rest, const char *word, pid_t *pid)
{
    uint64_t n;

    if (!str_to_u64(take_line(rest, word), &n) || n > INT_MAX)
        return -1;
    *pid = (pid_t)n;
    return 0;
}

static int get(const struct descriptor_list *fds, enum descriptor_name name)
{
    return descriptor_get(fds, name, DESCRIPTOR_ONLY);
}

static int *copy_sockets(const struct descriptor_list *fds, enum descriptor_name name, size_t count)
{
    int *copy = calloc(count ? count : 1, sizeof(*copy));

    for (size_t i = 0; copy && i < count; i++)
        copy[i] = descriptor_get(fds, name, (int)i);
    return copy;
}

/* Listeners by slot and address, as listeners_open lays them out. */
static int take_listeners(struct crew *c, const struct descriptor_list *fds, struct error *e)
{
    struct listeners *l = &c->listeners;

    l->slot_count = c->slot_count;
    l->address_count = c->settings.proxy_listen.count;
    l->status_count = c->settings.status_listen.count;
    if (descriptor_count(fds, DESCRIPTOR_LISTEN) != l->slot_count * l->address_count ||
        descriptor_count(fds, DESCRIPTOR_STATUS) != l->status_count)
        return error_set(e, ERROR_INVALID, "handover: listeners are missing");
    l->fds = copy_sockets(fds, DESCRIPTOR_LISTEN, l->slot_count * l->address_count);
    l->status = copy_sockets(fds, DESCRIPTOR_STATUS, l->status_count);
    return l->fds && l->status ? 0 : error_memory(e);
}

static int take_slots(struct crew *c, const struct descriptor_list *fds, struct str *rest,
                      struct error *e)
{
    size_t count = descriptor_count(fds, DESCRIPTOR_CHANNEL);

    if (!count || count > SETTINGS_WORKERS_MAX ||
        descriptor_count(fds, DESCRIPTOR_CHANNEL_FAR) != count ||
        descriptor_count(fds, DESCRIPTOR_COUNTERS) != count)
        return error_set(e, ERROR_INVALID, "handover: channels are missing");
    if (crew_make_slots(c, count, e))
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct crew_slot *s = &c->slots[i];
        s->counters = descriptor_get(fds, DESCRIPTOR_COUNTERS, (int)i);
        s->old_channel[CREW_NEAR] = descriptor_get(fds, DESCRIPTOR_CHANNEL, (int)i);
        s->old_channel[CREW_FAR] = descriptor_get(fds, DESCRIPTOR_CHANNEL_FAR, (int)i);
        s->was_serving = true;
        if (take_pid(rest, "worker", &s->old_pid))
            return error_set(e, ERROR_SYNTAX, "handover: workers are missing");
        s->has_old = s->old_pid != 0;
        if (channel_pair(s->channel, e))
            return -1;
    }
    return 0;
}

static int take_singles(struct crew *c, const struct descriptor_list *fds, struct error *e)
{
    c->settings_fd = get(fds, DESCRIPTOR_SETTINGS);
    c->lifeline[CREW_FAR] = get(fds, DESCRIPTOR_LIFELINE);
    c->lifeline[CREW_NEAR] = get(fds, DESCRIPTOR_LIFELINE_HELD);
    c->supervisor[CREW_NEAR] = get(fds, DESCRIPTOR_SUPERVISOR);
    c->supervisor[CREW_FAR] = get(fds, DESCRIPTOR_SUPERVISOR_FAR);
    c->watch[CREW_NEAR] = get(fds, DESCRIPTOR_WATCH);
    c->watch[CREW_FAR] = get(fds, DESCRIPTOR_WATCH_FAR);
    c->tickets = get(fds, DESCRIPTOR_TICKETS);
    if (c->settings_fd < 0 || c->lifeline[CREW_FAR] < 0 || c->lifeline[CREW_NEAR] < 0 ||
        c->supervisor[CREW_NEAR] < 0 || c->supervisor[CREW_FAR] < 0 || c->watch[CREW_NEAR] < 0 ||
        c->watch[CREW_FAR] < 0)
        return error_set(e, ERROR_INVALID, "handover: descriptors are missing");
    /* Builds before this one kept none. */
    if (c->tickets < 0 && crew_open_tickets(c, e))
        return -1;
    return settings_unpack(&c->settings, c->settings_fd, e);
}

static int take_head(struct str *rest, struct error *e)
{
    struct str format, head = str_cut(*rest, '\n', rest);
    uint64_t number = 0;

    str_cut(str_slice(head, sizeof(HEAD) - 1, head.len), ' ', &format);
    if (!str_starts(head, STR(HEAD)) || !str_to_u64(format, &number) || number != HANDOVER_FORMAT)
        return error_set(e, ERROR_SYNTAX, "handover: not in a form that is known here");
    return 0;
}

static int take_descriptors(struct str *rest, struct descriptor_list *fds, struct error *e)
{
    struct str names = take_line(rest, "descriptors");
    struct buf line = BUF_INIT(HANDOVER_BYTES_MAX);
    int rc;

    if (!names.len || buf_str(&line, names))
        rc = error_set(e, ERROR_SYNTAX, "handover: descriptors are missing");
    else
        rc = descriptor_parse(fds, line.data, e);
    buf_free(&line);
    return rc;
}

static int parse(struct crew *c, struct str text, struct descriptor_list *fds, struct error *e)
{
    struct str rest = text;

    if (take_head(&rest, e) || take_descriptors(&rest, fds, e))
        return -1;
    if (take_pid(&rest, "control", &c->control.pid) || take_pid(&rest, "watcher", &c->watcher.pid))
        return error_set(e, ERROR_SYNTAX, "handover: processes are missing");
    if (take_singles(c, fds, e) || take_slots(c, fds, &rest, e))
        return -1;
    return take_listeners(c, fds, e);
}

int handover_read(struct crew *c, int state, struct error *e)
{
    struct buf text = BUF_INIT(HANDOVER_BYTES_MAX);
    struct descriptor_list fds = {0};
    int rc = read_all(state, &text, e);

    if (rc == 0)
        rc = parse(c, buf_view(&text), &fds, e);
    if (rc == 0)
        rc = crew_pack_settings(c, e);
    c->was_ready = true;
    descriptor_list_free(&fds);
    buf_free(&text);
    return rc;
}
