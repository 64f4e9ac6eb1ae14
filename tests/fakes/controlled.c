#include "tests/fakes/controlled.h"

#include <CUnit/Basic.h>
#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/counters.h"
#include "reconciler/io/httpc.h"
#include "reconciler/pki/key.h"
#include "tests/support/settings_text.h"

#define BEGAN INT64_C(1800000000) /* the CA's roots are valid then */
#define DAY 86400
#define POLL_MS 2
#define ANSWER_MAX ((size_t)8 << 20)
#define TEXT_MAX 4096 /* of the settings */
#define FILE_MAX ((size_t)1 << 20)

/* ---- the CA, in the place of io/httpc ---- */

struct asked {
    STAILQ_ENTRY(asked) link;
    struct http_request request; /* its strings are ours */
    uint64_t cookie;
};

struct httpc {
    struct httpc_options options;
    struct event *ready;
    STAILQ_HEAD(, asked) asked;
};

static struct controlled *running; /* whose CA it is: httpc_new gets no more than control has */

static void on_ready(int fd, short what, void *context)
{
    struct httpc *h = context;

    (void)fd;
    (void)what;
    h->options.ready(h->options.context);
}

struct httpc *httpc_new(const struct httpc_options *options, struct error *e)
{
    struct httpc *h = calloc(1, sizeof(*h));

    CU_ASSERT_PTR_NOT_NULL_FATAL(h);
    (void)e;
    h->options = *options;
    h->ready = evtimer_new(options->base, on_ready, h);
    STAILQ_INIT(&h->asked);
    return h;
}

static struct str copy(struct str s)
{
    return s.ptr ? (struct str){str_dup(s), s.len} : s;
}

int httpc_send(struct httpc *h, const struct http_request *request, uint64_t cookie,
               struct error *e)
{
    struct asked *a = malloc(sizeof(*a));
    const struct timeval at_once = {0};

    (void)e;
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    *a = (struct asked){.request = *request, .cookie = cookie};
    a->request.url = copy(request->url);
    a->request.content_type = copy(request->content_type);
    a->request.body = copy(request->body);
    a->request.accept = copy(request->accept);
    STAILQ_INSERT_TAIL(&h->asked, a, link);
    return event_add(h->ready, &at_once);
}

static void forget(struct asked *a)
{
    free((char *)a->request.url.ptr);
    free((char *)a->request.content_type.ptr);
    free((char *)a->request.body.ptr);
    free((char *)a->request.accept.ptr);
    free(a);
}

bool httpc_next(struct httpc *h, struct httpc_done *done)
{
    struct asked *a = STAILQ_FIRST(&h->asked);
    struct controlled *c = running;

    if (!a)
        return false;
    STAILQ_REMOVE_HEAD(&h->asked, link);
    *done = (struct httpc_done){.cookie = a->cookie};
    pthread_mutex_lock(&c->guard);
    if (atomic_load(&c->is_cut))
        error_set(&done->error, ERROR_NETWORK, "the line is cut");
    else
        done->ok = fake_ca_handle(c->ca, &a->request, &done->reply, &done->error);
    forget(a);
    return true; /* the CA is ours until httpc_release */
}

void httpc_release(struct httpc *h, struct httpc_done *done)
{
    (void)h;
    (void)done;
    pthread_mutex_unlock(&running->guard);
}

void httpc_free(struct httpc *h)
{
    struct asked *a;

    if (!h)
        return;
    while ((a = STAILQ_FIRST(&h->asked))) {
        STAILQ_REMOVE_HEAD(&h->asked, link);
        forget(a);
    }
    event_free(h->ready);
    free(h);
}

/* ---- the worker ---- */

static void answer_control(struct controlled *c, const struct channel_message *m)
{
    struct channel_message answer = {.type = CHANNEL_HELLO, .u.hello.pid = getpid()};
    struct error e;

    if (m->type == CHANNEL_RESET) {
        atomic_store(&c->session, m->session);
    } else if (m->type == CHANNEL_MANIFEST) {
        atomic_store(&c->generation, (unsigned)m->u.manifest.generation);
        answer.type = CHANNEL_ACK;
        answer.u.ack.generation = m->u.manifest.generation;
        if (atomic_load(&c->is_unheard))
            return;
    } else {
        return;
    }
    answer.session = m->session;
    CU_ASSERT_EQUAL(channel_send(c->channel[1], &answer, -1, &e), 0);
}

/* One is killed, and there is another. */
static void begin_worker(struct controlled *c)
{
    const struct channel_message hello = {.type = CHANNEL_HELLO, .u.hello.pid = getpid()};
    struct error e;

    CU_ASSERT(channel_send(c->channel[1], &hello, -1, &e) >= 0);
}

static void *play_worker(void *context)
{
    struct controlled *c = context;
    struct pollfd p = {.fd = c->channel[1], .events = POLLIN};
    struct channel_message m;
    struct error e;
    int fd;

    while (!atomic_load(&c->ends)) {
        poll(&p, 1, 10 * POLL_MS);
        while (channel_receive(c->channel[1], &m, &fd, &e) == 1) {
            if (fd >= 0)
                close(fd);
            answer_control(c, &m);
        }
    }
    return NULL;
}

/* ---- open and close ---- */

static int listen_somewhere(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 16) == 0 &&
                    getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void open_ends(struct controlled *c)
{
    struct error e;

    CU_ASSERT_EQUAL_FATAL(channel_pair(c->channel, &e), 0);
    CU_ASSERT_EQUAL_FATAL(channel_pair(c->supervisor, &e), 0);
    CU_ASSERT_EQUAL_FATAL(pipe2(c->lifeline, O_CLOEXEC | O_NONBLOCK), 0);
    CU_ASSERT_EQUAL_FATAL(pipe2(c->watch, O_CLOEXEC | O_NONBLOCK), 0);
    c->counters = memfd_create("counters", MFD_CLOEXEC);
    CU_ASSERT_EQUAL_FATAL(ftruncate(c->counters, COUNTERS_PAGE_SIZE), 0);
    c->status = listen_somewhere(&c->port);
}

static void make_ca(struct controlled *c)
{
    struct error e;

    c->account_pem = BUF_SECRET(KEY_PEM_MAX);
    c->account_key = key_generate(KEY_P256, &e);
    CU_ASSERT_FATAL(c->account_key && key_print(c->account_key, &c->account_pem, &e) == 0);
    c->ca = fake_ca_new(
        &(struct fake_ca_options){.account_key = c->account_key, .not_before = c->began - 3600});
    /* All are: whom the worker serves it to is not played. */
    fake_ca_publish(c->ca, STR("token"), STR("token.thumbprint"));
}

void controlled_open(struct controlled *c, const char *more)
{
    char text[TEXT_MAX];
    struct error e;

    memset(c, 0, sizeof(*c));
    pthread_mutex_init(&c->guard, NULL);
    c->page = BUF_INIT(ANSWER_MAX);
    c->declared = BUF_SECRET(FILE_MAX);
    c->turn_ms = CONTROLLED_TURN_MS;
    c->began = clock_built_at() + 2 * DAY > BEGAN ? clock_built_at() + 2 * DAY : BEGAN;
    fake_time_set(c->began);
    scratch_make(c->folder);
    snprintf(c->prefix, sizeof(c->prefix), "%s/prefix", c->folder);
    snprintf(c->file, sizeof(c->file), "%s/kong.yaml", c->folder);
    CU_ASSERT_EQUAL_FATAL(mkdir(c->prefix, 0700), 0);
    snprintf(text, sizeof(text),
             "prefix = %s\ndeclarative_config = %s\nacme_server = " FAKE_CA_DIRECTORY "\n"
             "status_listen = 127.0.0.1:1\nlog_level = info\n%s",
             c->prefix, c->file, more ? more : "");
    CU_ASSERT_EQUAL_FATAL(settings_text_read(&c->settings, text, &e), 0);
    make_ca(c);
    open_ends(c);
    c->options = (struct control_options){.settings = &c->settings,
                                          .environment = settings_text_home(),
                                          .supervisor = c->supervisor[0],
                                          .lifeline = c->lifeline[0],
                                          .watch = c->watch[0],
                                          .tickets = -1,
                                          .worker_count = 1,
                                          .workers = {c->channel[0]},
                                          .counters = {c->counters},
                                          .status_count = 1,
                                          .status = {c->status}};
    running = c;
    pthread_create(&c->worker, NULL, play_worker, c);
}

void controlled_close(struct controlled *c)
{
    if (c->is_running)
        controlled_stop(c);
    atomic_store(&c->ends, true);
    pthread_join(c->worker, NULL);
    for (int end = 0; end < 2; end++) {
        close(c->channel[end]);
        close(c->supervisor[end]);
        close(c->lifeline[end]);
        close(c->watch[end]);
    }
    close(c->counters);
    close(c->status);
    fake_ca_free(c->ca);
    EVP_PKEY_free(c->account_key);
    buf_free(&c->account_pem);
    buf_free(&c->page);
    buf_free(&c->declared);
    settings_fini(&c->settings);
    scratch_remove(c->folder);
    pthread_mutex_destroy(&c->guard);
}

/* ---- the file ---- */

/* Beside it, then in its place. */
void controlled_write_text(struct controlled *c, const char *text)
{
    char fresh[CONTROLLED_PATH_MAX + 8];
    FILE *f;

    snprintf(fresh, sizeof(fresh), "%s.new", c->file);
    f = fopen(fresh, "w");
    CU_ASSERT_FATAL(f && fputs(text, f) >= 0 && fclose(f) == 0 && rename(fresh, c->file) == 0);
    CU_ASSERT_EQUAL(write(c->watch[1], "changed\n", 8), 8);
}

/* PEM text as it stands within a YAML string. */
static void quote(struct buf *out, struct str pem)
{
    buf_char(out, '"');
    for (size_t n = 0; n < pem.len; n++)
        if (pem.ptr[n] == '\n')
            buf_cstr(out, "\\n");
        else
            buf_char(out, pem.ptr[n]);
    buf_char(out, '"');
}

void controlled_declare(struct controlled *c, const char *sni, struct str certificate,
                        struct str key)
{
    buf_printf(&c->declared,
               "%s- {snis: [{name: %s}], cert: ", c->declared.len ? "" : "certificates:\n", sni);
    quote(&c->declared, certificate);
    buf_cstr(&c->declared, ", key: ");
    quote(&c->declared, key);
    buf_cstr(&c->declared, "}\n");
}

/* The account's key is the file's: the CA has to know it. */
void controlled_write(struct controlled *c, const char *config)
{
    struct buf text = BUF_INIT(FILE_MAX);

    buf_printf(&text,
               "_format_version: \"3.0\"\n"
               "plugins:\n- name: acme\n"
               "  config: {account_email: a@example.com, tos_accepted: true, storage: shm,\n"
               "           %s account_key: {key_id: own, key_set: own}, %s}\n"
               "key_sets: [{name: own}]\n"
               "keys: [{name: own, kid: own, set: own, pem: {private_key: ",
               strstr(config, "cert_type") ? "" : "cert_type: ecc,", config);
    quote(&text, buf_view(&c->account_pem));
    buf_cstr(&text, "}}]\n");
    buf_str(&text, buf_view(&c->declared));
    buf_char(&text, '\0');
    CU_ASSERT_FALSE_FATAL(text.failed);
    controlled_write_text(c, text.data);
    buf_free(&text);
}

/* ---- life ---- */

static void *play_control(void *context)
{
    struct controlled *c = context;

    atomic_store(&c->code, control_run(&c->options));
    atomic_store(&c->is_ended, true);
    return NULL;
}

void controlled_start(struct controlled *c)
{
    atomic_store(&c->is_ended, false);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&c->control, NULL, play_control, c), 0);
    c->is_running = true;
}

int controlled_stop(struct controlled *c)
{
    const struct channel_message m = {.type = CHANNEL_STOP};
    struct error e;

    if (!atomic_load(&c->is_ended))
        CU_ASSERT_EQUAL(channel_send(c->supervisor[1], &m, -1, &e), 0);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_has_ended, NULL));
    pthread_join(c->control, NULL);
    c->is_running = false;
    return atomic_load(&c->code);
}

static void hear_supervisor(struct controlled *c)
{
    struct channel_message m;
    struct error e;
    int fd;

    while (channel_receive(c->supervisor[1], &m, &fd, &e) == 1) {
        c->told[m.type % ARRAY_LENGTH(c->told)]++;
        if (m.type == CHANNEL_WORKER_KILL && !atomic_load(&c->is_unheard))
            begin_worker(c);
    }
}

void controlled_tell(struct controlled *c, struct channel_message m)
{
    struct error e;

    m.session = atomic_load(&c->session);
    CU_ASSERT_EQUAL(channel_send(c->channel[1], &m, -1, &e), 0);
}

void controlled_pass(struct controlled *c, int64_t ms)
{
    fake_time_pass(ms);
    if (!atomic_load(&c->is_ended)) /* its loop looks at the clock again */
        controlled_tell(c, (struct channel_message){.type = CHANNEL_BEAT});
    poll(NULL, 0, POLL_MS);
    hear_supervisor(c);
}

bool controlled_wait(struct controlled *c, bool (*is_so)(struct controlled *c, const char *word),
                     const char *word)
{
    for (int n = 0; n < CONTROLLED_PATIENCE; n++) {
        controlled_pass(c, c->turn_ms);
        if (is_so(c, word))
            return true;
        if (atomic_load(&c->is_ended))
            break;
    }
    return false;
}

/* ---- pages ---- */

static int connect_own(struct controlled *c)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/control.sock", c->prefix);
    return connect(fd, (struct sockaddr *)&at, sizeof(at)) ? (close(fd), -1) : fd;
}

static int connect_port(struct controlled *c)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)c->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return connect(fd, (struct sockaddr *)&at, sizeof(at)) ? (close(fd), -1) : fd;
}

void controlled_ask(struct controlled *c, bool is_own, const char *request)
{
    int fd = is_own ? connect_own(c) : connect_port(c);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = strlen(request);
    ssize_t got = 1;
    char *room;

    buf_clear(&c->page);
    if (fd < 0)
        return;
    CU_ASSERT_EQUAL(write(fd, request, len), (ssize_t)len);
    for (int n = 0; n < CONTROLLED_PATIENCE && got > 0; n++) {
        if (poll(&p, 1, POLL_MS) == 0) { /* it may wait for something: time goes on */
            controlled_pass(c, c->turn_ms);
            continue;
        }
        room = buf_reserve(&c->page, 65536);
        CU_ASSERT_PTR_NOT_NULL_FATAL(room);
        got = read(fd, room, 65536);
        buf_commit(&c->page, got > 0 ? (size_t)got : 0);
    }
    close(fd);
}

static bool has(struct controlled *c, const char *word)
{
    return c->page.len && memmem(c->page.data, c->page.len, word, strlen(word));
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

bool controlled_lists(struct controlled *c, const char *word)
{
    controlled_ask(c, false, GET("/certificates"));
    return has(c, word);
}

bool controlled_lists_not(struct controlled *c, const char *word)
{
    controlled_ask(c, false, GET("/certificates"));
    return has(c, "200 OK") && !has(c, word);
}

bool controlled_says(struct controlled *c, const char *word)
{
    controlled_ask(c, true, GET("/status.json"));
    return has(c, word);
}

bool controlled_says_not(struct controlled *c, const char *word)
{
    controlled_ask(c, true, GET("/status.json"));
    return has(c, "200 OK") && !has(c, word);
}

bool controlled_is_ready(struct controlled *c, const char *word)
{
    (void)word;
    return c->told[CHANNEL_READY] > 0;
}

bool controlled_has_ended(struct controlled *c, const char *word)
{
    (void)word;
    return atomic_load(&c->is_ended);
}

unsigned controlled_orders(struct controlled *c)
{
    unsigned count;

    pthread_mutex_lock(&c->guard);
    count = fake_ca_orders(c->ca);
    pthread_mutex_unlock(&c->guard);
    return count;
}
