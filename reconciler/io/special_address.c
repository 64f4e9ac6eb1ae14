#include "reconciler/io/special_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/ip.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/* https://www.iana.org/assignments/iana-ipv{4,6}-special-registry; the longest prefix decides. */
struct block {
    const char *prefix;
    unsigned bits;
    bool is_global;
};

static const struct block blocks4[] = {
    {"0.0.0.0", 8, false},     {"10.0.0.0", 8, false},      {"100.64.0.0", 10, false},
    {"127.0.0.0", 8, false},   {"169.254.0.0", 16, false},  {"172.16.0.0", 12, false},
    {"192.0.0.0", 24, false},  {"192.0.0.9", 32, true},     {"192.0.0.10", 32, true},
    {"192.0.2.0", 24, false},  {"192.88.99.0", 24, false},  {"192.168.0.0", 16, false},
    {"198.18.0.0", 15, false}, {"198.51.100.0", 24, false}, {"203.0.113.0", 24, false},
    {"224.0.0.0", 4, false},   {"240.0.0.0", 4, false},
};

static const struct block blocks6[] = {
    {"::", 128, false},       {"::1", 128, false},        {"64:ff9b:1::", 48, false},
    {"100::", 64, false},     {"100:0:0:1::", 64, false}, {"2001::", 23, false},
    {"2001:1::1", 128, true}, {"2001:1::2", 128, true},   {"2001:1::3", 128, true},
    {"2001:3::", 32, true},   {"2001:4:112::", 48, true}, {"2001:20::", 28, true},
    {"2001:30::", 28, true},  {"2001:db8::", 32, false},  {"3fff::", 20, false},
    {"5f00::", 16, false},    {"fc00::", 7, false},       {"fe80::", 10, false},
    {"ff00::", 8, false},
};

/* Where an IPv6 address holds an IPv4 one (RFC 4291 §2.5.5.2, RFC 6052 §2.1, RFC 3056 §2). */
static const struct {
    const char *prefix;
    unsigned bits;
    size_t at;
} holders[] = {{"::ffff:0:0", 96, 12}, {"64:ff9b::", 96, 12}, {"2002::", 16, 2}};

static bool is_within(int family, const unsigned char *address, const char *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    unsigned char mask = (unsigned char)(0xff00u >> rest), block[16];

    return inet_pton(family, prefix, block) == 1 && memcmp(address, block, whole) == 0 &&
           (!rest || (address[whole] & mask) == (block[whole] & mask));
}

static bool is_special(int family, const unsigned char *address, const struct block *blocks,
                       size_t count)
{
    const struct block *longest = NULL;

    for (size_t i = 0; i < count; i++)
        if (is_within(family, address, blocks[i].prefix, blocks[i].bits) &&
            (!longest || blocks[i].bits > longest->bits))
            longest = &blocks[i];
    return longest && !longest->is_global;
}

bool special_address_is(const char *address)
{
    unsigned char bytes[IP_BYTES_MAX];
    int family = ip_parse(str_from(address), bytes);

    if (family == AF_INET)
        return is_special(AF_INET, bytes, blocks4, ARRAY_LENGTH(blocks4));
    if (!family)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(holders); i++)
        if (is_within(AF_INET6, bytes, holders[i].prefix, holders[i].bits))
            return is_special(AF_INET, bytes + holders[i].at, blocks4, ARRAY_LENGTH(blocks4));
    return is_special(AF_INET6, bytes, blocks6, ARRAY_LENGTH(blocks6));
}

bool special_address_among(const char *addresses)
{
    struct str rest = str_from(addresses);
    char text[INET6_ADDRSTRLEN];

    while (rest.ptr) {
        struct str one = str_cut(rest, ',', &rest);
        if (one.len > 2 && one.ptr[0] == '[')
            one = str_slice(one, 1, one.len - 1);
        snprintf(text, sizeof(text), "%.*s", STR_ARG(one));
        if (special_address_is(text))
            return true;
    }
    return false;
}
