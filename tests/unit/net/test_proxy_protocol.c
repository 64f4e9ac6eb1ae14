#include "reconciler/net/proxy_protocol.h"

#include <CUnit/Basic.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"

#define V2(rest) "\r\n\r\n\0\r\nQUIT\n" rest

/* "192.0.2.1:1000", "-" where the header names none. */
static const char *peer_text(const struct sockaddr_storage *peer, char *out, size_t size)
{
    char address[INET6_ADDRSTRLEN];
    const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;

    snprintf(out, size, "-");
    if (peer->ss_family == AF_INET)
        snprintf(out, size, "%s:%d", inet_ntop(AF_INET, &in->sin_addr, address, sizeof(address)),
                 ntohs(in->sin_port));
    if (peer->ss_family == AF_INET6)
        snprintf(out, size, "%s:%d", inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof(address)),
                 ntohs(in6->sin6_port));
    return out;
}

static const struct {
    struct str bytes;
    long used; /* -1 = refused */
    const char *peer;
} cases[] = {
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1000 443\r\nGET"), 44, "192.0.2.1:1000"},
    {STR_INIT("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), 36, "2001:db8::1:1"},
    {STR_INIT("PROXY UNKNOWN\r\n"), 15, "-"},
    {STR_INIT("PROXY UNKNOWN a b c d\r\n"), 23, "-"},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1000 65536\r\n"), -1, "-"},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1000\r\n"), -1, "-"},
    {STR_INIT("PROXY TCP4 192.0.2 198.51.100.1 1000 1\r\n"), -1, "-"},
    {STR_INIT("PROXY TCP4 ::1 198.51.100.1 1000 1\r\n"), -1, "-"},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1000 1 \r\n"), -1, "-"},
    {STR_INIT("PROXY TCP5 192.0.2.1 198.51.100.1 1000 1\r\n"), -1, "-"},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1000 1\n"), -1, "-"},
    {STR_INIT("PROXY \r\n"), -1, "-"},
    {STR_INIT("GET / HTTP/1.1\r\n"), -1, "-"},
    {STR_INIT("P"), 0, "-"},
    {STR_INIT("Q"), -1, "-"},
    {STR_INIT(""), 0, "-"},
    {STR_INIT(V2("\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\1\x03\xe8\x01\xbb") "GET"), 28,
     "192.0.2.1:1000"},
    {STR_INIT(V2("\x21\x11\0\x0f\xc0\0\2\1\xc6\x33\x64\1\x03\xe8\x01\xbb\x04\0\0")), 31,
     "192.0.2.1:1000"}, /* a TLV behind it */
    {STR_INIT(V2("\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x03\xe8\x01\xbb")),
     52, "2001:db8::1:1000"},
    {STR_INIT(V2("\x20\0\0\0")), 16, "-"},     /* LOCAL */
    {STR_INIT(V2("\x21\x31\0\2ab")), 18, "-"}, /* a unix socket */
    {STR_INIT(V2("\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\1\x03\xe8\x01")), -1, "-"},
    {STR_INIT(V2("\x21\x21\0\x0c\xc0\0\2\1\xc6\x33\x64\1\x03\xe8\x01\xbb")), -1, "-"},
    {STR_INIT(V2("\x22\x11\0\0")), -1, "-"},
    {STR_INIT(V2("\x11\x11\0\0")), -1, "-"},
    {STR_INIT(V2("\x21\x11\0\x0c\xc0\0")), 0, "-"},
    {STR_INIT("\r\n\r\n\0\r\nQ"), 0, "-"},
};

static void test_headers(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct sockaddr_storage peer = {0};
        char text[80];
        long used = proxy_protocol_parse(cases[i].bytes, &peer);
        if (used != cases[i].used)
            fprintf(stderr, "case %zu: %ld\n", i, used);
        CU_ASSERT_EQUAL(used, cases[i].used);
        CU_ASSERT_STRING_EQUAL(peer_text(&peer, text, sizeof(text)), cases[i].peer);
        /* every shorter piece asks for more */
        for (long len = 0; cases[i].used > 0 && len < cases[i].used; len++)
            CU_ASSERT_EQUAL(proxy_protocol_parse(str_slice(cases[i].bytes, 0, (size_t)len), &peer),
                            0);
    }
}

static void test_limits(void)
{
    char bytes[2048] = "PROXY UNKNOWN ";
    struct sockaddr_storage peer;

    for (size_t over = 0; over < 2; over++) {
        size_t len = PROXY_PROTOCOL_V1_MAX + over;
        memset(bytes + 14, 'x', sizeof(bytes) - 14);
        bytes[len - 2] = '\r';
        bytes[len - 1] = '\n';
        CU_ASSERT_EQUAL(proxy_protocol_parse((struct str){bytes, len}, &peer),
                        over ? -1 : (long)len);
    }
    memset(bytes + 14, 'x', sizeof(bytes) - 14);
    CU_ASSERT_EQUAL(proxy_protocol_parse((struct str){bytes, PROXY_PROTOCOL_V1_MAX - 1}, &peer), 0);
    CU_ASSERT_EQUAL(proxy_protocol_parse((struct str){bytes, PROXY_PROTOCOL_V1_MAX}, &peer), -1);
    for (size_t over = 0; over < 2; over++) {
        size_t size = PROXY_PROTOCOL_MAX - 16 + over;
        memcpy(bytes, V2("\x20\0"), 14);
        bytes[14] = (char)(size >> 8);
        bytes[15] = (char)size;
        CU_ASSERT_EQUAL(proxy_protocol_parse((struct str){bytes, sizeof(bytes)}, &peer),
                        over ? -1 : PROXY_PROTOCOL_MAX);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {{"headers", test_headers}, {"limits", test_limits}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "proxy_protocol", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
