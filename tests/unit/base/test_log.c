#include "reconciler/base/log.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/log_sentence.h"

#define LINES 20000 /* of 90 bytes: more than any of these holds */
#define BOUND_MS 60000
#define NOW 1795489020
#define TOLD "warn log_dropped process=test lines="
#define WORDS ((size_t)400 << 10)

enum kind { PIPE, OTHERS_PIPE, SOCKET, TERMINAL, KINDS };

/* The log's end is the second. */
static int open_kind(enum kind kind, int ends[2])
{
    struct termios t;

    if (kind == PIPE || kind == OTHERS_PIPE)
        return pipe2(ends, O_CLOEXEC);
    if (kind == SOCKET)
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[0] < 0 || grantpt(ends[0]) || unlockpt(ends[0]))
        return -1;
    ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[1] < 0 || tcgetattr(ends[1], &t))
        return -1;
    cfmakeraw(&t);
    return tcsetattr(ends[1], TCSANOW, &t);
}

/* A process whose stderr is the log's end, and the ends of a talk with it. */
struct writer {
    pid_t pid;
    int log;    /* to read from */
    int shared; /* the log's end, as a stranger has it */
    int says, hears;
};

static void play(enum kind kind, bool is_last, int says, int hears)
{
    struct buf words = BUF_INIT(2 * WORDS);
    char byte;

    signal(SIGPIPE, SIG_IGN);
    if (kind != OTHERS_PIPE)
        log_detach();
    log_open("test", LOG_INFO, LOG_KEY_VALUE);
    for (size_t i = 0; is_last && i < WORDS / 8; i++)
        buf_cstr(&words, "a word\n ");
    if (is_last)
        log_last_words(buf_view(&words));
    for (int i = 0; !is_last && i < LINES; i++)
        happening_tell(HAPPENING_NOTE,
                       FIELDS(field_int("n", i), field_cstr("more", "something to read"),
                              field_cstr("tail", "z")));
    buf_free(&words);
    (void)!write(says, "d", 1);
    (void)!read(hears, &byte, 1);
    log_flush();
    _exit(0);
}

static void start(struct writer *w, enum kind kind, bool is_last)
{
    int log[2], up[2], down[2];

    CU_ASSERT_EQUAL_FATAL(open_kind(kind, log) | pipe2(up, O_CLOEXEC) | pipe2(down, O_CLOEXEC), 0);
    w->pid = fork();
    if (w->pid == 0) {
        dup2(log[1], STDERR_FILENO);
        close(log[0]);
        close(log[1]);
        play(kind, is_last, up[1], down[0]);
    }
    close(up[1]);
    close(down[0]);
    *w = (struct writer){w->pid, log[0], log[1], up[0], down[1]};
}

static bool is_done(const struct writer *w)
{
    struct pollfd polled = {.fd = w->says, .events = POLLIN};
    char byte;

    return poll(&polled, 1, BOUND_MS) == 1 && read(w->says, &byte, 1) == 1;
}

/* What there is to read, until nothing comes for `quiet_ms`. */
static void read_some(const struct writer *w, struct buf *text, int quiet_ms)
{
    struct pollfd polled = {.fd = w->log, .events = POLLIN};

    while (poll(&polled, 1, quiet_ms) == 1 && (polled.revents & POLLIN)) {
        char *room = buf_reserve(text, 65536);
        ssize_t got = room ? read(w->log, room, 65536) : -1;
        if (got <= 0)
            break;
        buf_commit(text, (size_t)got);
    }
}

static void finish(struct writer *w)
{
    int status = 0;

    if (w->pid)
        CU_ASSERT_EQUAL(waitpid(w->pid, &status, 0), w->pid);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (size_t i = 0; i < 4; i++) {
        const int fds[] = {w->log, w->shared, w->says, w->hears};
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static size_t count(struct str text, const char *what)
{
    size_t n = 0;

    for (const char *at = text.ptr; at && (at = strstr(at, what)); at++)
        n++;
    return n;
}

/* Nobody reads: the writer goes on all the same, and what there was no room for is told later. */
static void test_reader_stands_still(void)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct buf text = BUF_INIT((size_t)16 << 20);
        size_t told = 0;
        struct writer w;
        size_t lines;
        start(&w, kind, false);
        CU_ASSERT_TRUE(is_done(&w));
        CU_ASSERT_FALSE(fcntl(w.shared, F_GETFL) & O_NONBLOCK); /* others have it, too */
        read_some(&w, &text, 0);
        (void)!write(w.hears, "g", 1);
        close(w.shared);
        w.shared = -1;
        read_some(&w, &text, BOUND_MS);
        buf_char(&text, '\0');
        for (const char *at = text.data; (at = strstr(at, TOLD)); at += sizeof(TOLD))
            told += strtoul(at + sizeof(TOLD) - 1, NULL, 10);
        lines = count(buf_view(&text), " tail=z\n");
        CU_ASSERT(lines > 0 && lines < LINES);
        CU_ASSERT_EQUAL(lines + told, LINES);
        buf_free(&text);
        finish(&w);
    }
}

static void test_reader_is_gone(void)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct writer w;
        start(&w, kind, false);
        close(w.log);
        w.log = -1;
        CU_ASSERT_TRUE(is_done(&w));
        (void)!write(w.hears, "g", 1);
        finish(&w);
    }
}

/* Why nothing starts is read to its end, by a reader who takes his time. */
static void test_last_words(void)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct buf text = BUF_INIT((size_t)16 << 20);
        struct writer w;
        start(&w, kind, true);
        close(w.shared);
        w.shared = -1;
        while (text.len < WORDS)
            read_some(&w, &text, 50);
        CU_ASSERT_TRUE(is_done(&w));
        (void)!write(w.hears, "g", 1);
        CU_ASSERT_EQUAL(text.len, WORDS);
        buf_free(&text);
        finish(&w);
    }
}

/* A file is written where all who have it open are. */
static void test_file(void)
{
    char path[] = "/tmp/reconcert-log.XXXXXX", text[4096] = "";
    int fd = mkstemp(path), status = 0;
    pid_t pid;

    CU_ASSERT_FATAL(fd >= 0 && unlink(path) == 0 && write(fd, "before\n", 7) == 7);
    pid = fork();
    if (pid == 0) {
        dup2(fd, STDERR_FILENO);
        log_detach();
        log_open("test", LOG_INFO, LOG_JSON);
        happening_tell(HAPPENING_NOTE, NULL);
        _exit(0);
    }
    CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
    CU_ASSERT_EQUAL(write(fd, "after\n", 6), 6);
    CU_ASSERT(pread(fd, text, sizeof(text) - 1, 0) > 0);
    CU_ASSERT(strncmp(text, "before\n{\"time\":", 15) == 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"event\":\"note\",\"process\":\"test\"}\nafter\n"));
    close(fd);
}

static void test_sentences(void)
{
    static const struct field stored[] = {
        {.key = "name", .text = STR_INIT("a.test")},
        {.key = "issuer", .text = STR_INIT("R\x1b[1m")},
        {.key = "not_after", .text = STR_INIT("2027-02-22T02:57:00Z")},
        {0}};
    static const struct field failed[] = {
        {.key = "name", .text = STR_INIT("a.test")},
        {.key = "next_attempt", .text = STR_INIT("2026-11-24T03:12:05Z")},
        {0}};
    static const struct field why[] = {{.key = "error", .text = STR_INIT("no route")},
                                       {.key = "kind", .text = STR_INIT("network")},
                                       {.key = "line", .kind = FIELD_NUMBER, .number = 7},
                                       {0}};
    static const struct {
        struct happening h;
        const char *printed;
    } rows[] = {
        {{HAPPENING_CERTIFICATE_STORED, LOG_NOTICE, NOW, {stored}},
         "02:57:00 a.test: certificate stored, from R\\x1b[1m, until 2027-02-22"},
        {{HAPPENING_CERTIFICATE_FAILED, LOG_WARN, NOW, {failed, why}},
         "02:57:00 warning: a.test: failed: no route; next try at 03:12:05"},
        {{HAPPENING_SERVE_FAILED, LOG_ERROR, NOW, {NULL, why}},
         "02:57:00 error: serve failed: no route (kind network, line 7)"},
        {{HAPPENING_WORKER_DRAINS, LOG_INFO, NOW, {NULL}}, "02:57:00 worker drains"},
        {{HAPPENING_STOPPING, LOG_NOTICE, NOW, {NULL}}, "02:57:00 stopping: -"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = BUF_INIT(1000);
        log_sentence_print(&out, &rows[i].h);
        CU_ASSERT(str_equal_cstr(buf_view(&out), rows[i].printed));
        if (!str_equal_cstr(buf_view(&out), rows[i].printed))
            fprintf(stderr, "%.*s\n", STR_ARG(buf_view(&out)));
        buf_free(&out);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"sentences", test_sentences},
        {"reader stands still", test_reader_stands_still},
        {"reader is gone", test_reader_is_gone},
        {"last words", test_last_words},
        {"file", test_file},
    };

    (void)argv;
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("log", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
    CU_basic_set_mode(argc > 1 ? CU_BRM_VERBOSE : CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
