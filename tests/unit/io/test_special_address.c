/* Addresses that only this machine or its own network can mean, and who may name them. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/io/httpc.h"
#include "reconciler/io/resolve.h"
#include "reconciler/io/special_address.h"

static const struct {
    const char *address;
    bool is_special;
} addresses[] = {
    {"127.0.0.1", true},
    {"10.1.2.3", true},
    {"172.16.0.1", true},
    {"172.31.255.255", true},
    {"172.32.0.1", false},
    {"172.15.255.255", false},
    {"192.168.9.9", true},
    {"192.169.0.1", false},
    {"169.254.169.254", true},
    {"100.64.0.1", true},
    {"100.63.255.255", false},
    {"100.128.0.0", false},
    {"0.0.0.0", true},
    {"255.255.255.255", true},
    {"9.255.255.255", false},
    {"11.0.0.0", false},
    {"::1", true},
    {"::", true},
    {"::2", false},
    {"fc00::1", true},
    {"fdff::1", true},
    {"fe00::1", false},
    {"fe80::1", true},
    {"fec0::1", false},
    {"2606:4700::1", false},
    {"::ffff:10.0.0.1", true},
    {"::ffff:9.9.9.9", false},
    {"8.8.8.8", false},
    {"192.0.0.8", true},
    {"192.0.0.9", false},
    {"192.0.0.171", true},
    {"192.0.1.0", false},
    {"192.0.2.1", true},
    {"192.88.99.1", true},
    {"192.31.196.1", false},
    {"198.17.255.255", false},
    {"198.18.0.1", true},
    {"198.19.255.255", true},
    {"198.20.0.0", false},
    {"198.51.100.7", true},
    {"203.0.113.7", true},
    {"224.0.0.1", true},
    {"240.0.0.1", true},
    {"64:ff9b::10.0.0.1", true},
    {"64:ff9b::8.8.8.8", false},
    {"64:ff9b:1::1", true},
    {"100::1", true},
    {"100:0:0:1::1", true},
    {"100:0:0:2::1", false},
    {"2001::1", true},
    {"2001:1::1", false},
    {"2001:1::4", true},
    {"2001:2::1", true},
    {"2001:3::1", false},
    {"2001:4:112::1", false},
    {"2001:10::1", true},
    {"2001:20::1", false},
    {"2001:3f::1", false},
    {"2001:40::1", true},
    {"2001:200::1", false},
    {"2001:db8::1", true},
    {"2002:a00:1::1", true},
    {"2002:808:808::1", false},
    {"2620:4f:8000::1", false},
    {"3fff::1", true},
    {"3fff:1000::1", false},
    {"5f00::1", true},
    {"ff02::1", true},
    {"not an address", false},
    {"", false},
};

static void special_addresses(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++)
        if (special_address_is(addresses[i].address) != addresses[i].is_special)
            CU_FAIL(addresses[i].address);
}

struct asked {
    struct event_base *base;
    struct httpc *httpc;
    struct error error;
};

static void on_ready(void *context)
{
    struct asked *a = context;
    struct httpc_done done;

    while (httpc_next(a->httpc, &done)) {
        CU_ASSERT_FALSE(done.ok);
        a->error = done.error;
        httpc_release(a->httpc, &done);
    }
    event_base_loopbreak(a->base);
}

/* What becomes of a request for `url`, which the answer from `named_by` holds. Nobody listens. */
static struct error ask(struct str url, struct str named_by)
{
    const struct http_request request = {
        .url = url, .named_by = named_by, .body_max = 1, .timeout_ms = 30000};
    struct asked a = {.base = event_base_new()};
    struct httpc_options options = {
        .base = a.base, .user_agent = "test", .ready = on_ready, .context = &a};
    struct error e;

    options.resolver = resolver_new(a.base, &(struct resolve_options){0}, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(options.resolver);
    a.httpc = httpc_new(&options, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a.httpc);
    CU_ASSERT_EQUAL_FATAL(httpc_send(a.httpc, &request, 1, &e), 0);
    event_base_dispatch(a.base);
    httpc_free(a.httpc);
    resolver_free(options.resolver);
    event_base_free(a.base);
    return a.error;
}

/* A directory on the internet cannot send us into the network that we are in. */
static void who_names_them(void)
{
    static const struct {
        struct str url, named_by;
        enum error_kind kind;
    } rows[] = {
        {STR_INIT("https://127.0.0.1:1/order"), STR_NONE, ERROR_NETWORK},
        {STR_INIT("https://127.0.0.1:1/order"), STR_INIT("https://127.0.0.1:2/dir"), ERROR_NETWORK},
        {STR_INIT("https://127.0.0.1:1/order"), STR_INIT("https://[::1]:2/dir"), ERROR_NETWORK},
        {STR_INIT("https://127.0.0.1:1/order"), STR_INIT("https://8.8.8.8/dir"), ERROR_PROTOCOL},
        {STR_INIT("https://localhost:1/"), STR_INIT("https://8.8.8.8/dir"), ERROR_PROTOCOL},
        {STR_INIT("https://[::ffff:127.0.0.1]:1/"), STR_INIT("https://8.8.8.8/"), ERROR_PROTOCOL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct error e = ask(rows[i].url, rows[i].named_by);
        CU_ASSERT_EQUAL(e.kind, rows[i].kind);
        CU_ASSERT_EQUAL(strstr(e.message, "private address") != NULL,
                        rows[i].kind == ERROR_PROTOCOL);
    }
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("special addresses", NULL, NULL);
    CU_add_test(suite, "special addresses", special_addresses);
    CU_add_test(suite, "who names them", who_names_them);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
