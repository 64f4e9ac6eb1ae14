#include "sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

/* What the loop, libevent, OpenSSL, malloc and the log need once everything is set up. */
static const int calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(accept4),
    SCMP_SYS(close),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll),
    SCMP_SYS(fstat),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/*
 * The rest is allowed for what we do with it alone. fcntl could have the kernel send signals in our
 * name (F_SETOWN, F_SETSIG), setsockopt could steer what other workers' sockets are given. A
 * listener could be shut down for all who have it, and then be connected to anywhere by what sends.
 */
static int add_narrow_rules(scmp_filter_ctx filter)
{
    const struct {
        int call;
        unsigned count;
        struct scmp_arg_cmp arguments[2];
    } rules[] = {
        /* Memory, but none that could be executed. */
        {SCMP_SYS(mmap), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
        {SCMP_SYS(mprotect), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
        {SCMP_SYS(fcntl), 1, {SCMP_A1(SCMP_CMP_EQ, F_GET_SEALS, 0)}},
        {SCMP_SYS(fcntl), 1, {SCMP_A1(SCMP_CMP_EQ, F_GETFD, 0)}},
        {SCMP_SYS(fcntl), 1, {SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0)}},
        {SCMP_SYS(shutdown), 1, {SCMP_A1(SCMP_CMP_EQ, SHUT_WR, 0)}},
        {SCMP_SYS(sendto), 1, {SCMP_A4(SCMP_CMP_EQ, 0, 0)}}, /* to no address */
        {SCMP_SYS(sendmsg), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0)}},
        {SCMP_SYS(setsockopt),
         2,
         {SCMP_A1(SCMP_CMP_EQ, IPPROTO_TCP, 0), SCMP_A2(SCMP_CMP_EQ, TCP_NODELAY, 0)}},
        /* abort() */
        {SCMP_SYS(tgkill), 1, {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0)}},
    };
    int error = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(rules) && !error; i++)
        error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].count,
                                       rules[i].arguments);
    return error;
}

static int add_rules(scmp_filter_ctx filter)
{
    int error = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(calls) && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return error ? error : add_narrow_rules(filter);
}

static int filter_calls(struct error *e)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int error;

    if (!filter)
        return error_memory(e);
    error = add_rules(filter);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error ? error_errno(e, ERROR_IO, -error, "seccomp") : 0;
}

/* The bounding set can only be dropped by who may; no_new_privs makes it empty of meaning anyway.
 */
static int drop_capabilities(struct error *e)
{
    capng_clear(CAPNG_SELECT_BOTH);
    if (capng_apply(CAPNG_SELECT_BOTH) && capng_apply(CAPNG_SELECT_CAPS))
        return error_set(e, ERROR_IO, "capabilities cannot be dropped");
    return 0;
}

int sandbox_enter(struct error *e)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none))
        return error_errno(e, ERROR_IO, errno, "RLIMIT_CORE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return error_errno(e, ERROR_IO, errno, "no_new_privs");
    if (drop_capabilities(e))
        return -1;
    /* Last of these: it also takes /proc/self away from others of our own user. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return error_errno(e, ERROR_IO, errno, "PR_SET_DUMPABLE");
    return HAS_SANITIZER ? 0 : filter_calls(e);
}
