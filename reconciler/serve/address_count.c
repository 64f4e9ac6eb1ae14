#include "address_count.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "reconciler/base/str.h"

#define BUCKETS 4096
#define PREFIX_SIZE 8 /* of an IPv6 address */

struct address_key {
    unsigned char family;
    unsigned char bytes[PREFIX_SIZE];
};

struct address_peer {
    struct address_peer *next, **previous_next;
    struct address_key key;
    size_t connections;
};

struct address_count {
    uint64_t seed;
    struct address_peer *buckets[BUCKETS];
};

struct address_count *address_count_new(void)
{
    struct address_count *c = calloc(1, sizeof(*c));

    if (c && getrandom(&c->seed, sizeof(c->seed), GRND_NONBLOCK) < 0)
        c->seed = (uintptr_t)c;
    return c;
}

void address_count_free(struct address_count *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (c->buckets[i]) {
            struct address_peer *next = c->buckets[i]->next;
            free(c->buckets[i]);
            c->buckets[i] = next;
        }
    free(c);
}

static void set_ipv4(struct address_key *key, const void *address)
{
    key->family = AF_INET;
    memcpy(key->bytes, address, sizeof(struct in_addr));
}

static int make_key(const struct sockaddr *address, struct address_key *key)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    memset(key, 0, sizeof(*key));
    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        set_ipv4(key, &in.sin_addr);
        return 0;
    }
    if (address->sa_family != AF_INET6)
        return -1;
    memcpy(&in6, address, sizeof(in6));
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
        set_ipv4(key, in6.sin6_addr.s6_addr + 12);
        return 0;
    }
    key->family = AF_INET6;
    memcpy(key->bytes, &in6.sin6_addr, PREFIX_SIZE);
    return 0;
}

int address_count_take(struct address_count *c, const struct sockaddr *address, size_t max,
                       struct address_peer **peer)
{
    struct address_key key;
    struct address_peer *p, **bucket;

    *peer = NULL;
    if (make_key(address, &key))
        return 0;
    bucket =
        &c->buckets[str_hash((struct str){(const char *)&key, sizeof(key)}, c->seed) % BUCKETS];
    for (p = *bucket; p && memcmp(&p->key, &key, sizeof(key)) != 0;)
        p = p->next;
    if (p && p->connections >= max)
        return -1;
    if (!p) {
        p = calloc(1, sizeof(*p));
        if (!p)
            return -1;
        p->key = key;
        p->next = *bucket;
        p->previous_next = bucket;
        if (p->next)
            p->next->previous_next = &p->next;
        *bucket = p;
    }
    p->connections++;
    *peer = p;
    return 0;
}

void address_count_put(struct address_count *c, struct address_peer *peer)
{
    (void)c;
    if (!peer || --peer->connections)
        return;
    *peer->previous_next = peer->next;
    if (peer->next)
        peer->next->previous_next = peer->previous_next;
    free(peer);
}
