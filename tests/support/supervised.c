#include "tests/support/supervised.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/base/clock.h"
#include "reconciler/settings/settings.h"
#include "reconciler/supervisor/supervisor.h"
#include "tests/support/fake_child.h"
#include "tests/support/scratch.h"

#define BOUND_MS 20000
#define ARGUMENTS_MAX 32

static int play_run(int argc, char *const *argv, char *const *environment)
{
    struct settings settings;
    struct error e;
    int code = 64;

    (void)argc;
    if (settings_read(&settings,
                      &(struct settings_input){.environment = environment,
                                               .assignments = (const char *const *)argv + 2,
                                               .is_root = geteuid() == 0},
                      &e))
        fprintf(stderr, "settings: %s: %s\n", e.path, e.message);
    else
        code = supervisor_run(
            &settings, &(struct supervisor_options){.environment = environment,
                                                    .arguments = (const char *const *)argv + 1});
    settings_fini(&settings);
    return code;
}

bool supervised_play(int argc, char *const *argv, char *const *environment, int *code)
{
    if (fake_child_run(argc, argv, environment, code))
        return true;
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        *code = play_run(argc, argv, environment);
    else if (argc > 1 && strcmp(argv[1], "resume") == 0)
        *code = supervisor_resume(argc - 1, argv + 1, environment);
    else
        return false;
    return true;
}

int supervised_install(const struct supervised *s, const char *name)
{
    char path[128], fresh[160];
    struct stat st;
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = -1, rc = -1;
    off_t at = 0;

    snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    snprintf(fresh, sizeof(fresh), "%s.fresh", path);
    to = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (from < 0 || to < 0 || fstat(from, &st))
        goto out;
    while (at < st.st_size)
        if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
            goto out;
    rc = 0;
out:
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return rc == 0 ? rename(fresh, path) : -1;
}

int supervised_open(struct supervised *s)
{
    *s = (struct supervised){.log = -1, .text = BUF_INIT((size_t)1 << 20)};
    snprintf(s->folder, sizeof(s->folder), "/tmp/reconcert-supervised.XXXXXX");
    if (!mkdtemp(s->folder) || chmod(s->folder, 0755))
        return -1;
    return supervised_install(s, "reconcert") || supervised_install(s, "reconcert-watch") ? -1 : 0;
}

int supervised_start(struct supervised *s, const char *const *settings,
                     const char *const *variables)
{
    static const char *const nothing[] = {NULL};
    const char *arguments[ARGUMENTS_MAX] = {"reconcert",
                                            "run",
                                            "proxy_listen=127.0.0.1:0",
                                            "status_listen=127.0.0.1:0",
                                            "nginx_worker_processes=1",
                                            "log_level=debug"};
    char program[128], prefix[128];
    size_t n = 6;
    int ends[2];

    snprintf(program, sizeof(program), "%s/reconcert", s->folder);
    snprintf(prefix, sizeof(prefix), "prefix=%s/state", s->folder);
    arguments[n++] = prefix;
    for (size_t i = 0; settings && settings[i] && n < ARGUMENTS_MAX - 1; i++)
        arguments[n++] = settings[i];
    if (pipe2(ends, O_CLOEXEC))
        return -1;
    buf_clear(&s->text);
    s->pid = fork();
    if (s->pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execve(program, (char *const *)arguments, (char *const *)(variables ? variables : nothing));
        _exit(127);
    }
    close(ends[1]);
    if (s->log >= 0)
        close(s->log);
    s->log = ends[0];
    return s->pid < 0 ? -1 : 0;
}

/* The next line of the log into `line`; false at its end or after the bound. */
static bool next_line(struct supervised *s, int64_t end_ms, char *line, size_t size)
{
    while (true) {
        size_t len = str_find(buf_view(&s->text), '\n', 0);
        struct pollfd polled = {.fd = s->log, .events = POLLIN};
        int64_t left = end_ms - clock_steady_ms();
        char *room;
        ssize_t got;
        if (s->text.len && len < s->text.len) {
            snprintf(line, size, "%.*s", (int)len, s->text.data);
            buf_consume(&s->text, len + 1);
            if (getenv("SUPERVISED_SHOW"))
                fprintf(stderr, "%s\n", line);
            return true;
        }
        if (left <= 0 || poll(&polled, 1, (int)left) <= 0)
            return false;
        room = buf_reserve(&s->text, 4096);
        got = room ? read(s->log, room, 4096) : -1;
        if (got <= 0)
            return false;
        buf_commit(&s->text, (size_t)got);
    }
}

bool supervised_logs(struct supervised *s, const char *what)
{
    int64_t end = clock_steady_ms() + BOUND_MS;
    char line[4096];

    while (next_line(s, end, line, sizeof(line))) {
        const char *port = strstr(line, " listening ") ? strstr(line, "port=") : NULL;
        if (port && strstr(line, "for=proxy") && !s->proxy_port)
            s->proxy_port = (int)strtol(port + 5, NULL, 10);
        if (port && strstr(line, "for=status") && !s->status_port)
            s->status_port = (int)strtol(port + 5, NULL, 10);
        if (strstr(line, what))
            return true;
    }
    fprintf(stderr, "\nno line with \"%s\"\n", what);
    return false;
}

int supervised_start_ready(struct supervised *s, const char *const *settings,
                           const char *const *variables)
{
    s->proxy_port = s->status_port = 0;
    if (supervised_start(s, settings, variables) || !supervised_logs(s, "for=status"))
        return -1;
    return supervised_who(s->status_port, "info\n") && supervised_who(s->proxy_port, "x") ? 0 : -1;
}

int supervised_wait(struct supervised *s, int bound_ms)
{
    int64_t end = clock_steady_ms() + bound_ms;
    char line[4096];
    int status;

    /* Its log ends with it and its last child. */
    while (next_line(s, end, line, sizeof(line)))
        ;
    while (waitpid(s->pid, &status, WNOHANG) == 0)
        if (clock_steady_ms() > end || poll(NULL, 0, 5) < 0)
            return -1;
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

void supervised_close(struct supervised *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    if (s->log >= 0)
        close(s->log);
    buf_free(&s->text);
    scratch_remove(s->folder);
}

int supervised_connect(int port)
{
    const struct timeval bound = {.tv_sec = BOUND_MS / 1000};
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

bool supervised_ask(int port, const char *request, char *line, size_t size)
{
    int fd = supervised_connect(port);
    size_t len = 0;
    ssize_t got = 1;

    if (fd < 0)
        return false;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        got = 0;
    while (got > 0 && len + 1 < size && (!len || line[len - 1] != '\n')) {
        got = recv(fd, line + len, size - 1 - len, 0);
        len += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    line[len] = '\0';
    if (strchr(line, '\n'))
        *strchr(line, '\n') = '\0';
    return len > 0;
}

pid_t supervised_who(int port, const char *request)
{
    char line[256];
    int slot, pid;

    if (!supervised_ask(port, request, line, sizeof(line)))
        return 0;
    if (sscanf(line, "worker %d %d", &slot, &pid) == 2 || sscanf(line, "control %d", &pid) == 1)
        return pid;
    return 0;
}

bool supervised_is_gone(pid_t pid)
{
    int64_t end = clock_steady_ms() + BOUND_MS;

    while (clock_steady_ms() < end) {
        char path[64], text[512] = "", *state;
        FILE *f;
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        f = fopen(path, "re");
        if (!f)
            return true;
        state = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
        fclose(f);
        if (state && state[1] == ' ' && state[2] == 'Z')
            return true;
        poll(NULL, 0, 5);
    }
    return false;
}
