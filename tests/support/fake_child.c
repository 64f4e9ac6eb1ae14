#include "tests/support/fake_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/descriptor.h"
#include "reconciler/settings/settings.h"

#define POLLED_MAX 64
#define REQUEST_MAX 4096
#define COVERED_MAX 8

struct fake {
    struct descriptor_list fds;
    int slot, signals;
    bool is_again, ignores_stop, is_deaf;
    char *const *environment;
    unsigned hups, watch_lines;
    struct {
        int channel;
        int64_t pid;
    } workers[SETTINGS_WORKERS_MAX];
    int covered[COVERED_MAX]; /* sockets of one other slot */
    size_t covered_count;
};

static int get(const struct fake *f, enum descriptor_name name)
{
    return descriptor_get(&f->fds, name, DESCRIPTOR_ONLY);
}

static int parse(struct fake *f, int argc, char *const *argv)
{
    struct error e;

    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--slot=", 7) == 0)
            f->slot = (int)strtol(argv[i] + 7, NULL, 10);
        else if (strcmp(argv[i], "--again") == 0)
            f->is_again = true;
        else if (descriptor_parse(&f->fds, argv[i], &e)) {
            fprintf(stderr, "fake: %s\n", e.message);
            return -1;
        }
    }
    return 0;
}

static int open_signals(const int *numbers, size_t count)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < count; i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int next_signal(int fd)
{
    struct signalfd_siginfo info;

    return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}

static void answer(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "fake: %s\n", strerror(errno));
}

/* ---- worker ---- */

static void serve(const struct fake *f, int listener, int *held)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    char text[64], byte = 0;

    if (fd < 0)
        return;
    if (recv(fd, &byte, 1, 0) == 1 && byte == 'h') {
        *held = fd;
        return;
    }
    snprintf(text, sizeof(text), "worker %d %d\n", f->slot, (int)getpid());
    answer(fd, text);
    close(fd);
}

static void finish_held(const struct fake *f, int *held)
{
    char text[64], byte;

    if (recv(*held, &byte, 1, 0) == 1) {
        snprintf(text, sizeof(text), "worker %d %d\n", f->slot, (int)getpid());
        answer(*held, text);
    }
    close(*held);
    *held = -1;
}

static void hear_supervisor(struct fake *f)
{
    struct channel_message m;
    struct error e;
    int fd;

    while (channel_receive(get(f, DESCRIPTOR_CHANNEL), &m, &fd, &e) > 0) {
        bool is_ours = m.u.cover.pid == getpid();
        while (m.type == CHANNEL_UNCOVER && is_ours && f->covered_count)
            close(f->covered[--f->covered_count]);
        if (m.type == CHANNEL_COVER && is_ours && f->covered_count < COVERED_MAX)
            f->covered[f->covered_count++] = fd;
        else if (fd >= 0)
            close(fd);
    }
}

enum turn { TURN_ON, TURN_DRAIN, TURN_LEAVE };

static enum turn worker_turn(struct fake *f, bool accepts, int *held)
{
    struct pollfd polled[POLLED_MAX] = {{.fd = f->signals, .events = POLLIN},
                                        {.fd = get(f, DESCRIPTOR_LIFELINE), .events = POLLIN},
                                        {.fd = *held, .events = POLLIN},
                                        {.fd = get(f, DESCRIPTOR_CHANNEL), .events = POLLIN}};
    size_t n = 4, listeners = accepts ? descriptor_count(&f->fds, DESCRIPTOR_LISTEN) : 0;
    int number;

    for (size_t i = 0; i < listeners && n < POLLED_MAX; i++)
        polled[n++] = (struct pollfd){.fd = descriptor_get(&f->fds, DESCRIPTOR_LISTEN, (int)i),
                                      .events = POLLIN};
    for (size_t i = 0; accepts && i < f->covered_count && n < POLLED_MAX; i++)
        polled[n++] = (struct pollfd){.fd = f->covered[i], .events = POLLIN};
    if (poll(polled, n, -1) < 0 || polled[1].revents)
        return TURN_LEAVE;
    if (polled[3].revents)
        hear_supervisor(f);
    if (polled[2].revents)
        finish_held(f, held);
    for (size_t i = 4; i < n; i++)
        if (polled[i].revents)
            serve(f, polled[i].fd, held);
    number = next_signal(f->signals);
    if (number == SIGALRM)
        return TURN_LEAVE;
    return number == SIGQUIT || number == SIGTERM ? TURN_DRAIN : TURN_ON;
}

static void close_listeners(const struct fake *f)
{
    for (size_t i = 0; i < descriptor_count(&f->fds, DESCRIPTOR_LISTEN); i++)
        close(descriptor_get(&f->fds, DESCRIPTOR_LISTEN, (int)i));
}

static int play_worker(struct fake *f)
{
    static const int numbers[] = {SIGALRM, SIGTERM, SIGQUIT};
    const struct channel_message hello = {.type = CHANNEL_HELLO, .u.hello.pid = getpid()};
    const struct channel_message drains = {.type = CHANNEL_DRAINS};
    enum turn turn = TURN_ON;
    bool accepts = true;
    int held = -1;
    struct error e;

    f->signals = open_signals(numbers, ARRAY_LENGTH(numbers));
    if (channel_send(get(f, DESCRIPTOR_CHANNEL), &hello, -1, &e))
        return 1;
    while ((accepts || held >= 0) && turn != TURN_LEAVE) {
        turn = worker_turn(f, accepts, &held);
        if (turn == TURN_DRAIN && accepts) {
            close_listeners(f);
            accepts = false;
            if (channel_send(get(f, DESCRIPTOR_CHANNEL), &drains, -1, &e))
                return 1;
        }
    }
    return 0;
}

/* ---- control ---- */

static const char *variable(const struct fake *f, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; f->environment[i]; i++)
        if (strncmp(f->environment[i], name, len) == 0 && f->environment[i][len] == '=')
            return f->environment[i] + len + 1;
    return "";
}

static void tell(const struct fake *f, enum channel_type type, unsigned slot, int64_t pid)
{
    struct channel_message m = {.type = type};
    struct error e;

    if (type == CHANNEL_WORKER_KILL || type == CHANNEL_WORKER_READY) {
        m.u.worker.slot = slot;
        m.u.worker.pid = pid;
    }
    if (channel_send(get(f, DESCRIPTOR_SUPERVISOR), &m, -1, &e))
        fprintf(stderr, "fake: the supervisor is gone\n");
}

static void print_info(const struct fake *f, int fd)
{
    char text[256];
    size_t variables = 0, workers = descriptor_count(&f->fds, DESCRIPTOR_CHANNEL);

    while (f->environment[variables])
        variables++;
    snprintf(text, sizeof(text),
             "control %d again=%d hups=%u environment=%zu channels=%zu watch=%u\n", (int)getpid(),
             f->is_again, f->hups, variables, workers, f->watch_lines);
    answer(fd, text);
}

/* Whether the worker's lines on the channels came; each is reported as serving at once. */
static void hear_worker(struct fake *f, unsigned slot)
{
    struct channel_message m;
    struct error e;
    int fd;

    while (channel_receive(f->workers[slot].channel, &m, &fd, &e) > 0)
        if (m.type == CHANNEL_HELLO && (!f->is_deaf || slot))
            tell(f, CHANNEL_WORKER_READY, slot, m.u.hello.pid);
}

static void try_read(const char *path, int answer_to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    answer(answer_to, fd >= 0 ? "readable\n" : "denied\n");
    if (fd >= 0)
        close(fd);
}

static void obey(struct fake *f, const char *text, int fd)
{
    char path[REQUEST_MAX];
    int code = 0;
    unsigned slot = 0;
    long pid = 0;

    if (strncmp(text, "info", 4) == 0)
        print_info(f, fd);
    else if (sscanf(text, "exit %d", &code) == 1)
        _exit(code);
    else if (strncmp(text, "abort", 5) == 0)
        raise(SIGKILL);
    else if (strncmp(text, "shut", 4) == 0)
        shutdown(get(f, DESCRIPTOR_SUPERVISOR), SHUT_WR);
    else if (sscanf(text, "kill %u %ld", &slot, &pid) >= 1)
        tell(f, CHANNEL_WORKER_KILL, slot, pid ? pid : f->workers[slot].pid);
    else if (sscanf(text, "read %4095s", path) == 1)
        try_read(path, fd);
    answer(fd, "\n");
}

static void take_command(struct fake *f, int listener)
{
    char text[REQUEST_MAX] = "";
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (recv(fd, text, sizeof(text) - 1, 0) > 0)
        obey(f, text, fd);
    close(fd);
}

static bool hears_stop(struct fake *f)
{
    struct channel_message m;
    struct error e;
    int fd;

    while (channel_receive(get(f, DESCRIPTOR_SUPERVISOR), &m, &fd, &e) > 0) {
        if (m.type == CHANNEL_STOP)
            return !f->ignores_stop;
        fprintf(stderr, "fake: slot %u pid=%d old=%u\n", m.u.slot.slot, (int)m.u.slot.pid,
                m.u.slot.has_old);
        f->workers[m.u.slot.slot].pid = m.u.slot.pid;
        if (fd >= 0)
            f->workers[m.u.slot.slot].channel = fd;
    }
    return false;
}

static void count_lines(struct fake *f)
{
    char text[REQUEST_MAX];
    ssize_t got = read(get(f, DESCRIPTOR_WATCH), text, sizeof(text));

    for (ssize_t i = 0; i < got; i++)
        f->watch_lines += text[i] == '\n';
}

/* One turn; false when it is time to leave. */
static bool control_turn(struct fake *f, size_t workers, size_t listeners)
{
    struct pollfd polled[POLLED_MAX] = {{.fd = f->signals, .events = POLLIN},
                                        {.fd = get(f, DESCRIPTOR_LIFELINE), .events = POLLIN},
                                        {.fd = get(f, DESCRIPTOR_SUPERVISOR), .events = POLLIN},
                                        {.fd = get(f, DESCRIPTOR_WATCH), .events = POLLIN}};
    size_t n = 4;
    int number;

    for (size_t i = 0; i < workers + listeners; i++)
        polled[n++] = (struct pollfd){
            .fd = i < workers ? f->workers[i].channel
                              : descriptor_get(&f->fds, DESCRIPTOR_STATUS, (int)(i - workers)),
            .events = POLLIN};
    tell(f, CHANNEL_BEAT, 0, 0);
    if (poll(polled, n, 1000) < 0 || polled[1].revents || hears_stop(f))
        return false;
    if (polled[3].revents)
        count_lines(f);
    for (size_t i = 0; i < workers; i++)
        hear_worker(f, (unsigned)i);
    for (size_t i = 4 + workers; i < n; i++)
        if (polled[i].revents)
            take_command(f, polled[i].fd);
    number = next_signal(f->signals);
    f->hups += number == SIGHUP;
    return number != SIGTERM || f->ignores_stop;
}

static int play_control(struct fake *f)
{
    static const int numbers[] = {SIGTERM, SIGHUP};
    size_t workers = descriptor_count(&f->fds, DESCRIPTOR_CHANNEL);
    size_t listeners = descriptor_count(&f->fds, DESCRIPTOR_STATUS);
    const char *start = variable(f, "FAKE_START");

    if (workers + listeners + 4 > POLLED_MAX)
        return 64;
    if (strcmp(start, "abort") == 0)
        raise(SIGKILL);
    if (start[0])
        return (int)strtol(start, NULL, 10);
    for (size_t i = 0; i < workers; i++)
        f->workers[i].channel = descriptor_get(&f->fds, DESCRIPTOR_CHANNEL, (int)i);
    f->is_deaf = variable(f, "FAKE_DEAF")[0] != '\0';
    f->ignores_stop = strcmp(variable(f, "FAKE_STOP"), "ignore") == 0;
    f->signals = open_signals(numbers, ARRAY_LENGTH(numbers));
    tell(f, CHANNEL_READY, 0, 0);
    while (control_turn(f, workers, listeners))
        ;
    return 0;
}

/* Says "ready" and its paths as lines; leaves when told. */
static int play_watcher(int argc, char *const *argv)
{
    struct pollfd lifeline = {.events = POLLIN};

    if (argc < 4 || sscanf(argv[1], "--lifeline=%d", &lifeline.fd) != 1)
        return 64;
    answer(STDOUT_FILENO, "ready\n");
    for (int i = 3; i < argc; i++)
        answer(STDOUT_FILENO, "changed\n");
    return poll(&lifeline, 1, -1) < 0;
}

bool fake_child_run(int argc, char *const *argv, char *const *environment, int *code)
{
    struct fake *f;

    if (argc > 0 && strcmp(argv[0], "reconcert-watch") == 0) {
        *code = play_watcher(argc, argv);
        return true;
    }
    if (argc < 2 || (strcmp(argv[1], "control") != 0 && strcmp(argv[1], "worker") != 0))
        return false;
    *code = 64;
    f = calloc(1, sizeof(*f));
    if (f) {
        f->environment = environment;
        if (parse(f, argc, argv) == 0)
            *code = strcmp(argv[1], "control") == 0 ? play_control(f) : play_worker(f);
        descriptor_list_free(&f->fds);
    }
    free(f);
    return true;
}
