#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/base/attr.h"

/* Why no exec came of it, through a pipe that a successful exec closes. */
struct step_failure {
    int number;
    char step[32];
};

/* A terminal's signals are for the supervisor, which tells its children in order. */
static const int ignored[] = {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
static const int defaulted[] = {SIGTERM, SIGQUIT, SIGALRM, SIGCHLD};

static int set_signals(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN}, normal = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
        if (sigaction(ignored[i], &ignore, NULL))
            return -1;
    for (size_t i = 0; i < ARRAY_LENGTH(defaulted); i++)
        if (sigaction(defaulted[i], &normal, NULL))
            return -1;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_standard_streams(const struct child *c)
{
    int null;

    if (c->has_terminal)
        return 0;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return -1;
    return dup2(c->stdout_fd >= 0 ? c->stdout_fd : null, STDOUT_FILENO) < 0 ? -1 : 0;
}

static int keep_open(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    return flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0 ? -1 : 0;
}

static int keep_descriptors(const struct child *c)
{
    for (size_t i = 0; c->fds && i < c->fds->len; i++)
        if (keep_open(c->fds->items[i].fd))
            return -1;
    return c->extra_fd >= 0 ? keep_open(c->extra_fd) : 0;
}

static int become(const struct child *c)
{
    static char *const nothing[] = {NULL};
    char *const *environment = c->environment ? c->environment : nothing;

    if (c->program < 0)
        return execve(c->path, (char *const *)c->arguments, environment);
    return execveat(c->program, "", (char *const *)c->arguments, environment, AT_EMPTY_PATH);
}

/* In the child, up to the exec; comes back only when that cannot be. */
static struct step_failure prepare_and_exec(const struct child *c)
{
    if (set_signals())
        return (struct step_failure){errno, "signals"};
    if (set_standard_streams(c))
        return (struct step_failure){errno, "standard streams"};
    if (keep_descriptors(c))
        return (struct step_failure){errno, "descriptors"};
    if (c->privilege && privilege_drop(c->privilege, c->reads_all))
        return (struct step_failure){errno, "user"};
    become(c);
    return (struct step_failure){errno, "exec"};
}

int child_start(const struct child *c, pid_t *pid, struct error *e)
{
    struct step_failure failure;
    int pipe_ends[2];
    ssize_t got;
    pid_t started;

    if (pipe2(pipe_ends, O_CLOEXEC))
        return error_errno(e, ERROR_IO, errno, "cannot start %s", c->name);
    started = fork();
    if (started == 0) {
        failure = prepare_and_exec(c);
        if (write(pipe_ends[1], &failure, sizeof(failure)) < 0)
            _exit(126);
        _exit(127);
    }
    close(pipe_ends[1]);
    if (started < 0) {
        error_errno(e, ERROR_IO, errno, "cannot start %s", c->name);
        close(pipe_ends[0]);
        return -1;
    }
    do
        got = read(pipe_ends[0], &failure, sizeof(failure));
    while (got < 0 && errno == EINTR);
    close(pipe_ends[0]);
    if (got == 0) {
        *pid = started;
        return 0;
    }
    while (waitpid(started, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got != sizeof(failure))
        return error_set(e, ERROR_IO, "cannot start %s", c->name);
    return error_errno(e, ERROR_IO, failure.number, "cannot start %s: %s", c->name, failure.step);
}
