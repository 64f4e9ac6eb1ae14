#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/descriptor.h"
#include "reconciler/base/log.h"
#include "reconciler/settings/settings.h"
#include "cover.h"
#include "crew.h"
#include "handover.h"
#include "pulse.h"
#include "roster.h"
#include "upgrade.h"

#define EXIT_FAILED 1
#define EXIT_WRONG_USAGE 64
#define OPEN_FILES_WANTED ((rlim_t)1 << 20)

enum phase {
    PHASE_RUN,
    PHASE_DRAIN, /* control was told to finish, and workers, maybe when it has */
    PHASE_KILL,  /* and are killed */
};

struct supervisor {
    struct crew crew;
    int signals; /* signalfd */
    enum phase phase;
    int64_t kill_ms;   /* in PHASE_DRAIN */
    int worker_signal; /* what stops workers; 0 = they have got it, or need none yet */
    int stop_signal;   /* what stops us, and when it came */
    int64_t stop_ms;
    int code; /* what to exit with */
    unsigned start_deaths;
    struct pulse pulse; /* control's */
    /* When to try again, RESTART_NEVER = all is done: */
    int64_t cover_ms;  /* to have slots covered */
    int64_t roster_ms; /* to tell control of them */
    struct upgrade upgrade;
};

static const int handled[] = {SIGCHLD, SIGTERM, SIGQUIT, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

/* Signals come through a descriptor. A disposition of "ignored" would lose them, whoever left it.
 */
static int open_signals(struct supervisor *s, struct error *e)
{
    const struct sigaction normal = {.sa_handler = SIG_DFL}, ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LENGTH(handled); i++) {
        sigaddset(&set, handled[i]);
        sigaction(handled[i], &normal, NULL);
    }
    sigaction(SIGPIPE, &ignore, NULL);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return error_errno(e, ERROR_IO, errno, "signals");
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? error_errno(e, ERROR_IO, errno, "signalfd") : 0;
}

/* Children inherit it; a worker has a descriptor for each connection. */
static void raise_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max < OPEN_FILES_WANTED ? limit.rlim_max : OPEN_FILES_WANTED;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        happening_tell(HAPPENING_OPEN_FILES_NOT_RAISED, NULL);
}

/* ---- telling children ---- */

static void send_signal(pid_t pid, int number)
{
    if (pid > 0)
        kill(pid, number);
}

static void signal_all(struct supervisor *s, int number)
{
    crew_signal_workers(&s->crew, number);
    upgrade_signal(&s->upgrade, number);
    send_signal(s->crew.control.pid, number);
    send_signal(s->crew.watcher.pid, number);
}

static void stop_workers(struct supervisor *s)
{
    if (!s->worker_signal)
        return;
    /* Ours too: else what nobody accepts any more would hang instead of being refused. */
    listeners_close(&s->crew.listeners);
    crew_signal_workers(&s->crew, s->worker_signal);
    upgrade_signal(&s->upgrade, s->worker_signal);
    s->worker_signal = 0;
}

/* Without a hurry workers serve on until control has left: a CA may be asking them for an answer.
 */
static void stop(struct supervisor *s, const char *why, int worker_signal, int64_t bound_ms)
{
    happening_tell(HAPPENING_STOPPING,
                   FIELDS(field_cstr("because", why), field_int("bound_ms", bound_ms)));
    s->phase = PHASE_DRAIN;
    s->kill_ms = clock_steady_ms() + bound_ms;
    s->worker_signal = worker_signal;
    if (worker_signal == SUPERVISOR_HURRY_SIGNAL || !s->crew.control.pid)
        stop_workers(s);
    crew_stop_control(&s->crew, bound_ms);
    send_signal(s->crew.watcher.pid, SIGTERM);
}

static void kill_all(struct supervisor *s, const char *why)
{
    happening_tell(HAPPENING_KILLING, FIELDS(field_cstr("because", why)));
    s->phase = PHASE_KILL;
    signal_all(s, SIGKILL);
}

static void fail_start(struct supervisor *s, int code)
{
    s->code = code;
    if (s->phase == PHASE_RUN)
        stop(s, "control could not start", SUPERVISOR_HURRY_SIGNAL, SUPERVISOR_QUICK_MS);
}

/* ---- deaths ---- */

/* How we ask is nothing to worry about, nor is a start that was refused: the child has said why. */
static void log_death(const char *child, pid_t pid, int status, bool is_refusal,
                      const struct restart *restart)
{
    bool is_asked = WIFSIGNALED(status) &&
                    (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SUPERVISOR_HURRY_SIGNAL);
    bool is_worry = WIFSIGNALED(status) ? !is_asked : WEXITSTATUS(status) != 0 && !is_refusal;

    happening_tell_as(
        is_worry ? LOG_WARN : LOG_INFO, HAPPENING_CHILD_DIED,
        FIELDS(field_cstr("child", child), field_int("child_pid", pid),
               WIFSIGNALED(status) ? field_int("signal", WTERMSIG(status))
                                   : field_int("code", WEXITSTATUS(status)),
               restart ? field_int("restart_in_ms", restart_delay_ms(restart, clock_steady_ms()))
                       : FIELD_END));
}

/* Before it was ready for the first time: what it exits with is ours; a crash is tried again. */
static void on_start_death(struct supervisor *s, int status)
{
    if (WIFEXITED(status))
        fail_start(s, WEXITSTATUS(status) == EXIT_WRONG_USAGE ? EXIT_WRONG_USAGE : EXIT_FAILED);
    else if (++s->start_deaths >= SUPERVISOR_START_TRIES)
        fail_start(s, EXIT_FAILED);
}

static void receive_messages(struct supervisor *s);

static void on_control_died(struct supervisor *s, int status)
{
    /* Its last words count: it may have been ready, or have named a worker. */
    s->crew.control.pid = 0;
    receive_messages(s);
    if (s->phase == PHASE_DRAIN)
        stop_workers(s);
    if (s->phase != PHASE_RUN)
        return;
    if (upgrade_control_died(&s->upgrade, &s->crew))
        return;
    restart_died(&s->crew.control.restart, clock_steady_ms());
    if (!s->crew.was_ready)
        on_start_death(s, status);
}

static bool on_slot_died(struct supervisor *s, pid_t pid, int status)
{
    char name[32];

    for (size_t i = 0; i < s->crew.slot_count; i++) {
        struct crew_slot *slot = &s->crew.slots[i];
        if (pid != slot->worker.pid && pid != slot->old_pid)
            continue;
        snprintf(name, sizeof(name), "worker-%zu", i);
        log_death(name, pid, status, false,
                  s->phase == PHASE_RUN && pid == slot->worker.pid ? &slot->worker.restart : NULL);
        if (pid == slot->old_pid) {
            upgrade_old_worker_died(&s->crew, i);
        } else {
            slot->worker.pid = 0;
            slot->is_serving = false;
            slot->is_untold = true;
            restart_died(&slot->worker.restart, clock_steady_ms());
        }
        return true;
    }
    return false;
}

static void on_died(struct supervisor *s, pid_t pid, int status)
{
    bool is_running = s->phase == PHASE_RUN;
    const char *name;

    if (pid == s->crew.control.pid) {
        log_death("control", pid, status, is_running && !s->crew.was_ready,
                  is_running && s->crew.was_ready ? &s->crew.control.restart : NULL);
        on_control_died(s, status);
    } else if (pid == s->crew.watcher.pid) {
        log_death("watcher", pid, status, false, is_running ? &s->crew.watcher.restart : NULL);
        s->crew.watcher.pid = 0;
        restart_died(&s->crew.watcher.restart, clock_steady_ms());
    } else if (!on_slot_died(s, pid, status)) {
        name = upgrade_died(&s->upgrade, &s->crew, pid, status, s->phase != PHASE_RUN);
        if (name)
            log_death(name, pid, status, false, NULL);
    }
}

/* Control and workers are heard of every second; of a watcher's silence nobody would know. */
static void on_stopped(const struct supervisor *s, pid_t pid)
{
    if (pid != s->crew.watcher.pid)
        return;
    happening_tell(HAPPENING_WATCHER_STOPPED, FIELDS(field_int("child_pid", pid)));
    send_signal(pid, SIGKILL);
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (WIFSTOPPED(status))
            on_stopped(s, pid);
        else
            on_died(s, pid, status);
    }
}

/* ---- what comes in ---- */

static void on_ready(struct supervisor *s)
{
    s->crew.was_ready = true;
    s->start_deaths = 0;
    upgrade_control_ready(&s->upgrade, &s->crew);
}

static void kill_worker(struct supervisor *s, const struct channel_message *m)
{
    const struct crew_slot *slot = crew_slot_of(&s->crew, m);
    pid_t pid = slot ? slot->worker.pid : 0;

    if (pid)
        happening_tell(HAPPENING_WORKER_KILLED,
                       FIELDS(field_int("slot", m->u.worker.slot), field_int("child_pid", pid)));
    send_signal(pid, SIGKILL);
}

static void on_message(struct supervisor *s, const struct channel_message *m)
{
    if (m->type == CHANNEL_BEAT)
        pulse_felt(&s->pulse, clock_steady_ms());
    else if (m->type == CHANNEL_READY)
        on_ready(s);
    else if (m->type == CHANNEL_STOP && s->phase == PHASE_RUN)
        stop(s, "nothing is left to be tried", SUPERVISOR_HURRY_SIGNAL, SUPERVISOR_QUICK_MS);
    else if (m->type == CHANNEL_WORKER_READY && crew_slot_of(&s->crew, m))
        upgrade_worker_ready(&s->upgrade, &s->crew, m->u.worker.slot);
    else if (m->type == CHANNEL_WORKER_KILL)
        kill_worker(s, m);
    else if (m->type == CHANNEL_PREFIX)
        crew_renew_prefix(&s->crew);
}

static void receive_messages(struct supervisor *s)
{
    struct channel_message m;
    struct error e;
    int fd, got;

    while ((got = channel_receive(s->crew.supervisor[CREW_NEAR], &m, &fd, &e)) > 0) {
        if (fd >= 0)
            close(fd);
        on_message(s, &m);
    }
    if (got == 0)
        return;
    happening_tell_error(HAPPENING_CHANNEL_BROKEN, &e, NULL);
    if (e.kind != ERROR_PROTOCOL) /* it has shut its end: nobody hears it any more */
        send_signal(s->crew.control.pid, SIGKILL);
}

/* timeout(1) and terminals reach the process and its group: one wish that comes twice. */
static bool is_echo(const struct supervisor *s, int number)
{
    return number == s->stop_signal && clock_steady_ms() < s->stop_ms + SUPERVISOR_ECHO_MS;
}

static void on_stop_signal(struct supervisor *s, int number)
{
    if (s->phase == PHASE_DRAIN && is_echo(s, number))
        return;
    if (s->phase == PHASE_RUN) {
        s->stop_signal = number;
        s->stop_ms = clock_steady_ms();
    }
    if (s->phase == PHASE_DRAIN)
        kill_all(s, "a second signal");
    else if (s->phase == PHASE_RUN && number == SIGINT)
        stop(s, "SIGINT", SUPERVISOR_HURRY_SIGNAL, SUPERVISOR_QUICK_MS);
    else if (s->phase == PHASE_RUN)
        stop(s, number == SIGTERM ? "SIGTERM" : "SIGQUIT", SIGQUIT, SUPERVISOR_DRAIN_MS);
}

static void receive_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap(s);
            break;
        case SIGTERM:
        case SIGQUIT:
        case SIGINT:
            on_stop_signal(s, (int)info.ssi_signo);
            break;
        case SIGHUP:
            send_signal(s->crew.control.pid, SIGHUP);
            break;
        case SIGUSR2:
            if (s->phase == PHASE_RUN && s->crew.was_ready && !s->crew.leaves_when_idle)
                upgrade_begin(&s->upgrade, &s->crew);
            break;
        default: /* SIGUSR1 would reopen log files, of which there are none */
            break;
        }
    }
}

/* ---- what is due ---- */

/* A start that fails counts as a death: its next try is put off like one. */
static void put_off(struct crew_process *p, const struct error *e, int64_t now)
{
    happening_tell_error(HAPPENING_CHILD_FAILED, e, NULL);
    p->restart.started_ms = now;
    restart_died(&p->restart, now);
}

static bool is_due(const struct crew_process *p, int64_t now)
{
    return !p->pid && p->restart.due_ms <= now;
}

static void start_due(struct supervisor *s, int64_t now)
{
    struct crew *c = &s->crew;
    struct error e = {0};

    if (s->phase != PHASE_RUN)
        return;
    if (is_due(&c->control, now)) {
        pulse_felt(&s->pulse, now);
        if (crew_start_control(c, now, &e))
            put_off(&c->control, &e, now);
    }
    for (size_t i = 0; i < c->slot_count; i++)
        if (is_due(&c->slots[i].worker, now) && crew_start_worker(c, i, now, &e))
            put_off(&c->slots[i].worker, &e, now);
    if (is_due(&c->watcher, now) && crew_start_watcher(c, now, &e))
        put_off(&c->watcher, &e, now);
}

/* One that stands still (SIGSTOP, a hang) neither renews nor hears us. One of an older binary,
 * which leaves anyway, may not beat. */
static void kill_silent(struct supervisor *s, int64_t now)
{
    const pid_t pid = s->crew.control.pid;

    if (!pid || s->upgrade.stage == UPGRADE_CONTROL_LEAVES) {
        pulse_felt(&s->pulse, now);
    } else if (pulse_is_lost(&s->pulse, now)) {
        happening_tell(HAPPENING_CONTROL_SILENT,
                       FIELDS(field_int("child_pid", pid), field_int("ms", PULSE_LOST_MS)));
        pulse_felt(&s->pulse, now);
        send_signal(pid, SIGKILL);
    }
}

static void tell_due(struct supervisor *s, int64_t now)
{
    bool is_running = s->phase == PHASE_RUN;

    upgrade_hear(&s->upgrade, &s->crew);
    s->cover_ms = is_running && cover_slots(&s->crew) ? now + COVER_RETRY_MS : RESTART_NEVER;
    s->roster_ms =
        s->phase != PHASE_KILL && roster_tell(&s->crew) ? now + ROSTER_RETRY_MS : RESTART_NEVER;
}

static void kill_due(struct supervisor *s, int64_t now)
{
    if (s->phase == PHASE_RUN)
        kill_silent(s, now);
    if (s->phase == PHASE_DRAIN && s->kill_ms <= now)
        kill_all(s, "the bound is over");
    upgrade_kill_due(&s->upgrade, &s->crew, now);
}

static void sooner(int64_t *at, int64_t other)
{
    if (other < *at)
        *at = other;
}

static void sooner_start(int64_t *at, const struct crew_process *p)
{
    if (!p->pid)
        sooner(at, p->restart.due_ms);
}

/* When something is due next; RESTART_NEVER = nothing is. */
static int64_t next_due(const struct supervisor *s)
{
    int64_t at = upgrade_next_due(&s->upgrade);

    if (s->phase == PHASE_RUN) {
        sooner(&at, s->pulse.looked_ms + PULSE_LOOK_MS);
        sooner(&at, s->cover_ms);
        sooner(&at, s->roster_ms);
        sooner_start(&at, &s->crew.control);
        sooner_start(&at, &s->crew.watcher);
        for (size_t i = 0; i < s->crew.slot_count; i++)
            sooner_start(&at, &s->crew.slots[i].worker);
    }
    if (s->phase == PHASE_DRAIN)
        sooner(&at, s->kill_ms);
    return at;
}

static bool is_anyone_left(const struct supervisor *s)
{
    if (s->crew.control.pid || s->crew.watcher.pid || upgrade_has_processes(&s->upgrade))
        return true;
    for (size_t i = 0; i < s->crew.slot_count; i++)
        if (s->crew.slots[i].worker.pid || s->crew.slots[i].old_pid)
            return true;
    return false;
}

static int wait_for_something(struct supervisor *s)
{
    int channel = s->crew.control.pid ? s->crew.supervisor[CREW_NEAR] : -1;
    struct pollfd polled[] = {{.fd = s->signals, .events = POLLIN},
                              {.fd = channel, .events = POLLIN}};
    int64_t at = next_due(s), now = clock_steady_ms(), wait = -1;

    if (at != RESTART_NEVER)
        wait = at <= now ? 0 : at - now;
    if (poll(polled, ARRAY_LENGTH(polled), (int)wait) < 0 && errno != EINTR)
        return -1;
    return 0;
}

static int run(struct supervisor *s)
{
    /* Children of before an upgrade may have died while nobody looked. */
    reap(s);
    while (s->phase == PHASE_RUN || is_anyone_left(s)) {
        int64_t now = clock_steady_ms();
        kill_due(s, now);
        start_due(s, now);
        tell_due(s, now);
        log_flush();
        if (wait_for_something(s))
            return EXIT_FAILED;
        receive_messages(s);
        receive_signals(s);
    }
    happening_tell(HAPPENING_STOPPED, FIELDS(field_int("code", s->code)));
    return s->code;
}

static void close_supervisor(struct supervisor *s)
{
    crew_close(&s->crew);
    upgrade_fini(&s->upgrade);
    if (s->signals >= 0)
        close(s->signals);
}

int supervisor_run(const struct settings *settings, const struct supervisor_options *o)
{
    struct supervisor s = {.signals = -1};
    struct error e = {0};
    int code = EXIT_FAILED;

    crew_init(&s.crew);
    log_detach();
    log_open("supervisor", settings->log_level, settings->acme_log_format);
    s.crew.environment = o->environment;
    s.crew.arguments = o->arguments;
    s.crew.leaves_when_idle = o->leaves_when_idle;
    raise_open_files();
    if (crew_copy_settings(&s.crew, settings, &e) || crew_find_programs(&s.crew, &e) ||
        open_signals(&s, &e) || crew_open(&s.crew, &e) ||
        (o->prepare && o->prepare(o->context, &e))) {
        happening_tell_error(HAPPENING_START_FAILED, &e, NULL);
    } else {
        if (s.crew.own_user.is_shared)
            happening_tell(
                HAPPENING_USER_SHARED,
                FIELDS(field_cstr("because", "there is no user " PRIVILEGE_OWN_USER
                                             ": what else runs as nobody could read storage and "
                                             "talk to control.sock")));
        listeners_log(&s.crew.settings);
        s.crew.control.restart.due_ms = 0;
        s.crew.watcher.restart.due_ms = 0;
        for (size_t i = 0; i < s.crew.slot_count; i++)
            s.crew.slots[i].worker.restart.due_ms = 0;
        code = run(&s);
    }
    close_supervisor(&s);
    return code;
}

/* The state's descriptor and the arguments behind `--`. */
static int parse_resume(int argc, char *const *argv, struct supervisor *s, bool *is_probe,
                        struct error *e)
{
    struct descriptor_list fds = {0};
    int state = -1;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            s->crew.arguments = (const char *const *)argv + i + 1;
            break;
        }
        if (strcmp(argv[i], "--probe") == 0)
            *is_probe = true;
        else if (fds.len || descriptor_parse(&fds, argv[i], e))
            break;
    }
    state = descriptor_get(&fds, DESCRIPTOR_STATE, DESCRIPTOR_ONLY);
    descriptor_list_free(&fds);
    if (state < 0)
        return error_set(e, ERROR_USAGE, "resume is for the supervisor alone");
    return state;
}

int supervisor_resume(int argc, char *const *argv, char *const *environment)
{
    struct supervisor s = {.signals = -1};
    struct error e = {0};
    bool is_probe = false;
    int state, code = EXIT_FAILED;

    crew_init(&s.crew);
    log_detach();
    log_open("supervisor", LOG_NOTICE, LOG_KEY_VALUE);
    s.crew.environment = environment;
    state = parse_resume(argc, argv, &s, &is_probe, &e);
    if (state < 0 || handover_read(&s.crew, state, &e)) {
        happening_tell_error(is_probe ? HAPPENING_PROBE_FAILED : HAPPENING_RESUME_FAILED, &e, NULL);
        code = state < 0 ? EXIT_WRONG_USAGE : EXIT_FAILED;
    } else if (is_probe) {
        code = 0;
    } else {
        log_open("supervisor", s.crew.settings.log_level, s.crew.settings.acme_log_format);
        close(state);
        if (crew_find_programs(&s.crew, &e) || open_signals(&s, &e)) {
            happening_tell_error(HAPPENING_RESUME_FAILED, &e, NULL);
        } else {
            upgrade_take_over(&s.upgrade, &s.crew);
            code = run(&s);
        }
    }
    close_supervisor(&s);
    return code;
}
