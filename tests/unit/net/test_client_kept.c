/* Connections that the client keeps: how many, how long, and what of those that died meanwhile. */
#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/client_rig.h"
#include "tests/support/suite.h"

/* The other side closed it meanwhile: nobody notices. */
static void test_closed_meanwhile(void)
{
    struct client_rig *rig = client_rig_new((struct client_options){0});

    client_rig_get(rig);
    client_rig_hang_up(rig);
    client_rig_get(rig);
    CU_ASSERT_EQUAL(client_connections(rig->client), 1);
    client_rig_get_again(rig);
    client_rig_hang_up(rig);
    CLIENT_UNTIL(rig, !client_kept(rig->client)); /* and seen, in time */
    client_rig_free(rig);
}

/* It dies with the request under way: asked once more, where that does no harm. */
static void test_once_more(void)
{
    static const struct {
        struct http_head request;
        const char *answer;
        bool again;
    } cases[] = {
        {{.method = STR_INIT("GET")}, "", true},
        {{.method = STR_INIT("DELETE")}, "", true},
        {{.method = STR_INIT("POST")}, "", false},
        {{.method = STR_INIT("PUT"), .content_length = 3}, "", false},
        {{.method = STR_INIT("GET")}, "H", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_rig *rig = client_rig_new((struct client_options){0});
        const struct client_destination to = client_rig_place(rig);
        struct client_told *t;
        client_rig_get(rig);
        t = client_rig_ask_at(rig, &to, cases[i].request);
        CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
        client_rig_answer(rig, cases[i].answer);
        client_rig_hang_up(rig);
        if (cases[i].again) {
            CLIENT_UNTIL(rig, client_rig_is_met(rig));
            CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
            client_rig_hang_up(rig); /* this one was not kept: it is not asked a third time */
        }
        CLIENT_UNTIL(rig, t->aborts);
        CU_ASSERT_EQUAL(t->why, EXCHANGE_BROKEN);
        CU_ASSERT_FALSE(client_rig_is_met(rig));
        client_rig_forget(t);
        client_rig_free(rig);
    }
}

static void test_asked_once_more_well(void)
{
    struct client_rig *rig = client_rig_new((struct client_options){0});
    struct client_told *t;

    client_rig_get(rig);
    t = client_rig_ask(rig, "GET");
    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
    buf_clear(&rig->heard);
    client_rig_hang_up(rig);
    CLIENT_UNTIL(rig, client_rig_is_met(rig));
    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
    CU_ASSERT_TRUE(str_starts(buf_view(&rig->heard), STR("GET /x?y HTTP/1.1\r\n")));
    client_rig_answer(rig, CLIENT_OK);
    CLIENT_UNTIL(rig, t->ends);
    CU_ASSERT_EQUAL(client_kept(rig->client), 1);
    client_rig_forget(t);
    client_rig_free(rig);
}

/* Asks there so often at once, has all answered, and tells how many connections are kept then. */
static size_t keep(size_t kept, size_t per_destination, size_t here_too, size_t elsewhere)
{
    struct client_rig *rig = client_rig_new(
        (struct client_options){.kept = kept, .kept_per_destination = per_destination});
    struct client_destination to = client_rig_place(rig);
    struct client_told *t[8];
    int peers[8];
    size_t ends = 0;

    for (size_t i = 0; i < here_too + elsewhere; i++) {
        to.server_name = i < here_too ? STR_NONE : STR("other");
        t[i] = client_rig_ask_at(rig, &to, (struct http_head){.method = STR("GET")});
    }
    for (size_t i = 0; i < here_too + elsewhere; i++) {
        while (!client_rig_is_met(rig))
            event_base_loop(rig->base, EVLOOP_NONBLOCK);
        peers[i] = rig->peer;
        rig->peer = -1;
    }
    CU_ASSERT_EQUAL(client_connections(rig->client), here_too + elsewhere);
    for (size_t i = 0; i < here_too + elsewhere; i++)
        CU_ASSERT_TRUE(send(peers[i], CLIENT_OK, strlen(CLIENT_OK), MSG_NOSIGNAL) > 0);
    for (; ends < here_too + elsewhere; event_base_loop(rig->base, EVLOOP_NONBLOCK)) {
        ends = 0;
        for (size_t i = 0; i < here_too + elsewhere; i++)
            ends += t[i]->ends;
    }
    kept = client_kept(rig->client);
    CU_ASSERT_EQUAL(client_connections(rig->client), kept);
    for (size_t i = 0; i < here_too + elsewhere; i++) {
        close(peers[i]);
        client_rig_forget(t[i]);
    }
    client_rig_free(rig);
    return kept;
}

static void test_kept_are_bounded(void)
{
    CU_ASSERT_EQUAL(keep(0, 0, 3, 2), 5);
    CU_ASSERT_EQUAL(keep(0, 2, 3, 1), 3);
    CU_ASSERT_EQUAL(keep(3, 3, 3, 3), 3);
    CU_ASSERT_EQUAL(keep(1, 1, 2, 2), 1);
}

static void test_kept_for_a_time(void)
{
    struct client_rig *rig = client_rig_new((struct client_options){.kept_ms = 20});

    client_rig_get(rig);
    CU_ASSERT_EQUAL(client_kept(rig->client), 1);
    CLIENT_UNTIL(rig, !client_connections(rig->client));
    CLIENT_UNTIL(rig, client_rig_is_closed(rig));
    client_rig_free(rig);
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"closed meanwhile", test_closed_meanwhile},
                                        {"once more", test_once_more},
                                        {"asked once more, well", test_asked_once_more_well},
                                        {"kept are bounded", test_kept_are_bounded},
                                        {"kept for a time", test_kept_for_a_time},
                                        CU_TEST_INFO_NULL};

    return suite_run("net/client_kept", tests);
}
