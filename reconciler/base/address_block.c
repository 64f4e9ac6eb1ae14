#include "address_block.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "ip.h"
#include "str.h"

static void set_ipv4(struct address_block *b, const void *address)
{
    b->family = AF_INET;
    memcpy(b->bytes, address, sizeof(struct in_addr));
}

static void set_ipv6(struct address_block *b, const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        set_ipv4(b, address->s6_addr + 12);
        return;
    }
    b->family = AF_INET6;
    memcpy(b->bytes, address, sizeof(b->bytes));
}

struct address_block address_block_of(const struct sockaddr *address)
{
    struct address_block b = {0};
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        set_ipv4(&b, &in.sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        set_ipv6(&b, &in6.sin6_addr);
    }
    return b;
}

bool address_block_equal(const struct address_block *a, const struct address_block *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

uint64_t address_block_hash(const struct address_block *b, uint64_t seed)
{
    return str_hash((struct str){(const char *)b, sizeof(*b)}, seed);
}

static bool have_same_bits(const unsigned char *a, const unsigned char *b, size_t bits)
{
    size_t whole = bits / 8, rest = bits % 8;

    return memcmp(a, b, whole) == 0 && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

bool address_block_meets(const struct address_block *b, const char *text)
{
    struct str width, address = str_cut(str_from(text), '/', &width);
    unsigned char bytes[IP_BYTES_MAX];
    uint64_t bits = b->family == AF_INET ? 32 : 128, most = b->family == AF_INET ? 32 : 64;

    if (!b->family || ip_parse(address, bytes) != b->family ||
        (width.ptr && !str_to_u64(width, &bits)))
        return false;
    return have_same_bits(b->bytes, bytes, bits < most ? bits : most);
}
