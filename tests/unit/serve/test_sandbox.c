#include "reconciler/serve/sandbox.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_FILTER 0
#else
#define HAS_FILTER 1
#endif

/* What a child inside the sandbox reports: one bit for each thing that is not as it should be. */
enum {
    CANNOT_ENTER = 1,
    DUMPABLE = 2,
    CAN_OPEN = 4,
    CAN_CONNECT = 8,
    CAN_EXECUTE = 16,
    CANNOT_WORK = 32,
    CAN_SIGNAL = 64,
    CAN_LOOK = 128
};

static bool is_denied(long result)
{
    return result < 0 && errno == EPERM;
}

/* Every way to have a signal sent to another process, or in its name. */
static bool can_signal(int fd)
{
    static const int commands[] = {F_SETOWN, F_SETSIG, F_SETFL, F_SETLEASE, F_NOTIFY, F_DUPFD};
    const pid_t other = getppid();
    const int on = 1;

    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (!is_denied(fcntl(fd, commands[i], 0)))
            return true;
    return !is_denied(syscall(SYS_tgkill, other, other, 0)) || !is_denied(kill(other, 0)) ||
           !is_denied(syscall(SYS_tkill, other, 0)) ||
           !is_denied(syscall(SYS_rt_sigqueueinfo, other, 0, NULL)) ||
           !is_denied(syscall(SYS_pidfd_open, other, 0)) || !is_denied(ioctl(fd, FIOASYNC, &on));
}

/*
 * A listener that is shut down is a fresh socket, and TCP Fast Open connects without connect(). It
 * would also be lost to those who come after.
 */
static bool can_connect(int listener)
{
    const struct sockaddr_in there = {.sin_family = AF_INET,
                                      .sin_port = htons(9),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr *to = (const struct sockaddr *)&there;
    struct iovec part = {.iov_base = (void *)"x", .iov_len = 1};
    struct msghdr message = {.msg_name = (void *)&there,
                             .msg_namelen = sizeof(there),
                             .msg_iov = &part,
                             .msg_iovlen = 1};

    return !is_denied(socket(AF_INET, SOCK_STREAM, 0)) ||
           !is_denied(connect(listener, to, sizeof(there))) ||
           !is_denied(shutdown(listener, SHUT_RD)) || !is_denied(shutdown(listener, SHUT_RDWR)) ||
           !is_denied(sendto(listener, "x", 1, MSG_NOSIGNAL, to, sizeof(there))) ||
           !is_denied(sendmsg(listener, &message, MSG_NOSIGNAL | MSG_FASTOPEN));
}

static bool can_look(void)
{
    struct stat st;

    return !is_denied(stat("/etc/passwd", &st)) || !is_denied(fstatat(0, "", &st, AT_EMPTY_PATH)) ||
           !is_denied(access("/etc/passwd", F_OK));
}

/* What it must still be able to do, and how abort() ends it. */
static bool can_work(int fd, int connection)
{
    struct stat st;
    const int on = 1;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page != MAP_FAILED && write(STDERR_FILENO, "", 0) == 0 &&
           syscall(SYS_fstat, fd, &st) == 0 && fcntl(fd, F_GET_SEALS) >= 0 &&
           !is_denied(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))) &&
           syscall(SYS_tgkill, getpid(), gettid(), 0) == 0 &&
           send(connection, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 &&
           shutdown(connection, SHUT_WR) == 0;
}

static int look_around(void)
{
    const int fd = memfd_create("segment", MFD_ALLOW_SEALING), size = 1;
    char name[] = "true";
    char *const arguments[] = {name, NULL}, *const environment[] = {NULL};
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct error e;
    void *page;
    int connection[2], report = 0;

    if (listen(listener, 1) || socketpair(AF_UNIX, SOCK_STREAM, 0, connection))
        return CANNOT_WORK;
    if (sandbox_enter(&e))
        return CANNOT_ENTER;
    if (!HAS_FILTER && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) /* the filter has no prctl */
        report |= DUMPABLE;
    if (HAS_FILTER && (!is_denied(open("/dev/null", O_RDONLY)) || !is_denied(creat("/x", 0600))))
        report |= CAN_OPEN;
    if (HAS_FILTER && can_connect(listener))
        report |= CAN_CONNECT;
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (HAS_FILTER && (page != MAP_FAILED ||
                       !is_denied(execve("/bin/true", arguments, environment)) || fork() >= 0))
        report |= CAN_EXECUTE;
    if (HAS_FILTER &&
        (can_signal(fd) || !is_denied(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)))))
        report |= CAN_SIGNAL;
    if (HAS_FILTER && can_look())
        report |= CAN_LOOK;
    if (!can_work(fd, connection[0]))
        report |= CANNOT_WORK;
    return report;
}

static void test_sandbox(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(look_around());
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_TRUE(WIFEXITED(status));
    if (WIFEXITED(status) && WEXITSTATUS(status))
        fprintf(stderr, "report: %d\n", WEXITSTATUS(status));
    CU_ASSERT_EQUAL(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    if (!HAS_FILTER)
        fprintf(stderr, "skipped: the system call filter, under a sanitizer\n");
}

/* The one signal that it sends itself. */
static void test_abort(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct error e;
        if (sandbox_enter(&e) == 0)
            abort();
        _exit(0);
    }
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* The status file of a sandboxed child, read from outside. */
static void test_privileges(void)
{
    int ready[2], leave[2];
    char path[64], line[256], byte;
    struct rlimit core = {1, 1};
    bool no_new = false, no_capability = false;
    FILE *status;
    pid_t pid;

    CU_ASSERT_EQUAL_FATAL(pipe(ready) | pipe(leave), 0);
    pid = fork();
    if (pid == 0) {
        struct error e;
        close(leave[1]);
        if (sandbox_enter(&e) == 0)
            (void)!write(ready[1], "x", 1);
        (void)!read(leave[0], &byte, 1);
        _exit(0);
    }
    close(ready[1]);
    CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    status = fopen(path, "r");
    while (status && fgets(line, sizeof(line), status)) {
        unsigned long long bits;
        if (sscanf(line, "NoNewPrivs: %llu", &bits) == 1)
            no_new = bits == 1;
        if (sscanf(line, "CapEff: %llx", &bits) == 1)
            no_capability = bits == 0;
        if (sscanf(line, "CapPrm: %llx", &bits) == 1)
            no_capability = no_capability && bits == 0;
    }
    CU_ASSERT_PTR_NOT_NULL(status);
    CU_ASSERT_EQUAL(prlimit(pid, RLIMIT_CORE, NULL, &core), 0);
    CU_ASSERT_EQUAL(core.rlim_max, 0);
    CU_ASSERT_TRUE(no_new);
    CU_ASSERT_TRUE(no_capability);
    if (status)
        fclose(status);
    close(leave[1]);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
    close(leave[0]);
    close(ready[0]);
}

int main(void)
{
    CU_TestInfo tests[] = {{"sandbox", test_sandbox},
                           {"abort", test_abort},
                           {"privileges", test_privileges},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "sandbox", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
