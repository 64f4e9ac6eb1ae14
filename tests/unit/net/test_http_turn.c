/* One turn of the loop does so much and no more, however many connections ask for it. */
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "reconciler/net/http_conn.h"
#include "tests/support/http_rig.h"
#include "tests/support/suite.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define CROWD 150
#define REQUESTS 20
#define FIRST_TURNS 4 /* libevent looks at 32 of them, then at 64... */

static struct http_client crowd[CROWD];

static struct http_rig *open_crowd(struct http_limits limits)
{
    struct http_rig *rig = http_rig_new(HTTP_RIG_ECHO, limits);

    for (size_t i = 0; i < CROWD; i++)
        CU_ASSERT_EQUAL_FATAL(http_rig_connect(rig, (struct http_conn_options){0}, &crowd[i]), 0);
    return rig;
}

static void close_crowd(struct http_rig *rig)
{
    for (size_t i = 0; i < CROWD; i++)
        http_client_close(&crowd[i]);
    http_rig_free(rig);
}

static void ask(const struct http_client *client, int requests)
{
    while (requests--)
        CU_ASSERT_EQUAL(send(client->fd, GET, strlen(GET), MSG_NOSIGNAL), (ssize_t)strlen(GET));
}

/* How much `count` grew in one turn. */
static size_t turn(const struct http_rig *rig, const size_t *count)
{
    size_t before = *count;

    event_base_loop(rig->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    return *count - before;
}

/* Those that read nothing and ask on have what is left when others have had their turn. */
static void test_requests(void)
{
    struct http_rig *rig = open_crowd((struct http_limits){0});

    for (size_t i = 0; i < CROWD; i++)
        ask(&crowd[i], REQUESTS);
    for (int i = 0; i < FIRST_TURNS; i++)
        CU_ASSERT_TRUE(turn(rig, &rig->handled) <=
                       CROWD * HTTP_CONN_TURN_MAX + HTTP_SERVER_TURN_MAX);
    CU_ASSERT_EQUAL_FATAL(http_rig_connect(rig, (struct http_conn_options){0}, &rig->client), 0);
    ask(&rig->client, 1);
    CU_ASSERT_TRUE(turn(rig, &rig->handled) <= 1 + HTTP_SERVER_TURN_MAX);
    http_client_take(&rig->client);
    CU_ASSERT_TRUE(http_rig_got(rig, "HTTP/1.1 200 OK"));
    while (rig->handled < CROWD * REQUESTS + 1)
        CU_ASSERT_TRUE_FATAL(turn(rig, &rig->handled) <= HTTP_SERVER_TURN_MAX);
    close_crowd(rig);
}

/* Many deadlines that pass at once are as many turns' work. */
static void test_deadlines(void)
{
    struct http_rig *rig = open_crowd((struct http_limits){.head_ms = 20});

    while (rig->closed < CROWD)
        CU_ASSERT_TRUE_FATAL(turn(rig, &rig->closed) <= HTTP_SERVER_TURN_MAX);
    close_crowd(rig);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"requests", test_requests}, {"deadlines", test_deadlines}, CU_TEST_INFO_NULL};

    return suite_run("net/http_turn", tests);
}
