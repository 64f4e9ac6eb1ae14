#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_BLOCK_SIZE 8

/*
 * The addresses that one party has, for counting by: an IPv4 address, or an IPv6 /64, for that much
 * anybody gets. An IPv4 address that is mapped into IPv6 is the former.
 */
struct address_block {
    uint8_t family; /* AF_INET, AF_INET6; 0 = none: a unix socket, or not known */
    unsigned char bytes[ADDRESS_BLOCK_SIZE]; /* rest 0 */
};

struct address_block address_block_of(const struct sockaddr *address);
bool address_block_equal(const struct address_block *a, const struct address_block *b);
/* For tables that strangers must not be able to fill in one place. */
uint64_t address_block_hash(const struct address_block *b, uint64_t seed);
/*
 * Have the block and `text`, an address or a CIDR block, anything in common? Of an IPv6 one
 * the first 64 bits count. False where `text` is none.
 */
bool address_block_meets(const struct address_block *b, const char *text);
