#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "reconciler/cli/internal.h"
#include "reconciler/cli/verb.h"

extern char **environ;

/*
 * Started without stdin, stdout or stderr, the next file opened would take the place, and be
 * written to. So each is held by /dev/null, opened the wrong way round: using it still fails.
 */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(VERB_FAILED);
}

int main(int argc, char **argv)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    int code;

    hold_standard_descriptors();
    /* A reader that left shows as a failed write, wherever we write (EPIPE). */
    if (sigaction(SIGPIPE, &ignore, NULL))
        return VERB_FAILED;
    if (internal_run(argc, argv, environ, &code))
        return code;
    return verb_main(argc, argv, environ);
}
