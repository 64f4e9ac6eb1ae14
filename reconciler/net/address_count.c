#include "address_count.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#include "reconciler/base/address_block.h"

#define BUCKETS 4096

struct address_peer {
    struct address_peer *next, **previous_next;
    struct address_block block;
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

int address_count_take(struct address_count *c, const struct sockaddr *address, size_t max,
                       struct address_peer **peer)
{
    const struct address_block block = address_block_of(address);
    struct address_peer *p, **bucket;

    *peer = NULL;
    if (!block.family)
        return 0;
    bucket = &c->buckets[address_block_hash(&block, c->seed) % BUCKETS];
    for (p = *bucket; p && !address_block_equal(&p->block, &block);)
        p = p->next;
    if (p && p->connections >= max)
        return -1;
    if (!p) {
        p = calloc(1, sizeof(*p));
        if (!p)
            return -1;
        p->block = block;
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
