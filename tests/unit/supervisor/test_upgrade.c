#include "reconciler/supervisor/supervisor.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/clock.h"
#include "reconciler/supervisor/handover.h"
#include "tests/support/supervised.h"

#define LINE 256

extern char **environ;

/* Asks without a pause until told to stop. */
struct load {
    pthread_t thread;
    int port;
    atomic_bool ends;
    atomic_uint answered, failed;
};

static void *ask_on(void *arg)
{
    struct load *load = arg;
    char line[LINE];

    while (!atomic_load(&load->ends))
        if (supervised_ask(load->port, "x", line, sizeof(line)))
            atomic_fetch_add(&load->answered, 1);
        else
            atomic_fetch_add(&load->failed, 1);
    return NULL;
}

/* The inode behind /proc/PID/exe; 0 when it is gone. */
static ino_t binary_of(pid_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    return stat(path, &st) ? 0 : st.st_ino;
}

static void start(struct supervised *s, const char *const *settings)
{
    CU_ASSERT_EQUAL_FATAL(supervised_open(s), 0);
    if (supervised_start_ready(s, settings, NULL)) {
        supervised_close(s);
        CU_FAIL_FATAL("it does not start");
    }
}

/* Whether new connections go to another one before long: a signal is on its way to it. */
static bool is_replaced(const struct supervised *s, pid_t old)
{
    int64_t end = clock_steady_ms() + 20000;
    pid_t now = 0;

    while (clock_steady_ms() < end && (now = supervised_who(s->proxy_port, "x")) == old)
        ;
    return now && now != old;
}

/* Under load, twice: everybody is of the new binary then, and no request has failed. */
static void test_under_load(void)
{
    static const char *const settings[] = {"nginx_worker_processes=3", "declarative_config=a.yaml",
                                           NULL};
    struct load load = {0};
    struct supervised s;

    start(&s, settings);
    load.port = s.proxy_port;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&load.thread, NULL, ask_on, &load), 0);
    for (int round = 0; round < 2; round++) {
        pid_t control = supervised_who(s.status_port, "info\n");
        pid_t worker = supervised_who(s.proxy_port, "x");
        ino_t before = binary_of(s.pid), after;
        char line[LINE];
        CU_ASSERT_EQUAL(supervised_install(&s, "reconcert"), 0);
        kill(s.pid, SIGUSR2);
        CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_taken_over"));
        for (int i = 0; i < 3; i++) /* the last one leaves after upgrade_done */
            CU_ASSERT_TRUE(supervised_logs(&s, "child=old-worker"));
        after = binary_of(s.pid);
        CU_ASSERT(after != 0 && after != before);
        CU_ASSERT_TRUE(supervised_is_gone(control));
        CU_ASSERT_TRUE(supervised_is_gone(worker));
        CU_ASSERT_TRUE(is_replaced(&s, worker));
        CU_ASSERT_EQUAL(binary_of(supervised_who(s.proxy_port, "x")), after);
        CU_ASSERT_EQUAL(binary_of(supervised_who(s.status_port, "info\n")), after);
        CU_ASSERT_TRUE(supervised_ask(s.status_port, "info\n", line, sizeof(line)));
        CU_ASSERT_PTR_NOT_NULL(strstr(line, "again=1"));
        CU_ASSERT_PTR_NOT_NULL(strstr(line, "channels=3"));
    }
    atomic_store(&load.ends, true);
    pthread_join(load.thread, NULL);
    CU_ASSERT(load.answered > 10);
    CU_ASSERT_EQUAL(load.failed, 0);
    /* The new one restarts and stops as the old one would. */
    kill(supervised_who(s.proxy_port, "x"), SIGKILL);
    CU_ASSERT_TRUE(supervised_logs(&s, "child_started process=supervisor child=worker"));
    CU_ASSERT(supervised_who(s.proxy_port, "x") > 0);
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    supervised_close(&s);
}

/*
 * A connection that an old worker has is finished by it; control knows that it accepts until it
 * does no more.
 */
static void test_held_connection(void)
{
    struct supervised s;
    char line[LINE] = "", expected[LINE];
    pid_t old;
    int held;

    start(&s, NULL);
    held = supervised_connect(s.proxy_port);
    CU_ASSERT_EQUAL(send(held, "h", 1, MSG_NOSIGNAL), 1);
    old = supervised_who(s.proxy_port, "x"); /* by now it holds the first */
    kill(s.pid, SIGUSR2);
    CU_ASSERT_TRUE(supervised_logs(&s, "fake: slot 0 pid=0 old=1"));
    CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_done"));
    CU_ASSERT_TRUE(supervised_logs(&s, "old=0"));
    CU_ASSERT_TRUE(is_replaced(&s, old));
    /* A second upgrade waits until the first has left nobody behind. */
    kill(s.pid, SIGUSR2);
    CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_refused"));
    CU_ASSERT_EQUAL(send(held, "g", 1, MSG_NOSIGNAL), 1);
    CU_ASSERT(recv(held, line, sizeof(line) - 1, 0) > 0);
    snprintf(expected, sizeof(expected), "worker 0 %d\n", (int)old);
    CU_ASSERT_STRING_EQUAL(line, expected);
    close(held);
    CU_ASSERT_TRUE(supervised_is_gone(old));
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    supervised_close(&s);
}

static void write_file(const struct supervised *s, const char *name, const char *text)
{
    char path[128], fresh[160];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    snprintf(fresh, sizeof(fresh), "%s.fresh", path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    CU_ASSERT_FATAL(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    CU_ASSERT_EQUAL(rename(fresh, path), 0);
}

/* What does not start, or does not read our state, changes nothing. */
/* What an older binary's control kept as nobody, the new one's has when it starts. */
static void test_other_user(void)
{
    static const char *const settings[] = {"acme_user=daemon", NULL};
    struct supervised s;
    char prefix[128];
    struct stat st;

    if (geteuid() != 0)
        return;
    start(&s, settings);
    snprintf(prefix, sizeof(prefix), "%s/state", s.folder);
    CU_ASSERT_EQUAL(chown(prefix, 65534, 65534), 0);
    kill(s.pid, SIGUSR2);
    CU_ASSERT_TRUE(supervised_logs(&s, "prefix_taken_over"));
    CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_done"));
    CU_ASSERT(stat(prefix, &st) == 0 && st.st_uid == 1);
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    supervised_close(&s);
}

static void test_bad_binary(void)
{
    static const char *const binaries[] = {"not a program", "#!/bin/false\n",
                                           "#!/nowhere/at/all\n"};
    struct supervised s;
    pid_t control, worker;

    start(&s, NULL);
    control = supervised_who(s.status_port, "info\n");
    worker = supervised_who(s.proxy_port, "x");
    for (size_t i = 0; i < ARRAY_LENGTH(binaries); i++) {
        write_file(&s, "reconcert", binaries[i]);
        kill(s.pid, SIGUSR2);
        CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_failed"));
        CU_ASSERT_EQUAL(supervised_who(s.proxy_port, "x"), worker);
        CU_ASSERT_EQUAL(supervised_who(s.status_port, "info\n"), control);
    }
    /* Its children still come from the binary that it is itself. */
    kill(worker, SIGKILL);
    CU_ASSERT_TRUE(supervised_logs(&s, "child_started process=supervisor child=worker"));
    CU_ASSERT_EQUAL(binary_of(supervised_who(s.proxy_port, "x")), binary_of(s.pid));
    /* And a good one is taken after that. */
    CU_ASSERT_EQUAL(supervised_install(&s, "reconcert"), 0);
    kill(s.pid, SIGUSR2);
    CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_done"));
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    supervised_close(&s);
}

/* Told to stop right after: whoever is there by then leaves. */
static void test_stop_in_the_middle(void)
{
    struct supervised s;
    pid_t worker;

    start(&s, NULL);
    worker = supervised_who(s.proxy_port, "x");
    kill(s.pid, SIGUSR2);
    CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_taken_over"));
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    CU_ASSERT_TRUE(supervised_is_gone(worker));
    supervised_close(&s);
}

/* States that a new binary must refuse, so that the old one goes on. %d is an open descriptor. */
static const char *const broken[] = {
    "",
    "x",
    "reconcert handover 2\ndescriptors settings=%d\ncontrol 1\nwatcher 1\nworker 1\n",
    "reconcert handover 1\n",
    "reconcert handover 1\ndescriptors \ncontrol 1\nwatcher 1\n",
    "reconcert handover 1\ndescriptors settings=%d\n",
    "reconcert handover 1\ndescriptors settings=%d\ncontrol 1\nwatcher 1\n",
    "reconcert handover 1\ndescriptors settings=9999\ncontrol 1\nwatcher 1\n",
    "reconcert handover 1\ndescriptors settings=%d\ncontrol -1\nwatcher 1\n",
    "reconcert handover 1\ndescriptors settings=%d\ncontrol 99999999999\nwatcher 1\n",
};

static void test_broken_state(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        struct crew c;
        struct error e = {0};
        char text[512];
        int state = memfd_create("state", MFD_CLOEXEC);
        int fd = memfd_create("settings", MFD_CLOEXEC);
        const char *hole = strstr(broken[i], "%d");
        int len = hole ? snprintf(text, sizeof(text), "%.*s%d%s", (int)(hole - broken[i]),
                                  broken[i], fd, hole + 2)
                       : snprintf(text, sizeof(text), "%s", broken[i]);
        CU_ASSERT_EQUAL(write(state, text, (size_t)len), len);
        crew_init(&c);
        CU_ASSERT_EQUAL(handover_read(&c, state, &e), -1);
        CU_ASSERT(e.message[0] != '\0');
        if (c.settings_fd == fd)
            fd = -1; /* taken, and closed with the crew */
        crew_close(&c);
        close(state);
        if (fd >= 0)
            close(fd);
    }
}

static void test_large_state(void)
{
    int state = memfd_create("state", MFD_CLOEXEC);
    struct error e = {0};
    struct crew c;

    crew_init(&c);
    CU_ASSERT_EQUAL(ftruncate(state, HANDOVER_BYTES_MAX), 0);
    CU_ASSERT_EQUAL(handover_read(&c, state, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "cannot be read"));
    crew_close(&c);
    close(state);
}

/* One that starts and then does nothing is given up after a while. */
static void test_hanging_binary(void)
{
    struct supervised s;
    pid_t worker;

    start(&s, NULL);
    worker = supervised_who(s.proxy_port, "x");
    write_file(&s, "reconcert", "#!/bin/sh\nexec tail -f /dev/null\n");
    kill(s.pid, SIGUSR2);
    CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_begins"));
    kill(s.pid, SIGUSR2);
    CU_ASSERT_TRUE(supervised_logs(&s, "one is going on"));
    CU_ASSERT_TRUE(supervised_logs(&s, "upgrade_failed"));
    CU_ASSERT_EQUAL(supervised_who(s.proxy_port, "x"), worker);
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    supervised_close(&s);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"under load", test_under_load},
        {"a held connection", test_held_connection},
        {"another user", test_other_user},
        {"a bad binary", test_bad_binary},
        {"stop in the middle", test_stop_in_the_middle},
        {"broken state", test_broken_state},
        {"large state", test_large_state},
        {"a hanging binary", test_hanging_binary},
    };
    int code;

    if (supervised_play(argc, argv, environ, &code))
        return code;
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("upgrade", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
    CU_basic_set_mode(argc > 1 ? CU_BRM_VERBOSE : CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
