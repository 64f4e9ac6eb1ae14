#include "proxy_protocol.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "reconciler/base/ip.h"

#define V2_HEAD 16
#define V2_SIGNATURE STR("\r\n\r\n\0\r\nQUIT\n")

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };

static void set_ipv4(struct sockaddr_storage *peer, const void *address, const char *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    memcpy(&in.sin_addr, address, sizeof(in.sin_addr));
    memcpy(&in.sin_port, port, sizeof(in.sin_port));
    memset(peer, 0, sizeof(*peer));
    memcpy(peer, &in, sizeof(in));
}

static void set_ipv6(struct sockaddr_storage *peer, const void *address, const char *port)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6};

    memcpy(&in.sin6_addr, address, sizeof(in.sin6_addr));
    memcpy(&in.sin6_port, port, sizeof(in.sin6_port));
    memset(peer, 0, sizeof(*peer));
    memcpy(peer, &in, sizeof(in));
}

static long parse_v2(struct str bytes, struct sockaddr_storage *peer)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    const char *addresses = bytes.ptr + V2_HEAD;
    size_t size;

    if (bytes.len < V2_HEAD)
        return 0;
    size = (size_t)p[14] << 8 | p[15];
    if (size > PROXY_PROTOCOL_MAX - V2_HEAD || (p[12] != V2_LOCAL && p[12] != V2_PROXY))
        return -1;
    if (bytes.len < V2_HEAD + size)
        return 0;
    if (p[12] == V2_PROXY && p[13] == V2_TCP4) {
        if (size < 12)
            return -1;
        set_ipv4(peer, addresses, addresses + 8);
    } else if (p[12] == V2_PROXY && p[13] == V2_TCP6) {
        if (size < 36)
            return -1;
        set_ipv6(peer, addresses, addresses + 32);
    }
    return (long)(V2_HEAD + size);
}

static int parse_port(struct str text, uint16_t *port)
{
    uint64_t number;

    if (!str_to_u64(text, &number) || number > UINT16_MAX || text.len > 5)
        return -1;
    *port = htons((uint16_t)number);
    return 0;
}

/* "TCP4 client server port port" behind "PROXY ". */
static int parse_v1_line(struct str line, struct sockaddr_storage *peer)
{
    struct str family = str_cut(line, ' ', &line), client = str_cut(line, ' ', &line);
    struct str server = str_cut(line, ' ', &line), port = str_cut(line, ' ', &line);
    unsigned char bytes[IP_BYTES_MAX];
    uint16_t client_port, server_port;
    bool is_ipv6 = str_equal(family, STR("TCP6"));

    if (str_equal(family, STR("UNKNOWN")))
        return 0;
    if ((!is_ipv6 && !str_equal(family, STR("TCP4"))) || !server.len ||
        ip_parse(client, bytes) != (is_ipv6 ? AF_INET6 : AF_INET) ||
        parse_port(port, &client_port) || parse_port(line, &server_port))
        return -1;
    (is_ipv6 ? set_ipv6 : set_ipv4)(peer, bytes, (const char *)&client_port);
    return 0;
}

static long parse_v1(struct str bytes, struct sockaddr_storage *peer)
{
    struct str prefix = STR("PROXY ");
    size_t end = str_find(bytes, '\n', 0);

    if (end >= bytes.len)
        return bytes.len >= PROXY_PROTOCOL_V1_MAX ? -1 : 0;
    if (end >= PROXY_PROTOCOL_V1_MAX || end < prefix.len + 1 || bytes.ptr[end - 1] != '\r' ||
        parse_v1_line(str_slice(bytes, prefix.len, end - 1), peer))
        return -1;
    return (long)end + 1;
}

/* Could these bytes, as far as they go, be the beginning of `whole`? */
static bool begins(struct str bytes, struct str whole)
{
    return str_starts(whole, str_slice(bytes, 0, whole.len));
}

long proxy_protocol_parse(struct str bytes, struct sockaddr_storage *peer)
{
    if (begins(bytes, V2_SIGNATURE))
        return parse_v2(bytes, peer);
    return begins(bytes, STR("PROXY ")) ? parse_v1(bytes, peer) : -1;
}
