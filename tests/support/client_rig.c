#include "client_rig.h"

#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client_rig *client_rig_new(struct client_options options)
{
    struct client_rig *rig = calloc(1, sizeof(*rig));
    socklen_t len = sizeof(rig->address);

    rig->base = options.base = event_base_new();
    rig->client = client_new(&options);
    rig->peer = -1;
    rig->heard = BUF_INIT(1 << 20);
    rig->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    rig->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!rig->client || bind(rig->listener, (struct sockaddr *)&rig->address, len) ||
        listen(rig->listener, 16) ||
        getsockname(rig->listener, (struct sockaddr *)&rig->address, &len))
        abort();
    return rig;
}

void client_rig_hang_up(struct client_rig *rig)
{
    if (rig->peer >= 0)
        close(rig->peer);
    rig->peer = -1;
}

void client_rig_free(struct client_rig *rig)
{
    client_free(rig->client);
    client_rig_hang_up(rig);
    close(rig->listener);
    event_base_free(rig->base);
    buf_free(&rig->heard);
    free(rig);
}

/* Has a new connection come? */
bool client_rig_is_met(struct client_rig *rig)
{
    int fd = accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return false;
    client_rig_hang_up(rig);
    rig->peer = fd;
    return true;
}

/* Has this come last, on the connection that there is? */
bool client_rig_hears(struct client_rig *rig, const char *end)
{
    char *room = buf_reserve(&rig->heard, 4096);
    ssize_t got = rig->peer >= 0 ? recv(rig->peer, room, 4096, 0) : -1;

    if (got > 0)
        buf_commit(&rig->heard, (size_t)got);
    return rig->heard.len && str_ends(buf_view(&rig->heard), str_from(end));
}

bool client_rig_is_closed(struct client_rig *rig)
{
    char byte;

    return recv(rig->peer, &byte, 1, 0) == 0;
}

void client_rig_answer(struct client_rig *rig, const char *text)
{
    buf_clear(&rig->heard);
    CU_ASSERT_EQUAL(send(rig->peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void on_head(void *context, struct exchange *x, const struct http_head *head)
{
    struct client_told *t = context;

    t->statuses[t->heads++ % (CLIENT_INTERIM_MAX + 2)] = head->status;
    if (head->status == 101 && t->takes) {
        CU_ASSERT_EQUAL(exchange_take_stream(x, t->takes, &t->unread), 0);
        t->exchange = NULL;
    }
}

static size_t on_body(void *context, struct exchange *x, struct str bytes)
{
    (void)x;
    buf_str(&((struct client_told *)context)->body, bytes);
    return bytes.len;
}

static void on_end(void *context, struct exchange *x)
{
    struct client_told *t = context;

    CU_ASSERT_PTR_EQUAL(t->exchange, x);
    t->exchange = NULL;
    t->ends++;
}

static void on_abort(void *context, struct exchange *x, enum exchange_failure why)
{
    struct client_told *t = context;

    CU_ASSERT_PTR_EQUAL(t->exchange, x);
    t->exchange = NULL;
    t->aborts++;
    t->why = why;
}

static void on_writable(void *context, struct exchange *x)
{
    (void)x;
    ((struct client_told *)context)->writables++;
}

static const struct exchange_events events = {.on_head = on_head,
                                              .on_body = on_body,
                                              .on_end = on_end,
                                              .on_abort = on_abort,
                                              .on_writable = on_writable};

static struct client_told *told_new(void)
{
    struct client_told *t = calloc(1, sizeof(*t));

    t->body = BUF_INIT(1 << 20);
    t->unread = BUF_INIT(1000);
    return t;
}

void client_rig_forget(struct client_told *t)
{
    buf_free(&t->body);
    buf_free(&t->unread);
    free(t);
}

struct client_destination client_rig_place(const struct client_rig *rig)
{
    return (struct client_destination){.address = (const struct sockaddr *)&rig->address,
                                       .address_len = sizeof(rig->address)};
}

struct client_told *client_rig_ask_at(struct client_rig *rig, const struct client_destination *to,
                                      struct http_head request)
{
    struct client_told *t = told_new();

    request.target = STR("/x?y");
    request.authority = STR("a.example:80");
    t->exchange = client_ask(rig->client, to, &request, &events, t);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t->exchange);
    CU_ASSERT_EQUAL(t->heads + t->aborts, 0);
    return t;
}

struct client_told *client_rig_ask(struct client_rig *rig, const char *method)
{
    const struct client_destination to = client_rig_place(rig);

    return client_rig_ask_at(rig, &to, (struct http_head){.method = str_from(method)});
}

void client_rig_get_again(struct client_rig *rig)
{
    struct client_told *t = client_rig_ask(rig, "GET");

    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
    client_rig_answer(rig, CLIENT_OK);
    CLIENT_UNTIL(rig, t->ends);
    client_rig_forget(t);
}

void client_rig_get(struct client_rig *rig)
{
    struct client_told *t = client_rig_ask(rig, "GET");

    CLIENT_UNTIL(rig, client_rig_is_met(rig));
    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
    client_rig_answer(rig, CLIENT_OK);
    CLIENT_UNTIL(rig, t->ends);
    client_rig_forget(t);
}
