/* Bodies that are made while they are sent. */
#include <CUnit/Basic.h>
#include <event2/event.h>
#include <string.h>

#include "reconciler/net/http_conn.h"
#include "tests/support/http_rig.h"
#include "tests/support/suite.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define PIECE 50000

/* What it gives, and what it has given. */
static struct {
    size_t pieces; /* then the end, or what else `last` says */
    enum http_more last;
    size_t asked, ended;
} source;

static enum http_more more(void *context, struct buf *out)
{
    static const char piece[PIECE];

    (void)context;
    source.asked++;
    if (source.asked > source.pieces)
        return source.last;
    buf_str(out, (struct str){piece, sizeof(piece)});
    return HTTP_MORE;
}

static void done(void *context)
{
    (void)context;
    source.ended++;
}

/* A request that is answered with `pieces` of a body. */
static struct http_rig *asked(const char *request, size_t pieces, enum http_more last)
{
    const struct http_source given = {NULL, more, done};
    const struct http_response response = {.status = 200, .source = &given};
    struct http_rig *rig = http_rig_open(HTTP_RIG_LATER, (struct http_limits){0});

    source.pieces = pieces;
    source.last = last;
    source.asked = source.ended = 0;
    CU_ASSERT_TRUE(send(rig->client.fd, request, strlen(request), MSG_NOSIGNAL) > 0);
    while (!rig->waiting)
        event_base_loop(rig->base, EVLOOP_ONCE);
    exchange_reply(rig->waiting, &response);
    return rig;
}

static void in_chunks(void)
{
    struct http_rig *rig = asked(GET, 3, HTTP_END);

    http_rig_pump(rig);
    CU_ASSERT_TRUE(http_rig_got(rig, "Transfer-Encoding: chunked\r\n"));
    CU_ASSERT_EQUAL(http_client_count(&rig->client, "Content-Length"), 0);
    CU_ASSERT_TRUE(rig->client.received.len > 3 * PIECE);
    CU_ASSERT_TRUE(
        memcmp(rig->client.received.data + rig->client.received.len - 7, "\r\n0\r\n\r\n", 7) == 0);
    CU_ASSERT_EQUAL(source.ended, 1);
    CU_ASSERT_FALSE(rig->client.is_closed);
    http_rig_say(rig, GET); /* the connection goes on */
    CU_ASSERT_EQUAL(rig->handled, 2);
    http_rig_free(rig);
}

static void up_to_the_close(void)
{
    struct http_rig *rig = asked("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 2, HTTP_END);

    http_rig_pump(rig);
    CU_ASSERT_EQUAL(http_client_count(&rig->client, "chunked"), 0);
    CU_ASSERT_TRUE(http_rig_got(rig, "Connection: close\r\n"));
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_TRUE(rig->client.received.len > 2 * PIECE);
    http_rig_free(rig);
}

static void of_head(void)
{
    struct http_rig *rig = asked("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 2, HTTP_END);

    http_rig_pump(rig);
    CU_ASSERT_EQUAL(source.asked, 0);
    CU_ASSERT_EQUAL(source.ended, 1);
    CU_ASSERT_TRUE(rig->client.received.len < 500);
    http_rig_free(rig);
}

/* Who does not read costs a window, however long the body. */
static void back_pressure(void)
{
    struct http_rig *rig = asked(GET, 1000, HTTP_END);
    size_t before;

    for (int i = 0; i < 100; i++)
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
    before = source.asked;
    CU_ASSERT_TRUE(before < 20);
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(source.asked, 1001);
    CU_ASSERT_TRUE(rig->client.received.len > 1000 * PIECE);
    CU_ASSERT_EQUAL(source.ended, 1);
    http_rig_free(rig);
}

static void client_goes(void)
{
    struct http_rig *rig = asked(GET, 1000, HTTP_END);

    http_client_close(&rig->client);
    while (http_server_connections(rig->server))
        event_base_loop(rig->base, EVLOOP_ONCE);
    CU_ASSERT_EQUAL(source.ended, 1);
    CU_ASSERT_TRUE(source.asked < 20);
    http_rig_free(rig);
}

static void later_and_broken(void)
{
    struct http_rig *rig = asked(GET, 1, HTTP_LATER);
    struct exchange *x;

    http_rig_pump(rig);
    CU_ASSERT_EQUAL(source.asked, 2);
    x = rig->waiting;
    source.pieces = 3; /* there is more */
    exchange_resume(x);
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(source.ended, 0);
    source.last = HTTP_BROKEN;
    exchange_resume(x);
    http_rig_pump(rig);
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_EQUAL(http_client_count(&rig->client, "\r\n0\r\n\r\n"), 0); /* it has no end */
    CU_ASSERT_EQUAL(source.ended, 1);
    http_rig_free(rig);
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"in chunks", in_chunks},
                                        {"up to the close", up_to_the_close},
                                        {"of HEAD", of_head},
                                        {"back-pressure", back_pressure},
                                        {"client goes", client_goes},
                                        {"later and broken", later_and_broken},
                                        CU_TEST_INFO_NULL};

    return suite_run("net/http_source", tests);
}
