#include "reconciler/supervisor/supervisor.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/clock.h"
#include "reconciler/supervisor/pulse.h"
#include "reconciler/supervisor/restart.h"
#include "tests/support/supervised.h"

#define LINE 256

extern char **environ;

static void test_restart_schedule(void)
{
    static const struct {
        int64_t lived_ms, delay_ms;
    } deaths[] = {
        {5, 0},     {5, 100}, {5, 1000}, {5, 5000},  {5, 5000}, {9999, 5000},
        {10000, 0}, {5, 100}, {5, 1000}, {20000, 0}, {1, 100},
    };
    struct restart r = {0};
    int64_t now = 1000000;

    for (size_t i = 0; i < ARRAY_LENGTH(deaths); i++) {
        restart_started(&r, now);
        CU_ASSERT_EQUAL(r.due_ms, RESTART_NEVER);
        now += deaths[i].lived_ms;
        restart_died(&r, now);
        CU_ASSERT_EQUAL(r.due_ms, now + deaths[i].delay_ms);
        now = r.due_ms;
    }
}

static void test_pulse(void)
{
    struct pulse p;
    int64_t now = 1000000;

    pulse_felt(&p, now);
    for (int64_t silent = PULSE_LOOK_MS; silent < PULSE_LOST_MS; silent += PULSE_LOOK_MS)
        CU_ASSERT_FALSE(pulse_is_lost(&p, now += PULSE_LOOK_MS));
    CU_ASSERT_TRUE(pulse_is_lost(&p, now += PULSE_LOOK_MS));
    pulse_felt(&p, now);
    CU_ASSERT_FALSE(pulse_is_lost(&p, now += PULSE_LOOK_MS));
    /* While we stood still, all did. */
    CU_ASSERT_FALSE(pulse_is_lost(&p, now += 100 * (int64_t)PULSE_LOST_MS));
}

/* Starts it, or ends the test. */
static void start(struct supervised *s, const char *const *settings, const char *const *variables)
{
    CU_ASSERT_EQUAL_FATAL(supervised_open(s), 0);
    if (supervised_start_ready(s, settings, variables)) {
        supervised_close(s);
        CU_FAIL_FATAL("it does not start");
    }
}

/* Whether control's answer has this in it before long. */
static bool tells_in_time(struct supervised *s, const char *what)
{
    int64_t end = clock_steady_ms() + 20000;
    char line[LINE];

    while (clock_steady_ms() < end)
        if (!supervised_ask(s->status_port, "info\n", line, sizeof(line)))
            return false;
        else if (strstr(line, what))
            return true;
    return false;
}

static void stop_and_close(struct supervised *s)
{
    kill(s->pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(s, 20000), 0);
    supervised_close(s);
}

static bool has_link(pid_t pid, const char *what, const char *target)
{
    char path[64], text[256] = "";

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
    return readlink(path, text, sizeof(text) - 1) > 0 && strcmp(text, target) == 0;
}

/* Bytes of a file under /proc; -1 where it cannot be read. */
static ssize_t proc_size(pid_t pid, const char *what)
{
    char path[64], text[4096];
    ssize_t got;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    got = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (fd >= 0)
        close(fd);
    return got;
}

/* What is handed down to it as `name`, through /proc; "" where nothing is. */
static void read_memory_of(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64], target[64];

    text[0] = '\0';
    for (int n = 3; n < 64; n++) {
        snprintf(path, sizeof(path), "fd/%d", n);
        snprintf(target, sizeof(target), "/memfd:%s (deleted)", name);
        if (!has_link(pid, path, target))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, n);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = pread(fd, text, size - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        close(fd);
        return;
    }
}

static void test_children(void)
{
    static const char *const settings[] = {"nginx_worker_processes=2",
                                           "declarative_config=a.yaml,-,b.yaml",
                                           "acme_server=https://x.example/secret", NULL};
    static const char *const variables[] = {"SECRET=x", "OTHER=y", NULL};
    struct supervised s;
    char line[LINE], text[4096];
    pid_t control, worker;

    start(&s, settings, variables);
    control = supervised_who(s.status_port, "info\n");
    worker = supervised_who(s.proxy_port, "x");
    CU_ASSERT(control > 0 && worker > 0);
    /* The watcher's lines: ready and one a path, stdin left out. */
    CU_ASSERT_TRUE(tells_in_time(&s, "watch=3"));
    supervised_ask(s.status_port, "info\n", line, sizeof(line));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "again=0 hups=0 environment=2 channels=2"));
    CU_ASSERT_EQUAL(proc_size(worker, "environ"), 0);
    read_memory_of(worker, "settings", text, sizeof(text));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "proxy_listen 1\n"));
    CU_ASSERT_PTR_NULL(strstr(text, "a.yaml"));
    CU_ASSERT_PTR_NULL(strstr(text, "secret"));
    read_memory_of(control, "settings", text, sizeof(text));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "secret"));
    CU_ASSERT(proc_size(control, "environ") > 0);
    CU_ASSERT_TRUE(has_link(worker, "fd/0", "/dev/null"));
    CU_ASSERT_TRUE(has_link(worker, "fd/1", "/dev/null"));
    stop_and_close(&s);
    CU_ASSERT_TRUE(supervised_is_gone(control));
    CU_ASSERT_TRUE(supervised_is_gone(worker));
}

/* A second instance, on the same addresses: it says which are taken, and the first goes on. */
static void test_in_use(void)
{
    struct supervised first, second;
    char proxy[64], status[64], message[128];
    const char *settings[] = {proxy, status, NULL};

    start(&first, NULL, NULL);
    CU_ASSERT_EQUAL_FATAL(supervised_open(&second), 0);
    snprintf(proxy, sizeof(proxy), "proxy_listen=127.0.0.1:%d", first.proxy_port);
    snprintf(status, sizeof(status), "status_listen=127.0.0.1:0");
    CU_ASSERT_EQUAL(supervised_start(&second, settings, NULL), 0);
    snprintf(message, sizeof(message), "address 127.0.0.1:%d is in use", first.proxy_port);
    CU_ASSERT_TRUE(supervised_logs(&second, message));
    CU_ASSERT_EQUAL(supervised_wait(&second, 20000), 1);

    snprintf(status, sizeof(status), "status_listen=127.0.0.1:%d", first.status_port);
    CU_ASSERT_EQUAL(supervised_start(&second, settings, NULL), 0);
    snprintf(message, sizeof(message), "addresses 127.0.0.1:%d, 127.0.0.1:%d are in use",
             first.proxy_port, first.status_port);
    CU_ASSERT_TRUE(supervised_logs(&second, message));
    CU_ASSERT_EQUAL(supervised_wait(&second, 20000), 1);
    CU_ASSERT(supervised_who(first.proxy_port, "x") > 0);
    supervised_close(&second);
    stop_and_close(&first);
}

/* A name becomes all its addresses; a stopped server's port is free at once. */
static void test_names_and_reuse(void)
{
    static const char *const by_name[] = {"proxy_listen=localhost:0 backlog=7 so_keepalive=60:5:3 "
                                          "deferred",
                                          NULL};
    struct supervised s;
    char again[64];
    const char *settings[] = {again, NULL};

    start(&s, by_name, NULL);
    snprintf(again, sizeof(again), "proxy_listen=127.0.0.1:%d", s.proxy_port);
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    CU_ASSERT_EQUAL(supervised_start_ready(&s, settings, NULL), 0);
    stop_and_close(&s);
}

/* A worker's death resets no queued connection: its successor accepts from the same socket. */
static void test_worker_death(void)
{
    struct supervised s;
    char line[LINE] = "";
    pid_t old, new_one;
    int queued;

    start(&s, NULL, NULL);
    old = supervised_who(s.proxy_port, "x");
    kill(old, SIGSTOP);
    queued = supervised_connect(s.proxy_port);
    CU_ASSERT(queued >= 0);
    kill(old, SIGKILL);
    CU_ASSERT_EQUAL(send(queued, "x", 1, MSG_NOSIGNAL), 1);
    CU_ASSERT(recv(queued, line, sizeof(line) - 1, 0) > 0);
    new_one = supervised_who(s.proxy_port, "x");
    CU_ASSERT(new_one > 0 && new_one != old);
    close(queued);
    stop_and_close(&s);
}

/* Asks until the slot's worker answers; its pid. */
static pid_t who_in(const struct supervised *s, int slot)
{
    int64_t end = clock_steady_ms() + 20000;
    char line[LINE];
    int got, pid;

    while (clock_steady_ms() < end && supervised_ask(s->proxy_port, "x", line, sizeof(line)))
        if (sscanf(line, "worker %d %d", &got, &pid) == 2 && got == slot)
            return pid;
    return 0;
}

/* Its fourth death in a row leaves a slot empty for 5 s: others accept for it, up to its return. */
static void check_empty_slot(struct supervised *s)
{
    char line[LINE];

    for (int i = 0; i < 4; i++) {
        pid_t victim = who_in(s, 0);
        CU_ASSERT_FATAL(victim > 0);
        kill(victim, SIGKILL);
        CU_ASSERT_TRUE(supervised_logs(s, "child=worker-0"));
    }
    for (int i = 0; i < 60; i++) {
        CU_ASSERT_TRUE(supervised_ask(s->proxy_port, "x", line, sizeof(line)));
        CU_ASSERT_PTR_NULL(strstr(line, "worker 0"));
    }
}

static void test_covered_slot(void)
{
    static const char *const settings[] = {"nginx_worker_processes=3", "proxy_listen=127.0.0.1:0",
                                           NULL};
    struct supervised s;
    char line[LINE];
    pid_t other;

    start(&s, settings, NULL);
    check_empty_slot(&s);
    /* So does one for who covered it, and for both. */
    other = who_in(&s, 1);
    kill(other, SIGKILL);
    CU_ASSERT_TRUE(supervised_is_gone(other));
    for (int i = 0; i < 60; i++)
        CU_ASSERT_TRUE(supervised_ask(s.proxy_port, "x", line, sizeof(line)));
    CU_ASSERT(who_in(&s, 0) > 0);
    CU_ASSERT(who_in(&s, 1) > 0);
    stop_and_close(&s);
}

/* Nor does it matter that nobody has ever served there. */
static void test_slot_that_never_served(void)
{
    static const char *const settings[] = {"nginx_worker_processes=2", "proxy_listen=127.0.0.1:0",
                                           NULL};
    static const char *const variables[] = {"FAKE_DEAF=1", NULL};
    struct supervised s;

    start(&s, settings, variables);
    check_empty_slot(&s);
    stop_and_close(&s);
}

static void test_control_death(void)
{
    struct supervised s;
    char line[LINE];
    pid_t control, worker;

    start(&s, NULL, NULL);
    control = supervised_who(s.status_port, "info\n");
    worker = supervised_who(s.proxy_port, "x");
    supervised_ask(s.status_port, "exit 1\n", line, sizeof(line));
    CU_ASSERT_TRUE(supervised_logs(&s, "child_died process=supervisor child=control"));
    CU_ASSERT_TRUE(supervised_ask(s.status_port, "info\n", line, sizeof(line)));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "again=1"));
    CU_ASSERT(supervised_who(s.status_port, "info\n") != control);
    CU_ASSERT_EQUAL(supervised_who(s.proxy_port, "x"), worker);
    supervised_ask(s.status_port, "abort\n", line, sizeof(line));
    CU_ASSERT_TRUE(supervised_logs(&s, "signal=9"));
    CU_ASSERT(supervised_who(s.status_port, "info\n") > 0);
    stop_and_close(&s);
}

/* With nobody to hear it, it is replaced, and what it has done to its channel is said once. */
static void test_control_that_shuts_its_channel(void)
{
    struct supervised s;
    char line[LINE];
    pid_t control;

    start(&s, NULL, NULL);
    control = supervised_who(s.status_port, "info\n");
    supervised_ask(s.status_port, "shut\n", line, sizeof(line));
    CU_ASSERT_TRUE(supervised_logs(&s, "channel_broken"));
    CU_ASSERT_TRUE(supervised_logs(&s, "child_died process=supervisor child=control"));
    CU_ASSERT_TRUE(supervised_is_gone(control));
    CU_ASSERT(supervised_who(s.status_port, "info\n") != control);
    stop_and_close(&s);
}

static void test_start_failure(void)
{
    static const struct {
        const char *variable;
        int code;
    } cases[] = {
        {"FAKE_START=1", 1}, {"FAKE_START=64", 64},   {"FAKE_START=7", 1},
        {"FAKE_START=0", 1}, {"FAKE_START=abort", 1},
    };
    struct supervised s;

    CU_ASSERT_EQUAL_FATAL(supervised_open(&s), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *variables[] = {cases[i].variable, NULL};
        CU_ASSERT_EQUAL(supervised_start(&s, NULL, variables), 0);
        CU_ASSERT_EQUAL(supervised_wait(&s, 60000), cases[i].code);
    }
    supervised_close(&s);
}

static void test_unknown_user(void)
{
    static const char *const settings[] = {"nginx_user=no-such-user-here", NULL};
    struct supervised s;

    if (geteuid() != 0)
        return;
    CU_ASSERT_EQUAL_FATAL(supervised_open(&s), 0);
    CU_ASSERT_EQUAL(supervised_start(&s, settings, NULL), 0);
    CU_ASSERT_TRUE(supervised_logs(&s, "there is no user"));
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 1);
    supervised_close(&s);
}

static void test_worker_kill(void)
{
    struct supervised s;
    char line[LINE], command[64];
    pid_t old, new_one;

    start(&s, NULL, NULL);
    old = supervised_who(s.proxy_port, "x");
    kill(old, SIGSTOP); /* it acknowledges nothing any more */
    supervised_ask(s.status_port, "kill 0\n", line, sizeof(line));
    CU_ASSERT_TRUE(supervised_logs(&s, "worker_killed"));
    new_one = supervised_who(s.proxy_port, "x");
    CU_ASSERT(new_one > 0 && new_one != old);
    /* What is said of the dead one, or of a slot that there is not, harms nobody. */
    snprintf(command, sizeof(command), "kill 0 %d\n", (int)old);
    supervised_ask(s.status_port, command, line, sizeof(line));
    supervised_ask(s.status_port, "kill 7 1\n", line, sizeof(line));
    supervised_ask(s.status_port, "info\n", line, sizeof(line));
    CU_ASSERT_EQUAL(supervised_who(s.proxy_port, "x"), new_one);
    stop_and_close(&s);
}

/* SIGTERM and SIGQUIT let a connection finish, and refuse new ones. */
static void test_drain(void)
{
    static const int signals[] = {SIGTERM, SIGQUIT};

    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++) {
        struct supervised s;
        char line[LINE] = "";
        int held, refused;
        start(&s, NULL, NULL);
        held = supervised_connect(s.proxy_port);
        CU_ASSERT_EQUAL(send(held, "h", 1, MSG_NOSIGNAL), 1);
        CU_ASSERT(supervised_who(s.proxy_port, "x") > 0); /* by now it holds the first */
        kill(s.pid, signals[i]);
        CU_ASSERT_TRUE(supervised_logs(&s, "child=control"));
        while ((refused = supervised_connect(s.proxy_port)) >= 0)
            close(refused);
        CU_ASSERT_EQUAL(send(held, "g", 1, MSG_NOSIGNAL), 1);
        CU_ASSERT(recv(held, line, sizeof(line) - 1, 0) > 0);
        CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
        close(held);
        supervised_close(&s);
    }
}

/* SIGINT waits for nobody long; a second signal for nobody at all. */
static void test_quick_end(void)
{
    static const char *const stubborn[] = {"FAKE_STOP=ignore", NULL};
    struct supervised s;
    int held;

    start(&s, NULL, NULL);
    held = supervised_connect(s.proxy_port);
    CU_ASSERT_EQUAL(send(held, "h", 1, MSG_NOSIGNAL), 1);
    CU_ASSERT(supervised_who(s.proxy_port, "x") > 0); /* by now it holds the first */
    kill(s.pid, SIGINT);
    CU_ASSERT_EQUAL(supervised_wait(&s, 2000), 0); /* as asked, not after 3 s */
    close(held);

    CU_ASSERT_EQUAL(supervised_start_ready(&s, NULL, stubborn), 0);
    kill(s.pid, SIGINT);
    CU_ASSERT_TRUE(supervised_logs(&s, "the bound is over"));
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);

    CU_ASSERT_EQUAL(supervised_start_ready(&s, NULL, stubborn), 0);
    kill(s.pid, SIGTERM);
    CU_ASSERT_TRUE(supervised_logs(&s, "stopping"));
    kill(s.pid, SIGTERM); /* as timeout(1) sends it twice */
    kill(s.pid, SIGINT);
    CU_ASSERT_TRUE(supervised_logs(&s, "a second signal"));
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    supervised_close(&s);
}

/*
 * A connection that does not end holds a drain up for its bound only. Meanwhile, at another server,
 * a control that stands still is replaced, and one that goes on is not.
 */
static void test_bounds(void)
{
    struct supervised s, other;
    int64_t began;
    pid_t stopped, worker;
    int held;

    start(&other, NULL, NULL);
    stopped = supervised_who(other.status_port, "info\n");
    worker = supervised_who(other.proxy_port, "x");
    kill(stopped, SIGSTOP);
    start(&s, NULL, NULL);
    held = supervised_connect(s.proxy_port);
    CU_ASSERT_EQUAL(send(held, "h", 1, MSG_NOSIGNAL), 1);
    CU_ASSERT(supervised_who(s.proxy_port, "x") > 0);
    began = clock_steady_ms();
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 3 * SUPERVISOR_DRAIN_MS), 0);
    CU_ASSERT(clock_steady_ms() - began >= SUPERVISOR_DRAIN_MS);
    close(held);
    supervised_close(&s);
    CU_ASSERT_TRUE(supervised_logs(&other, "control_silent"));
    CU_ASSERT_TRUE(tells_in_time(&other, "again=1"));
    CU_ASSERT_NOT_EQUAL(supervised_who(other.status_port, "info\n"), stopped);
    CU_ASSERT_EQUAL(supervised_who(other.proxy_port, "x"), worker);
    stop_and_close(&other);
}

static void test_reload_signal(void)
{
    struct supervised s;

    start(&s, NULL, NULL);
    kill(s.pid, SIGHUP);
    CU_ASSERT_TRUE(tells_in_time(&s, "hups=1"));
    kill(s.pid, SIGUSR1);
    CU_ASSERT(supervised_who(s.proxy_port, "x") > 0);
    stop_and_close(&s);
}

static void test_lifeline(void)
{
    static const char *const settings[] = {"nginx_worker_processes=3", NULL};
    struct supervised s;
    pid_t control, worker;

    start(&s, settings, NULL);
    control = supervised_who(s.status_port, "info\n");
    worker = supervised_who(s.proxy_port, "x");
    kill(s.pid, SIGKILL);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 256 + SIGKILL);
    CU_ASSERT_TRUE(supervised_is_gone(control));
    CU_ASSERT_TRUE(supervised_is_gone(worker));
    supervised_close(&s);
}

static void test_watcher(void)
{
    static const char *const settings[] = {"declarative_config=a.yaml", NULL};
    struct supervised s;
    char path[128];

    start(&s, settings, NULL);
    CU_ASSERT_EQUAL(supervised_who(s.status_port, "info\n") > 0, true);
    supervised_ask(s.status_port, "exit 0\n", path, sizeof(path)); /* control's death is not its */
    CU_ASSERT_TRUE(supervised_logs(&s, "child_started process=supervisor child=control"));
    kill(s.pid, SIGTERM);
    CU_ASSERT_TRUE(supervised_logs(&s, "child_died process=supervisor child=watcher"));
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);

    snprintf(path, sizeof(path), "%s/reconcert-watch", s.folder);
    unlink(path);
    CU_ASSERT_EQUAL(supervised_start(&s, settings, NULL), 0);
    CU_ASSERT_TRUE(supervised_logs(&s, "watcher_missing"));
    CU_ASSERT_TRUE(supervised_logs(&s, "child=control"));
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
        {"restart schedule", test_restart_schedule},
        {"pulse", test_pulse},
        {"what children get", test_children},
        {"addresses in use", test_in_use},
        {"names, ports used again", test_names_and_reuse},
        {"a worker's death", test_worker_death},
        {"a covered slot", test_covered_slot},
        {"a slot that never served", test_slot_that_never_served},
        {"control's death", test_control_death},
        {"a shut channel", test_control_that_shuts_its_channel},
        {"start failure", test_start_failure},
        {"unknown user", test_unknown_user},
        {"worker kill", test_worker_kill},
        {"drain", test_drain},
        {"bounds of what hangs", test_bounds},
        {"quick end", test_quick_end},
        {"reload signal", test_reload_signal},
        {"lifeline", test_lifeline},
        {"watcher", test_watcher},
    };
    int code;

    if (supervised_play(argc, argv, environ, &code))
        return code;
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("supervisor", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
    CU_basic_set_mode(argc > 1 ? CU_BRM_VERBOSE : CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
