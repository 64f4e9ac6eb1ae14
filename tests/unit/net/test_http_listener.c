#include "reconciler/net/http_listener.h"

#include <CUnit/Basic.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reconciler/base/happening.h"

struct rig {
    struct event_base *base;
    struct sockaddr_in address;
    int listening;
    int accepted[8];
    size_t count;
};

static void accepted(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    struct rig *rig = context;

    CU_ASSERT_EQUAL(peer->sa_family, AF_INET);
    CU_ASSERT_EQUAL(peer_len, sizeof(struct sockaddr_in));
    rig->accepted[rig->count++] = fd;
}

static struct http_listener *rig_init(struct rig *rig)
{
    struct http_listener_options options = {.context = rig, .accepted = accepted};
    socklen_t len = sizeof(rig->address);

    *rig =
        (struct rig){.address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    rig->base = options.base = event_base_new();
    rig->listening = options.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (!rig->base || bind(rig->listening, (struct sockaddr *)&rig->address, len) ||
        listen(rig->listening, 16) ||
        getsockname(rig->listening, (struct sockaddr *)&rig->address, &len))
        abort();
    return http_listener_new(&options);
}

static void rig_fini(struct rig *rig)
{
    for (size_t i = 0; i < rig->count; i++)
        close(rig->accepted[i]);
    close(rig->listening);
    event_base_free(rig->base);
}

static int connect_to(const struct rig *rig)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (const struct sockaddr *)&rig->address, sizeof(rig->address)))
        abort();
    return fd;
}

static void test_accepts(void)
{
    struct rig rig;
    struct http_listener *l = rig_init(&rig);
    int clients[3], no_delay = 0;
    socklen_t len = sizeof(no_delay);

    CU_ASSERT_PTR_NOT_NULL_FATAL(l);
    for (int i = 0; i < 3; i++)
        clients[i] = connect_to(&rig);
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    CU_ASSERT_EQUAL(rig.count, 3);
    CU_ASSERT_EQUAL(getsockopt(rig.accepted[0], IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
    CU_ASSERT_EQUAL(no_delay, 1);
    http_listener_free(l);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    clients[0] = connect_to(&rig);
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    CU_ASSERT_EQUAL(rig.count, 3); /* it has stopped */
    close(clients[0]);
    http_listener_free(NULL);
    rig_fini(&rig);
}

static bool count_pauses(void *context, const struct happening *h)
{
    size_t *told = context;

    *told += h->name == HAPPENING_ACCEPT_PAUSED;
    return true;
}

/* Out of descriptors it pauses, says so once, and takes what waits when there are some again. */
static void test_shortage(void)
{
    size_t told = 0;
    struct happening_listener ear = {.hear = count_pauses, .context = &told};
    struct rlimit before, none;
    struct rig rig;
    struct http_listener *l = rig_init(&rig);
    int client = connect_to(&rig);

    CU_ASSERT_PTR_NOT_NULL_FATAL(l);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)client, .rlim_max = before.rlim_max};
    happening_listen(&ear);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    CU_ASSERT_EQUAL(told, 1);
    event_base_loop(rig.base, EVLOOP_ONCE); /* it tries again */
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    CU_ASSERT_EQUAL(told, 1);
    CU_ASSERT_EQUAL(rig.count, 0);
    happening_leave(&ear);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (!rig.count)
        event_base_loop(rig.base, EVLOOP_ONCE);
    CU_ASSERT_EQUAL(rig.count, 1);
    http_listener_free(l);
    close(client);
    rig_fini(&rig);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"accepts", test_accepts}, {"shortage", test_shortage}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "http_listener", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
