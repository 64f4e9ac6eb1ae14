#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "privilege.h"
#include "reconciler/base/descriptor.h"
#include "reconciler/base/error.h"

/* What to exec, and what it is given. */
struct child {
    const char *name; /* for messages: "control", "worker-2" */
    int program;      /* an O_PATH descriptor; -1 = `path` */
    const char *path;
    const char *const *arguments;      /* argv, NULL-terminated */
    char *const *environment;          /* NULL = an empty one */
    const struct descriptor_list *fds; /* stay open over the exec, under their numbers */
    int extra_fd;                      /* one more, or -1 */
    bool has_terminal;                 /* keeps our stdin and stdout; else /dev/null, or: */
    int stdout_fd;                     /* -1 = none */
    const struct privilege *privilege;
    bool reads_all; /* keeps CAP_DAC_READ_SEARCH */
};

/*
 * Starts it: signals as a child expects them (supervisor.h), nothing open but what is listed.
 * 0 with *pid once the exec has succeeded; -1 with *e when something before or the exec itself
 * failed.
 */
int child_start(const struct child *c, pid_t *pid, struct error *e) MUST_CHECK;
