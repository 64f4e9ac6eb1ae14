#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "handover.h"
#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/descriptor.h"
#include "reconciler/base/happening.h"
#include "reconciler/supervisor/supervisor.h"

#define PROGRAM_NAME "reconcert"

void upgrade_fini(struct upgrade *u)
{
    vec_free(&u->leaving);
    *u = (struct upgrade){0};
}

static void refuse(const char *why)
{
    happening_tell(HAPPENING_UPGRADE_REFUSED, FIELDS(field_cstr("because", why)));
}

static void report(const struct error *e)
{
    happening_tell_error(HAPPENING_UPGRADE_FAILED, e, NULL);
}

/* ---- the old binary's part ---- */

static int set_cloexec(const struct descriptor_list *fds, bool on)
{
    for (size_t i = 0; i < fds->len; i++)
        if (fcntl(fds->items[i].fd, F_SETFD, on ? FD_CLOEXEC : 0))
            return -1;
    return 0;
}

/* The state and the command line that hands it over. */
struct parcel {
    int state;
    struct descriptor_list fds;
    const char **arguments;
    char number[64];
};

static int pack(struct parcel *p, const struct crew *c, bool is_probe, struct error *e)
{
    size_t count = 0, n = 0;

    p->state = handover_write(c, &p->fds, e);
    if (p->state < 0)
        return -1;
    while (c->arguments && c->arguments[count])
        count++;
    p->arguments = calloc(count + 6, sizeof(*p->arguments));
    if (!p->arguments)
        return error_memory(e);
    snprintf(p->number, sizeof(p->number), DESCRIPTOR_ARGUMENT "state=%d", p->state);
    p->arguments[n++] = PROGRAM_NAME;
    p->arguments[n++] = "resume";
    p->arguments[n++] = p->number;
    if (is_probe)
        p->arguments[n++] = "--probe";
    p->arguments[n++] = "--";
    for (size_t i = 0; i < count; i++)
        p->arguments[n++] = c->arguments[i];
    return 0;
}

static void unpack(struct parcel *p)
{
    free(p->arguments);
    descriptor_list_free(&p->fds);
    if (p->state >= 0)
        close(p->state);
}

void upgrade_begin(struct upgrade *u, struct crew *c)
{
    struct parcel parcel = {.state = -1};
    struct error e = {0};

    if (u->stage != UPGRADE_NONE || u->probe || u->leaving.len) {
        refuse("one is going on");
        return;
    }
    happening_tell(HAPPENING_UPGRADE_BEGINS, FIELDS(field_cstr("program", c->path)));
    if (pack(&parcel, c, true, &e) == 0) {
        const struct child child = {.name = "the new binary",
                                    .program = -1,
                                    .path = c->path,
                                    .arguments = parcel.arguments,
                                    .environment = c->environment,
                                    .fds = &parcel.fds,
                                    .extra_fd = -1,
                                    .stdout_fd = -1};
        u->probe_kill_ms = clock_steady_ms() + SUPERVISOR_PROBE_MS;
        if (child_start(&child, &u->probe, &e))
            report(&e);
    } else {
        report(&e);
    }
    unpack(&parcel);
}

/* Comes back only when the new binary could not be exec'd: then all goes on as before. */
static void exec_new_binary(const struct crew *c)
{
    struct parcel parcel = {.state = -1};
    struct error e = {0};

    if (pack(&parcel, c, false, &e) == 0) {
        if (set_cloexec(&parcel.fds, false) == 0)
            execve(c->path, (char *const *)parcel.arguments, c->environment);
        error_errno(&e, ERROR_IO, errno, "exec %s", c->path);
        if (set_cloexec(&parcel.fds, true))
            error_errno(&e, ERROR_IO, errno, "descriptors");
    }
    report(&e);
    unpack(&parcel);
}

static void on_probe_died(const struct crew *c, int status)
{
    struct error e;

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        exec_new_binary(c);
        return;
    }
    error_set(&e, ERROR_INVALID, "%s does not start, or does not read our state", c->path);
    report(&e);
}

/* ---- the new binary's part ---- */

static void begin_next_slot(struct upgrade *u, struct crew *c)
{
    /* One may have been replaced before its turn, because it died. */
    while (u->next_slot < c->slot_count && c->slots[u->next_slot].is_serving)
        u->next_slot++;
    if (u->next_slot == c->slot_count) {
        u->stage = UPGRADE_NONE;
        happening_tell(HAPPENING_UPGRADE_DONE, NULL);
        return;
    }
    if (!c->slots[u->next_slot].worker.pid)
        c->slots[u->next_slot].worker.restart.due_ms = 0;
}

/* It accepts no more, and has no connection on which somebody could ask again. */
static void forget_old(struct crew *c, size_t slot)
{
    c->slots[slot].has_old = false;
    c->slots[slot].is_untold = true;
}

void upgrade_old_worker_died(struct crew *c, size_t number)
{
    struct crew_slot *slot = &c->slots[number];

    slot->old_pid = 0;
    forget_old(c, number);
    if (!slot->worker.pid && slot->worker.restart.due_ms == RESTART_NEVER)
        slot->worker.restart.due_ms = 0;
}

static void retire(struct upgrade *u, struct crew *c, size_t number)
{
    struct crew_slot *slot = &c->slots[number];
    const struct upgrade_leaving old = {slot->old_pid, clock_steady_ms() + SUPERVISOR_DRAIN_MS,
                                        number, true};

    if (!old.pid)
        return;
    slot->old_pid = 0;
    if (vec_push(&u->leaving, old) == 0) {
        kill(old.pid, SIGQUIT);
        return;
    }
    kill(old.pid, SIGKILL);
    forget_old(c, number);
}

void upgrade_worker_ready(struct upgrade *u, struct crew *c, size_t slot)
{
    c->slots[slot].is_serving = c->slots[slot].was_serving = true;
    retire(u, c, slot);
    if (u->stage == UPGRADE_WORKERS)
        begin_next_slot(u, c);
}

void upgrade_control_ready(struct upgrade *u, struct crew *c)
{
    if (u->stage != UPGRADE_CONTROL_STARTS)
        return;
    u->stage = UPGRADE_WORKERS;
    u->next_slot = 0;
    begin_next_slot(u, c);
}

static void start_new_control(struct upgrade *u, struct crew *c)
{
    struct error e;

    /* An older binary's ran as another user; only now does nobody write there. */
    if (privilege_own_folder(&c->own_user, c->worker_user.uid, c->settings.prefix, &e))
        report(&e);
    u->stage = UPGRADE_CONTROL_STARTS;
    c->control.restart = (struct restart){.due_ms = 0};
}

bool upgrade_control_died(struct upgrade *u, struct crew *c)
{
    if (u->stage != UPGRADE_CONTROL_LEAVES)
        return false;
    start_new_control(u, c);
    return true;
}

void upgrade_take_over(struct upgrade *u, struct crew *c)
{
    happening_tell(HAPPENING_UPGRADE_TAKEN_OVER, FIELDS(field_cstr("program", c->path)));
    u->stage = UPGRADE_CONTROL_LEAVES;
    u->control_kill_ms = clock_steady_ms() + SUPERVISOR_DRAIN_MS;
    if (c->control.pid)
        crew_stop_control(c, SUPERVISOR_DRAIN_MS);
    else
        start_new_control(u, c);
    if (c->watcher.pid)
        kill(c->watcher.pid, SIGTERM);
    else
        c->watcher.restart.due_ms = 0;
    for (size_t i = 0; i < c->slot_count; i++)
        if (!c->slots[i].old_pid)
            c->slots[i].worker.restart.due_ms = 0;
}

/* A worker of a build that does not say so is told of when it is gone. */
static bool has_drained(int channel)
{
    struct channel_message m = {0};
    struct error e = {0};
    int fd, got = 1;

    for (int i = 0; i < UPGRADE_HEAR_MAX && (got == 1 || e.kind == ERROR_PROTOCOL); i++) {
        got = channel_receive(channel, &m, &fd, &e);
        if (got == 1 && fd >= 0)
            close(fd);
        if (got == 1 && m.type == CHANNEL_DRAINS)
            return true;
    }
    return false;
}

void upgrade_hear(struct upgrade *u, struct crew *c)
{
    for (size_t i = 0; i < u->leaving.len; i++) {
        struct upgrade_leaving *old = &u->leaving.items[i];
        if (!old->accepts || !has_drained(c->slots[old->slot].old_channel[CREW_NEAR]))
            continue;
        old->accepts = false;
        forget_old(c, old->slot);
    }
}

/* ---- both ---- */

const char *upgrade_died(struct upgrade *u, struct crew *c, pid_t pid, int status, bool is_stopping)
{
    if (pid == u->probe) {
        u->probe = 0;
        if (!is_stopping)
            on_probe_died(c, status);
        return "new-binary";
    }
    for (size_t i = 0; i < u->leaving.len; i++)
        if (u->leaving.items[i].pid == pid) {
            forget_old(c, u->leaving.items[i].slot);
            u->leaving.items[i] = u->leaving.items[--u->leaving.len];
            return "old-worker";
        }
    return NULL;
}

int64_t upgrade_next_due(const struct upgrade *u)
{
    int64_t at = RESTART_NEVER;

    if (u->stage == UPGRADE_CONTROL_LEAVES)
        at = u->control_kill_ms;
    if (u->probe && u->probe_kill_ms < at)
        at = u->probe_kill_ms;
    for (size_t i = 0; i < u->leaving.len; i++) {
        const struct upgrade_leaving *old = &u->leaving.items[i];
        int64_t due = old->accepts ? clock_steady_ms() + UPGRADE_HEAR_MS : old->kill_ms;
        if (due < at)
            at = due;
    }
    return at;
}

static void kill_if_due(pid_t pid, int64_t *at, int64_t now)
{
    if (pid <= 0 || *at > now)
        return;
    kill(pid, SIGKILL);
    *at = RESTART_NEVER;
}

void upgrade_kill_due(struct upgrade *u, struct crew *c, int64_t now_ms)
{
    if (u->stage == UPGRADE_CONTROL_LEAVES)
        kill_if_due(c->control.pid, &u->control_kill_ms, now_ms);
    kill_if_due(u->probe, &u->probe_kill_ms, now_ms);
    for (size_t i = 0; i < u->leaving.len; i++)
        kill_if_due(u->leaving.items[i].pid, &u->leaving.items[i].kill_ms, now_ms);
}

void upgrade_signal(const struct upgrade *u, int number)
{
    if (u->probe)
        kill(u->probe, number);
    for (size_t i = 0; i < u->leaving.len; i++)
        kill(u->leaving.items[i].pid, number);
}

bool upgrade_has_processes(const struct upgrade *u)
{
    return u->probe || u->leaving.len;
}
