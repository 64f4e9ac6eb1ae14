#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/channel.h"
#include "reconciler/base/counters.h"
#include "reconciler/base/descriptor.h"

#define WATCH_PROGRAM "reconcert-watch"
#define ARGUMENT_BYTES_MAX ((size_t)128 << 10) /* the kernel's MAX_ARG_STRLEN */
#define PROGRAM_NAME "reconcert"

static void unset_pair(int pair[2])
{
    pair[CREW_NEAR] = pair[CREW_FAR] = -1;
}

void crew_init(struct crew *c)
{
    *c = (struct crew){.program = -1,
                       .watch_program = -1,
                       .settings_fd = -1,
                       .worker_settings_fd = -1,
                       .tickets = -1,
                       .control.restart.due_ms = RESTART_NEVER,
                       .watcher.restart.due_ms = RESTART_NEVER};
    unset_pair(c->lifeline);
    unset_pair(c->supervisor);
    unset_pair(c->watch);
}

void crew_close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
    unset_pair(pair);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void crew_close(struct crew *c)
{
    for (size_t i = 0; i < c->slot_count; i++) {
        crew_close_pair(c->slots[i].channel);
        crew_close_pair(c->slots[i].old_channel);
        close_one(&c->slots[i].counters);
    }
    free(c->slots);
    listeners_close(&c->listeners);
    crew_close_pair(c->lifeline);
    crew_close_pair(c->supervisor);
    crew_close_pair(c->watch);
    close_one(&c->program);
    close_one(&c->watch_program);
    close_one(&c->settings_fd);
    close_one(&c->worker_settings_fd);
    close_one(&c->tickets);
    settings_fini(&c->settings);
    free(c->path);
    crew_init(c);
}

/* The programs are opened now, so that children of one supervisor are of one build, whatever is
 * installed. */
int crew_find_programs(struct crew *c, struct error *e)
{
    char path[PATH_MAX], beside[PATH_MAX + sizeof(WATCH_PROGRAM)];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *name;

    if (len < 0)
        return error_errno(e, ERROR_IO, errno, "/proc/self/exe");
    path[len] = '\0';
    c->path = strdup(path);
    c->program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (!c->path)
        return error_memory(e);
    if (c->program < 0)
        return error_errno(e, ERROR_IO, errno, "/proc/self/exe");
    name = strrchr(path, '/');
    if (name)
        name[1] = '\0';
    snprintf(beside, sizeof(beside), "%s" WATCH_PROGRAM, path);
    c->watch_program = open(beside, O_PATH | O_CLOEXEC);
    if (c->watch_program < 0)
        happening_tell(HAPPENING_WATCHER_MISSING, FIELDS(field_cstr("program", beside)));
    return privilege_find(&c->worker_user, c->settings.nginx_user, e) ||
                   privilege_find_own(&c->own_user, c->settings.acme_user, e)
               ? -1
               : 0;
}

/* By way of what children get. */
int crew_copy_settings(struct crew *c, const struct settings *s, struct error *e)
{
    int fd = memfd_create("settings", MFD_CLOEXEC);
    int rc;

    if (fd < 0)
        return error_errno(e, ERROR_IO, errno, "memfd");
    rc = settings_pack(s, SETTINGS_FOR_CONTROL, fd, e) || settings_unpack(&c->settings, fd, e) ? -1
                                                                                               : 0;
    close(fd);
    return rc;
}

/* A memfd that nobody can change any more. */
static int pack(const struct crew *c, enum settings_reader reader, int *fd, struct error *e)
{
    *fd = memfd_create("settings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        return error_errno(e, ERROR_IO, errno, "memfd");
    if (settings_pack(&c->settings, reader, *fd, e))
        return -1;
    if (fcntl(*fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        return error_errno(e, ERROR_IO, errno, "memfd");
    return 0;
}

int crew_pack_settings(struct crew *c, struct error *e)
{
    close_one(&c->settings_fd);
    close_one(&c->worker_settings_fd);
    return pack(c, SETTINGS_FOR_CONTROL, &c->settings_fd, e) ||
                   pack(c, SETTINGS_FOR_WORKER, &c->worker_settings_fd, e)
               ? -1
               : 0;
}

int crew_make_slots(struct crew *c, size_t count, struct error *e)
{
    c->slots = calloc(count, sizeof(*c->slots));
    if (!c->slots)
        return error_memory(e);
    c->slot_count = count;
    for (size_t i = 0; i < count; i++) {
        struct crew_slot *slot = &c->slots[i];
        unset_pair(slot->channel);
        unset_pair(slot->old_channel);
        slot->counters = -1;
        slot->worker.restart.due_ms = RESTART_NEVER;
    }
    return 0;
}

/* Shared memory whose size nobody can change any more. */
static int open_page(const char *name, off_t size, int *fd, struct error *e)
{
    *fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || ftruncate(*fd, size) ||
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW))
        return error_errno(e, ERROR_IO, errno, "page of %s", name);
    return 0;
}

int crew_open_tickets(struct crew *c, struct error *e)
{
    return open_page("tickets", DESCRIPTOR_TICKETS_SIZE, &c->tickets, e);
}

static int open_slot(struct crew_slot *slot, struct error *e)
{
    return channel_pair(slot->channel, e) ||
                   open_page("counters", COUNTERS_PAGE_SIZE, &slot->counters, e)
               ? -1
               : 0;
}

static int renew_pair(int pair[2], struct error *e)
{
    int fresh[2];

    if (channel_pair(fresh, e))
        return -1;
    crew_close_pair(pair);
    memcpy(pair, fresh, sizeof(fresh));
    return 0;
}

/* Ours first: a pipe has its reading end there. */
static int open_pipe(int *reading, int *writing, struct error *e)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return error_errno(e, ERROR_IO, errno, "pipe");
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

static int own_prefix(const struct crew *c, struct error *e)
{
    return privilege_own_folder(&c->own_user, c->worker_user.uid, c->settings.prefix, e);
}

void crew_renew_prefix(const struct crew *c)
{
    struct error e;

    if (own_prefix(c, &e))
        happening_tell_error(HAPPENING_PREFIX_MISSING, &e, NULL);
}

int crew_open(struct crew *c, struct error *e)
{
    if (own_prefix(c, e) ||
        listeners_open(&c->listeners, &c->settings, c->settings.nginx_worker_processes, e) ||
        crew_pack_settings(c, e) || crew_make_slots(c, c->settings.nginx_worker_processes, e) ||
        open_pipe(&c->lifeline[CREW_FAR], &c->lifeline[CREW_NEAR], e) ||
        open_pipe(&c->watch[CREW_NEAR], &c->watch[CREW_FAR], e) || channel_pair(c->supervisor, e) ||
        crew_open_tickets(c, e))
        return -1;
    for (size_t i = 0; i < c->slot_count; i++)
        if (open_slot(&c->slots[i], e))
            return -1;
    return 0;
}

/* Adds nothing once something could not be added: `rc` carries that along. */
static int give(struct descriptor_list *fds, int rc, enum descriptor_name name, int index, int fd)
{
    return rc ? rc : descriptor_add(fds, name, index, fd);
}

/* Starts `child` with its descriptors named in its third argument. */
static int start(struct crew_process *p, struct child *child, const char *verb, const char *more,
                 int64_t now_ms, struct error *e)
{
    struct buf list = BUF_INIT(ARGUMENT_BYTES_MAX);
    const char *arguments[] = {PROGRAM_NAME, verb, NULL, more, NULL};
    int rc;

    buf_cstr(&list, DESCRIPTOR_ARGUMENT);
    descriptor_print(child->fds, &list);
    arguments[2] = list.data;
    child->arguments = arguments;
    if (list.failed)
        rc = error_set(e, ERROR_LIMIT, "too many descriptors for %s", child->name);
    else
        rc = child_start(child, &p->pid, e);
    buf_free(&list);
    if (rc == 0) {
        restart_started(&p->restart, now_ms);
        happening_tell(HAPPENING_CHILD_STARTED,
                       FIELDS(field_cstr("child", child->name), field_int("child_pid", p->pid)));
    }
    return rc;
}

int crew_start_control(struct crew *c, int64_t now_ms, struct error *e)
{
    struct descriptor_list fds = {0};
    struct child child = {.name = "control",
                          .program = c->program,
                          .environment = c->environment,
                          .fds = &fds,
                          .extra_fd = -1,
                          .has_terminal = true,
                          .stdout_fd = -1,
                          .privilege = &c->own_user,
                          .reads_all = true};
    const char *life = c->leaves_when_idle ? "--once" : c->was_ready ? "--again" : NULL;
    int rc = 0;

    if (renew_pair(c->supervisor, e))
        return -1;
    rc = give(&fds, rc, DESCRIPTOR_SUPERVISOR, DESCRIPTOR_ONLY, c->supervisor[CREW_FAR]);
    rc = give(&fds, rc, DESCRIPTOR_LIFELINE, DESCRIPTOR_ONLY, c->lifeline[CREW_FAR]);
    rc = give(&fds, rc, DESCRIPTOR_SETTINGS, DESCRIPTOR_ONLY, c->settings_fd);
    rc = give(&fds, rc, DESCRIPTOR_WATCH, DESCRIPTOR_ONLY, c->watch[CREW_NEAR]);
    rc = give(&fds, rc, DESCRIPTOR_TICKETS, DESCRIPTOR_ONLY, c->tickets);
    for (size_t i = 0; i < c->listeners.status_count; i++)
        rc = give(&fds, rc, DESCRIPTOR_STATUS, (int)i, c->listeners.status[i]);
    for (size_t i = 0; i < c->slot_count; i++) {
        rc = give(&fds, rc, DESCRIPTOR_CHANNEL, (int)i, c->slots[i].channel[CREW_NEAR]);
        rc = give(&fds, rc, DESCRIPTOR_COUNTERS, (int)i, c->slots[i].counters);
        c->slots[i].is_untold = true;
        c->slots[i].has_new_channel = false;
    }
    rc = rc ? error_memory(e) : start(&c->control, &child, "control", life, now_ms, e);
    descriptor_list_free(&fds);
    return rc;
}

int crew_start_worker(struct crew *c, size_t slot, int64_t now_ms, struct error *e)
{
    struct crew_slot *s = &c->slots[slot];
    struct descriptor_list fds = {0};
    char name[32], number[32];
    struct child child = {.name = name,
                          .program = c->program,
                          .fds = &fds,
                          .extra_fd = -1,
                          .stdout_fd = -1,
                          .privilege = &c->worker_user};
    int rc = 0;

    snprintf(name, sizeof(name), "worker-%zu", slot);
    if (renew_pair(s->channel, e))
        return -1;
    s->is_untold = s->has_new_channel = true;
    snprintf(number, sizeof(number), "--slot=%zu", slot);
    rc = give(&fds, rc, DESCRIPTOR_CHANNEL, DESCRIPTOR_ONLY, s->channel[CREW_FAR]);
    rc = give(&fds, rc, DESCRIPTOR_LIFELINE, DESCRIPTOR_ONLY, c->lifeline[CREW_FAR]);
    rc = give(&fds, rc, DESCRIPTOR_SETTINGS, DESCRIPTOR_ONLY, c->worker_settings_fd);
    rc = give(&fds, rc, DESCRIPTOR_COUNTERS, DESCRIPTOR_ONLY, s->counters);
    for (size_t i = 0; i < c->listeners.address_count; i++)
        rc = give(&fds, rc, DESCRIPTOR_LISTEN, (int)i,
                  c->listeners.fds[slot * c->listeners.address_count + i]);
    rc = rc ? error_memory(e) : start(&s->worker, &child, "worker", number, now_ms, e);
    descriptor_list_free(&fds);
    return rc;
}

/* Appends what is to be watched to `arguments`; *approved is one of them, the caller's to free. */
static int list_watched(const struct settings *s, const char **arguments, size_t *count,
                        char **approved, struct error *e)
{
    for (size_t i = 0; i < s->declarative_config_count; i++)
        if (strcmp(s->declarative_config[i], "-") != 0)
            arguments[(*count)++] = s->declarative_config[i];
    if (!settings_approve(s))
        return 0;
    if (settings_approve_file(s))
        arguments[(*count)++] = settings_approve_file(s);
    *approved = settings_approved_path(s);
    if (!*approved)
        return error_memory(e);
    arguments[(*count)++] = *approved;
    return 0;
}

int crew_start_watcher(struct crew *c, int64_t now_ms, struct error *e)
{
    const struct settings *s = &c->settings;
    const char **arguments = calloc(s->declarative_config_count + 6, sizeof(*arguments));
    struct child child = {.name = "watcher",
                          .program = c->watch_program,
                          .arguments = arguments,
                          .extra_fd = c->lifeline[CREW_FAR],
                          .stdout_fd = c->watch[CREW_FAR],
                          .privilege = &c->own_user,
                          .reads_all = true};
    char lifeline[32], *approved = NULL;
    size_t n = 0, first;
    int rc;

    if (!arguments)
        return error_memory(e);
    c->watcher.restart.due_ms = RESTART_NEVER;
    snprintf(lifeline, sizeof(lifeline), "--lifeline=%d", c->lifeline[CREW_FAR]);
    arguments[n++] = WATCH_PROGRAM;
    arguments[n++] = lifeline;
    arguments[n++] = "--";
    first = n;
    rc = list_watched(s, arguments, &n, &approved, e);
    if (rc == 0 && n > first && c->watch_program >= 0)
        rc = child_start(&child, &c->watcher.pid, e);
    if (rc == 0 && c->watcher.pid) {
        restart_started(&c->watcher.restart, now_ms);
        happening_tell(HAPPENING_CHILD_STARTED, FIELDS(field_cstr("child", child.name),
                                                       field_int("child_pid", c->watcher.pid)));
    }
    free(arguments);
    free(approved);
    return rc;
}

void crew_stop_control(struct crew *c, int64_t bound_ms)
{
    const struct channel_message stop = {.type = CHANNEL_STOP, .u.stop = {bound_ms}};
    struct error e;

    if (c->control.pid && channel_send(c->supervisor[CREW_NEAR], &stop, -1, &e))
        kill(c->control.pid, SIGTERM);
}

void crew_signal_workers(const struct crew *c, int number)
{
    for (size_t i = 0; i < c->slot_count; i++) {
        if (c->slots[i].worker.pid)
            kill(c->slots[i].worker.pid, number);
        if (c->slots[i].old_pid)
            kill(c->slots[i].old_pid, number);
    }
}

struct crew_slot *crew_slot_of(struct crew *c, const struct channel_message *m)
{
    struct crew_slot *slot;

    if (m->u.worker.slot >= c->slot_count)
        return NULL;
    slot = &c->slots[m->u.worker.slot];
    return slot->worker.pid && slot->worker.pid == m->u.worker.pid ? slot : NULL;
}
